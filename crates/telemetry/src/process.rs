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

/// The process' memory. What the system does not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Of what is in use, what was allocated: heap and stacks.
    pub anonymous_bytes: u64,
    /// Of what is in use, what is a copy of files: the program, what it has mapped.
    pub file_bytes: u64,
    /// Pages that the system gave without reading the disk.
    pub minor_faults: u64,
    /// Pages that were read from the disk first.
    pub major_faults: u64,
}

/// What the process may have of the machine. What the system does not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Machine {
    /// Processors that the process may use.
    pub cpus: u64,
    /// The machine's memory, or the control group's limit if that is less; bytes.
    pub memory_bytes: u64,
    /// How long some task of the machine has waited for memory, seconds.
    pub stalled_some_seconds: f64,
    /// How long all of them have, seconds.
    pub stalled_full_seconds: f64,
}

/// Asks the system for the machine.
pub fn machine() -> Machine {
    const LIMITS: [&str; 2] =
        ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let all = sized(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:");
    let limit = |file| fs::read_to_string(file).ok()?.trim().parse().ok();
    let pressure = fs::read_to_string("/proc/pressure/memory").unwrap_or_default();
    Machine {
        cpus: std::thread::available_parallelism().map_or(0, |cpus| cpus.get() as u64),
        memory_bytes: LIMITS.into_iter().filter_map(limit).fold(all, u64::min),
        stalled_some_seconds: stalled(&pressure, "some"),
        stalled_full_seconds: stalled(&pressure, "full"),
    }
}

/// proc(5): a line of `/proc/meminfo` or `/proc/PID/status` that is a size in kB; bytes.
fn sized(lines: &str, name: &str) -> u64 {
    let line = lines.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

/// The kernel's PSI: the total of a line of `/proc/pressure/memory`, which is in microseconds; seconds.
fn stalled(lines: &str, who: &str) -> f64 {
    let line = lines.lines().find(|line| line.split_whitespace().next() == Some(who));
    let total = line.and_then(|line| line.rsplit_once("total=")?.1.trim().parse::<f64>().ok());
    total.unwrap_or(0.0) / 1e6
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

/// Asks the system for the memory: much less work than [`read`] if many files are open.
pub fn memory() -> Memory {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_memory(&stat, &status)
}

fn parse_memory(stat: &str, status: &str) -> Memory {
    let field = fields(stat);
    Memory {
        anonymous_bytes: sized(status, "RssAnon:"),
        file_bytes: sized(status, "RssFile:") + sized(status, "RssShmem:"),
        minor_faults: field(10),
        major_faults: field(12),
    }
}

/// proc(5): the fields of `/proc/PID/stat` after the name, which may hold blanks itself.
fn fields(stat: &str) -> impl Fn(usize) -> u64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<u64> =
        rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    // The state, field 3, is the first after the name.
    move |number| fields.get(number - 3).copied().unwrap_or(0)
}

fn parse(stat: &str, boot_seconds: f64, ticks: f64, page_bytes: u64) -> Process {
    if !stat.contains(')') {
        return Process::default();
    }
    let field = fields(stat);
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
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 9 0 3 0 150 50 0 0 20 0 3 0 1000 4096 2 1844";
        let process = parse(stat, 100.0, 100.0, 4096);
        assert_eq!(process.cpu_seconds, 2.0);
        assert_eq!(process.start_time_seconds, 110.0);
        assert_eq!((process.virtual_bytes, process.resident_bytes), (4096, 8192));
        let status = "VmRSS:\t    2288 kB\nRssAnon:\t     148 kB\nRssFile:\t    2140 kB\n";
        let memory = parse_memory(stat, status);
        assert_eq!((memory.minor_faults, memory.major_faults), (9, 3));
        assert_eq!((memory.anonymous_bytes, memory.file_bytes), (148 << 10, 2140 << 10));
        assert_eq!(parse("", 100.0, 100.0, 4096), Process::default());
    }

    #[test]
    fn sizes_and_stalls_are_read_from_their_own_lines() {
        assert_eq!((sized("MemTotal: 7 kB\n", "MemTotal:"), sized("", "MemTotal:")), (7 << 10, 0));
        let pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n\
                        full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!((stalled(pressure, "some"), stalled(pressure, "full")), (2.5, 7e-6));
        assert_eq!(stalled("", "some"), 0.0);
        let machine = machine();
        assert!(machine.cpus > 0 && machine.memory_bytes > 64 << 20, "{machine:?}");
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let process = read();
        assert!(process.resident_bytes > 0 && process.open_fds >= 3 && process.max_fds > 0);
        assert!(process.start_time_seconds > 1e9);
    }
}
