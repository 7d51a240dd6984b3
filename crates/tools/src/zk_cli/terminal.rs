//! Reading commands: from a terminal with history and completion, or line by line.

use std::io::BufRead;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::command;
use super::console::Console;
use super::shell::{Flow, SharedClient, Shell};

/// The exit code of a tool ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Reads commands from a terminal; gives the exit code.
///
/// # Errors
/// If the terminal cannot be used.
pub fn interactive(shell: &mut Shell, console: &Console) -> rustyline::Result<i32> {
    let config =
        Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Completion { client: shell.client() }));
    loop {
        match editor.readline(&shell.prompt()) {
            Ok(line) => {
                if shell.line(&line) == Flow::Quit {
                    break;
                }
            }
            Err(ReadlineError::Eof) => {
                console.line("");
                break;
            }
            Err(ReadlineError::Interrupted) => return Ok(INTERRUPTED),
            Err(error) => return Err(error),
        }
    }
    Ok(shell.exit_code())
}

/// Reads commands line by line, with the prompt and the line shown as a terminal would; gives the
/// exit code.
pub fn piped(shell: &mut Shell, console: &Console, mut input: impl BufRead) -> i32 {
    let mut bytes = Vec::new();
    loop {
        console.print(&shell.prompt());
        bytes.clear();
        match input.read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end_matches(['\n', '\r']);
        console.line(line);
        if shell.line(line) == Flow::Quit {
            break;
        }
    }
    shell.exit_code()
}

/// Completes commands, and znode paths where a word begins with a slash.
struct Completion {
    client: SharedClient,
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let client = std::sync::Arc::clone(&self.client.lock());
        Ok(complete(&line[..pos], |path| {
            // No answer, no candidates: a failed look-up must not disturb the line.
            client.get_children(path, false).map(|(names, _)| names).unwrap_or_default()
        }))
    }
}

/// Where the word at the end of `head` is replaced, and by what.
fn complete(head: &str, children: impl Fn(&str) -> Vec<String>) -> (usize, Vec<String>) {
    let word_start = head.rfind(' ').map_or(0, |at| at + 1);
    let word = &head[word_start..];
    let starting_with = |names: Vec<String>, prefix: &str| {
        let mut names: Vec<_> = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        names.sort_unstable();
        names
    };
    match word.rfind('/') {
        Some(slash) if word.starts_with('/') => {
            let parent = if slash == 0 { "/" } else { &word[..slash] };
            let names = starting_with(children(parent), &word[slash + 1..]);
            (word_start + slash + 1, names)
        }
        _ => {
            let names = command::names().into_iter().map(str::to_owned).collect();
            (word_start, starting_with(names, word))
        }
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use super::complete;

    #[test]
    fn commands_and_paths_are_completed() {
        let children = |path: &str| match path {
            "/" => vec!["zookeeper".to_owned(), "app2".to_owned(), "app1".to_owned()],
            "/app1" => vec!["x".to_owned()],
            _ => Vec::new(),
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(complete("del", children), (0, names(&["delete", "deleteall", "delquota"])));
        assert_eq!(complete("ls /", children), (4, names(&["app1", "app2", "zookeeper"])));
        assert_eq!(complete("ls /app", children), (4, names(&["app1", "app2"])));
        assert_eq!(complete("get -s /app1/", children), (13, names(&["x"])));
        assert_eq!(complete("ls /none/", children), (9, names(&[])));
        assert_eq!(complete("", children).1.len(), 28);
    }
}
