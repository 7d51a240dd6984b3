//! `zkServer.sh`: starts, stops and asks after a server, with ZooKeeper's configuration file.
//!
//! The server that is started is the executable that runs this tool, as `serve`. `status` speaks a
//! four-letter word, so it also tells of a real ZooKeeper.

mod config;
mod status;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::platform;
use crate::zk_cli::Console;
use config::{Config, Place, Variable};

/// A server that is alive after this long is told to have started.
const START_TIME: Duration = Duration::from_secs(1);
/// How long a stop waits for the process to end.
const STOP_TIME: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// The name that the server is called by.
const SERVER_NAME: &str = "polyport";
const PID_FILE: &str = "zookeeper_server.pid";
/// Where a server without a configuration keeps its data.
const DEFAULT_DATA: &str = "./data";

/// Runs the tool: `args` is the whole command line with the tool's name first, as it was typed: the
/// configuration is also looked for beside it. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    run(args, &Console::process(), &variable)
}

fn run(args: Vec<String>, console: &Console, variable: Variable<'_>) -> i32 {
    let name = args.first().map_or("zkServer.sh", String::as_str).to_owned();
    let mut rest = args.into_iter().skip(1).peekable();
    let mut place = Place { tool_directory: tool_directory(&name, variable), ..Place::default() };
    if rest.peek().is_some_and(|arg| arg == "--config") {
        rest.next();
        place.directory = rest.next();
    }
    let action = rest.next().unwrap_or_default();
    place.file = rest.next().filter(|file| !file.is_empty());
    let tool = Tool::new(name, &place, console, variable);
    tool.announce();
    tool.run(&action)
}

/// The directory of the tool, from the name it was called by.
fn tool_directory(name: &str, variable: Variable<'_>) -> Option<PathBuf> {
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        std::env::split_paths(&variable("PATH")?).map(|dir| dir.join(name)).find(|p| p.is_file())?
    };
    std::path::absolute(path).ok()?.parent().map(Path::to_owned)
}

/// The tool with everything it found out.
struct Tool<'a> {
    name: String,
    console: &'a Console,
    variable: Variable<'a>,
    config_path: Option<String>,
    config: Option<Config>,
    data: String,
    pid_file: PathBuf,
    tool_directory: Option<PathBuf>,
}

impl<'a> Tool<'a> {
    fn new(name: String, place: &Place, console: &'a Console, variable: Variable<'a>) -> Self {
        let config_path = place.find(variable);
        let config = config_path.as_deref().map(Config::read);
        let data = match &config {
            Some(config) => config.get("dataDir").unwrap_or_default().to_owned(),
            None => DEFAULT_DATA.to_owned(),
        };
        let pid_file = match variable("ZOOPIDFILE") {
            Some(file) => PathBuf::from(file),
            None => Path::new(&data).join(PID_FILE),
        };
        Self {
            name,
            console,
            variable,
            config_path,
            config,
            data,
            pid_file,
            tool_directory: place.tool_directory.clone(),
        }
    }

    /// What every action says first, on the error stream.
    fn announce(&self) {
        let on = (self.variable)("JMXDISABLE").is_none_or(|disable| disable == "false");
        self.console.error(if on {
            "ZooKeeper JMX enabled by default"
        } else {
            "JMX disabled by user request"
        });
        let config = self.config_path.as_deref().unwrap_or("none (defaults)");
        self.console.error(&format!("Using config: {config}"));
    }

    fn run(&self, action: &str) -> i32 {
        match action {
            "start" => self.start(),
            "start-foreground" => self.start_foreground(),
            "stop" => self.stop(),
            "restart" => {
                // The real script calls itself for each half, and each says where it is.
                self.announce();
                self.stop();
                self.announce();
                self.start()
            }
            "status" => self.status(),
            "version" => {
                self.console.line(&format!(
                    "Polyport, version {}, ZooKeeper level 3.9",
                    env!("CARGO_PKG_VERSION")
                ));
                0
            }
            "print-cmd" => self.print_command(),
            _ => {
                self.console.error(&format!(
                    "Usage: {} [--config <conf-dir>] \
                     {{start|start-foreground|stop|version|restart|status|print-cmd}}",
                    self.name
                ));
                0
            }
        }
    }

