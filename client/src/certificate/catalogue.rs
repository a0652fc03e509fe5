//! The catalogue as a node tells it. Who has the genesis takes it from there; a false one from a
//! node cannot make fields of a certificate fit that do not, since names and values are committed
//! to.

use certchain_config::{
    CertificateType, Field, FieldKind, Name, SideChain, Title,
    catalogue::{MAX_FIELD_BYTES, MAX_FIELDS, MAX_VALIDITY_DAYS},
};
use certchain_proto::{ChainId, wire::v1};

/// A part of a node's catalogue is not what a catalogue can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node's catalogue is wrong: {problem}; do not trust this node")]
pub struct CatalogueError {
    /// What is wrong.
    pub problem: &'static str,
}

/// A type with the id of the chain that keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownType {
    /// The type.
    pub certificate_type: CertificateType,
    /// Its chain's id, as the node says.
    pub chain: ChainId,
}

/// Reads one type of a node's catalogue.
///
/// # Errors
/// If a part of it is none that a catalogue can hold.
pub fn known_type(message: &v1::CertificateTypeDefinition) -> Result<KnownType, CatalogueError> {
    let wrong = |problem| CatalogueError { problem };
    let keeper = SideChain::ALL
        .into_iter()
        .find(|chain| chain.name() == message.chain)
        .ok_or_else(|| wrong("a type's chain is unknown to this release"))?;
    if !(1..=MAX_FIELDS).contains(&message.fields.len()) {
        return Err(wrong("a type has no field, or too many"));
    }
    if message.validity_days > MAX_VALIDITY_DAYS {
        return Err(wrong("a validity is too long"));
    }
    let mut fields: Vec<Field> = Vec::with_capacity(message.fields.len());
    for field in &message.fields {
        let field = known_field(field)?;
        if fields.iter().any(|other| other.name == field.name) {
            return Err(wrong("a field stands twice"));
        }
        fields.push(field);
    }
    Ok(KnownType {
        certificate_type: CertificateType {
            chain: keeper,
            name: Name::parse(&message.name).map_err(|_| wrong("a type's name is none"))?,
            title: Title::parse(&message.title).map_err(|_| wrong("a type's title is none"))?,
            validity_days: Some(message.validity_days).filter(|days| *days != 0),
            fields,
        },
        chain: ChainId::from_slice(&message.chain_id)
            .ok_or_else(|| wrong("a chain's id must have 32 bytes"))?,
    })
}

fn known_field(message: &v1::FieldDefinition) -> Result<Field, CatalogueError> {
    let wrong = |problem| CatalogueError { problem };
    let kind = match v1::FieldKind::try_from(message.kind) {
        Ok(v1::FieldKind::Text) => FieldKind::Text,
        Ok(v1::FieldKind::Date) => FieldKind::Date,
        Ok(v1::FieldKind::Number) => FieldKind::Number,
        Ok(v1::FieldKind::Address) => FieldKind::Address,
        Ok(v1::FieldKind::Unspecified) | Err(_) => {
            return Err(wrong("a field's kind is unknown to this release"));
        }
    };
    if !(1..=MAX_FIELD_BYTES).contains(&message.max_bytes) {
        return Err(wrong("a field's length is out of range"));
    }
    Ok(Field {
        name: Name::parse(&message.name).map_err(|_| wrong("a field's name is none"))?,
        title: Title::parse(&message.title).map_err(|_| wrong("a field's title is none"))?,
        kind,
        max_bytes: message.max_bytes,
        required: message.required,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn good() -> v1::CertificateTypeDefinition {
        v1::CertificateTypeDefinition {
            name: "degree".into(),
            title: "Degree".into(),
            chain: "degree".into(),
            chain_id: vec![5; 32],
            validity_days: 0,
            fields: vec![v1::FieldDefinition {
                name: "subject".into(),
                title: "Subject".into(),
                kind: v1::FieldKind::Text as i32,
                max_bytes: 128,
                required: true,
            }],
        }
    }

    #[test]
    fn types_come_over_as_they_are() {
        let known = known_type(&good()).unwrap();
        assert_eq!(known.chain, ChainId::from_bytes([5; 32]));
        assert_eq!(known.certificate_type.chain, SideChain::Degree);
        assert_eq!(known.certificate_type.validity_days, None);
        assert_eq!(known.certificate_type.fields[0].max_bytes, 128);
        let mut yearly = good();
        yearly.validity_days = 365;
        let yearly = known_type(&yearly).unwrap().certificate_type;
        assert_eq!(yearly.validity_days, Some(365));
    }

    #[test]
    fn what_no_catalogue_holds_is_refused() {
        type Change = fn(&mut v1::CertificateTypeDefinition);
        let changes: [Change; 11] = [
            |m| m.name = "Degree".into(),
            |m| m.title.clear(),
            |m| m.chain = "main".into(),
            |m| m.chain_id.truncate(31),
            |m| m.validity_days = u32::MAX,
            |m| m.fields.clear(),
            |m| m.fields = vec![m.fields[0].clone(); 2],
            |m| m.fields[0].kind = 0,
            |m| m.fields[0].kind = 99,
            |m| m.fields[0].max_bytes = 0,
            |m| m.fields[0].max_bytes = MAX_FIELD_BYTES + 1,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut bad = good();
            change(&mut bad);
            assert!(known_type(&bad).is_err(), "change {index}");
        }
    }
}
