//! DescribeUserScramCredentials and AlterUserScramCredentials.

use std::collections::{BTreeMap, BTreeSet};

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use polyport_kafka_codec::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use polyport_kafka_codec::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
};

use crate::metadata::image::Image;
use crate::metadata::znode::desanitize;
use crate::security::acl::Operation;
use crate::security::sasl::scram::{MAX_ITERATIONS, MIN_ITERATIONS, user_entity};
use crate::security::sasl::{Credential, Hash};
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers DescribeUserScramCredentials.
pub(in crate::server) async fn describe(
    call: &Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    if let Err(code) = call.cluster(Operation::Describe) {
        return DescribeUserScramCredentialsResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        };
    }
    let image = call.broker.images.fresh().await;
    let named: Vec<String> =
        request.users.unwrap_or_default().into_iter().map(|user| user.name).collect();
    let mut results = Vec::new();
    if named.is_empty() {
        let all = image.all_overrides().filter_map(|(entity, _)| {
            let name = entity.strip_prefix("users/")?;
            desanitize(name).filter(|_| !name.contains('/'))
        });
        let all: BTreeSet<String> = all.collect();
        results.extend(all.into_iter().map(|user| described(&image, user)));
        results.retain(|result| !result.credential_infos.is_empty());
    } else {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<&String> = named.iter().filter(|name| !seen.insert(*name)).collect();
        for user in &seen {
            let failed = |code: ErrorCode, text: String| DescribeUserScramCredentialsResult {
                user: (*user).clone(),
                error_code: code.code(),
                error_message: Some(text),
                ..Default::default()
            };
            let result = described(&image, (*user).clone());
            results.push(if twice.contains(user) {
                let text = format!(
                    "Cannot describe SCRAM credentials for the same user twice in a single request: \
                     {user}"
                );
                failed(ErrorCode::DuplicateResource, text)
            } else if result.credential_infos.is_empty() {
                let text =
                    format!("Attempt to describe a user credential that does not exist: {user}");
                failed(ErrorCode::ResourceNotFound, text)
            } else {
                result
            });
        }
    }
    DescribeUserScramCredentialsResponse { results, ..Default::default() }
}

fn described(image: &Image, user: String) -> DescribeUserScramCredentialsResult {
    let info = |hash| {
        let credential = Credential::find(image, hash, &user)?;
        Some(CredentialInfo { mechanism: hash as i8, iterations: credential.iterations })
    };
    let credential_infos = Hash::ALL.into_iter().filter_map(info).collect();
    DescribeUserScramCredentialsResult { user, credential_infos, ..Default::default() }
}

type Refused = (ErrorCode, &'static str);
/// Credentials by the names of their mechanisms; nothing for one that goes.
type Wanted = BTreeMap<String, Option<String>>;

/// Answers AlterUserScramCredentials: all that is asked for a user is done, or nothing.
pub(in crate::server) async fn alter(
    call: &Call,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let mut users: BTreeMap<String, Result<Wanted, Refused>> = BTreeMap::new();
    let image = call.broker.images.fresh().await;
    let mut want = |user: String, step: Result<(Hash, Option<String>), Refused>| {
        let wanted = users.entry(user).or_insert_with(|| Ok(Wanted::new()));
        match (wanted, step) {
            (Err(_), _) => {}
            (wanted, Err(refused)) => *wanted = Err(refused),
            (slot, Ok((hash, value))) => {
                let twice = slot.as_mut().is_ok_and(|wanted| {
                    wanted.insert(hash.mechanism().to_owned(), value).is_some()
                });
                if twice {
                    *slot = Err((
                        ErrorCode::DuplicateResource,
                        "A user credential cannot be altered twice in the same request",
                    ));
                }
            }
        }
    };
    for gone in request.deletions {
        let step = checked(&gone.name, gone.mechanism).and_then(|hash| {
            let known = Credential::find(&image, hash, &gone.name).is_some();
            let text = "Attempt to delete a user credential that does not exist";
            known.then_some((hash, None)).ok_or((ErrorCode::ResourceNotFound, text))
        });
        want(gone.name, step);
    }
    for new in request.upsertions {
        let step = checked(&new.name, new.mechanism).and_then(|hash| {
            let unfit = |text| Err((ErrorCode::UnacceptableCredential, text));
            match new.iterations {
                ..MIN_ITERATIONS => return unfit("Too few iterations"),
                few if few > MAX_ITERATIONS => return unfit("Too many iterations"),
                _ => {}
            }
            let credential = Credential::new(hash, &new.salt, &new.salted_password, new.iterations);
            Ok((hash, Some(credential.to_text())))
        });
        want(new.name, step);
    }
    let may = call.cluster(Operation::Alter);
    let mut results = Vec::with_capacity(users.len());
    for (user, wanted) in users {
        let done = match (may, wanted) {
            (Err(code), _) => Err((code, code.message().to_owned())),
            (Ok(()), Err((code, text))) => Err((code, text.to_owned())),
            (Ok(()), Ok(wanted)) => store(call, &user, &wanted).await,
        };
        let (code, error_message) = match done {
            Ok(()) => (ErrorCode::None, None),
            Err((code, text)) => (code, Some(text)),
        };
        let error_code = code.code();
        results.push(AlterUserScramCredentialsResult { user, error_code, error_message });
    }
    AlterUserScramCredentialsResponse { results, ..Default::default() }
}

fn checked(user: &str, mechanism: i8) -> Result<Hash, Refused> {
    if user.is_empty() {
        return Err((ErrorCode::UnacceptableCredential, "Username must not be empty"));
    }
    Hash::numbered(mechanism)
        .ok_or((ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism"))
}

async fn store(call: &Call, user: &str, wanted: &Wanted) -> Result<(), (ErrorCode, String)> {
    let broker = &call.broker;
    let stored = broker.alterations.entity(&user_entity(user), wanted, false).await;
    let zxid = stored.map_err(|error| (error.code(), error.to_string()))?;
    // Whoever comes here next is known, or not any more.
    broker.images.at(zxid).await;
    Ok(())
}
