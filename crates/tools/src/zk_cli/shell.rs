use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::commands::nodes::decode_index;
use super::console::Console;
use super::{CliError, Invocation, command, line};
use crate::properties;
use crate::zk_client::{Client, ClientOptions, ConnectString};

/// A command line with its session: what is typed, from wherever, is carried out here.
pub struct Shell {
    console: Arc<Console>,
    invocation: Invocation,
    host: String,
    client: SharedClient,
    history: BTreeMap<usize, String>,
    /// Number of the next command.
    count: usize,
    print_watches: Arc<AtomicBool>,
    exit_code: i32,
}

/// The session in use, shared with the completion of paths.
pub type SharedClient = Arc<Mutex<Arc<Client>>>;

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Read the next command.
    Continue,
    /// `quit` was given.
    Quit,
}

/// How long the first prompt waits for the connection, so that it can say `CONNECTED`.
const FIRST_PROMPT: Duration = Duration::from_secs(1);

impl Shell {
    /// Connects as the invocation says.
    ///
    /// # Errors
    /// If what it says makes no sense, or it wanted to wait and there is no connection in time.
    pub fn start(console: Arc<Console>, invocation: Invocation) -> Result<Self, CliError> {
        let print_watches = Arc::new(AtomicBool::new(true));
        let host = invocation.server.clone();
        let client = connect(&console, &invocation, &host, &print_watches)?;
        Ok(Self {
            console,
            invocation,
            host,
            client: Arc::new(Mutex::new(client)),
            history: BTreeMap::new(),
            count: 0,
            print_watches,
            exit_code: 0,
        })
    }

    /// The session in use.
    pub fn client(&self) -> SharedClient {
        Arc::clone(&self.client)
    }

    /// The exit code of the last command.
    pub fn exit_code(&self) -> i32 {
        self.exit_code
    }

    /// Gives the connection a moment, so that the first prompt tells how it went.
    pub fn settle(&self) {
        let client = Arc::clone(&self.client.lock());
        client.wait_first_attempt(FIRST_PROMPT);
    }

    /// The prompt.
    pub fn prompt(&self) -> String {
        let state = self.client.lock().state().name();
        format!("[zk: {}({state}) {}] ", self.host, self.count)
    }

    /// Carries out a line; an empty one is nothing.
    pub fn line(&mut self, text: &str) -> Flow {
        let args = line::split(text);
        if args.is_empty() {
            return Flow::Continue;
        }
        self.history.insert(self.count, text.to_owned());
        let flow = self.run(&args);
        self.count += 1;
        flow
    }

    /// Carries out a command.
    pub fn run(&mut self, args: &[String]) -> Flow {
        match self.command(args) {
            Ok(Flow::Quit) => Flow::Quit,
            Ok(Flow::Continue) => {
                self.exit_code = 0;
                Flow::Continue
            }
            Err(error) => {
                self.exit_code = error.exit_code;
                self.console.error(&error.message);
                Flow::Continue
            }
        }
    }

    fn command(&mut self, args: &[String]) -> Result<Flow, CliError> {
        let Some(name) = args.first().map(String::as_str) else {
            self.usage();
            return Err(CliError::new("No command entered"));
        };
        let known = command::find(name);
        let first = args.get(1).map(String::as_str);
        match (name, first) {
            ("quit", _) => {
                let client = Arc::clone(&self.client.lock());
                client.close();
                return Ok(Flow::Quit);
            }
            ("redo", Some(index)) => {
                let flow = self.redo(index)?;
                if flow == Flow::Quit {
                    return Ok(flow);
                }
            }
            ("history", _) => self.print_history(),
            ("printwatches", None) => {
                let on = self.print_watches.load(Ordering::Relaxed);
                self.console.line(&format!("printwatches is {}", if on { "on" } else { "off" }));
            }
            ("printwatches", Some(state)) => {
                self.print_watches.store(state == "on", Ordering::Relaxed);
            }
            ("connect", host) => self.reconnect(host)?,
            ("redo", None) => {}
            _ if known.is_none() => {
                self.usage();
                return Err(CliError::not_found(name));
            }
            _ => {}
        }
        let client = Arc::clone(&self.client.lock());
        if !client.state().is_alive() {
            self.console.line("Not connected");
            return Ok(Flow::Continue);
        }
        if let Some(command) = known {
            command.run(&client, &self.console, args)?;
        }
        Ok(Flow::Continue)
    }

