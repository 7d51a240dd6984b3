//! `zkCli.sh`: ZooKeeper's command line.

mod command;
mod commands;
mod console;
mod error;
mod invocation;
mod line;
mod options;
mod print;
mod shell;
mod terminal;

use std::io::{BufRead, BufReader, IsTerminal};
use std::sync::Arc;

pub use console::Console;
pub use error::CliError;
pub use invocation::Invocation;

use shell::Shell;

/// Runs the tool: `args` is the whole command line with the tool's name first. Gives the exit code.
///
/// As with ZooKeeper's tool, only `quit` and `close` end the session; otherwise it is left to expire,
/// and its ephemeral znodes with it.
pub fn main(args: Vec<String>) -> i32 {
    let console = Arc::new(Console::process());
    let stdin = std::io::stdin();
    let terminal = stdin.is_terminal();
    run(args, console, terminal, BufReader::new(stdin))
}

/// Runs the tool on the given streams.
pub fn run(args: Vec<String>, console: Arc<Console>, terminal: bool, input: impl BufRead) -> i32 {
    let (invocation, complaint) = Invocation::parse(args.get(1..).unwrap_or_default());
    if let Some(complaint) = complaint {
        console.error(&complaint);
    }
    console.line(&format!("Connecting to {}", invocation.server));
    let command = invocation.command.clone();
    let mut shell = match Shell::start(Arc::clone(&console), invocation) {
        Ok(shell) => shell,
        Err(error) => {
            console.error(&error.message);
            return error.exit_code;
        }
    };
    if !command.is_empty() {
        shell.run(&command);
        return shell.exit_code();
    }
    console.line("Welcome to ZooKeeper!");
    console.line("JLine support is enabled");
    shell.settle();
    if !terminal {
        return terminal::piped(&mut shell, &console, input);
    }
    match terminal::interactive(&mut shell, &console) {
        Ok(code) => code,
        Err(error) => {
            console.error(&error.to_string());
            1
        }
    }
}
