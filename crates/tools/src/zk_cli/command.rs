//! The table of commands: what each is called, what it takes, and who runs it.

use super::CliError;
use super::commands::{membership, nodes, quota, tree, watching};
use super::console::Console;
use super::options::{Opt, OptSet, Parsed};
use crate::zk_client::Client;

/// What a command works on.
pub struct Context<'a> {
    /// The session.
    pub client: &'a Client,
    /// Where it prints.
    pub console: &'a Console,
    /// Its arguments, read.
    pub parsed: Parsed,
    /// How it is used.
    pub usage: String,
}

impl Context<'_> {
    /// The argument after the command; commands that need one are not run without it.
    pub fn path(&self) -> &str {
        self.arg(1).unwrap_or_default()
    }

    /// An argument; 0 is the command itself.
    pub fn arg(&self, index: usize) -> Option<&str> {
        self.parsed.args.get(index).map(String::as_str)
    }

    /// The error that shows how the command is used.
    pub fn misuse(&self) -> CliError {
        CliError::new(&self.usage)
    }
}

type Run = fn(&Context<'_>) -> Result<(), CliError>;

/// An older form of a command, with an argument more.
#[derive(Clone, Copy)]
enum OldForm {
    None,
    /// `command path watch`; the word is replaced by `-w`.
    Watch(&'static str),
    /// `delete path version`; the version is not used.
    Version,
}

/// A command that needs a session.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What follows the name in a usage line.
    pub synopsis: &'static str,
    /// The option list that is printed under the usage line of some.
    details: &'static str,
    options: Option<OptSet>,
    arguments: std::ops::RangeInclusive<usize>,
    old_form: OldForm,
    run: Run,
}

const MANY: usize = usize::MAX;

const fn flag(name: &'static str) -> Opt {
    Opt { name, takes_value: false }
}

const fn value(name: &'static str) -> Opt {
    Opt { name, takes_value: true }
}

const fn any(options: &'static [Opt]) -> Option<OptSet> {
    Some(OptSet { options, exclusive: false, required: None })
}

const fn command(
    name: &'static str,
    synopsis: &'static str,
    options: Option<OptSet>,
    arguments: std::ops::RangeInclusive<usize>,
    run: Run,
) -> Command {
    Command { name, synopsis, details: "", options, arguments, old_form: OldForm::None, run }
}

const NO_OPTIONS: Option<OptSet> = any(&[]);
const GET_DETAILS: &str = "
 -b   Output data in base64 format
 -s   Print znode stats additionally
 -w   Watch for changes on the znode
 -x   Output data in hexdump format
";
const SET_DETAILS: &str = "
 -b         Supply data in base64 format
 -s         Print znode stats additionally
 -v <arg>   Set with an expected version
";
const LS_HELP: &str = "usage: ls [options] path
 -?   help
 -R   recurse
 -s   stat
 -w   watch";
const ADD_WATCH: &str = "[-m mode] path # optional mode is one of \
    [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE";
const RECONFIG: &str = "[-s] [-v version] [[-file path] | \
    [-members serverID=host:port1:port2;port3[,...]*]] | \
    [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]";

/// Every command that needs a session. Argument counts include the command itself.
pub static COMMANDS: &[Command] = &[
    command("addWatch", ADD_WATCH, any(&[value("m")]), 2..=2, watching::add_watch),
    command("addauth", "scheme auth", NO_OPTIONS, 2..=MANY, nodes::add_auth),
    command("close", "", None, 0..=MANY, nodes::close),
    command(
        "config",
        "[-c] [-w] [-s]",
        any(&[flag("s"), flag("w"), flag("c")]),
        1..=MANY,
        membership::config,
    ),
    command(
        "create",
        "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        any(&[flag("e"), flag("s"), flag("c"), value("t")]),
        2..=MANY,
        nodes::create,
    ),
    Command {
        old_form: OldForm::Version,
        ..command("delete", "[-v version] path", any(&[value("v")]), 2..=MANY, nodes::delete)
    },
    command("deleteall", "path [-b batch size]", any(&[value("b")]), 2..=MANY, tree::delete_all),
    command(
        "delquota",
        "[-n|-b|-N|-B] path",
        Some(OptSet {
            options: &[flag("n"), flag("b"), flag("N"), flag("B")],
            exclusive: true,
            required: None,
        }),
        2..=MANY,
        quota::delete,
    ),
    Command {
        details: GET_DETAILS,
        old_form: OldForm::Watch(
            "'get path [watch]' has been deprecated. Please use 'get [-s] [-w] path' instead.",
        ),
        ..command(
            "get",
            "[-s] [-w] [-b] [-x] path",
            any(&[flag("s"), flag("w"), flag("b"), flag("x")]),
            2..=MANY,
            nodes::get,
        )
    },
    command("getAcl", "[-s] path", any(&[flag("s")]), 2..=MANY, nodes::get_acl),
    command("getAllChildrenNumber", "path", NO_OPTIONS, 2..=MANY, tree::count),
    command("getEphemerals", "path", NO_OPTIONS, 1..=MANY, nodes::get_ephemerals),
    command("listquota", "path", NO_OPTIONS, 2..=MANY, quota::list),
    Command {
        old_form: OldForm::Watch(
            "'ls path [watch]' has been deprecated. Please use 'ls [-w] path' instead.",
        ),
        ..command(
            "ls",
            "[-s] [-w] [-R] path",
            any(&[flag("?"), flag("s"), flag("w"), flag("R")]),
            2..=MANY,
            tree::list,
        )
    },
    command(
        "reconfig",
        RECONFIG,
        any(&[
            flag("s"),
            value("v"),
            value("file"),
            value("members"),
            value("add"),
            value("remove"),
        ]),
        0..=MANY,
        membership::reconfig,
    ),
    command(
        "removewatches",
        "path [-c|-d|-a] [-l]",
        any(&[flag("c"), flag("d"), flag("p"), flag("r"), flag("a"), flag("l")]),
        2..=MANY,
        watching::remove_watches,
    ),
    Command {
        details: SET_DETAILS,
        ..command(
            "set",
            "path data [-s] [-v version] [-b]",
            any(&[flag("s"), value("v"), flag("b")]),
            3..=MANY,
            nodes::set,
        )
    },
    command(
        "setAcl",
        "[-s] [-v version] [-R] path acl",
        any(&[flag("s"), value("v"), flag("R")]),
        3..=MANY,
        tree::set_acl,
    ),
    command(
        "setquota",
        "-n|-b|-N|-B val path",
        Some(OptSet {
            options: &[value("n"), value("b"), value("N"), value("B")],
            exclusive: true,
            required: Some(
                "[-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]",
            ),
        }),
        2..=MANY,
        quota::set,
    ),
    Command {
        old_form: OldForm::Watch(
            "'stat path [watch]' has been deprecated. Please use 'stat [-w] path' instead.",
        ),
        ..command("stat", "[-w] path", any(&[flag("w")]), 2..=MANY, nodes::stat)
    },
    command("sync", "path", NO_OPTIONS, 2..=MANY, nodes::sync),
    command("version", "", NO_OPTIONS, 0..=1, nodes::version),
    command("whoami", "", None, 0..=MANY, nodes::who_am_i),
];

/// Commands that the shell itself carries out, with what follows them in a usage line.
pub const BUILT_IN: [(&str, &str); 5] = [
    ("connect", "host:port"),
    ("history", ""),
    ("printwatches", "on|off"),
    ("quit", ""),
    ("redo", "cmdno"),
];

/// The command of a name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// All names, sorted.
pub fn names() -> Vec<&'static str> {
    synopses().into_iter().map(|(name, _)| name).collect()
}

