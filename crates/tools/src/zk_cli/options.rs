//! Options of a command, read by the rules and refused in the words of the library that ZooKeeper's
//! command line uses for it (Apache Commons CLI's default parser, short options only).

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt {
    /// Its name, without the hyphen.
    pub name: &'static str,
    /// Whether a value follows it.
    pub takes_value: bool,
}

/// The options of a command.
#[derive(Clone, Copy, Debug)]
pub struct OptSet {
    /// All of them.
    pub options: &'static [Opt],
    /// Whether at most one of them may be given.
    pub exclusive: bool,
    /// What is said when none is given; `None` if that is fine.
    pub required: Option<&'static str>,
}

/// What was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    given: Vec<(&'static str, Option<String>)>,
    /// The arguments that are not options; the command itself is the first.
    pub args: Vec<String>,
}

impl Parsed {
    /// All arguments as they are.
    pub fn without_options(args: &[String]) -> Self {
        Self { given: Vec::new(), args: args.to_vec() }
    }

    /// Whether the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The option's value; the first one if it was given more than once.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given
            .iter()
            .filter(|(given, _)| *given == name)
            .find_map(|(_, value)| value.as_deref())
    }
}

const PACKAGE: &str = "org.apache.commons.cli.";

impl OptSet {
    /// Reads a command's arguments.
    ///
    /// # Errors
    /// The message to print.
    pub fn parse(&self, args: &[String]) -> Result<Parsed, String> {
        let mut parsed = Parsed::default();
        let mut waiting: Option<&'static str> = None;
        let mut rest_are_args = false;
        for arg in args {
            if rest_are_args {
                parsed.args.push(arg.clone());
            } else if let Some(name) = waiting.filter(|_| !self.looks_like_option(arg)) {
                self.set_value(&mut parsed, name, arg);
                waiting = None;
            } else if arg == "--" {
                rest_are_args = true;
            } else if arg.starts_with('-') && arg.len() > 1 {
                waiting = self.option(&mut parsed, waiting, arg)?;
            } else {
                parsed.args.push(arg.clone());
            }
        }
        missing_value(waiting)?;
        match self.required {
            Some(message) if parsed.given.is_empty() => {
                Err(format!("{PACKAGE}MissingOptionException: Missing required option: {message}"))
            }
            _ => Ok(parsed),
        }
    }

    fn find(&self, name: &str) -> Option<Opt> {
        self.options.iter().copied().find(|option| option.name == name)
    }

    /// Whether an argument after an option that takes a value is itself an option. Negative numbers
    /// are values.
    fn looks_like_option(&self, arg: &str) -> bool {
        let Some(name) = arg.strip_prefix('-').filter(|name| !name.is_empty()) else {
            return false;
        };
        let name = name.split('=').next().unwrap_or_default();
        let first = name.chars().next().map(String::from).unwrap_or_default();
        (self.find(name).is_some() || self.find(&first).is_some()) && arg.parse::<f64>().is_err()
    }

