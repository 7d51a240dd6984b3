//! From words to options and values.

use super::{Argument, Kind, Opt, OptionError};

/// What was given.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    options: Vec<Opt>,
    given: Vec<(&'static str, Option<String>)>,
    /// The arguments that are not options.
    pub rest: Vec<String>,
}

type Result<T> = std::result::Result<T, OptionError>;

/// Reads a command line, without the tool's own name.
///
/// # Errors
/// If an option is not known, lacks its value, or is required and absent. Values are checked for
/// their kind when they are asked for.
pub fn parse(options: &[Opt], abbreviations: bool, args: &[String]) -> Result<Parsed> {
    let parsed = Parsed { options: options.to_vec(), ..Parsed::default() };
    let mut reading = Reading { parsed, abbreviations, args: args.iter() };
    reading.run()?;
    let parsed = reading.parsed;
    let missing: Vec<_> = parsed
        .options
        .iter()
        .filter(|option| option.required && !parsed.has(option.name))
        .map(|option| option.name)
        .collect();
    let asks_for_help =
        parsed.options.iter().any(|option| option.for_help && parsed.has(option.name));
    if missing.is_empty() || asks_for_help {
        Ok(parsed)
    } else {
        Err(OptionError::MissingOptions(missing.join(", ")))
    }
}

struct Reading<'a> {
    parsed: Parsed,
    abbreviations: bool,
    args: std::slice::Iter<'a, String>,
}

impl Reading<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(arg) = self.args.next() {
            if arg == "--" {
                self.parsed.rest.extend(self.args.by_ref().cloned());
            } else if let Some(long) = arg.strip_prefix("--") {
                let (name, value) = split_value(long);
                let option = self.find(name);
                let option = option.ok_or_else(|| OptionError::Unrecognized(name.to_owned()))?;
                self.take(option, value)?;
            } else if let Some(short) = arg.strip_prefix('-').filter(|short| !short.is_empty()) {
                let (name, value) = split_value(short);
                match self.find(name) {
                    Some(option) => self.take(option, value)?,
                    None => self.cluster(short)?,
                }
            } else {
                self.parsed.rest.push(arg.clone());
            }
        }
        Ok(())
    }

    /// Single letters behind one hyphen; the first that takes a value has the rest as its value.
    fn cluster(&mut self, letters: &str) -> Result<()> {
        for (at, letter) in letters.char_indices() {
            let name = letter.to_string();
            let option = self.find(&name).ok_or(OptionError::Unrecognized(name))?;
            let rest = &letters[at + letter.len_utf8()..];
            if option.argument != Argument::None && !rest.is_empty() {
                return self.take(option, Some(rest));
            }
            self.take(option, None)?;
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<Opt> {
        let all = &self.parsed.options;
        if let Some(exact) = all.iter().find(|it| it.name == name || it.alias == Some(name)) {
            return Some(*exact);
        }
        if !self.abbreviations || name.is_empty() {
            return None;
        }
        let mut candidates = all.iter().filter(|option| option.name.starts_with(name));
        let first = candidates.next()?;
        candidates.next().is_none().then_some(*first)
    }

    fn take(&mut self, option: Opt, value: Option<&str>) -> Result<()> {
        let value = value.filter(|value| !value.is_empty()).map(str::to_owned);
        let value = match option.argument {
            Argument::None => None,
            Argument::Required => {
                let missing = || OptionError::MissingArgument(option.name.to_owned());
                Some(value.or_else(|| self.args.next().cloned()).ok_or_else(missing)?)
            }
            Argument::Optional => value.or_else(|| {
                let next = self.args.as_slice().first()?;
                let an_option = next.starts_with('-') && next.len() > 1;
                let fits = option.kind.accepts(next) && (!an_option || option.kind != Kind::Text);
                fits.then(|| self.args.next().cloned()).flatten()
            }),
        };
        match (option.separator, value) {
            (Some(separator), Some(value)) => {
                let parts = value.split(separator).map(|part| Some(part.to_owned()));
                self.parsed.given.extend(parts.map(|part| (option.name, part)));
            }
            (_, value) => self.parsed.given.push((option.name, value)),
        }
        Ok(())
    }
}

fn split_value(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    }
}

impl Parsed {
    /// Everything that was given, in its order.
    pub fn occurrences(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        self.given.iter().map(|(name, value)| (*name, value.as_deref()))
    }

    /// Whether the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    fn default_of(&self, name: &str) -> Option<&'static str> {
        self.options.iter().find(|option| option.name == name).and_then(|option| option.default)
    }

    /// All values of an option, in the order given; its default if there is none.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let given: Vec<_> = self
            .given
            .iter()
            .filter(|(given, _)| *given == name)
            .filter_map(|(_, value)| value.as_deref())
            .collect();
        if given.is_empty() && !self.has(name) {
            return self.default_of(name).into_iter().collect();
        }
        given
    }

    /// The one value of an option, or its default.
    ///
    /// # Errors
    /// If it was given more than one.
    pub fn value(&self, name: &str) -> Result<Option<&str>> {
        let values = self.values(name);
        if values.len() > 1 {
            return Err(OptionError::Multiple(name.to_owned()));
        }
        Ok(values.first().copied())
    }

    /// The value, if the option was given.
    ///
    /// # Errors
    /// If it was given more than one.
    pub fn given(&self, name: &str) -> Result<Option<&str>> {
        if self.has(name) { self.value(name) } else { Ok(None) }
    }

    /// The value as a number, or its default.
    ///
    /// # Errors
    /// If it was given more than one, or one that is no such number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let conversion =
            |_| OptionError::Conversion { value: value.to_owned(), option: name.to_owned() };
        value.parse().map(Some).map_err(conversion)
    }
}
