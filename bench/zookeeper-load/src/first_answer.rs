use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use polyport_zookeeper::codec::{ErrorCode, Request};
use serde_json::{Value, json};

use crate::args::Args;
use crate::connection::{Granted, Session, call, handshake, open};
use crate::frames;

/// The resolution of the result, until a hundredth of the time elapsed is more: a server that takes
/// seconds must not be buried under probes.
const BETWEEN_PROBES: Duration = Duration::from_millis(4);

/// Starts a server and asks it, every few milliseconds, for a session and the root's data, until it
/// answers; then kills it.
///
/// # Errors
/// If it cannot be started, ends, or does not answer within the connect timeout.
pub fn run(args: &Args) -> anyhow::Result<Value> {
    let (program, arguments) = args.first_answer.split_first().context("no command")?;
    let server = args.servers.first().context("no server")?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let answered = await_answer(args, server, start, &mut child);
    // Killed also when it never answered; it may have ended by itself.
    let _ = child.kill();
    child.wait()?;
    let elapsed = answered?;
    Ok(json!({"first_answer_ms": (elapsed.as_secs_f64() * 1e4).round() / 10.0}))
}

/// Probes overlap: ZooKeeper leaves a handshake unanswered that comes in while it starts, so that
/// waiting for one probe before sending the next would measure the probe's own timeout.
fn await_answer(
    args: &Args,
    server: &str,
    start: Instant,
    child: &mut Child,
) -> anyhow::Result<Duration> {
    let limit = Duration::try_from_secs_f64(args.connect_timeout)?;
    let (answered, answers) = mpsc::channel();
    loop {
        let (server, timeout_ms) = (server.to_owned(), args.session_timeout_ms);
        let answered = answered.clone();
        std::thread::spawn(move || {
            if ask(&server, timeout_ms).unwrap_or(false) {
                // Nobody listens any more if another probe was first.
                let _ = answered.send(start.elapsed());
            }
        });
        if let Ok(elapsed) = answers.recv_timeout(BETWEEN_PROBES.max(start.elapsed() / 100)) {
            return Ok(elapsed);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the server ended: {status}");
        }
        if start.elapsed() > limit {
            bail!("no answer in {limit:?}");
        }
    }
}

fn ask(server: &str, timeout_ms: i32) -> anyhow::Result<bool> {
    let mut stream = open(server, Duration::from_secs(10))?;
    let Granted::Yes(_) = handshake(&mut stream, &Session::none(), timeout_ms)? else {
        return Ok(false);
    };
    let get = frames::frame(&Request::GetData { path: "/", watch: false });
    Ok(call(&mut stream, &get)?.err == ErrorCode::OK)
}
