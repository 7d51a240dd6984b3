//! Reading values, with Kafka's words for what is wrong.

use super::define::{Check, Definition, Kind};

/// A list's items: between commas, without the blanks around them.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Checks a value.
///
/// # Errors
/// Why it cannot be, as Kafka says it.
pub fn check(definition: &Definition, text: &str) -> Result<(), String> {
    let name = definition.name;
    let invalid = |why: &str| Err(format!("Invalid value {text} for configuration {name}: {why}"));
    let trimmed = text.trim();
    let typed = match definition.kind {
        Kind::Boolean => {
            trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false")
        }
        Kind::Short => trimmed.parse::<i16>().is_ok(),
        Kind::Int => trimmed.parse::<i32>().is_ok(),
        Kind::Long => trimmed.parse::<i64>().is_ok(),
        Kind::Double => trimmed.parse::<f64>().is_ok_and(f64::is_finite),
        Kind::String | Kind::List | Kind::Class | Kind::Password => true,
    };
    if !typed {
        return match definition.kind {
            Kind::Boolean => invalid("Expected value to be either true or false"),
            Kind::Short => invalid("Not a number of type SHORT"),
            Kind::Int => invalid("Not a number of type INT"),
            Kind::Long => invalid("Not a number of type LONG"),
            _ => invalid("Not a number of type DOUBLE"),
        };
    }
    match definition.check {
        Check::Any => Ok(()),
        Check::AtLeast(least) => match trimmed.parse::<i64>() {
            Ok(number) if number < least => invalid(&format!("Value must be at least {least}")),
            _ => Ok(()),
        },
        Check::Between(least, most) => match trimmed.parse::<i64>() {
            Ok(number) if number < least => invalid(&format!("Value must be at least {least}")),
            Ok(number) if number > most => invalid(&format!("Value must be no more than {most}")),
            _ => Ok(()),
        },
        Check::Fraction(least, most) => match trimmed.parse::<f64>() {
            Ok(number) if number < least => invalid(&format!("Value must be at least {least}")),
            Ok(number) if number > most => invalid(&format!("Value must be no more than {most}")),
            _ => Ok(()),
        },
        Check::OneOf(allowed) => {
            let list = definition.kind == Kind::List;
            let mut found = if list { items(text).collect() } else { vec![trimmed] }.into_iter();
            match found.find(|item| !allowed.contains(item)) {
                Some(other) => Err(format!(
                    "Invalid value {other} for configuration {name}: String must be one of: {}",
                    allowed.join(", ")
                )),
                None => Ok(()),
            }
        }
        Check::ThrottledReplicas => {
            let number = |text: &str| text.parse::<u32>().is_ok();
            let pair = |item: &str| {
                item.split_once(':').is_some_and(|(a, b)| number(a.trim()) && number(b.trim()))
            };
            match trimmed == "*" || items(text).all(pair) {
                true => Ok(()),
                false => invalid(&format!(
                    "{name} must be the literal '*' or a list of replicas in the following \
                     format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::define::key;
    use super::*;

    fn why(definition: Definition, text: &str) -> String {
        check(&definition, text).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_in_kafkas_words() {
        let long = key("retention.ms", Kind::Long, "1", "").check(Check::AtLeast(-1));
        assert_eq!(
            why(long, "abc"),
            "Invalid value abc for configuration retention.ms: Not a number of type LONG"
        );
        assert_eq!(
            why(long, "-2"),
            "Invalid value -2 for configuration retention.ms: Value must be at least -1"
        );
        let policies = Check::OneOf(&["compact", "delete"]);
        let list = key("cleanup.policy", Kind::List, "delete", "").check(policies);
        assert_eq!(check(&list, "compact, delete"), Ok(()));
        assert_eq!(
            why(list, "delete,keep"),
            "Invalid value keep for configuration cleanup.policy: String must be one of: compact, delete"
        );
        let flag = key("preallocate", Kind::Boolean, "false", "");
        assert_eq!(check(&flag, "TRUE"), Ok(()));
        assert!(why(flag, "1").ends_with("Expected value to be either true or false"));
        let level = key("l", Kind::Int, "3", "").check(Check::Between(1, 17));
        assert!(why(level, "18").ends_with("Value must be no more than 17"));
        let ratio = key("r", Kind::Double, "0.5", "").check(Check::Fraction(0.0, 1.0));
        assert!(why(ratio, "1.5").ends_with("Value must be no more than 1"));
        assert!(check(&ratio, "NaN").is_err());
        let throttled = key("t", Kind::List, "", "").check(Check::ThrottledReplicas);
        assert!(["*", "", "0:1, 2:3"].iter().all(|good| check(&throttled, good).is_ok()));
        assert!(["0", "a:b", "*,0:1"].iter().all(|bad| check(&throttled, bad).is_err()));
    }
}