    /// Takes one argument that begins with a hyphen; gives the option that waits for its value.
    fn option(
        &self,
        parsed: &mut Parsed,
        waiting: Option<&'static str>,
        arg: &str,
    ) -> Result<Option<&'static str>, String> {
        let unknown =
            || format!("{PACKAGE}UnrecognizedOptionException: Unrecognized option: {arg}");
        if arg.starts_with("--") {
            return Err(unknown());
        }
        let name = &arg[1..];
        if let Some(option) = self.find(name) {
            return self.give(parsed, waiting, option);
        }
        if let Some((name, value)) = name.split_once('=') {
            let option = self.find(name).filter(|option| option.takes_value && name.len() == 1);
            let option = option.ok_or_else(unknown)?;
            self.give(parsed, waiting, option)?;
            self.set_value(parsed, option.name, value);
            return Ok(None);
        }
        let mut waiting = waiting;
        for (at, c) in name.char_indices() {
            let option = self.find(c.encode_utf8(&mut [0; 4])).ok_or_else(unknown)?;
            waiting = self.give(parsed, waiting, option)?;
            let rest = &name[at + c.len_utf8()..];
            if waiting.is_some() && !rest.is_empty() {
                self.set_value(parsed, option.name, rest);
                return Ok(None);
            }
        }
        Ok(waiting)
    }

    fn give(
        &self,
        parsed: &mut Parsed,
        waiting: Option<&'static str>,
        option: Opt,
    ) -> Result<Option<&'static str>, String> {
        missing_value(waiting)?;
        if self.exclusive
            && let Some((other, _)) = parsed.given.iter().find(|(given, _)| *given != option.name)
        {
            return Err(format!(
                "{PACKAGE}AlreadySelectedException: The option '{}' was specified but an option \
                 from this group has already been selected: '{other}'",
                option.name
            ));
        }
        parsed.given.push((option.name, None));
        Ok(option.takes_value.then_some(option.name))
    }

    fn set_value(&self, parsed: &mut Parsed, name: &str, value: &str) {
        if let Some((given, slot)) = parsed.given.last_mut()
            && *given == name
        {
            *slot = Some(unquote(value).to_owned());
        }
    }
}

fn missing_value(waiting: Option<&str>) -> Result<(), String> {
    match waiting {
        Some(name) => {
            Err(format!("{PACKAGE}MissingArgumentException: Missing argument for option: {name}"))
        }
        None => Ok(()),
    }
}

/// Values lose a pair of double quotes around them.
fn unquote(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inner| !inner.contains('"'))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: OptSet = OptSet {
        options: &[
            Opt { name: "s", takes_value: false },
            Opt { name: "w", takes_value: false },
            Opt { name: "v", takes_value: true },
            Opt { name: "add", takes_value: true },
        ],
        exclusive: false,
        required: None,
    };

    fn parse(set: OptSet, line: &str) -> Result<Parsed, String> {
        set.parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_stand_anywhere_and_may_be_joined() {
        let parsed = parse(SET, "get /a -sw data -v -1 -add 1=h:1:2").unwrap();
        assert_eq!(parsed.args, ["get", "/a", "data"]);
        assert!(parsed.has("s") && parsed.has("w"));
        assert_eq!(parsed.value("v"), Some("-1"));
        assert_eq!(parsed.value("add"), Some("1=h:1:2"));
        assert_eq!(parse(SET, "x -v7").unwrap().value("v"), Some("7"));
        assert_eq!(parse(SET, "x -v=7").unwrap().value("v"), Some("7"));
        assert_eq!(parse(SET, "x -- -s").unwrap().args, ["x", "-s"]);
        assert_eq!(parse(SET, "x -").unwrap().args, ["x", "-"]);
    }

    #[test]
    fn refusals_are_in_the_words_of_commons_cli() {
        let unknown = "org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: ";
        assert_eq!(parse(SET, "x -q"), Err(format!("{unknown}-q")));
        assert_eq!(parse(SET, "x --add"), Err(format!("{unknown}--add")));
        assert_eq!(parse(SET, "x -5"), Err(format!("{unknown}-5")));
        assert_eq!(parse(SET, "x -sq"), Err(format!("{unknown}-sq")));
        let missing =
            "org.apache.commons.cli.MissingArgumentException: Missing argument for option: v";
        assert_eq!(parse(SET, "x -v"), Err(missing.to_owned()));
        assert_eq!(parse(SET, "x -v -s"), Err(missing.to_owned()));
    }

    #[test]
    fn exclusive_and_required_options() {
        let group = OptSet { exclusive: true, required: Some("[-s, -w]"), ..SET };
        assert!(parse(group, "x -s -s").is_ok());
        assert_eq!(
            parse(group, "x -s -w").unwrap_err(),
            "org.apache.commons.cli.AlreadySelectedException: The option 'w' was specified but an \
             option from this group has already been selected: 's'"
        );
        assert_eq!(
            parse(group, "x").unwrap_err(),
            "org.apache.commons.cli.MissingOptionException: Missing required option: [-s, -w]"
        );
    }
}
