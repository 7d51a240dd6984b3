//! The APIs and their versions.

mod api_key;

pub use api_key::ApiKey;

/// What the schemas say of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiInfo {
    /// Kafka's name of it.
    pub name: &'static str,
    /// The first version that can be read and written.
    pub first_version: i16,
    /// The last version that can be read and written.
    pub last_version: i16,
    /// The first version with short lengths and tagged fields, in headers too; `i16::MAX` if none is.
    pub first_flexible_version: i16,
}

const fn info(
    name: &'static str,
    first_version: i16,
    last_version: i16,
    first_flexible_version: i16,
) -> ApiInfo {
    ApiInfo { name, first_version, last_version, first_flexible_version }
}

impl ApiKey {
    /// Its number.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// Whether that version can be read and written.
    pub const fn has_version(self, version: i16) -> bool {
        let info = self.info();
        info.first_version <= version && version <= info.last_version
    }

    /// Whether that version has short lengths and tagged fields, in headers too.
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.info().first_flexible_version
    }
}
