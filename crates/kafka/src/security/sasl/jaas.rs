//! Lines of `sasl.jaas.config`: `module.Class required key="value" … ;`.

use std::collections::BTreeMap;

/// A login module with its options.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The module's class.
    pub module: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, {} options)", self.module, self.options.len())
    }
}

/// Words, each with whether it was quoted; signs stand alone.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '=' | ';' => words.push(c.to_string()),
            '"' | '\'' => {
                // Marked, so that a quoted sign is no sign.
                let mut word = String::from("\"");
                loop {
                    match chars.next().ok_or("a quote is not closed")? {
                        '\\' => word.extend(chars.next()),
                        end if end == c => break,
                        other => word.push(other),
                    }
                }
                words.push(word);
            }
            c => {
                let mut word = String::from(c);
                while let Some(next) =
                    chars.next_if(|c| !c.is_whitespace() && !"=;\"'".contains(*c))
                {
                    word.push(next);
                }
                words.push(word);
            }
        }
    }
    Ok(words)
}

/// Reads one login module.
///
/// # Errors
/// What is wrong with the line.
pub fn parse(text: &str) -> Result<Login, String> {
    let words = words(text)?;
    let mut words = words.iter().map(String::as_str);
    let module = words.next().ok_or("it is empty")?;
    let module = module.trim_start_matches('"').to_owned();
    let flag = words.next().unwrap_or_default();
    let flags = ["required", "requisite", "sufficient", "optional"];
    if !flags.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
        return Err(format!("after the module comes {}, not `{flag}`", flags.join(", ")));
    }
    let mut options = BTreeMap::new();
    loop {
        let key = words.next().ok_or("it does not end with ;")?;
        if key == ";" {
            break;
        }
        let (equals, value) = (words.next(), words.next());
        let (Some("="), Some(value)) = (equals, value) else {
            return Err(format!("no value for {key}"));
        };
        if value == ";" || value == "=" {
            return Err(format!("no value for {key}"));
        }
        let value = value.strip_prefix('"').unwrap_or(value);
        options.insert(key.to_owned(), value.to_owned());
    }
    match words.next() {
        None => Ok(Login { module, options }),
        Some(_) => Err("it names more than one login module".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_java_reads_it() {
        let text = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                    username=\"admin\" password='a b;=' user_alice=\"al\\\"ice\"\n user_bob=b ;";
        let login = parse(text).unwrap();
        assert!(login.module.ends_with("PlainLoginModule"));
        let options: Vec<_> = login.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let wanted = ["password=a b;=", "user_alice=al\"ice", "user_bob=b", "username=admin"];
        assert_eq!(options, wanted);
        assert!(!format!("{login:?}").contains("al\"ice"));
    }

    #[test]
    fn what_is_no_line_says_why() {
        let bad = [
            ("", "empty"),
            ("m", "after the module"),
            ("m required", "does not end"),
            ("m required a=;", "no value for a"),
            ("m required a \"b\";", "no value for a"),
            ("m required a=\"b;", "not closed"),
            ("m required; n required;", "more than one"),
        ];
        for (text, wanted) in bad {
            let said = parse(text).unwrap_err();
            assert!(said.contains(wanted), "{text}: {said}");
        }
    }
}
