//! The types of certificates, as genesis names them.

use certchain_config::{
    Genesis,
    catalogue::{FieldKind, SideChain},
};
use certchain_ledger::side_chains::CreationRecord;
use certchain_proto::wire::v1::{
    self, CertificateTypeDefinition, FieldDefinition, GetCatalogueRequest, GetCatalogueResponse,
};
use tonic::Status;

use super::Services;

/// The catalogue as messages name it.
pub(super) fn definitions(genesis: &Genesis) -> Vec<CertificateTypeDefinition> {
    let main = genesis.chain_id();
    let creation = CreationRecord::of_genesis(genesis);
    let definition = |entry: &certchain_config::catalogue::CertificateType| {
        let chain = entry.chain.name();
        let fields = entry.fields.iter().map(|field| FieldDefinition {
            name: field.name.to_string(),
            title: field.title.to_string(),
            kind: kind(field.kind).into(),
            max_bytes: field.max_bytes,
            required: field.required,
        });
        CertificateTypeDefinition {
            name: entry.name.to_string(),
            title: entry.title.to_string(),
            chain: chain.to_owned(),
            chain_id: creation.chain_id(&main, chain).as_bytes().to_vec(),
            validity_days: entry.validity_days.unwrap_or_default(),
            fields: fields.collect(),
        }
    };
    genesis.catalogue.iter().map(definition).collect()
}

const fn kind(kind: FieldKind) -> v1::FieldKind {
    match kind {
        FieldKind::Text => v1::FieldKind::Text,
        FieldKind::Date => v1::FieldKind::Date,
        FieldKind::Number => v1::FieldKind::Number,
        FieldKind::Address => v1::FieldKind::Address,
    }
}

pub(super) fn get_catalogue(
    services: &Services,
    request: &GetCatalogueRequest,
) -> Result<GetCatalogueResponse, Status> {
    let chain = request.chain.as_str();
    if !chain.is_empty() && !SideChain::ALL.iter().any(|side| side.name() == chain) {
        let known: Vec<&str> = SideChain::ALL.iter().map(|side| side.name()).collect();
        return Err(Status::not_found(format!(
            "there is no side chain of this name; there are {}",
            known.join(", ")
        )));
    }
    let asked = |entry: &&CertificateTypeDefinition| chain.is_empty() || entry.chain == chain;
    let catalogue = &services.certificates.catalogue;
    Ok(GetCatalogueResponse {
        types: catalogue.iter().filter(asked).cloned().collect(),
    })
}
