use std::fs;

/// Kernel clock ticks a second as `/proc` counts them (`USER_HZ`, 100 on every Linux in use).
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time that processes have used, in seconds; one that is gone counts as 0.
pub fn seconds(pids: &[u32]) -> f64 {
    pids.iter().map(|pid| of(&pid.to_string())).sum()
}

/// The same for this process.
pub fn own_seconds() -> f64 {
    of("self")
}

/// What all processes of the machine have used together, in seconds.
pub fn machine_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // proc(5): user, nice, system, then idle and iowait, then irq, softirq.
    let fields: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    [0, 1, 2, 5, 6].iter().filter_map(|index| fields.get(*index)).sum::<f64>() / TICKS_PER_SECOND
}

fn of(pid: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name is in parentheses and may hold blanks: count fields after it (proc(5):
    // utime is field 14, stime 15; the state after the name is 3).
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = after_name
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}
