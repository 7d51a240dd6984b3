//! Whose data a directory holds.
//!
//! A node's votes are its own: another node that goes on with them could vote twice in one term. A
//! wrong `myid` or a copied data directory is told at the start instead.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;

/// The file in the data directory that says so: the node's number in decimal digits.
const NAME: &str = "node";

/// Checks that a directory, which is locked, belongs to this node; it does from now on if it
/// belonged to none.
///
/// # Errors
/// If it belongs to another, or the file cannot be read or written.
pub(crate) fn check(data_dir: &Path, node: u64) -> anyhow::Result<()> {
    let path = data_dir.join(NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return claim(data_dir, &path, node).with_context(|| path.display().to_string());
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let owner: u64 = text.trim().parse().with_context(|| {
        format!("{}: is damaged; write the number of this directory's node into it", path.display())
    })?;
    anyhow::ensure!(
        owner == node,
        "{}: the data is node {owner}'s, but node.id is {node}: set node.id (in an ensemble, myid) \
         to {owner}, or give node {node} a data directory of its own",
        path.display()
    );
    Ok(())
}

/// The file is whole or not there, whenever the machine stops.
fn claim(data_dir: &Path, path: &Path, node: u64) -> std::io::Result<()> {
    let unfinished = path.with_extension("tmp");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{node}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stays_with_the_node_that_used_it_first() {
        let dir = std::env::temp_dir().join(format!("polyport-owner-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        check(&dir, 7).unwrap();
        check(&dir, 7).unwrap();
        let told = check(&dir, 8).unwrap_err().to_string();
        for part in ["/node:", "node 7's", "node.id is 8"] {
            assert!(told.contains(part), "{told}");
        }
        fs::write(dir.join(NAME), "seven").unwrap();
        assert!(check(&dir, 7).unwrap_err().to_string().contains("damaged"));
        fs::remove_dir_all(&dir).unwrap();
    }
}
