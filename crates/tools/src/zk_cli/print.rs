//! How values are shown.

use polyport_tree::{Acl, Perms, Stat};

use crate::platform;

/// A stat, one field a line.
pub fn stat(stat: &Stat) -> String {
    format!(
        "cZxid = 0x{:x}\nctime = {}\nmZxid = 0x{:x}\nmtime = {}\npZxid = 0x{:x}\ncversion = {}\n\
         dataVersion = {}\naclVersion = {}\nephemeralOwner = 0x{:x}\ndataLength = {}\n\
         numChildren = {}",
        stat.czxid,
        platform::local_date(stat.ctime),
        stat.mzxid,
        platform::local_date(stat.mtime),
        stat.pzxid,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children
    )
}

/// A line of an access control list, as `getAcl` shows it.
pub fn acl(acl: &Acl) -> String {
    format!("'{},'{}\n: {}", acl.id.scheme, acl.id.id, perms(acl.perms))
}

const PERMS: [(char, Perms); 5] = [
    ('c', Perms::CREATE),
    ('d', Perms::DELETE),
    ('r', Perms::READ),
    ('w', Perms::WRITE),
    ('a', Perms::ADMIN),
];

fn perms(perms: Perms) -> String {
    PERMS.iter().filter(|(_, perm)| perms.intersects(*perm)).map(|(letter, _)| letter).collect()
}

/// The permission of a letter.
pub fn perm(letter: char) -> Option<Perms> {
    PERMS.iter().find(|(known, _)| *known == letter).map(|(_, perm)| *perm)
}

/// A list, as Java prints one.
pub fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// A hex dump of sixteen bytes a line with a frame; nothing for no bytes.
pub fn hex_dump(data: &[u8]) -> String {
    if data.is_empty() {
        return String::new();
    }
    let rule = "+--------+-------------------------------------------------+----------------+";
    let mut dump = String::from(
        "         +-------------------------------------------------+\n         \
         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n",
    );
    dump.push_str(rule);
    for (row, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let text: String = bytes
            .iter()
            .map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' })
            .collect();
        dump.push_str(&format!("\n|{:08x}|{hex:<48} |{text:<16}|", row * 16));
    }
    format!("{dump}\n{rule}")
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding.
pub fn base64(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            text.push(match place {
                place if place > chunk.len() => '=',
                place => char::from(BASE64[(bits >> (18 - 6 * place)) as usize & 63]),
            });
        }
    }
    text
}

/// Reads base64; padding may be left out.
///
/// # Errors
/// What is wrong with it.
pub fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) || body.len() % 4 == 1 {
        return Err("Input byte array has wrong 4-byte ending unit".to_owned());
    }
    let mut data = Vec::with_capacity(body.len() / 4 * 3 + 2);
    for chunk in body.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for byte in chunk {
            let value = BASE64
                .iter()
                .position(|known| known == byte)
                .ok_or_else(|| format!("Illegal base64 character {byte:x}"))?;
            bits = bits << 6 | value as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        data.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use polyport_tree::Id;

    use super::*;

    #[test]
    fn base64_goes_there_and_back() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (data, text) in cases {
            assert_eq!(base64(data.as_bytes()), text);
            assert_eq!(from_base64(text).unwrap(), data.as_bytes());
        }
        assert_eq!(base64(&[0xff, 0xfe]), "//4=");
        assert_eq!(from_base64("Zm8").unwrap(), b"fo");
        for bad in ["Z", "Zg=", "Zm9v=", "Z*9v", "Zg==="] {
            assert!(from_base64(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hex_dump_has_sixteen_bytes_a_line() {
        let dump = hex_dump(b"0123456789abcdef\n");
        let lines: Vec<_> = dump.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[3],
            "|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|"
        );
        assert_eq!(
            lines[4],
            "|00000010| 0a                                              |.               |"
        );
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn acls_print_scheme_id_and_permissions_in_order() {
        let entry = Acl { perms: Perms::ALL, id: Id::anyone() };
        assert_eq!(acl(&entry), "'world,'anyone\n: cdrwa");
        let entry = Acl { perms: Perms::READ | Perms::ADMIN, id: Id::new("ip", "10.0.0.1") };
        assert_eq!(acl(&entry), "'ip,'10.0.0.1\n: ra");
    }
}
