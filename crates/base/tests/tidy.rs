//! Rules of the house that no compiler checks. They only tighten: lower a limit when the code allows
//! it, and do not add exceptions.

#![allow(clippy::unwrap_used, reason = "a test from end to end")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file of Rust, in lines.
const MAX_LINES: usize = 800;

/// Crates from the top down. A crate may use those of lower floors only; crates of one floor do not
/// know each other.
const FLOORS: &[&[&str]] = &[
    &["polyport-fuzz", "polyport-sim", "polyport-bench-zookeeper"],
    &["polyport"],
    &["polyport-console", "polyport-tools"],
    &["polyport-zookeeper", "polyport-kafka"],
    &["polyport-partitions", "polyport-kafka-codec"],
    &["polyport-tree", "polyport-log", "polyport-blob"],
    &["polyport-cluster", "polyport-identity"],
    &["polyport-storage", "polyport-net", "polyport-config"],
    &["polyport-wire", "polyport-telemetry"],
    &["polyport-base"],
];

/// Heavy dependencies that exactly one crate names, so that the others neither know nor build them.
const OWNED: &[(&str, &str)] = &[
    ("openraft", "polyport-cluster"),
    ("openraft-rt", "polyport-cluster"),
    ("clap", "polyport"),
    ("rustyline", "polyport-tools"),
    ("toml", "polyport-config"),
];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// Files below a folder, without what is built, fetched or generated.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    const SKIPPED: [&str; 8] =
        [".git", ".venv", ".cache", "target", "node_modules", "corpus", "artifacts", "data"];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| *skipped == name) {
            files(&entry.path(), found);
        } else if kind.is_file() && name != ".git" {
            found.push(entry.path());
        }
    }
}

/// Every text file of the repository with its content.
fn texts() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    files(&root, &mut found);
    let relative = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    let text = |path: PathBuf| Some((relative(&path), fs::read_to_string(path).ok()?));
    let texts: Vec<_> = found.into_iter().filter_map(text).collect();
    assert!(texts.len() > 100, "the repository's files were not found");
    texts
}

fn complain(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn files_are_short() {
    let long = |(path, text): (String, String)| {
        let lines = text.lines().count();
        (path.ends_with(".rs") && lines > MAX_LINES).then(|| format!("{path}: {lines} lines"))
    };
    let found = texts().into_iter().filter_map(long).collect();
    complain("longer than 800 lines: split by idea", found);
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["todo", "!("], ["unimplemented", "!("]];
    let marks: Vec<String> = marks.iter().map(|parts| parts.concat()).collect();
    let source = [".rs", ".py", ".sh", ".toml", ".java", ".go", ".js"];
    let mut found = Vec::new();
    for (path, text) in texts() {
        if !source.iter().any(|ending| path.ends_with(ending)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    complain("do it, or leave it out and say so in COMPAT.md", found);
}

#[test]
fn no_text_names_the_machine_it_was_written_on() {
    let marks = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]].map(|parts| parts.concat());
    let mut found = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| names_path(line, mark)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    complain("paths of one machine", found);
}

/// Whether a line holds an absolute path that begins so; `a/b/` is none, nor is a URL.
fn names_path(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '/' | '-' | '_' | '}'))
    })
}

/// Our crates: name, and what each kind of dependency names.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let mut crates = BTreeMap::new();
    for (path, text) in texts() {
        let outside =
            ["shims/", "fuzz/Cargo.toml", "e2e/"].iter().any(|start| path.starts_with(start));
        if !path.ends_with("/Cargo.toml") || outside {
            continue;
        }
        let mut section = "";
        let (mut name, mut named) = (String::new(), BTreeSet::new());
        for line in text.lines() {
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']);
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.split('.').next().unwrap().trim();
            if section == "package" && key == "name" {
                name = value.trim().trim_matches('"').to_owned();
            } else if section.ends_with("dependencies") && !section.contains("dev-") {
                named.insert(key.to_owned());
            }
        }
        crates.insert(name, named);
    }
    assert!(crates.len() > 8, "the crates were not found");
    crates
}

#[test]
fn arrows_between_crates_go_down_only() {
    let floor = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    let mut found = Vec::new();
    for (name, named) in crates() {
        let Some(from) = floor(&name) else {
            found.push(format!("{name} has no floor: give it one in this test"));
            continue;
        };
        for other in named.iter().filter(|other| other.starts_with("polyport")) {
            match floor(other) {
                Some(to) if to > from => {}
                _ => found.push(format!("{name} -> {other}")),
            }
        }
    }
    complain("arrows that do not go down", found);
}

#[test]
fn heavy_dependencies_have_one_owner() {
    let mut found = Vec::new();
    for (name, named) in crates() {
        for (dependency, owner) in OWNED {
            let simulation = FLOORS[0].contains(&name.as_str()) && *dependency == "clap";
            if named.contains(*dependency) && name != *owner && !simulation {
                found.push(format!("{name} names {dependency}, which is {owner}'s"));
            }
        }
    }
    complain("dependencies with another owner", found);
}

#[test]
fn openraft_is_named_by_one_crate_only() {
    let named = |(path, text): &(String, String)| {
        path.ends_with(".rs")
            && !path.starts_with("crates/cluster/")
            && text.lines().any(|line| line.contains("openraft::") && !line.contains("\""))
    };
    let found = texts().into_iter().filter(named).map(|(path, _)| path).collect();
    complain("openraft outside the cluster crate", found);
}

#[test]
fn every_crate_says_what_it_is_and_what_is_absent() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        let library = path.starts_with("crates/") && path.ends_with("/src/lib.rs");
        if library && !(text.starts_with("//!") && text.contains("eliberately absent")) {
            found.push(path);
        }
    }
    complain("lib.rs without its opening words", found);
}
