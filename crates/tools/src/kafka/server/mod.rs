//! `kafka-server-start.sh` and `kafka-server-stop.sh`: start and end a server with Kafka's
//! configuration file.
//!
//! The server that is started is the executable that runs this tool, as `serve`.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::platform;
use crate::zk_cli::Console;

/// The name that the server is called by.
const SERVER_NAME: &str = "polyport";
/// Where a daemon's output goes, in the log directory.
const OUTPUT: &str = "kafkaServer.out";

/// Runs `kafka-server-start.sh`; the first of `args` is its name. Gives the exit code.
pub fn start(args: Vec<String>) -> i32 {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let console = Console::process();
    match Start::read(&args) {
        Some(start) => start.run(&console, &variable),
        None => {
            let name = args.first().map_or("kafka-server-start.sh", String::as_str);
            console.line(&format!(
                "USAGE: {name} [-daemon] server.properties [--override property=value]*"
            ));
            1
        }
    }
}

/// What is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Start {
    name: String,
    daemon: bool,
    file: String,
    overrides: Vec<String>,
}

impl Start {
    /// Reads the command line; `None` if it is none.
    fn read(args: &[String]) -> Option<Self> {
        let (name, rest) = args.split_first()?;
        let mut start =
            Self { name: name.clone(), daemon: false, file: String::new(), overrides: Vec::new() };
        let mut rest = rest.iter().skip_while(|arg| {
            let daemon = *arg == "-daemon";
            start.daemon |= daemon;
            daemon
        });
        start.file = rest.next()?.clone();
        while let Some(arg) = rest.next() {
            match arg.strip_prefix("--override") {
                Some("") => start.overrides.push(rest.next()?.clone()),
                Some(joined) => start.overrides.push(joined.strip_prefix('=')?.to_owned()),
                None => return None,
            }
        }
        start.overrides.iter().all(|it| it.contains('=')).then_some(start)
    }

    fn run(&self, console: &Console, variable: &dyn Fn(&str) -> Option<String>) -> i32 {
        match self.started(variable) {
            Ok(()) => 0,
            Err(error) => {
                console.error(&error);
                1
            }
        }
    }

    fn started(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        let file = self.configuration()?;
        let executable = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(executable);
        // Not the name of this tool, by which the executable would become it again.
        command.arg0(SERVER_NAME).args(["serve", "--import"]).arg(file);
        if !self.daemon {
            // Only a failure comes back.
            return Err(command.exec().to_string());
        }
        let directory = self.log_directory(variable);
        let opened = std::fs::create_dir_all(&directory)
            .and_then(|()| File::create(directory.join(OUTPUT)))
            .and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = opened.map_err(|error| format!("{}: {error}", directory.display()))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        platform::detach(&mut command);
        command.spawn().map(|_| ()).map_err(|error| error.to_string())
    }

    /// The configuration's file: the one named, or one of its own with the overrides behind it.
    fn configuration(&self) -> Result<PathBuf, String> {
        let named = PathBuf::from(&self.file);
        let text = std::fs::read_to_string(&named)
            .map_err(|error| format!("{}: {error}", named.display()))?;
        if self.overrides.is_empty() {
            return Ok(named);
        }
        let directory =
            std::env::temp_dir().join(format!("polyport-overrides-{}", std::process::id()));
        let file = directory.join("server.properties");
        std::fs::create_dir_all(&directory)
            .and_then(|()| std::fs::write(&file, overridden(&text, &self.overrides)))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }

    /// `LOG_DIR`, or `logs` beside the tool's directory, or the current one.
    fn log_directory(&self, variable: &dyn Fn(&str) -> Option<String>) -> PathBuf {
        if let Some(directory) = variable("LOG_DIR") {
            return PathBuf::from(directory);
        }
        let beside = Path::new(&self.name).parent().map(|bin| bin.join("../logs"));
        let beside = beside.filter(|_| self.name.contains('/'));
        beside.filter(|directory| directory.is_dir()).unwrap_or_else(|| PathBuf::from("logs"))
    }
}

/// The text of a properties file without the keys that are overridden, and these behind it.
fn overridden(text: &str, overrides: &[String]) -> String {
    let mut entries = crate::properties::parse(text);
    for pair in overrides {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        entries.retain(|(known, _)| known != key);
        entries.push((key.to_owned(), value.to_owned()));
    }
    entries.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Runs `kafka-server-stop.sh`. Gives the exit code.
pub fn stop(_: Vec<String>) -> i32 {
    let console = Console::process();
    let servers = servers();
    if servers.is_empty() {
        console.line("No kafka server to stop");
        return 1;
    }
    let mut code = 0;
    for pid in servers {
        if let Err(error) = platform::terminate(pid) {
            console.error(&format!("kill: ({pid}) - {error}"));
            code = 1;
        }
    }
    code
}

/// The processes of this executable that serve with a configuration of Kafka's.
fn servers() -> Vec<i32> {
    let own = std::env::current_exe().ok();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        executable.is_some() && executable == own && is_server(&words)
    })
    .collect()
}

/// Whether a process's words are those of a server with a configuration of Kafka's.
fn is_server(words: &[u8]) -> bool {
    let words: Vec<_> = words.split(|byte| *byte == 0).collect();
    let imports =
        words.windows(2).any(|two| two[0] == b"--import" && two[1].ends_with(b".properties"));
    words.get(1) == Some(&&b"serve"[..]) && imports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Start> {
        Start::read(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_that_of_the_script() {
        let start = read("bin/k -daemon s.properties --override a=b --override=c=d").unwrap();
        assert!(start.daemon);
        assert_eq!((start.file.as_str(), start.overrides.len()), ("s.properties", 2));
        assert_eq!(start.overrides, ["a=b", "c=d"]);
        assert!(!read("k s.properties").unwrap().daemon);
        for wrong in ["k", "k -daemon", "k s --foo", "k s --override", "k s --override a"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn overrides_go_before_the_file() {
        let text = overridden("a=1\n# c\nb=2\n", &["a=3".to_owned(), "d=4=5".to_owned()]);
        assert_eq!(text, "b=2\na=3\nd=4=5\n");
    }

    #[test]
    fn only_servers_with_kafkas_configuration_are_stopped() {
        assert!(is_server(b"polyport\0serve\0--import\0/etc/kafka/server.properties\0"));
        assert!(!is_server(b"polyport\0serve\0--import\0zoo.cfg\0"));
        assert!(!is_server(b"vi\0server.properties\0"));
    }

    #[test]
    fn a_daemons_output_goes_to_the_log_directory() {
        let start = read("k s.properties").unwrap();
        let directory = |name: &str| (name == "LOG_DIR").then(|| "/var/log/kafka".to_owned());
        assert_eq!(start.log_directory(&directory), PathBuf::from("/var/log/kafka"));
        assert_eq!(start.log_directory(&|_| None), PathBuf::from("logs"));
    }
}
