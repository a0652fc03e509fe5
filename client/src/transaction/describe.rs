//! Transactions in words, so that each signer sees what it signs.

use certchain_proto::{Address, wire::v1::transaction_body::Kind};

use crate::wallet::AccountKind;

/// The kind's name, as in the .proto files.
pub const fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::RegisterIdentity(_) => "register_identity",
        Kind::RotateKey(_) => "rotate_key",
        Kind::RecoverKey(_) => "recover_key",
        Kind::SuspendIdentity(_) => "suspend_identity",
        Kind::ReinstateIdentity(_) => "reinstate_identity",
        Kind::RevokeIdentity(_) => "revoke_identity",
        Kind::RestartNotice(_) => "restart_notice",
    }
}

/// Every field of a kind with its name and value for people: addresses as such, other bytes in
/// hexadecimal digits.
pub fn describe(kind: &Kind) -> Vec<(&'static str, String)> {
    match kind {
        Kind::RegisterIdentity(m) => vec![
            ("kind", account_kind(m.kind)),
            ("public_key", hex::encode(&m.public_key)),
            ("encryption_key", hex::encode(&m.encryption_key)),
            ("attribute_root", hex::encode(&m.attribute_root)),
            ("tag", hex::encode(&m.tag)),
            ("tag_key_version", m.tag_key_version.to_string()),
            ("agency", address(&m.agency)),
            ("registrar", address(&m.registrar)),
            ("organisation_code", m.organisation_code.clone()),
        ],
        Kind::RotateKey(m) => vec![
            ("address", address(&m.address)),
            ("public_key", hex::encode(&m.public_key)),
            ("encryption_key", hex::encode(&m.encryption_key)),
        ],
        Kind::RecoverKey(m) => vec![
            ("address", address(&m.address)),
            ("public_key", hex::encode(&m.public_key)),
            ("encryption_key", hex::encode(&m.encryption_key)),
            ("agency", address(&m.agency)),
            ("registrar", address(&m.registrar)),
        ],
        Kind::SuspendIdentity(m) => authority_act(&m.address, &m.authority, m.reason),
        Kind::ReinstateIdentity(m) => authority_act(&m.address, &m.authority, m.reason),
        Kind::RevokeIdentity(m) => vec![
            ("address", address(&m.address)),
            ("agency", address(&m.agency)),
            ("registrar", address(&m.registrar)),
            ("reason", m.reason.to_string()),
        ],
        Kind::RestartNotice(m) => vec![
            ("epoch", m.epoch.to_string()),
            ("validator", m.validator.to_string()),
            ("restart_nonce", hex::encode(&m.restart_nonce)),
        ],
    }
}

fn authority_act(subject: &[u8], authority: &[u8], reason: u32) -> Vec<(&'static str, String)> {
    vec![
        ("address", address(subject)),
        ("authority", address(authority)),
        ("reason", reason.to_string()),
    ]
}

fn address(bytes: &[u8]) -> String {
    Address::from_slice(bytes).map_or_else(|| hex::encode(bytes), |address| address.to_string())
}

fn account_kind(kind: i32) -> String {
    let known = kind.try_into().ok().and_then(AccountKind::from_wire);
    known.map_or_else(|| format!("unknown ({kind})"), |kind| kind.to_string())
}
