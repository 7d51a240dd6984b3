use super::{ClientError, validate_path};

/// `host:port[,host:port…][/chroot]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectString {
    /// Servers in the order given; IPv6 addresses without their brackets.
    pub servers: Vec<(String, u16)>,
    /// Prefix of every path, without a trailing slash; empty if there is none.
    pub chroot: String,
}

const DEFAULT_PORT: u16 = 2181;

impl ConnectString {
    /// Reads a connect string; a server without a port has 2181.
    ///
    /// # Errors
    /// [`ClientError::IllegalArgument`] if the chroot is not a path, a port is not a number, or no
    /// server is named.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => (&text[..at], text[at..].to_owned()),
            None => (text, String::new()),
        };
        let chroot = if chroot == "/" { String::new() } else { chroot };
        if !chroot.is_empty() {
            validate_path(&chroot)?;
        }
        let servers = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(server)
            .collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(ClientError::IllegalArgument(
                "A HostProvider may not be empty!".to_owned(),
            ));
        }
        Ok(Self { servers, chroot })
    }
}

fn server(text: &str) -> Result<(String, u16), ClientError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or_default()),
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    let port = match port {
        "" => DEFAULT_PORT,
        port => port
            .parse()
            .map_err(|_| ClientError::IllegalArgument(format!("For input string: \"{port}\"")))?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_chroot_are_read() {
        let parsed = ConnectString::parse("a:1, b ,[::1]:3,c:/app/x").unwrap();
        let server = |host: &str, port| (host.to_owned(), port);
        assert_eq!(
            parsed.servers,
            [server("a", 1), server("b", 2181), server("::1", 3), server("c", 2181)]
        );
        assert_eq!(parsed.chroot, "/app/x");
        assert_eq!(ConnectString::parse("a/").unwrap().chroot, "");
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for bad in ["", ",", "/app", "a:b", "a:70000", "a/app/"] {
            assert!(ConnectString::parse(bad).is_err(), "{bad}");
        }
    }
}
