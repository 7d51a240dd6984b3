//! Some seeds in every test run; many more by hand, see `docs/simulation.md`.

#![allow(clippy::unwrap_used)]

use std::process::Command;

/// What the program prints, each seed in a process of its own; asserts that all promises held.
fn run(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_polyport-sim");
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

#[test]
fn promises_hold_under_the_first_seeds() {
    let text = run(&["--seeds", "0..20"]);
    assert!(text.contains("20 seeds, 0 failed"), "{text}");
}

#[test]
fn promises_hold_under_seeds_that_once_failed() {
    // 85: a touch lost with its connection; 38, 126, 130, 216: a leader that led on after a restart.
    // 6895: an observer whose addition was lost. 4344, 5585: an expiry of a leader that was isolated.
    for seed in [38_u64, 85, 126, 130, 216, 4344, 5585, 6895] {
        run(&["--seeds", &format!("{seed}..{}", seed + 1)]);
    }
}

#[test]
fn a_silent_client_s_session_does_not_outlive_many_leaders() {
    let text = run(&["--succession", "--seeds", "0..20"]);
    assert!(text.contains("20 seeds, 0 failed"), "{text}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in ["3", "38"] {
        assert!(run(&["--replay", seed]).contains("replays exactly"));
    }
    assert_ne!(run(&["--one", "3"]), run(&["--one", "4"]));
}
