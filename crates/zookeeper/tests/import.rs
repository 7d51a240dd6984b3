//! What real ZooKeepers left on disk, compared with what they had answered (`tests/data/make.sh`).

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use polyport_zookeeper::import::{Import, ImportError, ImportedTree, Kind};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn import(dir: &Path) -> Result<ImportedTree, ImportError> {
    Import::from(&dir.join("data")).log_dir(&dir.join("log")).read()
}

/// The lines of `expected.tsv` for an imported tree.
fn lines(tree: &ImportedTree) -> Vec<String> {
    let mut children: HashMap<&str, i32> = HashMap::new();
    for node in &tree.nodes {
        match polyport_tree::path::parent(&node.path) {
            Some(parent) => *children.entry(parent).or_default() += 1,
            None => assert_eq!(node.path, "/"),
        }
    }
    let mut lines: Vec<_> = tree
        .nodes
        .iter()
        .map(|node| {
            let data = node.data.as_ref();
            let length = data.map_or(0, Vec::len).try_into().unwrap();
            let hex = data.map_or("-".to_owned(), |bytes| {
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            });
            let acl: String = node
                .acl
                .iter()
                .map(|acl| format!("{} {} {};", acl.perms.0, acl.id.scheme, acl.id.id))
                .collect();
            let stat =
                node.stat.visible(length, children.get(node.path.as_str()).copied().unwrap_or(0));
            format!(
                "{}\t{hex}\t{acl}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                node.path,
                stat.czxid,
                stat.mzxid,
                stat.ctime,
                stat.mtime,
                stat.version,
                stat.cversion,
                stat.aversion,
                stat.ephemeral_owner,
                stat.data_length,
                stat.num_children,
                stat.pzxid
            )
        })
        .chain(tree.sessions.iter().map(|(id, timeout)| format!("session\t{id}\t{timeout}")))
        .collect();
    lines.sort();
    lines
}

