//! Links by which the tools are found under their own names.

use std::path::Path;

use anyhow::Context;

/// Puts a link for each tool into a directory. An older link is replaced; a file that is no link is
/// left alone and named.
pub(crate) fn install(dir: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for name in polyport_tools::names() {
        let link = dir.join(&name);
        match std::fs::symlink_metadata(&link) {
            Ok(found) if found.is_symlink() => std::fs::remove_file(&link)
                .with_context(|| format!("cannot replace {}", link.display()))?,
            Ok(_) => anyhow::bail!("{} is there and is no link: move it away", link.display()),
            Err(_) => {}
        }
        std::os::unix::fs::symlink(&program, &link)
            .with_context(|| format!("cannot link {}", link.display()))?;
        println!("{} -> {}", link.display(), program.display());
    }
    Ok(())
}
