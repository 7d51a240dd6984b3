use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A data directory of its own with a `zoo.cfg`, removed at the end.
struct Home(PathBuf);

impl Home {
    fn new(name: &str, config: &str) -> Self {
        let home = std::env::temp_dir().join(format!("polyport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let data = format!("dataDir={}\n{config}", home.display());
        std::fs::write(home.join("zoo.cfg"), data).unwrap();
        Self(home)
    }

    fn run(&self, action: &str) -> (i32, String) {
        let output = Output::default();
        let console = Console::new(Box::new(output.clone()), Box::new(output.clone()));
        let config = self.0.display().to_string();
        let args = ["/x/zkServer.sh", "--config", &config, action].map(str::to_owned);
        let code = super::run(args.to_vec(), &console, &|_| None);
        let text = String::from_utf8(output.0.lock().clone()).unwrap();
        let header = format!("ZooKeeper JMX enabled by default\nUsing config: {config}/zoo.cfg\n");
        let rest = text.strip_prefix(&header).expect("the header");
        (code, rest.replace(&config, "HOME"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is in the temporary directory anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn status_tells_the_mode_of_a_server_that_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let home = Home::new("status", &format!("clientPort={port}\nclientPortAddress=127.0.0.1\n"));
    let found = format!("Client port found: {port}. Client address: 127.0.0.1. Client SSL: false.");
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"srvr");
        stream.write_all(b"Zookeeper version: x\nMode: follower\nNode count: 5\n").unwrap();
    });
    assert_eq!(home.run("status"), (0, format!("{found}\nMode: follower\n")));
    thread.join().unwrap();
    let error = "Error contacting service. It is probably not running.";
    assert_eq!(home.run("status"), (1, format!("{found}\n{error}\n")));
}

#[test]
fn the_client_port_may_stand_in_the_membership() {
    let home = Home::new("members", "server.2=h:2888:3888:participant;127.0.0.1:1\n");
    std::fs::write(home.0.join("myid"), "2\n").unwrap();
    let (code, text) = home.run("status");
    assert_eq!(code, 1);
    let found = "Client port found: 1. Client address: 127.0.0.1. Client SSL: false.\n";
    assert!(text.starts_with(found), "{text}");
}

#[test]
fn without_any_port_status_gives_up() {
    let home = Home::new("portless", "");
    let (code, text) = home.run("status");
    assert_eq!(code, 1);
    assert!(text.ends_with("in any configs. Terminating.\n"), "{text}");
}

#[test]
fn a_running_server_is_not_started_again_and_stop_ends_it() {
    let home = Home::new("stop", "");
    let pid_file = home.0.join(PID_FILE);
    let nothing = "Stopping zookeeper ... no zookeeper to stop (could not find file \
                   HOME/zookeeper_server.pid)\n";
    assert_eq!(home.run("stop"), (0, nothing.to_owned()));
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::write(&pid_file, child.id().to_string()).unwrap();
    let running = format!("Starting zookeeper ... already running as process {}.\n", child.id());
    assert_eq!(home.run("start"), (1, running));
    assert_eq!(home.run("stop"), (0, "Stopping zookeeper ... STOPPED\n".to_owned()));
    assert!(!pid_file.exists());
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was ended by the signal");
}

#[test]
fn a_server_is_started_as_this_executable() {
    let home = Home::new("print", "");
    let (code, text) = home.run("print-cmd");
    assert_eq!(code, 0);
    let executable = std::env::current_exe().unwrap();
    let command =
        format!("\"{}\" \"serve\" \"--import\" \"HOME/zoo.cfg\" > ", executable.display());
    assert!(text.starts_with(&command), "{text}");
}

#[test]
fn an_unknown_action_is_answered_with_the_usage() {
    let home = Home::new("usage", "");
    let usage = "Usage: /x/zkServer.sh [--config <conf-dir>] \
                 {start|start-foreground|stop|version|restart|status|print-cmd}\n";
    assert_eq!(home.run("fly"), (0, usage.to_owned()));
}
