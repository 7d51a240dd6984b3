//! Who comes in, and what they may do.
//!
//! - [`principal`]: names of those who come. - [`acl`], [`access`]: what they may do.
//! - [`sasl`]: how they prove their names; [`mapping`]: how certificates name them.
//! - [`settings`]: what of this a broker's file asks for.

pub mod access;
pub mod acl;
pub mod mapping;
pub mod principal;
pub mod sasl;
pub mod settings;

pub use access::Access;
pub use principal::{Caller, Principal};
pub use settings::{Security, SecurityError};
