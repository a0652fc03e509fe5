//! Sends what others said again and again, late and out of order: attacks the promise that a message
//! repeated changes nothing (T-4, E-1), and S-1 and NV-5, which answer repeats.

use std::sync::Arc;

use certchain_consensus::Message;

use super::{Behaviour, Letter, Tools, limit::Limit};

/// Messages that are remembered.
const KEPT: usize = 48;
/// Storms in a tenth of a second.
const STORMS: u32 = 4;
/// Messages in one.
const GUSTS: usize = 4;
/// How late they are, at most.
const LATE_MS: u64 = 600;

/// Remembers and repeats.
#[derive(Debug, Default)]
pub struct EchoStorm {
    heard: Vec<Arc<Message>>,
    limit: Limit,
}

impl Behaviour for EchoStorm {
    fn hears(&mut self, tools: &mut Tools<'_>, message: &Message) -> Vec<Letter> {
        if self.heard.len() < KEPT {
            self.heard.push(Arc::new(message.clone()));
        } else {
            let place = tools.rng.index(KEPT);
            self.heard[place] = Arc::new(message.clone());
        }
        if !self.limit.now(tools.now, STORMS) {
            return Vec::new();
        }
        let mut letters = Vec::new();
        for _ in 0..GUSTS {
            let place = tools.rng.index(self.heard.len());
            for to in tools.others() {
                let late = tools.rng.between(0, LATE_MS);
                letters.push(Letter::later(to, &self.heard[place], late));
            }
        }
        letters
    }
}