fn expected(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(fixture(name).join("expected.tsv")).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[track_caller]
fn check(name: &str) -> ImportedTree {
    let tree = import(&fixture(name)).unwrap();
    similar(&lines(&tree), &expected(name));
    assert_eq!((&tree.notes[..], &tree.gaps[..]), (&[][..], &[][..]));
    tree
}

#[track_caller]
fn similar(found: &[String], expected: &[String]) {
    for line in expected {
        assert!(found.contains(line), "missing: {line}\nfound: {found:#?}");
    }
    assert_eq!(found, expected);
}

#[test]
fn the_folder_of_a_3_8_server_is_what_it_answered() {
    let tree = check("full-3.8");
    assert!(tree.transactions > 0 && tree.logs.len() < 4);
}

#[test]
fn the_folder_of_a_3_9_server_is_what_it_answered() {
    let tree = check("full-3.9");
    let kind = |path: &str| tree.nodes.iter().find(|node| node.path == path).unwrap().stat.kind();
    assert_eq!(kind("/container"), Kind::Container);
    assert_eq!(kind("/multi/c"), Kind::Container);
    assert_eq!(kind("/ttl"), Kind::Ttl(86_400_000));
    assert_eq!(kind("/multi/t"), Kind::Ttl(5_000_000));
    assert!(matches!(kind("/live/ephemeral"), Kind::Ephemeral(id) if id == tree.sessions[1].0));
    assert_eq!(kind("/plain"), Kind::Persistent);
    assert_eq!(tree.nodes.iter().position(|node| node.path == "/"), Some(0));
}

#[test]
fn every_snapshot_with_the_logs_after_it_gives_the_same_tree() {
    for name in ["full-3.8", "full-3.9", "reconfig-3.9", "no-digest-3.9", "gz-3.9"] {
        let copy = Copy::of(name);
        let mut snapshots = copy.files("data", "snapshot.");
        assert!(snapshots.len() >= 2, "{name}");
        while let Some(newest) = snapshots.pop() {
            let tree = import(copy.path()).unwrap();
            assert_eq!(tree.snapshot.as_deref(), Some(&*newest));
            similar(&lines(&tree), &expected(name));
            std::fs::remove_file(newest).unwrap();
        }
    }
}

#[test]
fn a_log_alone_from_the_first_snapshot_on() {
    let tree = check("log-only-3.9");
    assert!(tree.snapshot.unwrap().ends_with("snapshot.0"));
}

#[test]
fn compressed_snapshots_are_read() {
    let tree = check("gz-3.9");
    assert!(tree.snapshot.unwrap().extension().is_some_and(|e| e == "gz"));
}

#[test]
fn snappy_is_refused_with_what_to_do() {
    let error = import(&fixture("snappy-3.9")).unwrap_err();
    assert!(matches!(error, ImportError::Snappy(_)));
    assert!(error.to_string().contains("snapshot.compression.method=gz"));
}

#[test]
fn servers_without_digest_and_paths_of_closed_sessions() {
    check("no-digest-3.9");
}

#[test]
fn a_reconfigured_ensemble_keeps_its_membership() {
    let tree = check("reconfig-3.9");
    let config = tree.nodes.iter().find(|node| node.path == "/zookeeper/config").unwrap();
    let text = String::from_utf8(config.data.clone().unwrap()).unwrap();
    assert!(text.contains("server.2=127.0.0.1:24818:24819:observer"), "{text}");
}

#[test]
fn the_folder_version_2_itself_can_be_named() {
    let dir = fixture("full-3.9");
    let tree = Import::from(&dir.join("data/version-2")).log_dir(&dir.join("log/version-2")).read();
    assert_eq!(lines(&tree.unwrap()), expected("full-3.9"));
}

#[test]
fn folders_without_data_are_refused() {
    let copy = Copy::of("log-only-3.9");
    let missing = Import::from(&copy.path().join("nothing")).read().unwrap_err();
    assert!(matches!(missing, ImportError::Io { .. }));
    for snapshot in copy.files("data", "snapshot.") {
        std::fs::remove_file(snapshot).unwrap();
    }
    assert!(matches!(import(copy.path()), Err(ImportError::NoSnapshot(_))));
    let allowed = Import::from(&copy.path().join("data"))
        .log_dir(&copy.path().join("log"))
        .trust_empty_snapshot()
        .read()
        .unwrap();
    assert!(allowed.snapshot.is_none() && allowed.nodes.iter().any(|node| node.path == "/a"));
    for log in copy.files("log", "log.") {
        std::fs::remove_file(log).unwrap();
    }
    assert!(matches!(import(copy.path()), Err(ImportError::NothingThere(_))));
}

#[test]
fn a_damaged_snapshot_gives_way_to_the_one_before() {
    let copy = Copy::of("full-3.9");
    let newest = copy.files("data", "snapshot.").pop().unwrap();
    let whole = std::fs::read(&newest).unwrap();
    // Every byte before the trailer is under the first checksum.
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&newest, &damaged).unwrap();
        let tree = import(copy.path()).unwrap();
        similar(&lines(&tree), &expected("full-3.9"));
        let version_or_mark = (4..16).contains(&at);
        if tree.snapshot.as_deref() == Some(&*newest) {
            // An end mark's own text is not under a checksum.
            assert!(!version_or_mark && at + 60 > whole.len(), "byte {at}");
        } else {
            assert!(tree.notes[0].contains("skipped"), "{:?}", tree.notes);
        }
    }
    for length in (0..whole.len()).step_by(5) {
        std::fs::write(&newest, &whole[..length]).unwrap();
        let tree = import(copy.path()).unwrap();
        similar(&lines(&tree), &expected("full-3.9"));
    }
}

#[test]
fn a_damaged_compressed_snapshot_gives_way_too() {
    let copy = Copy::of("gz-3.9");
    let newest = copy.files("data", "snapshot.").pop().unwrap();
    let whole = std::fs::read(&newest).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&newest, &damaged).unwrap();
        similar(&lines(&import(copy.path()).unwrap()), &expected("gz-3.9"));
        std::fs::write(&newest, &whole[..at]).unwrap();
        similar(&lines(&import(copy.path()).unwrap()), &expected("gz-3.9"));
    }
}

#[test]
fn without_any_valid_snapshot_the_reasons_are_told() {
    let copy = Copy::of("full-3.8");
    for snapshot in copy.files("data", "snapshot.") {
        std::fs::write(snapshot, b"ZKSN").unwrap();
    }
    let error = import(copy.path()).unwrap_err();
    assert!(matches!(error, ImportError::NoValidSnapshot { .. }));
    assert!(error.to_string().contains("ends at byte 4"), "{error}");
}

