use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use polyport_zookeeper::codec::ErrorCode;
use serde_json::{Value, json};

use crate::args::{Args, Op};
use crate::connection::establish;
use crate::engine::{Engine, Outcome, Plan};
use crate::frames::{self, Frames};

/// Puts load on the servers and reports it.
///
/// # Errors
/// If no session can be had or a server breaks the protocol.
pub fn run(args: &Args) -> anyhow::Result<Value> {
    if args.connections == 0 || args.pipeline == 0 || args.keys == 0 {
        bail!("connections, pipeline and keys are at least 1");
    }
    let deadline = Instant::now() + Duration::try_from_secs_f64(args.connect_timeout)?;
    let streams = (0..args.connections)
        .map(|index| {
            let server = &args.servers[index % args.servers.len()];
            establish(server, args.session_timeout_ms, deadline)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut engine = Engine::new(streams)?;
    let report = measure(args, &mut engine);
    engine.close();
    report
}

fn measure(args: &Args, engine: &mut Engine) -> anyhow::Result<Value> {
    let data = vec![b'x'; args.value_bytes];
    // Names that no other run has used, on a server that keeps them all.
    let unique = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    if let Some(count) = args.preload {
        let root = format!("/preload-{unique}");
        let mut directories = frames::preload_directories(&root, count);
        once(engine, vec![directories.remove(0)])?;
        once(engine, directories)?;
        let mut frames = Frames::Preload { next: 0, end: count, root, data };
        let plan = Plan {
            pipeline: args.pipeline,
            watch_pids: args.watch_pids.clone(),
            ..until_done(args.pipeline)
        };
        let outcome = engine.run(&mut frames, &plan)?;
        return Ok(report(args, &outcome));
    }
    let mut frames = if args.op == Op::Create {
        let root = format!("/create-{unique}");
        let parents = (0..args.connections).map(|c| frames::create(&format!("{root}/c{c}"), b""));
        once(engine, vec![frames::create(&root, b"")])?;
        once(engine, parents.collect())?;
        Frames::creates(&root, args.connections, &data)
    } else {
        if !args.skip_setup {
            for step in frames::setup(args.keys, &data) {
                once(engine, step)?;
            }
        }
        Frames::on_keys(args.op, args.keys, &data, unique as u64)
    };
    if args.setup_only {
        return Ok(json!({"keys": args.keys}));
    }
    let plan = Plan {
        pipeline: args.pipeline,
        rate: args.rate,
        warmup: Duration::try_from_secs_f64(args.warmup)?,
        seconds: Some(Duration::try_from_secs_f64(args.seconds)?),
        watch_pids: args.watch_pids.clone(),
        tolerate: None,
    };
    let outcome = engine.run(&mut frames, &plan)?;
    Ok(report(args, &outcome))
}

/// As fast as it goes until there are no frames left.
fn until_done(pipeline: usize) -> Plan {
    Plan {
        pipeline,
        rate: None,
        warmup: Duration::ZERO,
        seconds: None,
        watch_pids: vec![],
        tolerate: None,
    }
}

/// Sends each frame once; that a znode exists already is well.
fn once(engine: &mut Engine, frames: Vec<Vec<u8>>) -> anyhow::Result<()> {
    let plan = Plan { tolerate: Some(ErrorCode::NODE_EXISTS), ..until_done(16) };
    let outcome = engine.run(&mut Frames::Once(VecDeque::from(frames)), &plan)?;
    match outcome.first_error {
        None => Ok(()),
        Some(error) => Err(anyhow::anyhow!("{error:?}")).context("setting up"),
    }
}

fn report(args: &Args, outcome: &Outcome) -> Value {
    let us = |ns: u64| (ns as f64 / 100.0).round() / 10.0;
    let latencies = &outcome.latencies;
    let seconds = outcome.measured.as_secs_f64();
    json!({
        "op": if args.preload.is_some() { "preload".into() } else { format!("{:?}", args.op).to_lowercase() },
        "connections": args.connections,
        "pipeline": args.pipeline,
        "rate": args.rate,
        "ops": latencies.count(),
        "seconds": seconds,
        "ops_per_s": latencies.count() as f64 / seconds,
        "p50_us": us(latencies.quantile(0.5)),
        "p90_us": us(latencies.quantile(0.9)),
        "p99_us": us(latencies.quantile(0.99)),
        "p999_us": us(latencies.quantile(0.999)),
        "max_us": us(latencies.max()),
        "errors": outcome.errors,
        "first_error": outcome.first_error.map(|error| format!("{error:?}")),
        "lost_connections": outcome.lost_connections,
        "server_cpu_s": outcome.server_cpu_s,
        "load_cpu_s": outcome.own_cpu_s,
        "other_cpu_s": outcome.machine_cpu_s - outcome.own_cpu_s - outcome.server_cpu_s,
    })
}
