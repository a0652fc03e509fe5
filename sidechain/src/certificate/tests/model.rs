//! Random lives of certificates, block by block, against a model that knows no claims' leaves, no
//! counters and no conflicts: it runs one transaction after the other over a plain list.

use std::collections::{BTreeMap, BTreeSet};

use certchain_config::catalogue::SideChain;
use certchain_proto::{
    Address,
    hash::CertificateId,
    wire::v1::{CertificateDraft, Code, transaction_body::Kind},
};
use proptest::prelude::*;

use super::{
    wishes::{accept, batch, decline, encrypted, issue, revoke},
    world::{BLOCK_MS, Who, World, address, agency, bytes, citizen},
};
use crate::certificate::{CertificateRecord, CertificateStatus, keys};

#[derive(Clone, Debug)]
struct Wanted {
    holders: (u64, u64),
    parcel: u64,
    /// Ends so many blocks later; 0: never.
    blocks: u64,
    /// Drafts of one number have one nonce, so that they may have one id.
    number: u64,
    wrong_key: bool,
}

#[derive(Clone, Debug)]
enum Wish {
    Issue(u64, Wanted),
    Batch(u64, Vec<Wanted>),
    Accept(prop::sample::Index, u64),
    Decline(prop::sample::Index, u64),
    Revoke(prop::sample::Index, u64),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let holders = (0..3u64, 0..3u64);
    (
        holders,
        0..3u64,
        0..4u64,
        0..6u64,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(holders, parcel, blocks, number, wrong_key)| Wanted {
            holders,
            parcel,
            blocks,
            number,
            wrong_key,
        })
}

fn wish() -> impl Strategy<Value = Wish> {
    use prop::{collection::vec, sample::Index};
    prop_oneof![
        4 => (0..2u64, wanted()).prop_map(|(a, w)| Wish::Issue(a, w)),
        1 => (0..2u64, vec(wanted(), 1..5)).prop_map(|(a, w)| Wish::Batch(a, w)),
        3 => (any::<Index>(), 0..3u64).prop_map(|(i, n)| Wish::Accept(i, n)),
        1 => (any::<Index>(), 0..3u64).prop_map(|(i, n)| Wish::Decline(i, n)),
        2 => (any::<Index>(), 0..3u64).prop_map(|(i, n)| Wish::Revoke(i, n)),
    ]
}

#[derive(Clone)]
struct Kept {
    id: CertificateId,
    issuer: u64,
    claims: Vec<[u8; 32]>,
    holders: Vec<(Address, bool)>,
    until: Option<u64>,
    status: CertificateStatus,
}

/// What a transaction does, in the model's words.
#[derive(Clone)]
enum Act {
    Issue(u64, Vec<(CertificateDraft, Kept, bool)>),
    Accept(CertificateId, Address),
    Decline(CertificateId, Address),
    Revoke(CertificateId, u64),
}

#[derive(Clone, Default)]
struct Model {
    all: Vec<Kept>,
    /// What became of each line of the last issue.
    lines: Vec<Code>,
}

impl Kept {
    fn over(&self, now: u64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn in_force(&self, now: u64) -> bool {
        use CertificateStatus::{Active, Issued};
        matches!(self.status, Issued | Active) && !self.over(now)
    }
}

impl Model {
    fn run(&mut self, act: &Act, now: u64) -> Code {
        match act {
            Act::Issue(agency, lines) => {
                let mut codes = Vec::new();
                for (_, wanted, wrong_key) in lines {
                    codes.push(self.issue(*agency, wanted, *wrong_key, now));
                }
                let code = match codes.contains(&Code::Ok) {
                    true => Code::Ok,
                    false => codes[0],
                };
                self.lines = codes;
                code
            }
            Act::Accept(id, holder) => match self.undecided(id, holder, now) {
                Ok(kept) => {
                    for entry in &mut kept.holders {
                        entry.1 |= entry.0 == *holder;
                    }
                    if kept.holders.iter().all(|entry| entry.1) {
                        kept.status = CertificateStatus::Active;
                    }
                    Code::Ok
                }
                Err(code) => code,
            },
            Act::Decline(id, holder) => match self.undecided(id, holder, now) {
                Ok(kept) => {
                    kept.status = CertificateStatus::Declined;
                    Code::Ok
                }
                Err(code) => code,
            },
            Act::Revoke(id, agency) => {
                let kept = self.all.iter_mut().find(|kept| kept.id == *id).unwrap();
                let open = [CertificateStatus::Issued, CertificateStatus::Active];
                if kept.issuer != *agency && *agency > 1 {
                    return Code::NotAccredited;
                }
                if !open.contains(&kept.status) {
                    return Code::WrongStatus;
                }
                kept.status = CertificateStatus::Revoked;
                Code::Ok
            }
        }
    }