/// A log cut off anywhere yields what was logged before; nothing else, and nothing silently.
#[test]
fn a_torn_log_keeps_what_is_before_the_tear() {
    let copy = Copy::of("log-only-3.9");
    let log = copy.files("log", "log.").pop().unwrap();
    let whole = std::fs::read(&log).unwrap();
    let complete = import(copy.path()).unwrap();
    let used = 1 + whole.iter().rposition(|byte| *byte != 0).unwrap();
    let (mut last, mut boundary) = (0, 0);
    for length in 0..=used {
        std::fs::write(&log, &whole[..length]).unwrap();
        match import(copy.path()) {
            Ok(tree) => {
                assert!(tree.last_zxid >= last && tree.last_zxid <= complete.last_zxid);
                if tree.last_zxid > last || length == 16 {
                    (last, boundary) = (tree.last_zxid, length);
                }
                // A tear within a record is told, unless all that is left of it looks like padding.
                let visible = whole[boundary.min(length)..length].iter().any(|byte| *byte != 0);
                assert_eq!(visible && length >= 16, !tree.notes.is_empty() && length > 0);
            }
            Err(error) => {
                assert!((1..16).contains(&length), "{length}: {error}");
                assert!(matches!(error, ImportError::DamagedLog { .. }));
            }
        }
        // The same tear in a preallocated file.
        if length % 5 != 0 {
            continue;
        }
        let mut padded = whole[..length].to_vec();
        padded.resize(whole.len(), 0);
        std::fs::write(&log, &padded).unwrap();
        if let Ok(tree) = import(copy.path()) {
            assert!(tree.last_zxid <= complete.last_zxid);
        }
    }
    assert_eq!(last, complete.last_zxid);
}

#[test]
fn a_flipped_bit_in_a_log_is_told_and_never_changes_the_tree() {
    let copy = Copy::of("log-only-3.9");
    let log = copy.files("log", "log.").pop().unwrap();
    let whole = std::fs::read(&log).unwrap();
    let complete = import(copy.path()).unwrap();
    let used = 1 + whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut refused = 0;
    for at in (0..used).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&log, &damaged).unwrap();
        match import(copy.path()) {
            Err(ImportError::DamagedLog { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
            // Version and database id of the header mean nothing; a length or end byte ends the log.
            Ok(tree) if (4..16).contains(&at) => assert_eq!(lines(&tree), lines(&complete)),
            Ok(tree) => assert!(!tree.notes.is_empty(), "byte {at}"),
        }
    }
    assert!(refused > used / 6, "{refused} of {used}");
}

#[test]
fn a_missing_log_is_told_as_a_gap() {
    let copy = Copy::of("full-3.8");
    let (snapshots, logs) = (copy.files("data", "snapshot."), copy.files("log", "log."));
    for snapshot in &snapshots[1..] {
        std::fs::remove_file(snapshot).unwrap();
    }
    std::fs::remove_file(&logs[1]).unwrap();
    let tree = import(copy.path()).unwrap();
    let [(first, last)] = tree.gaps[..] else { panic!("{:?}", tree.gaps) };
    assert!(logs[1].to_str().unwrap().ends_with(&format!("log.{first:x}")));
    assert!(logs[2].to_str().unwrap().ends_with(&format!("log.{:x}", last + 1)));
}

/// A copy of a fixture in a folder of its own, removed at the end.
struct Copy(PathBuf);

impl Copy {
    fn of(name: &str) -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("import-{}-{number}", std::process::id()));
        for part in ["data/version-2", "log/version-2"] {
            std::fs::create_dir_all(dir.join(part)).unwrap();
            for entry in std::fs::read_dir(fixture(name).join(part)).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), dir.join(part).join(entry.file_name())).unwrap();
            }
        }
        Self(dir)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Files of a part whose name begins with `prefix`, in the order of their zxid.
    fn files(&self, part: &str, prefix: &str) -> Vec<PathBuf> {
        let zxid = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            i64::from_str_radix(name.split('.').nth(1).unwrap(), 16).unwrap()
        };
        let mut files: Vec<_> = std::fs::read_dir(self.0.join(part).join("version-2"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
            .collect();
        files.sort_by_key(zxid);
        files
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
