//! What parties wish, as messages.

use certchain_config::catalogue::SideChain;
use certchain_proto::{
    hash::CertificateId,
    wire::v1::{
        AcceptCertificate, CertificateDraft, ContentReference, DeclineCertificate, EncryptedFields,
        IssueBatch, IssueCertificate, RevokeCertificate, encrypted_fields::Content,
        transaction_body::Kind,
    },
};

use super::world::{Who, bytes, encryption_key, raw, type_name};

/// With the holders' consent if the draft's type needs it.
pub(super) fn issue(issuer: Who, draft: CertificateDraft) -> Kind {
    Kind::IssueCertificate(IssueCertificate {
        issuer: raw(issuer),
        holders_sign: draft.r#type == type_name(SideChain::Marriage),
        certificate: Some(draft),
    })
}

pub(super) fn batch(issuer: Who, certificates: Vec<CertificateDraft>) -> Kind {
    Kind::IssueBatch(IssueBatch {
        issuer: raw(issuer),
        certificates,
    })
}

pub(super) fn accept(id: &CertificateId, holder: Who) -> Kind {
    Kind::AcceptCertificate(AcceptCertificate {
        certificate: id.as_bytes().to_vec(),
        holder: raw(holder),
    })
}

pub(super) fn decline(id: &CertificateId, holder: Who) -> Kind {
    Kind::DeclineCertificate(DeclineCertificate {
        certificate: id.as_bytes().to_vec(),
        holder: raw(holder),
        reason: 4,
    })
}

pub(super) fn revoke(id: &CertificateId, authority: Who) -> Kind {
    Kind::RevokeCertificate(RevokeCertificate {
        certificate: id.as_bytes().to_vec(),
        authority: raw(authority),
        reason: 5,
    })
}

pub(super) fn reference(size: u64) -> Content {
    Content::Reference(ContentReference {
        hash: bytes("content", 0).to_vec(),
        size,
        media_type: "application/octet-stream".to_owned(),
        location: String::new(),
    })
}

pub(super) fn encrypted(to: Who) -> EncryptedFields {
    EncryptedFields {
        recipient_key: encryption_key(to).to_vec(),
        encapsulated_key: bytes("encapsulated", 0).to_vec(),
        content: Some(Content::Ciphertext(vec![7; 100])),
    }
}
