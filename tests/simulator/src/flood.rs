//! What a validator can make another one keep by signing far-future votes, as fast as it can.

use certchain_consensus::{
    Event, Load, Message,
    message::{Commit, Prepare, ViewChange},
    statement::ViewChangeVote,
};
use certchain_proto::{
    CommitVote, Epoch, Height, PrepareVote, Signature, TimeMs, ValidatorIndex, View,
    certificate::SignatureVerifier,
    hash::{HeaderDigest, OutcomeDigest, SigningHash},
};

use crate::{
    blocks::{GENESIS_TIME, chain},
    keys::Scheme,
    node::Node,
    plan::Plan,
    rng::Rng,
    sets::Law,
};

/// Takes every signature for good: the flooder has signed all of them, and what it costs to check
/// that is not asked here.
struct Signed;

impl SignatureVerifier for Signed {
    fn verify_all(&self, _: &[(certchain_proto::PublicKey, SigningHash, Signature)]) -> bool {
        true
    }
}

/// One validator of four under a flood of another one.
#[derive(Debug)]
pub struct Flooded {
    node: Node,
    rng: Rng,
    now: TimeMs,
    law: std::sync::Arc<Law>,
}

impl Default for Flooded {
    fn default() -> Self {
        Self::new()
    }
}

impl Flooded {
    /// A validator at height 1, started.
    pub fn new() -> Self {
        let law = std::sync::Arc::new(Law::fixed(4));
        let now = TimeMs::new(GENESIS_TIME + 1_000);
        let mut node = Node::new(0, &law, 0, None);
        let booted = node.boot(&Plan::params(), Scheme::Fast);
        booted.unwrap_or_else(|e| panic!("the node does not start: {e}"));
        if let Some(engine) = node.engine.as_mut() {
            drop(engine.start(now));
        }
        Self {
            node,
            rng: Rng::new(1),
            now,
            law,
        }
    }

    /// Lets validator 1 send so many votes for later heights and views, all different.
    pub fn flood(&mut self, votes: u64) {
        let Some(engine) = self.node.engine.as_mut() else {
            return;
        };
        for number in 0..votes {
            let message = far_vote(&mut self.rng, number);
            let verified = message.verify(chain(), self.law.first.set(), &Signed);
            let verified = verified.unwrap_or_else(|e| panic!("vote {number} is none: {e}"));
            drop(engine.step(self.now, Event::Message(Box::new(verified))));
        }
    }

    /// What the validator keeps of others.
    pub fn load(&self) -> Option<Load> {
        self.node.engine.as_ref().map(|engine| engine.load())
    }

    /// Where it stands: no flood moves it.
    pub fn place(&self) -> Option<(Height, View)> {
        let status = self.node.engine.as_ref()?.status();
        Some((status.height, status.view))
    }
}

fn far_vote(rng: &mut Rng, number: u64) -> Message {
    let (chain, epoch) = (chain(), Epoch::ZERO);
    // The present height, the next one, and any above.
    let height = Height::new(match number % 4 {
        0 | 1 => 1,
        2 => 2,
        _ => rng.between(3, u64::MAX - 1),
    });
    let view = View::new(1 + (rng.next_u64() >> 33) as u32);
    let header = HeaderDigest::from_bytes(rng.bytes());
    let signer = ValidatorIndex::new(1);
    let signature = Signature::from_bytes(&[number as u8; 64]);
    match (number / 4) % 3 {
        0 => Message::Prepare(Prepare {
            vote: PrepareVote {
                chain,
                epoch,
                height,
                view,
                header,
            },
            signer,
            signature,
        }),
        1 => Message::Commit(Commit {
            vote: CommitVote {
                chain,
                epoch,
                height,
                view,
                header,
                outcome: OutcomeDigest::from_bytes(rng.bytes()),
            },
            signer,
            signature,
        }),
        _ => Message::ViewChange(ViewChange {
            vote: ViewChangeVote {
                chain,
                epoch,
                height,
                view,
                prepared: None,
            },
            signer,
            signature,
            certificate: None,
        }),
    }
}
