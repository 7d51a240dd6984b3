//! One place for a key's name, type, default and documentation: `polyport.toml`, the reference
//! page and rustdoc cannot drift apart.

/// A documented key of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What it does, its unit and its source, one line an item.
    pub about: &'static [&'static str],
    /// A value to show where the default is to leave the key out.
    pub example: Option<&'static str>,
}

/// Defines a section: a struct whose fields are its keys, each with a default. A macro, because
/// a function can neither define fields nor read their documentation.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $ty:ty = $default:expr
            $(, example $example:literal)?;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $ty,)+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            pub(crate) const ABOUT: &'static [&'static str] = &[$($about),+];
            pub(crate) const KEYS: &'static [$crate::section::Key] = &[$($crate::section::Key {
                name: stringify!($field),
                about: &[$($doc),+],
                example: { let examples: &[&'static str] = &[$($example)?]; examples.first().copied() },
            }),+];
        }
    };
}

pub(crate) use section;
