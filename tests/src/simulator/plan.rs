//! What a seed decides: members, their faults, the network's temper, and when what breaks.

use certchain_consensus::Params;

use super::{byzantine, checkers, keys::Scheme, rng::Rng};

/// When the network heals and every crashed node is back, in milliseconds after the start.
pub const HEAL_AT: u64 = 10_000;

/// Something that goes wrong at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A process ends, at once or in the middle of its next output.
    Crash {
        /// Whose.
        node: usize,
        /// At once, or at a random point of the next output that writes.
        mid_output: bool,
        /// Whether the journal is gone when it comes back.
        amnesia: bool,
        /// How long it is away.
        away_ms: u64,
    },
    /// All processes end at once.
    PowerCut {
        /// How long they are away.
        away_ms: u64,
    },
    /// The network splits in two.
    Partition {
        /// Which nodes are on the second side, as bits.
        side: u64,
        /// For how long.
        lasts_ms: u64,
    },
    /// A journal's disk runs full.
    DiskFull {
        /// Whose.
        node: usize,
        /// For how long.
        lasts_ms: u64,
    },
    /// A journal is rewritten with what binds.
    Compact {
        /// Whose.
        node: usize,
    },
}

/// Everything that a seed decides in advance.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Members.
    pub n: usize,
    /// Faulty members and how they misbehave.
    pub byzantine: Vec<(usize, usize)>,
    /// How many lose their journal.
    pub amnesiacs: usize,
    /// How they sign.
    pub scheme: Scheme,
    /// Clocks' errors in milliseconds.
    pub skews: Vec<i64>,
    /// Messages lost, of 1,000, until the network heals.
    pub loss: u64,
    /// Messages doubled, of 1,000.
    pub duplication: u64,
    /// Longest delay of a message.
    pub delay_ms: u64,
    /// How often a transaction comes, at most.
    pub work_ms: u64,
    /// What goes wrong, by time.
    pub troubles: Vec<(u64, Trouble)>,
}

impl Plan {
    /// Draws a plan.
    pub fn draw(rng: &mut Rng) -> Self {
        let n = match rng.between(0, 99) {
            0..=3 => 1,
            4..=6 => 2,
            7..=10 => 3,
            11..=74 => 4,
            75..=81 => 5,
            82..=87 => 6,
            88..=97 => 7,
            _ => 10,
        };
        let bear = checkers::faulty(n);
        let mut places: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            places.swap(i, rng.index(i + 1));
        }
        let faulty = if rng.per_mille(700) {
            rng.between(0, bear as u64) as usize
        } else {
            0
        };
        let byzantine: Vec<(usize, usize)> = places
            .iter()
            .take(faulty)
            .map(|place| (*place, rng.index(byzantine::WAYS)))
            .collect();
        let absent = n - checkers::quorum(n);
        let amnesiacs = if rng.per_mille(300) {
            absent.saturating_sub(faulty).min(bear)
        } else {
            0
        };
        let mut plan = Self {
            n,
            byzantine,
            amnesiacs,
            scheme: if rng.per_mille(10) {
                Scheme::Real
            } else {
                Scheme::Fast
            },
            skews: (0..n).map(|_| rng.between(0, 1_600) as i64 - 800).collect(),
            loss: if rng.coin() { rng.between(0, 250) } else { 0 },
            duplication: if rng.coin() { rng.between(0, 100) } else { 0 },
            delay_ms: if rng.coin() {
                rng.between(5, 400)
            } else {
                rng.between(2, 40)
            },
            work_ms: rng.between(50, 1_500),
            troubles: Vec::new(),
        };
        plan.draw_troubles(rng, &places);
        plan
    }

    fn draw_troubles(&mut self, rng: &mut Rng, places: &[usize]) {
        let honest: Vec<usize> = places
            .iter()
            .copied()
            .filter(|p| self.byzantine.iter().all(|(b, _)| b != p))
            .collect();
        let mut forgetful = honest
            .iter()
            .copied()
            .take(self.amnesiacs)
            .collect::<Vec<_>>();
        for _ in 0..rng.between(0, 10) {
            let at = rng.between(50, HEAL_AT - 1_000);
            let node = honest[rng.index(honest.len())];
            let lasts_ms = rng.between(10, 5_000);
            let trouble = match rng.between(0, 9) {
                0..=4 => {
                    let amnesia = forgetful.contains(&node);
                    forgetful.retain(|f| *f != node);
                    let mid_output = rng.per_mille(700);
                    Trouble::Crash {
                        node,
                        mid_output,
                        amnesia,
                        away_ms: lasts_ms,
                    }
                }
                5 => Trouble::PowerCut {
                    away_ms: rng.between(10, 500),
                },
                6 | 7 => Trouble::Partition {
                    side: rng.next_u64(),
                    lasts_ms,
                },
                8 => Trouble::DiskFull { node, lasts_ms },
                _ => Trouble::Compact { node },
            };
            self.troubles.push((at, trouble));
        }
    }

    /// The engine's numbers: the daemon's, with less patience.
    pub fn params() -> Params {
        Params {
            rotation: 7,
            timeout_ms: 800,
            timeout_cap_ms: 6_000,
            retry_ms: 200,
            retry_cap_ms: 1_600,
            time_bound_ms: 2_500,
            time_bound_cap_ms: 60_000,
            heartbeat_ms: 4_000,
            max_block_transactions: 100,
        }
    }
}