    fn issue(&mut self, agency: u64, wanted: &Kept, wrong_key: bool, now: u64) -> Code {
        if wrong_key {
            return Code::WrongRecipient;
        }
        if self.all.iter().any(|kept| kept.id == wanted.id) {
            return Code::CertificateTaken;
        }
        let shares = |kept: &Kept| {
            kept.claims
                .iter()
                .any(|claim| wanted.claims.contains(claim))
        };
        if self
            .all
            .iter()
            .any(|kept| kept.in_force(now) && shares(kept))
        {
            return Code::ClaimTaken;
        }
        self.all.push(Kept {
            issuer: agency,
            ..wanted.clone()
        });
        Code::Ok
    }

    fn undecided(
        &mut self,
        id: &CertificateId,
        holder: &Address,
        now: u64,
    ) -> Result<&mut Kept, Code> {
        let kept = self.all.iter_mut().find(|kept| kept.id == *id).unwrap();
        let entry = kept.holders.iter().find(|entry| entry.0 == *holder);
        let (_, accepted) = entry.ok_or(Code::NotHolder)?;
        if kept.status != CertificateStatus::Issued || *accepted || kept.over(now) {
            return Err(Code::WrongStatus);
        }
        Ok(kept)
    }
}

fn draft(world: &World, issuer: Who, wanted: &Wanted) -> (CertificateDraft, Kept, bool) {
    let (a, b) = (wanted.holders.0, wanted.holders.1);
    let two = world.chain == SideChain::Marriage;
    let holders: Vec<Who> = match (two, a == b) {
        (false, _) => vec![citizen(a)],
        (true, false) => vec![citizen(a), citizen(b)],
        (true, true) => vec![citizen(a), citizen((a + 1) % 3)],
    };
    let until = world.now() + wanted.blocks * BLOCK_MS;
    let mut draft = world.draft(wanted.number, &holders);
    if world.chain == SideChain::Property {
        draft.claim = bytes("parcel", wanted.parcel).to_vec();
    }
    let ends = wanted.blocks > 0;
    draft.valid_until_ms = if ends { until } else { 0 };
    if wanted.wrong_key {
        draft.encrypted[0] = encrypted(citizen(3));
    }
    let kept = Kept {
        id: world.id(issuer, &draft),
        issuer: issuer.1,
        claims: match two {
            true => holders
                .iter()
                .map(|who| *address(*who).as_bytes())
                .collect(),
            false => vec![bytes("parcel", wanted.parcel)],
        },
        holders: holders.iter().map(|who| (address(*who), false)).collect(),
        until: ends.then_some(until),
        status: CertificateStatus::Issued,
    };
    (draft, kept, wanted.wrong_key)
}

/// A wish as a transaction's kind with its signers, and in the model's words. On a chain without
/// batches, and on an empty chain, some wishes mean nothing.
fn build(world: &World, model: &Model, wish: &Wish) -> Option<(Kind, Vec<Who>, Act)> {
    let two = world.chain == SideChain::Marriage;
    let pick = |index: &prop::sample::Index| {
        let some = !model.all.is_empty();
        some.then(|| model.all[index.index(model.all.len())].id)
    };
    Some(match wish {
        Wish::Issue(n, wanted) => {
            let line = draft(world, agency(*n), wanted);
            let mut signers = vec![agency(*n)];
            if two {
                let everybody = (0..3).map(citizen);
                let found = |bytes: &Vec<u8>| {
                    let mut all = everybody.clone();
                    all.find(|who| address(*who).as_bytes() == bytes.as_slice())
                };
                signers.extend(line.0.holders.iter().filter_map(found));
            }
            (
                issue(agency(*n), line.0.clone()),
                signers,
                Act::Issue(*n, vec![line]),
            )
        }
        Wish::Batch(_, _) if two => return None,
        Wish::Batch(n, wanted) => {
            let lines: Vec<_> = wanted.iter().map(|w| draft(world, agency(*n), w)).collect();
            let drafts = lines.iter().map(|line| line.0.clone()).collect();
            (
                batch(agency(*n), drafts),
                vec![agency(*n)],
                Act::Issue(*n, lines),
            )
        }
        Wish::Accept(index, n) => {
            let (id, who) = (pick(index)?, citizen(*n));
            (accept(&id, who), vec![who], Act::Accept(id, address(who)))
        }
        Wish::Decline(index, n) => {
            let (id, who) = (pick(index)?, citizen(*n));
            (decline(&id, who), vec![who], Act::Decline(id, address(who)))
        }
        Wish::Revoke(index, n) => {
            let (id, who) = (pick(index)?, agency(*n));
            (revoke(&id, who), vec![who], Act::Revoke(id, *n))
        }
    })
}

/// What must hold of every state, whatever led to it.
fn check_state(world: &World, model: &Model) {
    let records: Vec<CertificateRecord> = world
        .side
        .iter()
        .filter(|(key, _)| key.namespace() == keys::CERTIFICATE)
        .map(|(_, value)| CertificateRecord::decode(value).unwrap())
        .collect();
    assert_eq!(records.len(), model.all.len());
    let mut serials: BTreeMap<Address, BTreeSet<u64>> = BTreeMap::new();
    for record in &records {
        assert!(
            serials
                .entry(record.issuer)
                .or_default()
                .insert(record.serial)
        );
    }
    for (issuer, given) in &serials {
        let all: BTreeSet<u64> = (1..=given.len() as u64).collect();
        assert_eq!(given, &all, "serials of {issuer} have gaps");
    }
    for n in 0..2 {
        let given = serials.get(&address(agency(n))).map_or(0, BTreeSet::len);
        assert_eq!(world.serials(agency(n)), given as u64);
    }
    // The block before is the last one.
    let now = world.now() - BLOCK_MS;
    let mut claimed = BTreeSet::new();
    for kept in &model.all {
        let record = world.record(&kept.id);
        assert_eq!(record.status, kept.status);
        let accepted = record.holders.iter().map(|h| h.accepted.is_some());
        assert!(accepted.eq(kept.holders.iter().map(|holder| holder.1)));
        if !kept.in_force(now) {
            continue;
        }
        for claim in &kept.claims {
            assert!(claimed.insert(*claim), "two in force of one claim");
            let leaf = &world.side[&keys::claim(claim)];
            assert_eq!(**leaf, *kept.id.as_bytes());
        }
    }
    // No leaf of a claim names what ended otherwise than by its time.
    for (_, value) in world
        .side
        .iter()
        .filter(|(key, _)| key.namespace() == keys::CLAIM)
    {
        let kept = model.all.iter().find(|kept| kept.id.as_bytes() == &**value);
        let kept = kept.unwrap();
        assert!(kept.in_force(now) || kept.over(now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn blocks_agree_with_one_transaction_after_the_other(
        chain in prop::sample::select(vec![SideChain::Marriage, SideChain::Property]),
        blocks in prop::collection::vec(prop::collection::vec(wish(), 0..6), 1..12),
    ) {
        let mut world = World::new(chain);
        let mut model = Model::default();
        for wishes in blocks {
            let now = world.now();
            let (mut transactions, mut acts) = (Vec::new(), Vec::new());
            for wish in &wishes {
                let Some((kind, signers, act)) = build(&world, &model, wish) else {
                    continue;
                };
                let transaction = world.sign(kind, &signers);
                let alone = world.evaluate(&transaction);
                let code = alone.err().map_or(Code::Ok, |refusal| refusal.code());
                prop_assert_eq!(code, model.clone().run(&act, now), "{:?}", wish);
                if code == Code::Ok {
                    transactions.push(transaction);
                    acts.push(act);
                }
            }
            let done = world.block(transactions);
            let mut lines: BTreeMap<_, _> = done.lines.into_iter().collect();
            for (place, (receipt, act)) in (0u32..).zip(done.receipts.iter().zip(&acts)) {
                prop_assert_eq!(receipt.code(), model.run(act, now));
                if let Some(lines) = lines.remove(&place) {
                    let codes: Vec<Code> = lines.iter().map(|line| line.code).collect();
                    prop_assert_eq!(&codes, &model.lines);
                }
            }
            check_state(&world, &model);
        }
    }
}
