//! `ssl.principal.mapping.rules`: from a certificate's distinguished name to a user's.

use regex_lite::{Captures, Regex};

/// Rules; the first that fits names the user.
#[derive(Clone, Debug)]
pub struct Mapping(Vec<Rule>);

#[derive(Clone, Debug)]
enum Rule {
    /// The distinguished name itself.
    Default,
    Replace {
        /// Fits a whole name.
        whole: Regex,
        pattern: Regex,
        replacement: Vec<Part>,
        case: Option<Case>,
    },
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Group(usize),
}

#[derive(Clone, Copy, Debug)]
enum Case {
    Lower,
    Upper,
}

impl Mapping {
    /// Reads rules such as `RULE:^CN=(.*?),.*$/$1/L, DEFAULT`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let after = if let Some(after) = rest.strip_prefix("DEFAULT") {
                rules.push(Rule::Default);
                after
            } else if let Some(after) = rest.strip_prefix("RULE:") {
                let (rule, after) = replace(after)?;
                rules.push(rule);
                after
            } else {
                return Err(format!("Invalid rule: {rest}"));
            };
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(format!("Invalid rule: unmatched substring: `{after}`")),
            };
        }
        Ok(Self(rules))
    }

    /// The user's name; nothing if no rule fits.
    pub fn name(&self, distinguished: &str) -> Option<String> {
        self.0.iter().find_map(|rule| rule.apply(distinguished))
    }
}

/// The text up to a slash that no backslash is before, and what is after it.
fn up_to_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn replace(text: &str) -> Result<(Rule, &str), String> {
    let missing = || format!("Invalid rule: RULE:{text}: write RULE:pattern/replacement/[LU]");
    let (pattern, rest) = up_to_slash(text).ok_or_else(missing)?;
    let (replacement, rest) = up_to_slash(rest).ok_or_else(missing)?;
    let (case, rest) = match rest.as_bytes().first() {
        Some(b'L') => (Some(Case::Lower), &rest[1..]),
        Some(b'U') => (Some(Case::Upper), &rest[1..]),
        _ => (None, rest),
    };
    let compile = |text: &str| Regex::new(text).map_err(|error| format!("Invalid rule: {error}"));
    let whole = compile(&format!("^(?:{pattern})$"))?;
    let pattern = compile(pattern)?;
    let replacement = parts(replacement, whole.captures_len() - 1);
    Ok((Rule::Replace { whole, pattern, replacement, case }, rest))
}

/// A replacement as Java reads it: `$12` is group 1 and a 2 where there is no group 12, and text where
/// there is no group 1.
fn parts(text: &str, groups: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            '$' => {
                let digit = |c: &char| c.to_digit(10).map(|digit| digit as usize);
                let mut group = chars.peek().and_then(digit).filter(|first| *first <= groups);
                let Some(found) = group.as_mut() else {
                    plain.push('$');
                    continue;
                };
                chars.next();
                while let Some(next) = chars.peek().and_then(digit)
                    && *found * 10 + next <= groups
                {
                    *found = *found * 10 + next;
                    chars.next();
                }
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Group(*found));
            }
            c => plain.push(c),
        }
    }
    parts.push(Part::Text(plain));
    parts
}

impl Rule {
    fn apply(&self, name: &str) -> Option<String> {
        let Self::Replace { whole, pattern, replacement, case } = self else {
            return Some(name.to_owned());
        };
        whole.is_match(name).then_some(())?;
        let put = |captures: &Captures<'_>| {
            let part = |part: &Part| match part {
                Part::Text(text) => text.clone(),
                Part::Group(group) => {
                    captures.get(*group).map_or_else(String::new, |found| found.as_str().to_owned())
                }
            };
            replacement.iter().map(part).collect::<String>()
        };
        let result = pattern.replace_all(name, put).into_owned();
        Some(match case {
            None => result,
            Some(Case::Lower) => result.to_lowercase(),
            Some(Case::Upper) => result.to_uppercase(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of Kafka's documentation.
    #[test]
    fn names_are_mapped_as_kafka_maps_them() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,\
                     RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L,\
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L , DEFAULT";
        let mapping = Mapping::parse(rules).unwrap();
        let mapped = [
            ("CN=kafka-server1, OU=KAFKA", "kafka"),
            (
                "CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown",
                "serviceuser",
            ),
            ("CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "adminuser@admin"),
            ("OU=nobody", "OU=nobody"),
        ];
        for (name, wanted) in mapped {
            assert_eq!(mapping.name(name).as_deref(), Some(wanted), "{name}");
        }
        assert_eq!(Mapping::parse("RULE:^CN=a$/b/").unwrap().name("CN=x"), None);
    }

    #[test]
    fn replacements_are_read_as_java_reads_them() {
        let mapped = |rule: &str| Mapping::parse(rule).unwrap().name("CN=a/b").unwrap();
        assert_eq!(mapped(r"RULE:CN=(.)\/(.)/$1.$2.$3/U"), "A.B.$3");
        assert_eq!(mapped(r"RULE:CN=(.).*/\$1-$12\//"), "$1-a2/");
        assert_eq!(mapped("DEFAULT"), "CN=a/b");
    }

    #[test]
    fn bad_rules_are_refused() {
        for bad in ["X", "RULE:a", "RULE:a/b", "RULE:(/b/", "RULE:a/b/X", "DEFAULTS"] {
            assert!(Mapping::parse(bad).is_err(), "{bad}");
        }
    }
}
