//! Who a client is: the schemes by which it proves an identity, and the lists it may write.

use std::net::IpAddr;

use base64::Engine;
use polyport_tree::access::is_ip_pattern;
use polyport_tree::{Acl, Id, Perms, TreeError};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use sha3::Sha3_256;

mod names;

/// The hash of the digest scheme: `DigestAuthenticationProvider.digestAlg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// ZooKeeper's default.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA3-256.
    Sha3_256,
}

/// The name of a digest user: `user:base64(hash(credentials))`, where the user ends at the first
/// colon of the credentials, `user:password`.
pub fn digest_id(algorithm: DigestAlgorithm, credentials: &[u8]) -> String {
    // As Java does: what is no UTF-8 becomes a replacement character.
    let credentials = String::from_utf8_lossy(credentials);
    let user = credentials.split(':').next().unwrap_or_default();
    let bytes = credentials.as_bytes();
    let hash = match algorithm {
        DigestAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
        DigestAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
        DigestAlgorithm::Sha512 => Sha512::digest(bytes).to_vec(),
        DigestAlgorithm::Sha3_256 => Sha3_256::digest(bytes).to_vec(),
    };
    format!("{user}:{}", base64::engine::general_purpose::STANDARD.encode(hash))
}

/// Most identities of one connection: as many as a batch of the log can name.
pub const MAX_IDENTITIES: usize = 255;
/// Most bytes of all identities of one connection. They go with its writes, and an `auth` entry of a
/// list stands for all of them.
pub const MAX_IDENTITY_BYTES: usize = 64 << 10;

/// A connection has proved to be too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_IDENTITIES} identities or {MAX_IDENTITY_BYTES} bytes of them")]
pub struct TooMany;

/// The identities of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    ids: Vec<Id>,
    /// The operator has switched access control off.
    skip_acl: bool,
    /// The operator has switched the digest scheme off.
    no_digest: bool,
}

impl Identities {
    /// Of a client at this address. `skip_acl`: whether access control is switched off.
    pub fn at(address: IpAddr, skip_acl: bool) -> Self {
        let ids = vec![Id::new("ip", address.to_canonical().to_string())];
        Self { ids, skip_acl, no_digest: false }
    }

    /// Lists may not name the digest scheme.
    pub fn without_digest(mut self) -> Self {
        self.no_digest = true;
        self
    }

    /// Adds one, unless it is there.
    ///
    /// # Errors
    /// If there are too many of them already.
    pub fn add(&mut self, id: Id) -> Result<(), TooMany> {
        if self.ids.contains(&id) {
            return Ok(());
        }
        let size = |id: &Id| id.scheme.len() + id.id.len();
        let bytes: usize = self.ids.iter().map(size).sum();
        if self.ids.len() >= MAX_IDENTITIES || bytes + size(&id) > MAX_IDENTITY_BYTES {
            return Err(TooMany);
        }
        self.ids.push(id);
        Ok(())
    }

    /// All of them.
    pub fn ids(&self) -> &[Id] {
        &self.ids
    }

    /// All of them, borrowed.
    pub fn borrowed(&self) -> Vec<(&str, &str)> {
        self.ids.iter().map(|id| (id.scheme.as_str(), id.id.as_str())).collect()
    }

    /// Whether no list binds it.
    pub fn bypass(&self) -> bool {
        self.skip_acl || self.is_super()
    }

    /// Whether this is the super user.
    pub fn is_super(&self) -> bool {
        self.ids.iter().any(|id| id.scheme == "super")
    }

    /// A list as it is stored: `auth` replaced by who the client is, duplicates dropped, every id
    /// checked by its scheme.
    ///
    /// # Errors
    /// `InvalidAcl` if the list is empty, names an unknown scheme or a malformed id, or says `auth`
    /// when the client has proved nothing.
    pub fn resolve(&self, asked: Vec<Acl>) -> Result<Vec<Acl>, TreeError> {
        let mut acl: Vec<Acl> = Vec::with_capacity(asked.len());
        let mut add = |entry: Acl| {
            if !acl.contains(&entry) {
                acl.push(entry);
            }
        };
        for Acl { perms, id } in asked {
            if perms.0 & !Perms::ALL.0 != 0 {
                return Err(TreeError::InvalidAcl);
            }
            match id.scheme.as_str() {
                "world" if id.id == "anyone" => add(Acl { perms, id }),
                "ip" if is_ip_pattern(&id.id) => add(Acl { perms, id }),
                "digest" if !self.no_digest && names::is_digest(&id.id) => add(Acl { perms, id }),
                "sasl" if names::is_principal(&id.id) => add(Acl { perms, id }),
                "x509" if names::is_subject(&id.id) => add(Acl { perms, id }),
                "auth" => {
                    let proved = self.ids.iter().filter(|id| proves(&id.scheme));
                    let before = proved.clone().count();
                    if before == 0 {
                        return Err(TreeError::InvalidAcl);
                    }
                    proved.for_each(|id| add(Acl { perms, id: id.clone() }));
                }
                _ => return Err(TreeError::InvalidAcl),
            }
        }
        if acl.is_empty() || acl.len() > polyport_tree::command::MAX_ACL {
            return Err(TreeError::InvalidAcl);
        }
        Ok(acl)
    }
}

/// Whether having an id of the scheme means that something was proved.
fn proves(scheme: &str) -> bool {
    matches!(scheme, "digest" | "sasl" | "x509")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_zookeepers() {
        // The example of ZooKeeper's administrator's guide.
        let sha1 = digest_id(DigestAlgorithm::Sha1, b"super:admin");
        assert_eq!(sha1, "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
        // `printf super:admin | openssl dgst -binary -sha256 | base64`, and so on.
        for (algorithm, hash) in [
            (DigestAlgorithm::Sha256, "wtZw1Um4mq1rRKbXqxHs8ueodBP35/JhtBP/nwJ62WY="),
            (
                DigestAlgorithm::Sha512,
                "ICbpgQLY7IUUeqcBGefDeb/WOl1Du5KoY5RX0+hDpW6UmhIeG6yfXhhCfQJHZChZeBdvUBXNvoumekY+NNKIPg==",
            ),
            (DigestAlgorithm::Sha3_256, "n/RvsobH/8zZOcOjetd7nUc1fh+dZeopA1uboPolGDE="),
        ] {
            assert_eq!(digest_id(algorithm, b"super:admin"), format!("super:{hash}"));
        }
        assert!(digest_id(DigestAlgorithm::Sha1, b"nobody").starts_with("nobody:"));
    }

    #[test]
    fn auth_stands_for_who_the_client_is() {
        let mut who = Identities::at([127, 0, 0, 1].into(), false);
        let auth = vec![Acl { perms: Perms::READ, id: Id::new("auth", "") }];
        assert_eq!(who.resolve(auth.clone()), Err(TreeError::InvalidAcl));
        who.add(Id::new("digest", "u:h")).unwrap();
        let resolved = who.resolve(auth).unwrap();
        assert_eq!(resolved, [Acl { perms: Perms::READ, id: Id::new("digest", "u:h") }]);
        for (scheme, id) in [("digest", "u"), ("ip", "x"), ("world", "me"), ("what", "x")] {
            let acl = vec![Acl { perms: Perms::ALL, id: Id::new(scheme, id) }];
            assert_eq!(who.resolve(acl), Err(TreeError::InvalidAcl), "{scheme}:{id}");
        }
        assert_eq!(who.resolve(Vec::new()), Err(TreeError::InvalidAcl));
    }
}
