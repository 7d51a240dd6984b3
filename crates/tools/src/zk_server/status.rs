//! `zkServer.sh status`: finds the client port and asks the server what it is.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::config::Config;
use crate::zk_cli::Console;

const TIMEOUT: Duration = Duration::from_secs(5);
/// An answer to `srvr` has some hundred bytes; this is against peers that are not ZooKeeper.
const MAX_ANSWER: u64 = 64 * 1024;
const DEFAULT_PORT: &str = "2181";

/// Where clients are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Host name or address.
    pub address: String,
    /// TCP port.
    pub port: String,
    /// Whether it speaks TLS only.
    pub secure: bool,
}

/// Finds where clients are taken, telling what it tries; `None` if nowhere.
pub fn listener(config: Option<&Config>, console: &Console) -> Option<Listener> {
    let plain = |address: Option<&str>, port: &str| {
        let address = address.unwrap_or("localhost").to_owned();
        Some(Listener { address, port: port.to_owned(), secure: false })
    };
    let Some(config) = config else { return plain(None, DEFAULT_PORT) };
    let address = config.get("clientPortAddress");
    if let Some(port) = config.get("clientPort").filter(|port| is_number(port)) {
        return plain(address, port);
    }
    if let Some(client) = from_members(config, console) {
        // `[::1]:2181`, `host:2181` or `2181`.
        return match client.rsplit_once(':') {
            Some((host, port)) => plain(Some(host.trim_matches(['[', ']'])), port),
            None => plain(address, &client),
        };
    }
    console.line("Client port not found. Looking for secureClientPort in the static config.");
    let Some(port) = config.get("secureClientPort") else {
        console.line(
            "Unable to find either secure or unsecure client port in any configs. Terminating.",
        );
        return None;
    };
    let address = config.get("secureClientPortAddress").unwrap_or("localhost");
    Some(Listener { address: address.to_owned(), port: port.to_owned(), secure: true })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The client address in this server's line of the membership.
fn from_members(config: &Config, console: &Console) -> Option<String> {
    let file = format!("{}/myid", config.get("dataDir").unwrap_or_default());
    let id = std::fs::read_to_string(file).unwrap_or_default();
    let id = id.trim();
    if !is_number(id) {
        console.line(
            "myid could not be determined, will not able to locate clientPort in the server \
             configs.",
        );
        return None;
    }
    let key = format!("server.{id}");
    let client = |config: &Config| {
        config.get(&key).and_then(|member| member.split_once(';')).map(|(_, it)| it.to_owned())
    };
    let found = client(config).or_else(|| {
        console
            .line("Client port not found in static config file. Looking in dynamic config file.");
        config.get("dynamicConfigFile").and_then(|file| client(&Config::read(file)))
    });
    if found.is_none() {
        console.line("Client port not found in the server configs");
    }
    found
}

/// The `Mode: …` line of the server, if it answers.
pub fn mode(listener: &Listener) -> Option<String> {
    if listener.secure {
        return None;
    }
    let answer = ask(listener, b"srvr").ok()?;
    answer.lines().find(|line| line.contains("Mode")).map(|line| line.trim().to_owned())
}

fn ask(listener: &Listener, word: &[u8]) -> io::Result<String> {
    let port: u16 =
        listener.port.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (listener.address.as_str(), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.write_all(word)?;
                let mut answer = Vec::new();
                stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
