//! What `envi` tells: this program and the machine it runs on.

use std::env;
use std::fs;
use std::sync::OnceLock;
use std::time::SystemTime;

use super::date;

/// The version of ZooKeeper whose behaviour this is, and the build that behaves so. Its form is
/// ZooKeeper's, because tools take it apart.
pub(crate) fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let program = env::current_exe().and_then(fs::metadata);
        let built = program.and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let own = env!("CARGO_PKG_VERSION");
        format!("3.9.3-polyport-{own}, built on {}", date::short(built))
    })
}

/// The user's name; where the environment does not tell it, that of the home directory's owner in
/// the system's list.
pub(crate) fn user() -> String {
    user_named(&env::var("USER").unwrap_or_default())
}

fn user_named(name: &str) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    let home = env::var("HOME").unwrap_or_default();
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    // passwd(5): name, password, uid, gid, comment, home, shell.
    let line = list.lines().find(|line| line.split(':').nth(5) == Some(home.as_str()));
    line.and_then(|line| line.split(':').next()).unwrap_or_default().to_owned()
}

/// ZooKeeper's keys, but for the JVM's, and their values.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let (release, host) = polyport_telemetry::process::host();
    let variable = |name| env::var(name).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let megabytes = |key| {
        let line = memory.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        format!("{}MB", kib.unwrap_or(0) / 1024)
    };
    let arch = match env::consts::ARCH {
        "x86_64" => "amd64",
        arch => arch,
    };
    let system = match env::consts::OS {
        "linux" => "Linux",
        system => system,
    };
    vec![
        ("zookeeper.version", version().to_owned()),
        ("host.name", host),
        ("os.name", system.to_owned()),
        ("os.arch", arch.to_owned()),
        ("os.version", release),
        ("user.name", user()),
        ("user.home", variable("HOME")),
        (
            "user.dir",
            env::current_dir().map_or_else(|_| String::new(), |d| d.display().to_string()),
        ),
        ("os.memory.free", megabytes("MemAvailable")),
        ("os.memory.max", megabytes("MemTotal")),
        ("os.memory.total", megabytes("MemTotal")),
    ]
}
