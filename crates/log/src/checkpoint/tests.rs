//! What the text files promise.

use std::collections::BTreeMap;

use polyport_storage::SimDisk;

use super::*;
use crate::TopicPartition;
use crate::checkpoint::epochs::{EpochEntry, Epochs};
use crate::checkpoint::meta_properties::MetaProperties;
use crate::checkpoint::partition_metadata::TopicId;

fn dir() -> (SimDisk, &'static Path) {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    (disk, Path::new("/d"))
}

fn text(disk: &SimDisk, path: &Path) -> String {
    String::from_utf8(disk.read(path, 1000).unwrap()).unwrap()
}

#[test]
fn offsets_have_kafkas_form_and_survive_a_crash() {
    let (disk, dir) = dir();
    let path = dir.join(offsets::RECOVERY_POINT);
    assert!(offsets::load(&disk, &path).unwrap().is_empty());
    let partition = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
    let all = BTreeMap::from([(partition("b", 0), 7), (partition("a", 12), 1 << 40)]);
    offsets::store(&disk, &path, &all).unwrap();
    disk.crash(3);
    assert_eq!(text(&disk, &path), "0\n2\na 12 1099511627776\nb 0 7\n");
    assert_eq!(offsets::load(&disk, &path).unwrap(), all);
    for bad in ["1\n0\n", "0\n2\na 1 2\n", "0\n1\na x 2\n", "0\n", "0\n1\na 1 2 3\n"] {
        replace(&disk, &path, bad.as_bytes()).unwrap();
        assert!(matches!(offsets::load(&disk, &path), Err(LogError::Text { .. })), "{bad:?}");
    }
}

#[test]
fn epochs_answer_where_each_ends() {
    let (disk, dir) = dir();
    let (mut epochs, found) = Epochs::open(&disk, dir).unwrap();
    assert!(!found);
    for (epoch, start) in [(1, 0), (1, 5), (3, 10), (2, 12), (5, 10), (6, 20)] {
        epochs.note(epoch, start);
    }
    epochs.store_below(20).unwrap();
    let entry = |epoch, start_offset| EpochEntry { epoch, start_offset };
    assert_eq!(epochs.entries(), [entry(1, 0), entry(5, 10), entry(6, 20)]);
    assert_eq!(text(&disk, &dir.join(epochs::FILE)), "0\n3\n1 0\n5 10\n6 20\n");
    let ends: Vec<_> = (-1..=7).map(|epoch| epochs.end_offset_for(epoch, 33)).collect();
    let one = Some((1, 10));
    let expected = [None, Some((0, 0)), one, one, one, one, Some((5, 20)), Some((6, 33)), None];
    assert_eq!(ends, expected);
    assert_eq!(epochs.epoch_of(19), Some(5));
    epochs.truncate_start(15).unwrap();
    epochs.truncate_end(20).unwrap();
    assert_eq!(epochs.entries(), [entry(5, 15)]);
    let (again, found) = Epochs::open(&disk, dir).unwrap();
    assert!(found);
    assert_eq!(again.entries(), epochs.entries());
}

#[test]
fn identities_come_back() {
    let (disk, dir) = dir();
    assert_eq!(partition_metadata::load(&disk, dir).unwrap(), None);
    let id = TopicId(*b"0123456789abcdef");
    partition_metadata::store(&disk, dir, id).unwrap();
    assert_eq!(partition_metadata::load(&disk, dir).unwrap(), Some(id));
    let path = dir.join(partition_metadata::FILE);
    assert_eq!(text(&disk, &path), "version: 0\ntopic_id: MDEyMzQ1Njc4OWFiY2RlZg");
    let meta = MetaProperties { broker_id: 3, cluster_id: "c".into() };
    meta_properties::store(&disk, dir, &meta).unwrap();
    assert_eq!(meta_properties::load(&disk, dir).unwrap(), Some(meta.clone()));
    let v1 = "#Mon\nnode.id=3\nversion=1\ncluster.id=c\n";
    replace(&disk, &dir.join(meta_properties::FILE), v1.as_bytes()).unwrap();
    assert_eq!(meta_properties::load(&disk, dir).unwrap(), Some(meta));
}
