//! Access control lists: who may do what to which resource, from where.
//!
//! - [`model`]: the words. - [`Rules`]: all lists, and what they say of a request: a pure machine.
//! - [`znode`]: where and how they are stored. - [`Lists`]: the rules kept up with the tree, and changed.

pub mod lists;
pub mod model;
pub mod rules;
pub mod znode;

pub use lists::{AclError, Lists};
pub use model::{Entry, EntryFilter, Operation, Pattern, PatternFilter, PatternKind};
pub use model::{Permission, ResourceKind};
pub use rules::{Policy, Request, Rules};
