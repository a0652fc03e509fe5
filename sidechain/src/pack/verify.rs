//! Verification of a pack: from what the verifier trusts down to the certificate.

use certchain_ledger::{
    evidence::{EvidenceError, SealedHeader, ValidatorSets, VerifiedHeader},
    identity::{IdentityRecord, IdentityStatus, keys as main_keys},
    side_chains::{self, AnchorRecord, FreezeRecord, SideChainRecord},
    state::StateKey,
};
use certchain_proto::{
    Address, ChainId, Height, TimeMs, ValidatorSet,
    block::Checkpoint,
    certificate::Ed25519Verifier,
    hash::{BlockId, CertificateId, StateRoot, ValueHash},
};

use super::{Leaf, MainLink, Pack, PackError, read_record};
use crate::certificate::{CertificateRecord, CertificateStatus, CheckResult, keys};

/// What a verifier holds of main: its validators as far as they are known, or a block that it trusts,
/// or both.
#[derive(Clone, Debug)]
pub struct MainTrust {
    chain: ChainId,
    validators: Option<ValidatorSets>,
    block: Option<VerifiedHeader>,
}

impl MainTrust {
    /// Trusts the blocks that these validators decide, of their epoch only.
    pub const fn validators(chain: ChainId, validators: ValidatorSet) -> Self {
        Self::sets(chain, ValidatorSets::new(validators))
    }

    /// Trusts the blocks that these sets decide, each those of its epoch and heights.
    pub const fn sets(chain: ChainId, sets: ValidatorSets) -> Self {
        Self {
            chain,
            validators: Some(sets),
            block: None,
        }
    }

    /// Trusts one block of main and all that came before.
    pub const fn block(block: VerifiedHeader) -> Self {
        Self {
            chain: block.header.chain,
            validators: None,
            block: Some(block),
        }
    }

    /// Trusts a block beside the validators: what contradicts it is refused.
    ///
    /// # Errors
    /// If the block is of another chain.
    pub fn and_block(self, block: VerifiedHeader) -> Result<Self, PackError> {
        if block.header.chain != self.chain {
            return Err(PackError::OtherMain {
                expected: self.chain,
                actual: block.header.chain,
            });
        }
        Ok(Self {
            block: Some(block),
            ..self
        })
    }
}

/// What a pack has proven.
///
/// Invariant: made by [`Pack::verify`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedPack {
    /// The main chain.
    pub main: ChainId,
    /// The side chain.
    pub chain: ChainId,
    /// Its name.
    pub side_chain: String,
    /// The certificate.
    pub certificate: CertificateId,
    /// Its record after the side block.
    pub record: CertificateRecord,
    /// The side block.
    pub side_height: Height,
    /// Its time: the record's status is as of then.
    pub side_time: TimeMs,
    /// The main block that answered the side block's questions about identities.
    pub checkpoint: Option<Checkpoint>,
    /// The anchored side block, at or above that one.
    pub anchored_height: Height,
    /// The main block after which the identities are proven.
    pub main_height: Height,
    /// Its name.
    pub main_block: BlockId,
    /// Its time: the identities are as of then.
    pub main_time: TimeMs,
    /// The issuer.
    pub issuer: (Address, IdentityRecord),
    /// The holders, in the order of the record.
    pub holders: Vec<(Address, IdentityRecord)>,
    /// Set if main had frozen the side chain, above the anchored block.
    pub frozen: Option<FreezeRecord>,
}

impl VerifiedPack {
    /// What the pack proves of the certificate in the hands of `holder`, for a verifier whose time,
    /// or newest block time, is `at`. None if the account does not hold the certificate.
    ///
    /// The order is that of a check on chain: the certificate's status, its times, the holder, the
    /// issuer.
    pub fn result(&self, holder: &Address, at: TimeMs) -> Option<CheckResult> {
        let (_, identity) = self.holders.iter().find(|(address, _)| address == holder)?;
        let record = &self.record;
        Some(match record.status {
            CertificateStatus::Issued => CheckResult::NotAccepted,
            CertificateStatus::Declined => CheckResult::Declined,
            CertificateStatus::Revoked => CheckResult::Revoked,
            CertificateStatus::Active if at < record.valid_from => CheckResult::NotYetValid,
            CertificateStatus::Active if record.valid_until.is_some_and(|end| at >= end) => {
                CheckResult::Expired
            }
            CertificateStatus::Active if identity.present.status != IdentityStatus::Active => {
                CheckResult::HolderNotActive
            }
            CertificateStatus::Active
                if self.issuer.1.present.status == IdentityStatus::Revoked =>
            {
                CheckResult::IssuerRevoked
            }
            CertificateStatus::Active => CheckResult::Valid,
        })
    }
}

