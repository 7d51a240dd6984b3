//! Processor and memory, and the nearest to what operators watch of a Java virtual machine.
//!
//! `process_cpu_seconds_total` and `process_resident_memory_bytes` are on the node's page already, as
//! ZooKeeper's names.

use polyport_telemetry::{Value, process};

use super::{Lines, Page};

pub(super) fn add(page: &mut Page) {
    let machine = process::machine();
    let memory = process::memory();
    page.gauge(
        "polyport_cpus",
        "Processors this process may use; its use of them is \
         rate(process_cpu_seconds_total[1m]) / polyport_cpus",
        machine.cpus,
    );
    page.gauge(
        "polyport_memory_limit_bytes",
        "The machine's memory, or the limit of the control group; its use is \
         process_resident_memory_bytes / polyport_memory_limit_bytes",
        machine.memory_bytes,
    );
    page.gauge(
        "polyport_memory_anonymous_bytes",
        "Memory that this process has allocated: the nearest to a Java heap, which there is none of",
        memory.anonymous_bytes,
    );
    page.gauge(
        "polyport_memory_file_bytes",
        "Memory that holds the program and files it has mapped: the nearest to what a Java virtual \
         machine has outside its heap",
        memory.file_bytes,
    );
    page.lines(
        "counter",
        "polyport_page_faults_total",
        "Pages that the system gave (minor), or had to read from the disk first (major): the nearest \
         to a Java virtual machine's minor and major collections of garbage, which there are none of",
        told(["minor", "major"], [memory.minor_faults, memory.major_faults], Value::Counter),
    );
    page.lines(
        "counter",
        "polyport_memory_stall_seconds_total",
        "How long tasks of this machine (some of them, all of them) have waited for memory: the \
         nearest to the pauses of a Java virtual machine's minor and major collections of garbage; 0 \
         where the kernel does not tell",
        told(
            ["some", "full"],
            [machine.stalled_some_seconds, machine.stalled_full_seconds],
            Value::Total,
        ),
    );
}

fn told<T>(kinds: [&str; 2], values: [T; 2], value: fn(T) -> Value) -> Lines {
    let line = |(kind, number): (&str, T)| (vec![("kind", kind.to_owned())], value(number));
    kinds.into_iter().zip(values).map(line).collect()
}
