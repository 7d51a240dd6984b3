//! The brokers that are registered in a ZooKeeper ensemble, for the command lines of old.

use std::time::Duration;

use super::stop::Failure;
use crate::zk_client::{Client, ClientOptions, ConnectString};

const TIMEOUT: Duration = Duration::from_secs(30);
const BROKERS: &str = "/brokers/ids";

/// The addresses of the brokers below a connect string's chroot, as a list for the client.
///
/// # Errors
/// If the ensemble cannot be reached or no broker is registered there.
pub fn brokers(ensemble: &str) -> Result<String, Failure> {
    let failed = |class: &str, message: String| Failure::new(class, message);
    let connect: ConnectString = ConnectString::parse(ensemble)
        .map_err(|error| failed("java.lang.IllegalArgumentException", error.to_string()))?;
    let client = Client::start(ClientOptions::new(connect, TIMEOUT), |_| {})
        .map_err(|error| failed("java.lang.IllegalArgumentException", error.to_string()))?;
    if !client.wait_connected(TIMEOUT) {
        client.close();
        return Err(failed(
            "kafka.zookeeper.ZooKeeperClientTimeoutException",
            "Timed out waiting for connection while in state: CONNECTING".to_owned(),
        ));
    }
    let found = registered(&client);
    client.close();
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses.join(",")),
        Ok(_) => Err(failed(
            "kafka.admin.AdminOperationException",
            format!("no broker is registered in {BROKERS} of {ensemble}"),
        )),
        Err(error) => Err(failed("org.apache.zookeeper.KeeperException", error.to_string())),
    }
}

fn registered(client: &Client) -> Result<Vec<String>, crate::zk_client::ClientError> {
    let mut addresses = Vec::new();
    let Some(_) = client.exists(BROKERS, false)? else { return Ok(addresses) };
    let (ids, _) = client.get_children(BROKERS, false)?;
    for id in ids {
        // A broker that ended meanwhile is none to ask.
        let Ok((Some(data), _)) = client.get_data(&format!("{BROKERS}/{id}"), false) else {
            continue;
        };
        addresses.extend(address(&data));
    }
    Ok(addresses)
}

/// `host:port` of a broker's registration: that of its plain listener, if it has one.
fn address(registration: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(registration).ok()?;
    if let (Some(host), Some(port)) = (json["host"].as_str(), json["port"].as_u64())
        && !host.is_empty()
    {
        return Some(format!("{host}:{port}"));
    }
    let endpoints: Vec<_> =
        json["endpoints"].as_array()?.iter().filter_map(|it| it.as_str()).collect();
    let plain = endpoints.iter().find(|endpoint| endpoint.starts_with("PLAINTEXT://"));
    let (_, address) = plain.or(endpoints.first())?.split_once("://")?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_registration_names_the_address() {
        let plain = br#"{"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://10.0.0.101:9092"],"jmx_port":-1,"features":{},"host":"10.0.0.101","timestamp":"1","port":9092,"version":5}"#;
        assert_eq!(address(plain).as_deref(), Some("10.0.0.101:9092"));
        let secured = br#"{"endpoints":["SSL://h:9093"],"host":null,"port":-1,"version":5}"#;
        assert_eq!(address(secured).as_deref(), Some("h:9093"));
        assert_eq!(address(b"x"), None);
    }
}