    /// The server's command line.
    fn command(&self) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        // Not the name of this tool, by which the executable would become it again.
        command.arg0(SERVER_NAME).arg("serve");
        if let Some(config) = &self.config_path {
            command.arg("--import").arg(config);
        }
        Ok(command)
    }

    /// Where the server's output goes.
    fn log_file(&self) -> PathBuf {
        let beside = self.tool_directory.as_ref().map(|bin| bin.join("../logs"));
        let directory = (self.variable)("ZOO_LOG_DIR")
            .map(PathBuf::from)
            .or_else(|| (self.variable)("ZOOKEEPER_PREFIX").map(|it| Path::new(&it).join("logs")))
            .or_else(|| beside.filter(|directory| directory.is_dir()))
            .unwrap_or_else(|| PathBuf::from(&self.data));
        let user = (self.variable)("USER").unwrap_or_default();
        let host = (self.variable)("HOSTNAME")
            .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
            .unwrap_or_default();
        directory.join(format!("zookeeper-{user}-server-{}.out", host.trim()))
    }

    fn pid(&self) -> Option<i32> {
        std::fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok()
    }

    fn start(&self) -> i32 {
        self.console.print("Starting zookeeper ... ");
        if let Some(pid) = self.pid().filter(|pid| platform::is_running(*pid)) {
            self.console.line(&format!("already running as process {pid}."));
            return 1;
        }
        if let Some(missing) = self.config_path.as_deref().filter(|path| !Path::new(path).is_file())
        {
            self.console.error(&format!("{missing}: No such file or directory"));
            self.console.line("SERVER DID NOT START");
            return 1;
        }
        let spawned = self.spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                self.console.error(&error.to_string());
                self.console.line("SERVER DID NOT START");
                return 1;
            }
        };
        if let Err(error) = std::fs::write(&self.pid_file, child.id().to_string()) {
            self.console.error(&format!("{}: {error}", self.pid_file.display()));
            self.console.line("FAILED TO WRITE PID");
            return 1;
        }
        let deadline = Instant::now() + START_TIME;
        let ended = wait(deadline, || !matches!(child.try_wait(), Ok(None)));
        self.console.line(if ended { "FAILED TO START" } else { "STARTED" });
        i32::from(ended)
    }

    fn spawn(&self) -> std::io::Result<std::process::Child> {
        let log_file = self.log_file();
        for directory in [self.pid_file.parent(), log_file.parent()].into_iter().flatten() {
            std::fs::create_dir_all(directory)?;
        }
        let log = File::create(&log_file)?;
        let mut command = self.command()?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        platform::detach(&mut command);
        command.spawn()
    }

    fn start_foreground(&self) -> i32 {
        let error = match self.command() {
            // Only a failure comes back.
            Ok(mut command) => command.exec(),
            Err(error) => error,
        };
        self.console.error(&error.to_string());
        1
    }

    fn print_command(&self) -> i32 {
        let command = match self.command() {
            Ok(command) => command,
            Err(error) => {
                self.console.error(&error.to_string());
                return 1;
            }
        };
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("\"{}\"", word.to_string_lossy()))
            .collect();
        let log = self.log_file();
        self.console.line(&format!("{} > \"{}\" 2>&1 < /dev/null", words.join(" "), log.display()));
        0
    }

    fn stop(&self) -> i32 {
        self.console.print("Stopping zookeeper ... ");
        if !self.pid_file.exists() {
            self.console.line(&format!(
                "no zookeeper to stop (could not find file {})",
                self.pid_file.display()
            ));
            return 0;
        }
        match self.pid() {
            Some(pid) => match platform::terminate(pid) {
                Ok(()) => {
                    wait(Instant::now() + STOP_TIME, || !platform::is_running(pid));
                }
                Err(error) => self.console.error(&format!("kill: ({pid}) - {error}")),
            },
            None => self.console.error(&format!("{}: not a pid", self.pid_file.display())),
        }
        if let Err(error) = std::fs::remove_file(&self.pid_file) {
            self.console.error(&format!("{}: {error}", self.pid_file.display()));
        }
        self.console.line("STOPPED");
        0
    }

    fn status(&self) -> i32 {
        let Some(listener) = status::listener(self.config.as_ref(), self.console) else {
            return 1;
        };
        self.console.line(&format!(
            "Client port found: {}. Client address: {}. Client SSL: {}.",
            listener.port, listener.address, listener.secure
        ));
        match status::mode(&listener) {
            Some(mode) => {
                self.console.line(&mode);
                0
            }
            None => {
                self.console.line("Error contacting service. It is probably not running.");
                1
            }
        }
    }
}

/// Waits for a condition of another process, which sends no event, until the deadline; whether it
/// came.
#[allow(clippy::disallowed_methods, reason = "a command on a thread of its own; no event to await")]
fn wait(deadline: Instant, mut condition: impl FnMut() -> bool) -> bool {
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests;