    fn redo(&mut self, index: &str) -> Result<Flow, CliError> {
        let out_of_range = || CliError::new("Command index out of range");
        let index = usize::try_from(decode_index(index)?).map_err(|_| out_of_range())?;
        if index >= self.count {
            return Err(out_of_range());
        }
        let text = self.history.get(&index).cloned().ok_or_else(out_of_range)?;
        let args = line::split(&text);
        if args.first().is_some_and(|name| name == "redo") {
            return Err(CliError::new("No redoing redos"));
        }
        self.history.insert(self.count, text);
        Ok(self.run(&args))
    }

    fn print_history(&self) {
        for index in self.count.saturating_sub(10)..=self.count {
            let text = self.history.get(&index).map_or("null", String::as_str);
            self.console.line(&format!("{index} - {text}"));
        }
    }

    fn reconnect(&mut self, host: Option<&str>) -> Result<(), CliError> {
        let current = Arc::clone(&self.client.lock());
        current.close();
        if let Some(host) = host {
            host.clone_into(&mut self.host);
        }
        let client = connect(&self.console, &self.invocation, &self.host, &self.print_watches)?;
        *self.client.lock() = client;
        Ok(())
    }

    fn usage(&self) {
        self.console
            .error("ZooKeeper -server host:port -client-configuration properties-file cmd args");
        for (name, synopsis) in command::synopses() {
            self.console.error(&format!("\t{name} {synopsis}"));
        }
    }
}

fn connect(
    console: &Arc<Console>,
    invocation: &Invocation,
    host: &str,
    print_watches: &Arc<AtomicBool>,
) -> Result<Arc<Client>, CliError> {
    let timeout = invocation.session_timeout().map_err(CliError::new)?;
    let mut options = ClientOptions::new(ConnectString::parse(host)?, timeout);
    options.read_only = invocation.read_only;
    if let Some(file) = &invocation.client_configuration {
        configure(&mut options, file)?;
    }
    let (events, print) = (Arc::clone(console), Arc::clone(print_watches));
    let client = Client::start(options, move |event| {
        if print.load(Ordering::Relaxed) {
            events.print(&format!("\nWATCHER::\n\n{event}\n"));
        }
    })?;
    if invocation.wait_for_connection && !client.wait_connected(timeout) {
        client.close();
        return Err(CliError::new("KeeperErrorCode = ConnectionLoss"));
    }
    Ok(Arc::new(client))
}

/// Exit code for arguments that make no sense: ZooKeeper's `INVALID_INVOCATION`.
const INVALID_INVOCATION: i32 = 2;

fn configure(options: &mut ClientOptions, file: &str) -> Result<(), CliError> {
    let invalid = |message: String| CliError { message, exit_code: INVALID_INVOCATION };
    let bytes = std::fs::read(file)
        .map_err(|error| invalid(format!("Error while processing {file}: {error}")))?;
    for (key, value) in properties::parse(&String::from_utf8_lossy(&bytes)) {
        match key.as_str() {
            "zookeeper.request.timeout" => {
                let millis: u32 = value
                    .parse()
                    .map_err(|_| invalid(format!("{file}: {key} is not a number: {value}")))?;
                options.request_timeout =
                    (millis > 0).then(|| Duration::from_millis(millis.into()));
            }
            "zookeeper.disableAutoWatchReset" => {
                options.disable_auto_watch_reset = value.eq_ignore_ascii_case("true");
            }
            // Going on in the clear would send credentials where they were not meant to go.
            "zookeeper.client.secure" if value.eq_ignore_ascii_case("true") => {
                return Err(invalid(format!("{file}: {key} is set, but this client has no TLS")));
            }
            _ => {}
        }
    }
    Ok(())
}
