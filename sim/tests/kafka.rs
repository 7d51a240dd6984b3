//! Some seeds of Kafka's world in every test run, and rules broken on purpose: each checker speaks.

#![allow(clippy::unwrap_used)]

use std::process::Command;

/// What the program prints, and whether all promises held.
fn run(arguments: &[&str]) -> (String, bool) {
    let program = env!("CARGO_BIN_EXE_polyport-sim");
    let output = Command::new(program).arg("--kafka").args(arguments).output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

#[test]
fn promises_hold_under_the_first_seeds() {
    let (text, held) = run(&["--seeds", "0..16", "--jobs", "2"]);
    assert!(held && text.contains("16 seeds, 0 failed"), "{text}");
}

#[test]
fn a_seed_replays_exactly() {
    let (text, held) = run(&["--replay", "3"]);
    assert!(held && text.contains("replays exactly"), "{text}");
    assert_ne!(run(&["--one", "3"]).0, run(&["--one", "4"]).0);
}

/// Breaks a rule and looks for one of these complaints.
fn finds(rule: &str, complaints: &[&str]) {
    let (text, held) = run(&["--broken", rule, "--seeds", "0..60", "--first"]);
    assert!(!held && complaints.iter().any(|words| text.contains(words)), "{rule}: {text}");
}

/// What is said of acknowledged or visible records that are gone.
const LOSS: [&str; 6] = [
    "two records at",
    "its leader has less",
    "went back from",
    "was acknowledged and is not in",
    "OutOfOrder",
    "InvalidProducerIdMapping",
];

#[test]
fn leaders_that_were_not_in_sync_are_found() {
    finds("anybody-is-elected", &LOSS);
}

#[test]
fn leaders_that_lead_on_after_they_were_away_are_found() {
    finds("the-returned-lead-on", &LOSS);
}

#[test]
fn acknowledgements_that_come_too_early_are_found() {
    finds("acknowledge-at-once", &LOSS);
}

#[test]
fn ends_that_are_not_committed_are_found() {
    finds("ends-are-not-committed", &["went back from"]);
}

#[test]
fn followers_that_do_not_truncate_are_found() {
    let complaints = ["differs between nodes", "no rest at the end", "two records at"];
    finds("follower-forgets-epochs", &complaints);
}

#[test]
fn replicas_that_never_come_in_sync_are_found() {
    finds("nobody-joins", &["clients do not get done", "no rest"]);
}

#[test]
fn what_is_written_twice_is_found() {
    finds("producers-are-plain", &["once and in order"]);
}

#[test]
fn transactions_that_do_not_end_are_found() {
    finds("markers-are-not-sent", &["clients do not get done", "without an end", "no rest"]);
}

#[test]
fn aborted_records_that_are_shown_are_found() {
    finds("aborted-are-shown", &["it is committed 0 times"]);
}
