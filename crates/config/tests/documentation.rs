//! `docs/configuration.md` is made from the code and must not fall behind it.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

use std::collections::BTreeSet;
use std::path::Path;

use polyport_config::Config;

const HEAD: &str = "# Configuration\n\n\
    Made from the code by `make docs`; change the documentation of a key in\n\
    `crates/config/src/types.rs`.\n\n\
    A node reads, later over earlier: the defaults, the file of `--config`, each `--import`ed file\n\
    (`zoo.cfg` with its `myid`), environment variables (`POLYPORT_ZOOKEEPER__LISTEN=…` is\n\
    `zookeeper.listen`), and each `--set section.key=value`. `polyport check-config` takes the same\n\
    arguments, names every problem with its file and line, and starts nothing. `polyport config`\n\
    prints the file below.\n\n";

#[test]
fn the_configuration_page_is_what_the_code_says() {
    let page = format!("{HEAD}```toml\n{}```\n", Config::default().to_toml_documented());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("POLYPORT_WRITE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == page, "docs/configuration.md is out of date: run `make docs`");
}

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The keys of `[zookeeper]`, from the page.
fn keys() -> BTreeSet<String> {
    let text = Config::default().to_toml_documented();
    let section = text.split("\n[zookeeper]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let key = |line: &str| {
        let (key, _) = line.trim_start_matches("# ").split_once(" = ")?;
        key.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            .then_some(key)
            .map(str::to_owned)
    };
    section.lines().filter_map(key).collect()
}

#[test]
fn keys_without_effect_are_said_to_be_so() {
    let mut program = String::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../polyport/src");
    for entry in std::fs::read_dir(folder).unwrap() {
        program.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let compat = read("COMPAT.md");
    let without = compat.split("## Keys without effect").nth(1).unwrap().split("\n## ").next();
    let without = without.unwrap();
    let keys = keys();
    assert!(keys.len() > 30, "the keys were not found: {keys:?}");
    let used = |key: &String| {
        // The whole word: some keys begin like others.
        let whole = |after: &str| !after.starts_with(|c: char| c == '_' || c.is_alphanumeric());
        program.split(&format!("zookeeper.{key}")).skip(1).any(whole)
            || program.contains(&format!("effective_{key}"))
    };
    let listed = |key: &String| without.contains(&format!("`{key}`"));
    let silent: Vec<_> = keys.iter().filter(|key| !used(key) && !listed(key)).collect();
    assert!(silent.is_empty(), "neither wired nor listed in COMPAT.md: {silent:?}");
    let slandered: Vec<_> = keys.iter().filter(|key| used(key) && listed(key)).collect();
    assert!(slandered.is_empty(), "wired, but listed in COMPAT.md: {slandered:?}");
    let listed = without.split('`').skip(1).step_by(2).filter(|word| *word != "[zookeeper]");
    let unknown: Vec<_> = listed.filter(|word| !keys.contains(*word)).collect();
    assert!(unknown.is_empty(), "listed in COMPAT.md, but no keys: {unknown:?}");
}
