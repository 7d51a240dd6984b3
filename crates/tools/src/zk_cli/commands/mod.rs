//! What the commands do, by what they are about.

pub mod membership;
pub mod nodes;
pub mod quota;
pub mod tree;
pub mod watching;

use polyport_tree::{Acl, Id, Perms, Stat};

use super::command::Context;
use super::console::Console;
use super::{CliError, print};

/// The value of `-v`; -1, for any version, without it.
fn version(context: &Context<'_>) -> Result<i32, CliError> {
    context.parsed.value("v").map_or(Ok(-1), number)
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, CliError> {
    text.parse().map_err(|_| CliError::new(format!("For input string: \"{text}\"")))
}

/// Prints the stat if `-s` was given.
fn print_stat(context: &Context<'_>, stat: &Stat) {
    if context.parsed.has("s") {
        context.console.line(&print::stat(stat));
    }
}

/// Reads `scheme:id:perms,…`. What has not this form is named and left out.
fn parse_acl(console: &Console, text: &str) -> Vec<Acl> {
    let mut acl = Vec::new();
    for entry in text.split(',') {
        let (Some(first), Some(last)) = (entry.find(':'), entry.rfind(':')) else {
            console.error(&format!("{entry} does not have the form scheme:id:perm"));
            continue;
        };
        if first == last {
            console.error(&format!("{entry} does not have the form scheme:id:perm"));
            continue;
        }
        let mut perms = Perms::default();
        for letter in entry[last + 1..].chars() {
            match print::perm(letter) {
                Some(perm) => perms |= perm,
                None => console.error(&format!("Unknown perm type: {letter}")),
            }
        }
        acl.push(Acl { perms, id: Id::new(&entry[..first], &entry[first + 1..last]) });
    }
    acl
}
