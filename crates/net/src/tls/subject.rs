//! The name in a certificate, as Java prints it.
//!
//! X.509 (RFC 5280 section 4.1): `Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version,
//! serialNumber, signature, issuer, validity, subject, … } … }`; a name is a sequence of sets of
//! attributes. Written as RFC 2253 says and as `X500Principal.getName()` does it: the last part
//! first, keywords for nine attribute types, all other types as a number with their value in hex.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
/// UTF8String, PrintableString, T61String, IA5String, GeneralString, UniversalString, BMPString.
const STRINGS: [u8; 7] = [0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1c, 0x1e];

const KEYWORDS: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// DER elements one after the other.
struct Elements<'a>(&'a [u8]);

/// One DER element.
struct Element<'a> {
    tag: u8,
    body: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Elements<'a> {
    fn next(&mut self) -> Option<Element<'a>> {
        let (tag, first) = (*self.0.first()?, *self.0.get(1)?);
        let (header, len) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x83 => {
                let count = usize::from(first & 0x7f);
                let digits = self.0.get(2..2 + count)?;
                (2 + count, digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)))
            }
            _ => return None,
        };
        let whole = self.0.get(..header + len)?;
        self.0 = &self.0[header + len..];
        Some(Element { tag, body: &whole[header..], whole })
    }

    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

/// The subject of a DER certificate; nothing if it is none.
pub fn subject(certificate: &[u8]) -> Option<String> {
    let certificate = Elements(certificate).expect(SEQUENCE)?;
    let mut fields = Elements(Elements(certificate.body).expect(SEQUENCE)?.body);
    // Certificates of version 1 begin with the serial number.
    let first = fields.next()?;
    if first.tag == VERSION {
        fields.next()?;
    }
    for _signature_issuer_validity in 0..3 {
        fields.expect(SEQUENCE)?;
    }
    name(fields.expect(SEQUENCE)?.body)
}

fn name(body: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut sets = Elements(body);
    while !sets.0.is_empty() {
        let mut attributes = Elements(sets.expect(SET)?.body);
        let mut joined = Vec::new();
        while !attributes.0.is_empty() {
            let mut attribute = Elements(attributes.expect(SEQUENCE)?.body);
            let kind = attribute.expect(OBJECT_IDENTIFIER)?;
            joined.push(attribute_text(kind.body, &attribute.next()?)?);
        }
        parts.push(joined.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute_text(kind: &[u8], value: &Element<'_>) -> Option<String> {
    let keyword = KEYWORDS.iter().find(|(number, _)| *number == kind).map(|(_, keyword)| *keyword);
    match keyword {
        Some(keyword) if STRINGS.contains(&value.tag) => {
            Some(format!("{keyword}={}", escaped(&String::from_utf8_lossy(value.body))))
        }
        _ => {
            let kind = match keyword {
                Some(keyword) => keyword.to_owned(),
                None => dotted(kind)?,
            };
            let hex: String = value.whole.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("{kind}=#{hex}"))
        }
    }
}

fn escaped(value: &str) -> String {
    let blank = |c: char| c == ' ' || c == '\r';
    let lead = value.len() - value.trim_start_matches(blank).len();
    let trail = value.trim_end_matches(blank).len();
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        match c {
            '\0' => text.push_str("\\00"),
            _ => {
                if ",=+<>#;\"\\".contains(c) || at < lead || at >= trail {
                    text.push('\\');
                }
                text.push(c);
            }
        }
    }
    text
}

/// An object identifier in decimal numbers.
fn dotted(kind: &[u8]) -> Option<String> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0u64;
    for byte in kind {
        number = number.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = *numbers.first()?;
    let root = (first / 40).min(2);
    let rest = numbers.iter().skip(1).map(u64::to_string);
    let text: Vec<_> = [root.to_string(), (first - root * 40).to_string()].into_iter().collect();
    Some(text.into_iter().chain(rest).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn subject_of(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        subject(certificate.der()).unwrap()
    }

    /// The expected texts are what Java 17 prints for the same certificates.
    #[test]
    fn names_are_printed_as_java_prints_them() {
        let parts = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example, Inc."),
            (DnType::OrganizationalUnitName, "a=b #1"),
            (DnType::CommonName, " client "),
        ];
        let expected = r"CN=\ client\ ,OU=a\=b \#1,O=Example\, Inc.,C=DE";
        assert_eq!(subject_of(&parts), expected);
        let mail = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
        let parts = [(DnType::CommonName, "Zoë"), (mail, "a@b.c")];
        assert_eq!(subject_of(&parts), "1.2.840.113549.1.9.1=#0c056140622e63,CN=Zoë");
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_name() {
        let certificate = CertificateParams::default();
        let certificate = certificate.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        for end in 0..200 {
            assert_eq!(subject(&der[..end]), None);
        }
        for at in 0..der.len() {
            let mut bent = der.to_vec();
            bent[at] ^= 0xff;
            // Anything but a panic.
            let _ = subject(&bent);
        }
    }
}
