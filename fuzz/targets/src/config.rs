//! Configuration: our own file, and ZooKeeper's.

use std::path::Path;

use polyport_config::import::zoo_cfg;
use polyport_config::{Config, Layers};

/// A configuration file. The first byte chooses which: even `polyport.toml`, odd `zoo.cfg`.
pub fn config_file(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let layers = if kind % 2 == 0 {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        Layers::new().toml(Path::new("polyport.toml"), text)
    } else {
        Layers::new().imported(zoo_cfg::import(Path::new("zoo.cfg"), bytes))
    };
    if let Ok(loaded) = layers.finish() {
        let _ = loaded.config.validate();
        let text = loaded.config.to_toml_documented();
        let again = Layers::new().toml(Path::new("polyport.toml"), &text).finish();
        assert!(again.is_ok_and(|again| again.config == loaded.config), "{text}");
    }
}

pub(crate) fn files() -> Vec<Vec<u8>> {
    let zoo_cfg = "tickTime=2000\ndataDir=./fuzz-data\nclientPort=2181\ninitLimit=10\n\
        syncLimit=5\nmaxClientCnxns=60\n4lw.commands.whitelist=srvr, mntr\n\
        server.1=127.0.0.1:2888:3888;2181\nserver.2=h\\u0061:2888:3888:observer\n";
    vec![
        [b"\0", Config::default().to_toml_documented().as_bytes()].concat(),
        b"\0[zookeeper]\nlisten = \"127.0.0.1:2181\"\ntick_time_ms = 500\n".to_vec(),
        [b"\x01", zoo_cfg.as_bytes()].concat(),
    ]
}
