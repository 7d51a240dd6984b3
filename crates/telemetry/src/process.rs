//! What the system says of this process (Linux: `/proc/self`).

use std::fs;

/// The process as the system sees it. What the system does not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time used, seconds.
    pub cpu_seconds: f64,
    /// When it started, seconds since 1970.
    pub start_time_seconds: f64,
    /// File descriptors in use.
    pub open_fds: u64,
    /// File descriptors it may have.
    pub max_fds: u64,
    /// Address space, bytes.
    pub virtual_bytes: u64,
    /// Memory in use, bytes.
    pub resident_bytes: u64,
}

/// Asks the system.
pub fn read() -> Process {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let open_fds = fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as u64);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Process {
        // The directory that is being read is one of them.
        open_fds: open_fds.saturating_sub(1),
        max_fds: limit.current.unwrap_or(u64::MAX),
        ..parse(&stat, boot.unwrap_or(0.0), ticks, rustix::param::page_size() as u64)
    }
}

/// proc(5): the fields of `/proc/PID/stat` after the name, which may hold blanks itself.
fn parse(stat: &str, boot_seconds: f64, ticks: f64, page_bytes: u64) -> Process {
    let fields: Vec<&str> = match stat.rsplit_once(')') {
        Some((_, rest)) => rest.split_whitespace().collect(),
        None => return Process::default(),
    };
    // The state, field 3, is the first after the name.
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let field = |number| field(number).unwrap_or(0);
    Process {
        cpu_seconds: (field(14) + field(15)) as f64 / ticks,
        start_time_seconds: boot_seconds + field(22) as f64 / ticks,
        virtual_bytes: field(23),
        resident_bytes: field(24) * page_bytes,
        ..Process::default()
    }
}

/// `kern.osrelease` and the host's name, as the system tells them.
pub fn host() -> (String, String) {
    let read = |file| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    (read("/proc/sys/kernel/osrelease"), read("/proc/sys/kernel/hostname"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 3 0 1000 4096 2 1844";
        let process = parse(stat, 100.0, 100.0, 4096);
        assert_eq!(process.cpu_seconds, 2.0);
        assert_eq!(process.start_time_seconds, 110.0);
        assert_eq!((process.virtual_bytes, process.resident_bytes), (4096, 8192));
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let process = read();
        assert!(process.resident_bytes > 0 && process.open_fds >= 3 && process.max_fds > 0);
        assert!(process.start_time_seconds > 1e9);
    }
}
