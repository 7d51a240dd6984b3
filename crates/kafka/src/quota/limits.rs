//! Which quota is in force for whom.

use std::collections::HashMap;

use super::Kind;
use super::entity::{Entity, Name};
use crate::metadata::image::Image;

/// Who shares one allowance: all of a user's clients, all with a client's id, or one client of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shared {
    user: String,
    client: String,
}

/// All quotas that were set.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    of: [HashMap<Entity, f64>; Kind::ALL.len()],
}

impl Limits {
    /// What the metadata say.
    pub fn of_image(image: &Image) -> Self {
        let mut limits = Self::default();
        for (path, overrides) in image.all_overrides() {
            let Some(entity) = Entity::parse(path) else { continue };
            for kind in Kind::ALL {
                let bound = overrides.values.get(kind.key()).and_then(|text| text.parse().ok());
                if let Some(bound) = bound {
                    limits.set(kind, entity.clone(), bound);
                }
            }
        }
        limits
    }

    /// Whether a change of this entity's configuration is one of quotas.
    pub fn concern(entity: &str) -> bool {
        Entity::parse(entity).is_some()
    }

    /// Sets one.
    pub fn set(&mut self, kind: Kind, entity: Entity, bound: f64) {
        self.of[kind as usize].insert(entity, bound);
    }

    /// Whether there is any of a kind.
    pub fn has(&self, kind: Kind) -> bool {
        !self.of[kind as usize].is_empty()
    }

    /// The quota of somebody, and who shares it. The first that was set decides, in Kafka's order:
    ///
    /// 1. the user's client, 2. other clients of the user, 3. the user, 4. such clients of other users,
    /// 5. other clients of other users, 6. other users, 7. the client, 8. other clients.
    ///
    /// A client without a name has no quotas by name: those of its user, else of other users, are in
    /// force where a user's other clients would be meant.
    pub fn find(&self, kind: Kind, user: &str, client: &str) -> Option<(Shared, f64)> {
        let of = &self.of[kind as usize];
        let named = |name: &str| Name::Of(name.to_owned());
        let both = Shared { user: user.to_owned(), client: client.to_owned() };
        let of_user = Shared { user: user.to_owned(), client: String::new() };
        let of_client = Shared { user: String::new(), client: client.to_owned() };
        let levels = [
            (Entity::UserClient(named(user), named(client)), &both),
            (Entity::UserClient(named(user), Name::Default), &both),
            (Entity::User(named(user)), &of_user),
            (Entity::UserClient(Name::Default, named(client)), &both),
            (Entity::UserClient(Name::Default, Name::Default), &both),
            (Entity::User(Name::Default), &of_user),
            (Entity::Client(named(client)), &of_client),
            (Entity::Client(Name::Default), &of_client),
        ];
        let at = levels.iter().position(|(entity, _)| of.contains_key(entity))?;
        let (entity, shared) = &levels[at];
        let bound = match (client.is_empty(), entity) {
            (true, Entity::UserClient(..)) => of.get(&levels[2].0).or_else(|| of.get(&levels[5].0)),
            (true, Entity::Client(_)) => None,
            _ => of.get(entity),
        };
        Some(((*shared).clone(), *bound?))
    }
}
