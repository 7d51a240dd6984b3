//! Both disks treat directories alike.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

use std::io::ErrorKind;
use std::path::Path;

use polyport_storage::{Disk, DiskFile as _, OsDisk, SimDisk};

fn directories_are_listed_renamed_and_removed<D: Disk>(disk: &D, root: &Path) {
    let (a, b) = (root.join("a"), root.join("b"));
    disk.create_dir_all(&a).unwrap();
    disk.create_dir_all(&root.join("c")).unwrap();
    let file = disk.create(&a.join("f")).unwrap();
    file.write_at(b"abc", 0).unwrap();
    assert_eq!(disk.list_dirs(root).unwrap(), ["a", "c"]);
    assert!(disk.list(root).unwrap().is_empty());
    disk.rename_dir(&a, &b).unwrap();
    assert_eq!(disk.list_dirs(root).unwrap(), ["b", "c"]);
    assert_eq!(disk.read(&b.join("f"), 10).unwrap(), b"abc");
    assert_eq!(disk.rename_dir(&a, &b).unwrap_err().kind(), ErrorKind::NotFound);
    file.sync_data().unwrap();
    disk.sync_dir(&b).unwrap();
    disk.remove_dir_all(&b).unwrap();
    assert_eq!(disk.list_dirs(root).unwrap(), ["c"]);
    assert_eq!(disk.read(&b.join("f"), 10).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.remove_dir_all(&b).unwrap_err().kind(), ErrorKind::NotFound);
    let mut bytes = [0; 3];
    assert_eq!(file.read_full_at(&mut bytes, 0).unwrap(), 3, "an open file stays readable");
}

#[test]
fn the_systems_disk() {
    let root = std::env::temp_dir().join(format!("polyport-dirs-{}", std::process::id()));
    OsDisk.create_dir_all(&root).unwrap();
    directories_are_listed_renamed_and_removed(&OsDisk, &root);
    OsDisk.remove_dir_all(&root).unwrap();
}

#[test]
fn the_simulated_disk() {
    let (disk, root) = (SimDisk::new(), Path::new("/r"));
    disk.create_dir_all(root).unwrap();
    directories_are_listed_renamed_and_removed(&disk, root);
}

#[test]
fn names_not_yet_durable_follow_a_renamed_directory() {
    let (disk, from, to) = (SimDisk::new(), Path::new("/r/a"), Path::new("/r/b"));
    disk.create_dir_all(from).unwrap();
    let file = disk.create(&from.join("f")).unwrap();
    file.write_at(b"abc", 0).unwrap();
    file.sync_data().unwrap();
    disk.rename_dir(from, to).unwrap();
    disk.sync_dir(to).unwrap();
    disk.crash(1);
    assert_eq!(disk.list_dirs(Path::new("/r")).unwrap(), ["b"]);
    assert_eq!(disk.read(&to.join("f"), 10).unwrap(), b"abc");
}
