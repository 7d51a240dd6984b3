//! DescribeClientQuotas and AlterClientQuotas.

use std::collections::BTreeSet;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, alter_client_quotas_request as asked,
    alter_client_quotas_response as altered, describe_client_quotas_response as described,
};

use crate::quota::change::{self, Filter, QuotaError};
use crate::quota::entity::Entity;
use crate::quota::limits::Limits;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers DescribeClientQuotas.
pub(in crate::server) async fn describe(
    call: &Call,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    if let Err(code) = call.cluster(Operation::DescribeConfigs) {
        return DescribeClientQuotasResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            entries: None,
            ..Default::default()
        };
    }
    let components = request.components.into_iter();
    let components = components.map(|of| (of.entity_type, of.match_type, of.r#match)).collect();
    let filter = match Filter::new(components, request.strict) {
        Ok(filter) => filter,
        Err(error) => {
            return DescribeClientQuotasResponse {
                error_code: error.code().code(),
                error_message: Some(error.to_string()),
                entries: None,
                ..Default::default()
            };
        }
    };
    let found = filter.find(&call.broker.images.current());
    let entries = found.into_iter().map(|(entity, values)| described::EntryData {
        entity: entity
            .parts()
            .into_iter()
            .map(|(kind, name)| described::EntityData {
                entity_type: kind.to_owned(),
                entity_name: name.as_option().map(str::to_owned),
            })
            .collect(),
        values: values
            .into_iter()
            .map(|(key, value)| described::ValueData { key: key.to_owned(), value })
            .collect(),
    });
    DescribeClientQuotasResponse {
        error_message: None,
        entries: Some(entries.collect()),
        ..Default::default()
    }
}

/// Answers AlterClientQuotas.
pub(in crate::server) async fn alter(
    call: &Call,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let mut seen = BTreeSet::new();
    let mut entries = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        let entity = entry.entity.iter().map(|part| altered::EntityData {
            entity_type: part.entity_type.clone(),
            entity_name: part.entity_name.clone(),
        });
        let entity = entity.collect();
        let (error_code, error_message) =
            match alter_one(call, entry, &mut seen, request.validate_only).await {
                Ok(()) => (ErrorCode::None, None),
                Err((code, text)) => (code, Some(text)),
            };
        entries.push(altered::EntryData { error_code: error_code.code(), error_message, entity });
    }
    AlterClientQuotasResponse { entries, ..Default::default() }
}

async fn alter_one(
    call: &Call,
    entry: asked::EntryData,
    seen: &mut BTreeSet<Entity>,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    call.cluster(Operation::AlterConfigs).map_err(|code| (code, code.message().to_owned()))?;
    let refused = |error: QuotaError| (error.code(), error.to_string());
    let parts = entry.entity.into_iter().map(|part| (part.entity_type, part.entity_name));
    let entity = change::entity(parts.collect()).map_err(refused)?;
    if !seen.insert(entity.clone()) {
        let text = "Ignoring duplicate entity";
        return Err((ErrorCode::InvalidRequest, text.to_owned()));
    }
    let ops = entry.ops.into_iter().map(|op| (op.key, (!op.remove).then_some(op.value)));
    let values = change::values(&entity, ops.collect()).map_err(refused)?;
    // A host's name is looked up, which may take its time.
    let path = entity.path();
    let checked = tokio::task::spawn_blocking(move || change::check_address(&entity)).await;
    checked.unwrap_or(Ok(())).map_err(refused)?;
    let altered = call.broker.alterations.entity(&path, &values, validate_only).await;
    let zxid = altered.map_err(|error| (error.code(), error.to_string()))?;
    // In force here before the answer says so.
    let image = call.broker.images.at(zxid).await;
    call.broker.quotas.set_limits(Limits::of_image(&image));
    Ok(())
}
