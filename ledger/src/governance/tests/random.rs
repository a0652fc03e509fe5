//! Random lives of a network: whatever is proposed and voted in whatever order, the invariants hold.

use std::collections::BTreeSet;

use super::*;

/// A small generator of our own, so that a failing seed stays a failing seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

struct Life {
    world: World,
    random: Random,
    members: Vec<u64>,
    accounts: Vec<SecretKey>,
    proposals: Vec<ProposalId>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut world = World::of(1 + seed % 7);
        let mut accounts = vec![secret("registrar", 0), agency(0), agency(1)];
        for n in 1..5 {
            accounts.push(world.register(n, WireKind::Organisation));
        }
        let members = (0..1 + seed % 7).collect();
        Self {
            world,
            random: Random(seed),
            members,
            accounts,
            proposals: Vec::new(),
        }
    }

    fn account(&mut self) -> SecretKey {
        let place = self.random.below(self.accounts.len() as u64) as usize;
        SecretKey::from_seed(&self.accounts[place].to_seed())
    }

    fn change(&mut self) -> Change {
        let whom = self.account();
        match self.random.below(7) {
            0 => accredit(&whom, &["degree"]),
            1 => accredit(&whom, &["diploma", "licence"]),
            2 => withdraw(&whom, &["degree"]),
            3 => appoint(&whom),
            4 | 5 => dismiss(&whom),
            _ => Change::SetTagKeyVersion {
                version: 1 + self.random.below(9) as u32,
            },
        }
    }

    /// Something that somebody tries, with whoever signs it; mostly a member.
    fn attempt(&mut self) -> Transaction {
        let place = self.random.below(self.members.len() as u64);
        let mut signer = vote_key(self.members[place as usize]);
        if self.random.below(12) == 0 {
            signer = vote_key(self.random.below(12));
        }
        let proposal = match self.proposals.len() as u64 {
            0 => ProposalId::from_bytes([7; 32]),
            many => self.proposals[self.random.below(many) as usize],
        };
        let kind = match self.random.below(10) {
            0..=2 => {
                let (change, ahead) = (self.change(), self.random.below(12));
                self.world.propose_kind(place, ahead, &change)
            }
            3..=8 => {
                let approve = self.random.below(5) != 0;
                self.world.vote_kind(place, &proposal, approve)
            }
            _ => {
                signer = self.account();
                World::accept_kind(&signer, &proposal)
            }
        };
        self.world.sign(kind, &[&signer])
    }

    fn block(&mut self) {
        if self.random.below(25) == 0 {
            // Somebody goes, somebody comes.
            let gone = self.random.below(self.members.len() as u64) as usize;
            let new = 20 + self.random.below(1_000_000);
            self.members[gone] = new;
            let members = self.members.clone();
            self.world.change_set(&members);
        }
        if self.random.below(40) == 0 {
            self.world.time += self.world.network.genesis.governance.voting_period_ms / 2;
        }
        let count = self.random.below(6);
        let mut block = Vec::new();
        for _ in 0..count {
            // The transactions' own time is not what is tested here.
            let transaction = self.attempt();
            let context = self.world.context();
            let alone = evaluate(
                &GovernanceApplication,
                &self.world.state,
                &context,
                &transaction,
            );
            if alone.unwrap().is_ok() {
                if let Kind::Propose(_) = transaction.kind() {
                    self.proposals.push(transaction.id());
                }
                block.push(transaction);
            }
        }
        self.run(block);
        self.check();
    }

    fn run(&mut self, block: Vec<Transaction>) {
        let world = &mut self.world;
        let alone = block.iter().map(|transaction| {
            let context = world.context();
            evaluate(&GovernanceApplication, &world.state, &context, transaction)
                .unwrap()
                .unwrap()
        });
        let alone = alone.collect();
        world.run(block, alone);
    }

    fn check(&self) {
        let world = &self.world;
        // A registrar is left, and the list names just those whom their records call so.
        let registrars: BTreeSet<_> = world.registrars().into_iter().collect();
        let named: BTreeSet<_> = self
            .accounts
            .iter()
            .filter(|key| world.account(key).kind == IdentityKind::Registrar)
            .map(address_of)
            .collect();
        assert!(!registrars.is_empty());
        assert_eq!(registrars, named);
        let mut open: HashMap<[u8; 32], u64> = HashMap::new();
        let now = TimeMs::new(world.time);
        for id in &self.proposals {
            let Some(record) = read_proposal(&world.state, id).unwrap() else {
                continue;
            };
            let voters: BTreeSet<_> = record.votes.iter().map(|v| v.voter.vote_key).collect();
            assert_eq!(voters.len(), record.votes.len(), "one vote each");
            if matches!(
                record.state,
                ProposalState::Accepted { .. } | ProposalState::Executed
            ) {
                // Counted without the code under test. The set may have changed since, but has as
                // many members as ever.
                let approvals = record.votes.iter().filter(|vote| vote.approve).count();
                let members = self.members.len();
                let needed = (members + (members - 1) / 3 + 1).div_ceil(2);
                assert!(approvals >= needed, "{approvals} of {members}");
            }
            if record.takes_place(now) {
                *open.entry(record.proposer.vote_key).or_default() += 1;
            }
            let past = record.execution_height.get() <= world.height;
            let undecided = matches!(
                record.state,
                ProposalState::Open | ProposalState::Accepted { .. }
            );
            assert!(!past || !undecided, "{:?} after its height", record.state);
        }
        assert!(open.values().all(|open| *open <= 4));
        // Nothing that was due stays behind.
        let due = world
            .state
            .keys()
            .filter(|key| key.namespace() == keys::DUE);
        for key in due {
            let height = key.as_bytes()[1..].try_into().map(u64::from_be_bytes);
            assert!(height.unwrap() > world.height);
        }
    }
}

#[test]
fn the_invariants_hold_in_random_lives() {
    let (mut executed, mut failed, mut rejected, mut expired) = (0, 0, 0, 0);
    for seed in 0..40 {
        let mut life = Life::new(seed);
        for _ in 0..60 {
            life.block();
        }
        for id in &life.proposals {
            match read_proposal(&life.world.state, id)
                .unwrap()
                .map(|r| r.state)
            {
                Some(ProposalState::Executed) => executed += 1,
                Some(ProposalState::Failed { .. }) => failed += 1,
                Some(ProposalState::Rejected { .. }) => rejected += 1,
                Some(ProposalState::Expired) => expired += 1,
                Some(ProposalState::Open | ProposalState::Accepted { .. }) | None => {}
            }
        }
    }
    // The lives see all of it.
    assert!(executed > 20 && failed > 5, "{executed} {failed}");
    assert!(rejected > 5 && expired > 20, "{rejected} {expired}");
}
