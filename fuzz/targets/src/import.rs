//! Files of a real ZooKeeper.

use std::path::PathBuf;
use std::sync::OnceLock;

use bytes::BufMut;
use polyport_zookeeper::import::Import;

/// A folder of this process, on whatever the system keeps temporary files.
fn dir() -> &'static PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("polyport-fuzz-{}", std::process::id()));
        let made = std::fs::create_dir_all(&dir);
        assert!(made.is_ok(), "{}: {made:?}", dir.display());
        dir
    })
}

/// Removes what the import targets wrote.
pub fn tidy_up() {
    let _ = std::fs::remove_dir_all(dir());
}

fn read(name: &str, bytes: &[u8]) {
    let dir = dir().join(name.split('.').next().unwrap_or(name));
    let written =
        std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(dir.join(name), bytes));
    assert!(written.is_ok(), "{written:?}");
    let _ = Import::from(&dir).trust_empty_snapshot().read();
}

/// `snapshot.<zxid>`.
pub fn import_snapshot(bytes: &[u8]) {
    read("snapshot.7", bytes);
}

/// One transaction in a `log.<zxid>` whose checksums are right, as no mutation would make them.
pub fn import_log(bytes: &[u8]) {
    let mut file = Vec::with_capacity(bytes.len() + 32);
    file.put_slice(b"ZKLG");
    file.put_i32(2);
    file.put_i64(0);
    file.put_i64(adler32(bytes));
    file.put_i32(bytes.len() as i32);
    file.put_slice(bytes);
    file.put_u8(b'B');
    read("log.1", &file);
}

fn adler32(bytes: &[u8]) -> i64 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    i64::from(b) << 16 | i64::from(a)
}

pub(crate) fn snapshots() -> Vec<Vec<u8>> {
    let mut bytes = b"ZKSN\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
    bytes.put_i32(1);
    bytes.put_i64(5);
    bytes.put_i32(30_000);
    // Access control lists: one of one entry.
    bytes.put_i32(1);
    bytes.put_i64(1);
    bytes.put_i32(1);
    bytes.put_i32(31);
    string(&mut bytes, "world");
    string(&mut bytes, "anyone");
    for path in ["", "/a", "/a/b"] {
        string(&mut bytes, path);
        string(&mut bytes, "data");
        bytes.put_i64(1);
        bytes.put_slice(&[0; 60]);
    }
    string(&mut bytes, "/");
    let sum = adler32(&bytes);
    bytes.put_i64(sum);
    string(&mut bytes, "/");
    vec![bytes]
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.put_i32(text.len() as i32);
    out.put_slice(text.as_bytes());
}

pub(crate) fn transactions() -> Vec<Vec<u8>> {
    let head = |kind: i32| {
        let mut bytes = Vec::new();
        bytes.put_i64(5);
        bytes.put_i32(1);
        bytes.put_i64(1);
        bytes.put_i64(1000);
        bytes.put_i32(kind);
        bytes
    };
    let created = || {
        let mut body = Vec::new();
        string(&mut body, "/a");
        string(&mut body, "data");
        body.put_i32(1);
        body.put_i32(31);
        string(&mut body, "world");
        string(&mut body, "anyone");
        body.put_u8(0);
        body.put_i32(1);
        body
    };
    let mut create = head(1);
    create.put_slice(&created());
    let mut multi = head(14);
    multi.put_i32(2);
    for _ in 0..2 {
        multi.put_i32(1);
        multi.put_i32(created().len() as i32);
        multi.put_slice(&created());
    }
    let mut close = head(-11);
    close.put_i32(1);
    string(&mut close, "/a");
    vec![create, multi, close]
}
