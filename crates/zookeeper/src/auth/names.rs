//! Which names a list may carry, by scheme.

/// `user:hash`. As Java splits: an empty end does not count.
pub(super) fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// A user, or a Kerberos principal: `name[/host]@REALM`.
pub(super) fn is_principal(id: &str) -> bool {
    match id.split_once('@') {
        None => true,
        Some((name, realm)) => !realm.contains(['/', '@']) && name.matches('/').count() <= 1,
    }
}

/// Attribute types that Java's `X500Principal` knows by name.
const KEYWORDS: [&str; 20] = [
    "CN",
    "C",
    "L",
    "S",
    "ST",
    "O",
    "OU",
    "T",
    "IP",
    "STREET",
    "DC",
    "DNQUALIFIER",
    "DNQ",
    "SURNAME",
    "GIVENNAME",
    "INITIALS",
    "GENERATION",
    "EMAILADDRESS",
    "UID",
    "SERIALNUMBER",
];

/// A subject as certificates have it: `type=value` with a known type or a number, separated by
/// commas, semicolons or plus signs; an empty one too.
pub(super) fn is_subject(id: &str) -> bool {
    let mut parts = vec![String::new()];
    let (mut quoted, mut chars) = (false, id.chars());
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            '\\' => match chars.next() {
                Some(escaped) => parts[last].extend(['\\', escaped]),
                None => return false,
            },
            '"' => quoted = !quoted,
            ',' | ';' | '+' if !quoted => parts.push(String::new()),
            c => parts[last].push(c),
        }
    }
    if quoted {
        return false;
    }
    id.trim().is_empty()
        || parts.iter().all(|part| match part.split_once('=') {
            Some((kind, _)) => is_attribute_type(kind.trim()),
            None => false,
        })
}

fn is_attribute_type(kind: &str) -> bool {
    let kind = kind.to_ascii_uppercase();
    let number = kind.strip_prefix("OID.").unwrap_or(&kind);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    KEYWORDS.contains(&kind.as_str()) || (number.contains('.') && number.split('.').all(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verdicts of ZooKeeper's providers under Java 17.
    #[test]
    fn names_are_judged_as_zookeeper_judges_them() {
        for (id, valid) in
            [("u:h", true), (":h", true), ("u:", false), ("u", false), ("a:b:c", false)]
        {
            assert_eq!(is_digest(id), valid, "{id}");
        }
        for (id, valid) in
            [("u", true), ("u/h@R", true), ("u@R", true), ("u@R@S", false), ("a/b/c@R", false)]
        {
            assert_eq!(is_principal(id), valid, "{id}");
        }
        for (id, valid) in [
            ("CN=x", true),
            ("cn=a", true),
            ("1.2.3=4", true),
            ("", true),
            ("x", false),
            ("CN", false),
            ("CN=a,b", false),
            ("FOO=x", false),
            (r"CN=a\,b,O=c", true),
            ("CN=\"a,b\"", true),
        ] {
            assert_eq!(is_subject(id), valid, "{id}");
        }
    }
}