/// All names with what follows them, sorted.
pub fn synopses() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> =
        COMMANDS.iter().map(|command| (command.name, command.synopsis)).chain(BUILT_IN).collect();
    all.sort_unstable();
    all
}

impl Command {
    fn usage(&self) -> String {
        format!("{} {}{}", self.name, self.synopsis, self.details)
    }

    /// Reads the arguments (the command is the first of them) and runs the command.
    ///
    /// # Errors
    /// What is wrong with the arguments, or what the command says.
    pub fn run(&self, client: &Client, console: &Console, args: &[String]) -> Result<(), CliError> {
        let parsed = match self.options {
            Some(options) => self.parse(options, console, args)?,
            None => Parsed::without_options(args),
        };
        let context = Context { client, console, parsed, usage: self.usage() };
        if !self.arguments.contains(&context.parsed.args.len()) {
            return Err(context.misuse());
        }
        (self.run)(&context)
    }

    fn parse(
        &self,
        options: OptSet,
        console: &Console,
        args: &[String],
    ) -> Result<Parsed, CliError> {
        let parsed = options.parse(args).map_err(CliError::new)?;
        if self.name == "ls" && parsed.has("?") {
            console.line(LS_HELP);
        }
        if parsed.args.len() <= 2 {
            return Ok(parsed);
        }
        match self.old_form {
            OldForm::None => Ok(parsed),
            OldForm::Version => {
                console.error(
                    "'delete path [version]' has been deprecated. Please use 'delete [-v version] \
                     path' instead.",
                );
                Ok(parsed)
            }
            OldForm::Watch(message) => {
                console.error(message);
                // As ZooKeeper does: the third word is replaced, whatever it is.
                let mut args = args.to_vec();
                if let Some(third) = args.get_mut(2) {
                    "-w".clone_into(third);
                }
                options.parse(&args).map_err(CliError::new)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_all_of_3_9s_commands() {
        assert_eq!(
            names().join(" "),
            "addWatch addauth close config connect create delete deleteall delquota get getAcl \
             getAllChildrenNumber getEphemerals history listquota ls printwatches quit reconfig \
             redo removewatches set setAcl setquota stat sync version whoami"
        );
    }
}
