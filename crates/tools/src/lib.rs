//! The tools by their own names: `zkCli.sh`, `zkServer.sh`, `kafka-topics.sh` …, as library entry
//! points that the `polyport` binary dispatches to by the name it was called by.
//!
//! They take the arguments of Apache ZooKeeper 3.9's and Apache [`kafka`] 3.9's tools and print their
//! output, and they speak only the public client protocols, so they also work against the real
//! servers. Deliberately absent: TLS in the clients, SASL in ZooKeeper's, and everything of those
//! scripts that concerns the JVM.

pub mod kafka;
mod platform;
mod properties;
pub mod zk_cli;
pub mod zk_client;
pub mod zk_server;

/// A tool's entry point: takes the whole command line, the name it was called by first, and gives
/// the exit code.
pub type Tool = fn(Vec<String>) -> i32;

/// The tool of a program name (the last component of `argv[0]`), if it is one of ours. The names
/// work with and without `.sh`.
pub fn by_name(program: &str) -> Option<Tool> {
    let name = program.rsplit('/').next().unwrap_or(program);
    match name.strip_suffix(".sh").unwrap_or(name) {
        "zkCli" => Some(zk_cli::main),
        "zkServer" => Some(zk_server::main),
        name => kafka::by_name(name),
    }
}

/// The names that links to the program have, one for each tool.
pub fn names() -> Vec<String> {
    ["zkCli.sh", "zkServer.sh"].map(str::to_owned).into_iter().chain(kafka::names()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn tools_are_found_by_the_name_they_are_called_by() {
        for name in ["zkCli.sh", "zkCli", "/usr/share/zookeeper/bin/zkServer.sh", "./zkServer"] {
            assert!(super::by_name(name).is_some(), "{name}");
        }
        for name in super::names() {
            assert!(super::by_name(&name).is_some(), "{name}");
        }
        for name in ["polyport", "zkcli.sh", "/zkCli.sh/", ""] {
            assert!(super::by_name(name).is_none(), "{name}");
        }
    }
}
