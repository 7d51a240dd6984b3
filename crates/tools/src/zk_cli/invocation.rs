use std::time::Duration;

/// What `zkCli.sh` was called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Connect string.
    pub server: String,
    /// Session timeout to ask for.
    pub timeout: String,
    /// Whether a read-only server will do.
    pub read_only: bool,
    /// Whether to wait for the connection before anything else.
    pub wait_for_connection: bool,
    /// A property file for the client.
    pub client_configuration: Option<String>,
    /// The one command to run; without it, commands are read.
    pub command: Vec<String>,
}

impl Invocation {
    /// Reads the arguments after the tool's name; also gives what is wrong with them, which ends
    /// the reading but not the tool. Unknown options are passed over, as ZooKeeper does.
    pub fn parse(args: &[String]) -> (Self, Option<String>) {
        let mut invocation = Self {
            server: "localhost:2181".to_owned(),
            timeout: "30000".to_owned(),
            read_only: false,
            wait_for_connection: false,
            client_configuration: None,
            command: Vec::new(),
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if !arg.starts_with('-') {
                invocation.command.push(arg.clone());
                invocation.command.extend(rest.cloned());
                break;
            }
            let mut value = || {
                rest.next()
                    .cloned()
                    .ok_or_else(|| format!("Error: no argument found for option {arg}"))
            };
            let done = match arg.as_str() {
                "-server" => value().map(|value| invocation.server = value),
                "-timeout" => value().map(|value| invocation.timeout = value),
                "-client-configuration" => {
                    value().map(|value| invocation.client_configuration = Some(value))
                }
                "-r" => {
                    invocation.read_only = true;
                    Ok(())
                }
                "-waitforconnection" => {
                    invocation.wait_for_connection = true;
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(complaint) = done {
                return (invocation, Some(complaint));
            }
        }
        (invocation, None)
    }

    /// The session timeout.
    ///
    /// # Errors
    /// If it is not a number of milliseconds.
    pub fn session_timeout(&self) -> Result<Duration, String> {
        let millis: u32 = self
            .timeout
            .parse()
            .ok()
            .filter(|millis| *millis > 0)
            .ok_or_else(|| format!("For input string: \"{}\"", self.timeout))?;
        Ok(Duration::from_millis(millis.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> (Invocation, Option<String>) {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Invocation::parse(&args)
    }

    #[test]
    fn options_come_before_the_command() {
        let (invocation, complaint) =
            parse("-server h:1/app -timeout 4000 -r -unknown ls -s /a -r");
        assert_eq!(complaint, None);
        assert_eq!(invocation.server, "h:1/app");
        assert_eq!(invocation.session_timeout(), Ok(Duration::from_secs(4)));
        assert!(invocation.read_only && !invocation.wait_for_connection);
        assert_eq!(invocation.command, ["ls", "-s", "/a", "-r"]);
        assert!(parse("").0.command.is_empty());
    }

    #[test]
    fn a_missing_value_is_told() {
        let (invocation, complaint) = parse("-r -server");
        assert!(invocation.read_only);
        assert_eq!(complaint.unwrap(), "Error: no argument found for option -server");
    }
}
