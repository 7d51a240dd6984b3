//! Quotas of users, clients and addresses; SCRAM credentials of users.

use bytes::Bytes;
use polyport_kafka_codec::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use polyport_kafka_codec::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use polyport_kafka_codec::messages::describe_client_quotas_request::ComponentData;
use polyport_kafka_codec::messages::describe_user_scram_credentials_request::UserName;
use polyport_kafka_codec::messages::{
    AlterClientQuotasRequest, AlterUserScramCredentialsRequest, DescribeClientQuotasRequest,
    DescribeUserScramCredentialsRequest,
};

use super::Admin;
use crate::kafka::client::sasl::salted_password_of;
use crate::kafka::client::{Call, ClientError, Result, To};

const RESOURCE_NOT_FOUND: i16 = 91;

/// Whose quotas: kinds (`user`, `client-id`, `ip`) and names; `None` is the default of the kind.
pub type QuotaEntity = Vec<(String, Option<String>)>;

/// Mechanisms and iterations of a user's SCRAM credentials.
pub type ScramInfos = Vec<(&'static str, i32)>;

/// Which quotas are asked for: of this name, of the default, or of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// Of the name.
    Name(String),
    /// Of the default.
    Default,
    /// Of any.
    Any,
}

/// A SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramMechanism {
    /// By its name.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "SCRAM-SHA-256" => Some(Self::Sha256),
            "SCRAM-SHA-512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }
}

impl Admin<'_> {
    /// Quotas of entities that have just these kinds.
    ///
    /// # Errors
    /// As the broker says.
    pub fn describe_quotas(
        &mut self,
        matches: &[(String, QuotaMatch)],
    ) -> Result<Vec<(QuotaEntity, Vec<(String, f64)>)>> {
        let call = Call::new(To::Any, "describeClientQuotas").within(self.timeout);
        let components: Vec<_> = matches
            .iter()
            .map(|(kind, wanted)| ComponentData {
                entity_type: kind.clone(),
                match_type: match wanted {
                    QuotaMatch::Name(_) => 0,
                    QuotaMatch::Default => 1,
                    QuotaMatch::Any => 2,
                },
                r#match: match wanted {
                    QuotaMatch::Name(name) => Some(name.clone()),
                    _ => None,
                },
            })
            .collect();
        let make = |_| DescribeClientQuotasRequest { components: components.clone(), strict: true };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, response.error_message)?;
        let entries = response.entries.unwrap_or_default().into_iter().map(|entry| {
            let entity = entry.entity.into_iter().map(|it| (it.entity_type, it.entity_name));
            let values = entry.values.into_iter().map(|it| (it.key, it.value));
            (entity.collect(), values.collect())
        });
        Ok(entries.collect())
    }

    /// Sets quotas, or takes those without a value away.
    ///
    /// # Errors
    /// As the broker says.
    pub fn alter_quotas(
        &mut self,
        entity: &QuotaEntity,
        changes: &[(String, Option<f64>)],
    ) -> Result<()> {
        let call = Call::new(To::Any, "alterClientQuotas").within(self.timeout);
        let entry = EntryData {
            entity: entity
                .iter()
                .map(|(kind, name)| EntityData {
                    entity_type: kind.clone(),
                    entity_name: name.clone(),
                })
                .collect(),
            ops: changes
                .iter()
                .map(|(key, value)| OpData {
                    key: key.clone(),
                    value: value.unwrap_or_default(),
                    remove: value.is_none(),
                })
                .collect(),
        };
        let make =
            |_| AlterClientQuotasRequest { entries: vec![entry.clone()], validate_only: false };
        let response = self.client.call(&call, make, |response| {
            response.entries.first().map_or(0, |entry| entry.error_code)
        })?;
        response
            .entries
            .into_iter()
            .try_for_each(|entry| ClientError::check(entry.error_code, entry.error_message))
    }

    /// The mechanisms and iterations of users' SCRAM credentials, of all users if none are named.
    /// A user without any is left out.
    ///
    /// # Errors
    /// As the broker says; a user has an error of its own.
    pub fn describe_scram(
        &mut self,
        users: &[String],
    ) -> Result<Vec<(String, Result<ScramInfos>)>> {
        let call = Call::new(To::Any, "describeUserScramCredentials").within(self.timeout);
        let make = |_| DescribeUserScramCredentialsRequest {
            users: match users {
                [] => None,
                users => Some(users.iter().map(|name| UserName { name: name.clone() }).collect()),
            },
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, response.error_message)?;
        let mut found = Vec::new();
        for result in response.results {
            if result.error_code == RESOURCE_NOT_FOUND {
                continue;
            }
            let infos = result.credential_infos.into_iter().filter_map(|info| {
                let mechanism = match info.mechanism {
                    1 => ScramMechanism::Sha256,
                    2 => ScramMechanism::Sha512,
                    _ => return None,
                };
                Some((mechanism.name(), info.iterations))
            });
            let infos = infos.collect();
            let checked = ClientError::check(result.error_code, result.error_message);
            found.push((result.user, checked.map(|()| infos)));
        }
        Ok(found)
    }

    /// Sets SCRAM credentials of a user from iterations and passwords, and deletes others.
    ///
    /// # Errors
    /// As the broker says.
    pub fn alter_scram(
        &mut self,
        user: &str,
        set: &[(ScramMechanism, i32, String)],
        delete: &[ScramMechanism],
    ) -> Result<()> {
        let mut upsertions = Vec::new();
        for (mechanism, iterations, password) in set {
            let mut salt = [0; 26];
            getrandom::fill(&mut salt).map_err(|error| {
                ClientError::Authentication(format!("no randomness for a salt: {error}"))
            })?;
            let rounds = iterations.unsigned_abs();
            let salted = salted_password_of(*mechanism, password.as_bytes(), &salt, rounds)?;
            upsertions.push(ScramCredentialUpsertion {
                name: user.to_owned(),
                mechanism: mechanism.code(),
                iterations: *iterations,
                salt: Bytes::copy_from_slice(&salt),
                salted_password: Bytes::from(salted),
            });
        }
        let deletions: Vec<_> = delete
            .iter()
            .map(|mechanism| ScramCredentialDeletion {
                name: user.to_owned(),
                mechanism: mechanism.code(),
            })
            .collect();
        let call = Call::new(To::Controller, "alterUserScramCredentials").within(self.timeout);
        let make = |_| AlterUserScramCredentialsRequest {
            deletions: deletions.clone(),
            upsertions: upsertions.clone(),
        };
        let response = self.client.call(&call, make, |response| {
            response.results.first().map_or(0, |result| result.error_code)
        })?;
        response
            .results
            .into_iter()
            .try_for_each(|result| ClientError::check(result.error_code, result.error_message))
    }
}