impl Pack {
    /// Verifies everything that the pack says.
    ///
    /// # Errors
    /// The first part that does not hold, from main down to the certificate.
    pub fn verify(&self, trust: &MainTrust) -> Result<VerifiedPack, PackError> {
        let main_block = self.verify_main(trust)?;
        let root = &self.main_block.outcome.state_root;
        let main = |what, key: &StateKey, leaf: &Leaf| {
            leaf.verify(root, key)
                .map_err(|source| PackError::MainState { what, source })
        };

        let chain = self.side_block.header.chain;
        let what = "the side chain's record";
        main(
            what,
            &side_chains::side_chain(&chain),
            &self.side_chain_record,
        )?;
        let side = SideChainRecord::decode(&self.side_chain_record.value)
            .map_err(|source| PackError::Record { what, source })?;
        if side.name != self.side_chain {
            return Err(PackError::Parts("the side chain's name"));
        }

        let anchored_height = self.verify_side(&chain, main)?;
        let frozen = side.frozen;
        if let Some(freeze) = frozen.filter(|freeze| freeze.height <= anchored_height) {
            return Err(PackError::Frozen(freeze.height));
        }

        self.record
            .verify(
                &self.side_block.outcome.state_root,
                &keys::certificate(&self.certificate),
            )
            .map_err(PackError::Certificate)?;
        let record = read_record(Some(&self.record.value))?;

        let identity = |what, address: &Address, leaf: &Leaf| {
            main(what, &main_keys::identity(address), leaf)?;
            let record = IdentityRecord::decode(&leaf.value);
            let record = record.map_err(|error| PackError::Record {
                what,
                source: error,
            })?;
            Ok::<_, PackError>((*address, record))
        };
        if record.holders.len() != self.holders.len() {
            return Err(PackError::Parts("the number of holders"));
        }
        let holders = record
            .holders
            .iter()
            .zip(&self.holders)
            .map(|(holder, leaf)| identity("a holder's identity", &holder.address, leaf))
            .collect::<Result<_, _>>()?;
        let issuer = identity("the issuer's identity", &record.issuer, &self.issuer)?;

        let (side_header, main_header) = (&self.side_block.header, &self.main_block.header);
        Ok(VerifiedPack {
            main: self.main,
            chain,
            side_chain: side.name,
            certificate: self.certificate,
            record,
            side_height: side_header.height,
            side_time: side_header.time_ms,
            checkpoint: side_header.checkpoint,
            anchored_height,
            main_height: main_header.height,
            main_block,
            main_time: main_header.time_ms,
            issuer,
            holders,
            frozen,
        })
    }

    /// Step 1: the block of main; gives its name.
    fn verify_main(&self, trust: &MainTrust) -> Result<BlockId, PackError> {
        let header = &self.main_block.header;
        for actual in [self.main, header.chain] {
            if actual != trust.chain {
                return Err(PackError::OtherMain {
                    expected: trust.chain,
                    actual,
                });
            }
        }
        let id = self.main_block.id();
        let height = header.height;
        let held = || {
            trust
                .block
                .as_ref()
                .ok_or(PackError::Trust("a block of main"))
        };
        match &self.link {
            MainLink::Certificate(certificate) => {
                let validators = trust.validators.as_ref();
                let validators = validators.ok_or(PackError::Trust("main's validators"))?;
                let sealed = SealedHeader {
                    header: header.clone(),
                    outcome: self.main_block.outcome.clone(),
                    certificate: certificate.clone(),
                };
                validators.verify(trust.chain, &sealed, &Ed25519Verifier)?;
                // Two decided blocks of one height: who holds one of them refuses the other.
                if let Some(block) = &trust.block
                    && block.header.height == height
                    && block.id != id
                {
                    return Err(PackError::OtherHistory(height));
                }
            }
            MainLink::Held => {
                if held()?.id != id {
                    return Err(PackError::OtherHistory(height));
                }
            }
            MainLink::Later(proof) => {
                let later = held()?;
                if proof.height != height {
                    return Err(PackError::OtherHistory(height));
                }
                later.verify_history(proof, &id).map_err(PackError::Main)?;
            }
        }
        Ok(id)
    }

    /// Step 3: the side block is anchored, or in the history of the one that is; gives the anchored
    /// block's height.
    fn verify_side(
        &self,
        chain: &ChainId,
        main: impl Fn(&'static str, &StateKey, &Leaf) -> Result<(), PackError>,
    ) -> Result<Height, PackError> {
        let block = match &self.anchored {
            Some(later) => &later.block,
            None => &self.side_block,
        };
        if block.header.chain != *chain {
            return Err(PackError::Parts("the anchored block's chain"));
        }
        let height = block.header.height;
        let what = "the anchor";
        main(what, &side_chains::anchor(chain, height), &self.anchor)?;
        let anchor = AnchorRecord::decode(&self.anchor.value)
            .map_err(|source| PackError::Record { what, source })?;
        let id = block.id();
        if anchor.block != id {
            return Err(PackError::NotAnchored(height));
        }
        if let Some(later) = &self.anchored {
            if later.proof.height != self.side_block.header.height {
                return Err(PackError::Parts("the anchored block's history"));
            }
            let anchored = VerifiedHeader {
                id,
                header: block.header.clone(),
                outcome: block.outcome.clone(),
            };
            anchored
                .verify_history(&later.proof, &self.side_block.id())
                .map_err(PackError::SideHistory)?;
        }
        Ok(height)
    }
}

impl Leaf {
    fn verify(&self, root: &StateRoot, key: &StateKey) -> Result<(), EvidenceError> {
        match self.proof.verify(root, key)? {
            Some(hash) if hash == ValueHash::of(&self.value) => Ok(()),
            _ => Err(EvidenceError::Value),
        }
    }
}
