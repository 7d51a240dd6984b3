//! Texts inside of requests and znodes that somebody else wrote.

use std::collections::BTreeMap;

use polyport_base::NodeId;
use polyport_cluster::{Member, Members};
use polyport_tree::access::{is_ip_pattern, permits};
use polyport_tree::machine::{QuotaLimits, parse_limits};
use polyport_tree::{Acl, Id, Perms};
use polyport_zookeeper::auth::{DigestAlgorithm, Identities, digest_id};
use polyport_zookeeper::reconfig;
use polyport_zookeeper::sasl::{DigestMd5, Realm};
use polyport_zookeeper::server::word;

const NONCE: &str = "bm9uY2U=";

/// A client's answer to the challenge of SASL DIGEST-MD5; an odd first byte: its first token.
pub fn zk_sasl(bytes: &[u8]) {
    let Some((first, token)) = bytes.split_first() else { return };
    let users = BTreeMap::from([("bob".to_owned(), "builder".to_owned())]);
    let mut exchange = DigestMd5::new(Realm::zookeeper(), NONCE.to_owned());
    if first % 2 == 0 {
        assert!(exchange.step(b"", &users).is_ok_and(|step| step.user.is_none()));
    }
    if let Ok(step) = exchange.step(token, &users) {
        assert!(step.user.is_none_or(|user| users.contains_key(&user)));
    }
    // However it ended, it does not begin again.
    assert!(exchange.step(token, &users).is_err());
}

pub(crate) fn tokens() -> Vec<Vec<u8>> {
    // Computed once, for the nonce above.
    let token = "username=\"bob\",realm=\"zk-sasl-md5\",nonce=\"bm9uY2U=\",nc=00000001,\
        cnonce=\"c\\\"n\",qop=auth,digest-uri=\"zookeeper/zk-sasl-md5\",charset=utf-8,\
        response=0123456789abcdef0123456789abcdef";
    vec![[b"\0", token.as_bytes()].concat(), b"\x01".to_vec(), b"\0 , a = b ,".to_vec()]
}

/// The texts of a reconfig request, separated by NUL; a missing one is null. What is accepted can be
/// shown to clients and read back.
pub fn zk_reconfig(bytes: &[u8]) {
    let _ = reconfig::version(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = reconfig::member(text);
    let mut texts = text.split('\0').map(|text| Some(text).filter(|text| !text.is_empty()));
    let mut next = || texts.next().flatten();
    let current = Members::from([(NodeId(1), Member::voter("127.0.0.1:2888"))]);
    let (joining, leaving, new_members) = (next(), next(), next());
    let Ok(members) = reconfig::members(&current, joining, leaving, new_members) else { return };
    let _ = reconfig::check_numbers(&members);
    let shown = polyport_tree::replica::config_text(7, &members);
    assert_eq!(reconfig::version(&shown), Some(7));
    let Ok(shown) = String::from_utf8(shown) else { unreachable!("made of strings") };
    let again = reconfig::members(&current, None, None, Some(&shown));
    let ids = again.as_ref().map(|again| again.keys().collect::<Vec<_>>());
    assert_eq!(ids, Ok(members.keys().collect()), "{shown:?}");
}

pub(crate) fn reconfigs() -> Vec<Vec<u8>> {
    [
        "server.2=h2:2888:3888:participant;0.0.0.0:2181,server.3=[::1]:1:2:observer;3\x00001\0",
        "\0\0server.1=a:1:2;3\nserver.7=b:4:5|c:6:7:observer;[::]:8\nversion=1f",
        "h:1:2:observer;h:3",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What a znode says of quotas.
pub fn zk_quota(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let QuotaLimits { count, bytes, count_hard, bytes_hard } = parse_limits(&text);
    let again = format!(
        "count={count},bytes={bytes}=;byteHardLimit={bytes_hard};countHardLimit={count_hard}"
    );
    assert_eq!(parse_limits(&again), QuotaLimits { count, bytes, count_hard, bytes_hard });
}

pub(crate) fn quotas() -> Vec<Vec<u8>> {
    vec![b"count=5,bytes=-1=;byteHardLimit=10;countHardLimit=-1".to_vec(), b"count=x,=,".to_vec()]
}

/// Credentials, and names in lists: the first byte chooses the scheme. Who is on a list that was
/// accepted passes it.
pub fn zk_identity(bytes: &[u8]) {
    const SCHEMES: [&str; 7] = ["digest", "ip", "sasl", "x509", "world", "auth", "super"];
    let Some((first, bytes)) = bytes.split_first() else { return };
    let _ = digest_id(DigestAlgorithm::Sha256, bytes);
    let Ok(name) = std::str::from_utf8(bytes) else { return };
    let _ = is_ip_pattern(name);
    let scheme = SCHEMES[usize::from(*first) % SCHEMES.len()];
    let mut who = Identities::default();
    let _ = who.add(Id::new(scheme, name));
    let acl = vec![Acl { perms: Perms::READ, id: Id::new(scheme, name) }];
    if let Ok(acl) = who.resolve(acl) {
        let ids = who.borrowed();
        // An address with bits names a network, which nobody is.
        assert!(scheme == "ip" || ids.is_empty() || permits(&acl, Perms::READ, &ids), "{acl:?}");
        // An address may be matched against any accepted pattern.
        let _ = permits(&acl, Perms::READ, &[("ip", "192.0.2.7"), ("ip", "2001:db8::7")]);
    }
}

pub(crate) fn identities() -> Vec<Vec<u8>> {
    [
        "\0bob:builder",
        "\x0110.0.0.0/8",
        "\x012001:db8::/32",
        "\x02u/h@R",
        "\x03CN=\"a,b\",1.2=c\\,d",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// The first bytes of a connection: a word, or a frame's length.
pub fn zk_word(bytes: &[u8]) {
    if let Some(word) = word(bytes) {
        assert!(bytes.starts_with(word.as_bytes()) && word.len() == 4);
        // No frame that is taken is so long: a client's handshake is never a word.
        let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        assert!(length > 128 << 20);
    }
}

pub(crate) fn words() -> Vec<Vec<u8>> {
    ["ruok", "srvr\n", "stmk\0\0\0\0\0\0\0\x07", "\0\0\0\x2d"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}
