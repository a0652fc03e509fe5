//! What a seed decides: members, their faults, the network's temper, and when what breaks.

use certchain_consensus::{Params, statement::Phase};

use std::sync::Arc;

use super::{
    byzantine, checkers,
    keys::Scheme,
    rng::Rng,
    sets::{Changes, Law, Members},
};

/// When the network heals and every crashed node is back, in milliseconds after the start: soon in
/// most runs; in some, timeouts have time to grow and nodes to run apart.
const HEALS_AT: [u64; 8] = [
    10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 10_000, LATE_HEAL,
];
const LATE_HEAL: u64 = 75_000;

/// Makes another seed of a seed, for what was added later.
const CHANGES: u64 = 0x5e75_0f76_a11d_a705;

/// All phases.
const PHASES: [Phase; 5] = [
    Phase::PrePrepare,
    Phase::Prepare,
    Phase::Commit,
    Phase::ViewChange,
    Phase::NewView,
];

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
        /// Whether it comes back as a release that executes differently.
        other_release: bool,
        /// Blocks that its ledger has lost when it comes back.
        lost_blocks: usize,
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
    /// Some no longer reach others, who still reach them.
    OneWay {
        /// Who is no longer heard by the rest, as bits.
        unheard: u64,
        /// For how long.
        lasts_ms: u64,
    },
    /// The network loses all messages of a kind, as a link may that loses large ones.
    Swallow {
        /// Of which phase.
        phase: Phase,
        /// For how long.
        lasts_ms: u64,
    },
    /// A process ends just when it has written its next COMMIT, before anybody hears it.
    Ambush {
        /// Whose.
        node: usize,
        /// Whether it comes back as a release that executes differently.
        other_release: bool,
        /// How long it is away.
        away_ms: u64,
    },
    /// A process stands still and does not know it.
    Pause {
        /// Whose.
        node: usize,
        /// For how long.
        lasts_ms: u64,
    },
    /// A clock is set wrong, and right again when the network heals.
    Clock {
        /// Whose.
        node: usize,
        /// By how much, in milliseconds.
        jump: i64,
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

/// Whether the set of validators changes in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// As the seed says: not at all, at some heights, or at every one.
    Drawn,
    /// Not at all.
    Never,
    /// At every height.
    Always,
}

/// Everything that a seed decides in advance.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Nodes; all are members, unless sets change.
    pub n: usize,
    /// How many of them are members at first.
    pub first: usize,
    /// How sets change, if they do.
    pub changes: Option<Changes>,
    /// Faulty members and how they misbehave.
    pub byzantine: Vec<(usize, usize)>,
    /// How many lose their journal.
    pub amnesiacs: usize,
    /// When the network heals and every crashed node is back, in milliseconds after the start.
    pub heal_at: u64,
    /// One that comes back with a release that executes differently. It must stop voting; for the
    /// others it is a faulty one.
    pub deviant: Option<usize>,
    /// One whose ledger may come back without its last blocks. While they are not decided again it
    /// is as absent as an amnesiac.
    pub loser: Option<usize>,
    /// How they sign.
    pub scheme: Scheme,
    /// Clocks' errors in milliseconds.
    pub skews: Vec<i64>,
    /// By how many millionths clocks run fast or slow.
    pub drifts: Vec<i64>,
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
        Self::draw_with(rng, None)
    }

    /// Draws a plan in which as many as can be misbehave in this way, if one is given.
    pub fn draw_with(rng: &mut Rng, way: Option<usize>) -> Self {
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
        let n = if way.is_some() { n.max(4) } else { n };
        let bear = checkers::faulty(n);
        let mut places: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            places.swap(i, rng.index(i + 1));
        }
        let faulty = if way.is_some() {
            bear
        } else if rng.per_mille(700) {
            rng.between(0, bear as u64) as usize
        } else {
            0
        };
        let byzantine: Vec<(usize, usize)> = places
            .iter()
            .take(faulty)
            .map(|place| {
                (
                    *place,
                    way.unwrap_or_else(|| rng.index(byzantine::DRAWN_WAYS)),
                )
            })
            .collect();
        let absent = n - checkers::quorum(n);
        let amnesiacs = if rng.per_mille(300) {
            absent.saturating_sub(faulty).min(bear)
        } else {
            0
        };
        let mut plan = Self {
            n,
            first: n,
            changes: None,
            byzantine,
            amnesiacs,
            heal_at: HEALS_AT[rng.index(HEALS_AT.len())],
            deviant: None,
            loser: None,
            scheme: if rng.per_mille(10) {
                Scheme::Real
            } else {
                Scheme::Fast
            },
            skews: (0..n).map(|_| rng.between(0, 1_600) as i64 - 800).collect(),
            drifts: (0..n)
                .map(|_| rng.between(0, 20_000) as i64 - 10_000)
                .collect(),
            loss: match rng.index(4) {
                0 => rng.between(0, 250),
                1 => rng.between(250, 500),
                _ => 0,
            },
            duplication: if rng.coin() { rng.between(0, 100) } else { 0 },
            delay_ms: match rng.index(8) {
                0 => rng.between(400, 10_000),
                1..=3 => rng.between(5, 400),
                _ => rng.between(2, 40),
            },
            work_ms: rng.between(50, 1_500),
            troubles: Vec::new(),
        };
        plan.draw_troubles(rng, &places);
        plan
    }

    /// Draws whether and how sets change, from a generator of its own: all else stays as it is in runs
    /// in which they do not. Nodes beyond the first set follow until they join.
    pub fn draw_changes(&mut self, seed: u64, change: Change) {
        let rng = &mut Rng::new(seed ^ CHANGES);
        let per_mille = match (change, rng.index(10)) {
            (Change::Never, _) | (Change::Drawn, 0..=4) => return,
            (Change::Drawn, 5 | 6) => rng.between(20, 200),
            (Change::Drawn | Change::Always, _) => 1_000,
        };
        if self.first < 4 {
            return;
        }
        let pool = self.first + rng.between(0, (10 - self.first) as u64) as usize;
        for _ in self.n..pool {
            self.skews.push(rng.between(0, 1_600) as i64 - 800);
            self.drifts.push(rng.between(0, 20_000) as i64 - 10_000);
        }
        // Some of the faulty ones hold the keys of sets that are no more.
        for (_, way) in &mut self.byzantine {
            if rng.per_mille(200) {
                *way = byzantine::RETIRED_QUORUM;
            }
        }
        self.n = pool;
        self.changes = Some(Changes {
            per_mille,
            pool,
            bad: self.bad(),
        });
    }

    /// A plan in which the set changes at every height, for about so many heights, while nodes crash,
    /// pause and are split again and again.
    pub fn long(seed: u64, heights: u64) -> Self {
        let rng = &mut Rng::new(seed ^ CHANGES);
        let mut plan = Self::draw(rng);
        plan.first = rng.between(4, 10) as usize;
        plan.n = rng.between(plan.first as u64, 10) as usize;
        if rng.coin() {
            plan.n = 10;
        }
        let bear = checkers::faulty(plan.first);
        plan.byzantine = (0..rng.between(0, bear as u64) as usize)
            .map(|place| (place, rng.index(byzantine::WAYS)))
            .collect();
        (plan.amnesiacs, plan.deviant, plan.loser) = (0, None, None);
        plan.scheme = Scheme::Fast;
        plan.skews = (0..plan.n)
            .map(|_| rng.between(0, 600) as i64 - 300)
            .collect();
        plan.drifts = vec![0; plan.n];
        (plan.loss, plan.delay_ms) = (rng.between(0, 60), rng.between(2, 40));
        (plan.duplication, plan.work_ms) = (rng.between(0, 50), rng.between(150, 400));
        // As long as it takes at the worst; the run ends when the heights are there.
        plan.heal_at = heights * 2_500 + 60_000;
        plan.troubles = Vec::new();
        let mut at = 500;
        while at < plan.heal_at {
            plan.troubles.push((at, plan.short_trouble(rng)));
            at += rng.between(200, 4_000);
        }
        plan.changes = Some(Changes {
            per_mille: 1_000,
            pool: plan.n,
            bad: plan.bad(),
        });
        plan
    }

    fn short_trouble(&self, rng: &mut Rng) -> Trouble {
        let node = rng.index(self.n);
        let lasts_ms = rng.between(10, 2_000);
        match rng.index(10) {
            0..=4 => Trouble::Crash {
                node,
                mid_output: rng.per_mille(800),
                amnesia: false,
                other_release: false,
                lost_blocks: 0,
                away_ms: lasts_ms,
            },
            5 => Trouble::PowerCut {
                away_ms: rng.between(10, 500),
            },
            6 | 7 => Trouble::Partition {
                side: rng.next_u64(),
                lasts_ms,
            },
            8 => Trouble::Pause { node, lasts_ms },
            _ => Trouble::Compact { node },
        }
    }

    /// Those that misbehave or may be away for long.
    fn bad(&self) -> Vec<usize> {
        let mut bad: Vec<usize> = self.byzantine.iter().map(|(place, _)| *place).collect();
        for (_, trouble) in &self.troubles {
            if let Trouble::Crash {
                node,
                amnesia: true,
                ..
            } = trouble
            {
                bad.push(*node);
            }
        }
        bad.extend(self.deviant);
        bad.extend(self.loser);
        bad
    }

    /// Who decides what.
    pub fn law(&self) -> Law {
        Law {
            first: Arc::new(Members::first(self.first)),
            changes: self.changes.clone(),
        }
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
        let absent = self.n - checkers::quorum(self.n);
        if self.amnesiacs == 0 && self.byzantine.len() < absent && rng.coin() {
            let chosen = honest.first().copied();
            match rng.index(3) {
                0 => self.deviant = chosen,
                _ => self.loser = chosen,
            }
        }
        // A kind that never gets through, so that views go by and timeouts grow to their cap.
        if rng.per_mille(60) {
            if rng.coin() {
                self.heal_at = LATE_HEAL;
            }
            let trouble = Trouble::Swallow {
                phase: PHASES[rng.index(PHASES.len())],
                lasts_ms: self.heal_at,
            };
            self.troubles.push((rng.between(0, 5_000), trouble));
        }
        if let Some(node) = self.deviant {
            self.troubles.push((
                rng.between(0, self.heal_at / 2),
                Trouble::Ambush {
                    node,
                    other_release: true,
                    away_ms: rng.between(10, 1_000),
                },
            ));
        }
        let kinds = match rng.next_u64() & ((1 << 15) - 1) {
            0 => u64::MAX,
            kinds => kinds,
        };
        for _ in 0..rng.between(0, 10) {
            let at = rng.between(50, self.heal_at - 1_000);
            let node = honest[rng.index(honest.len())];
            let lasts_ms = rng.between(10, self.heal_at / 2);
            // Not every run knows every trouble: some are only found without the others.
            let kind = loop {
                let kind = rng.between(0, 14);
                if (kinds >> kind) & 1 == 1 {
                    break kind;
                }
            };
            let trouble = match kind {
                0..=4 => {
                    let amnesia = forgetful.contains(&node);
                    forgetful.retain(|f| *f != node);
                    let mid_output = rng.per_mille(700);
                    Trouble::Crash {
                        node,
                        mid_output,
                        amnesia,
                        other_release: self.deviant == Some(node),
                        lost_blocks: if self.loser == Some(node) {
                            rng.index(4)
                        } else {
                            0
                        },
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
                9 => Trouble::OneWay {
                    unheard: rng.next_u64(),
                    lasts_ms,
                },
                10 => Trouble::Pause { node, lasts_ms },
                11 => Trouble::Clock {
                    node,
                    jump: rng.between(0, 40_000) as i64 - 20_000,
                },
                12 => Trouble::Swallow {
                    phase: PHASES[rng.index(PHASES.len())],
                    lasts_ms,
                },
                13 => Trouble::Ambush {
                    node,
                    other_release: self.deviant == Some(node),
                    away_ms: lasts_ms.min(2_000),
                },
                _ => Trouble::Compact { node },
            };
            self.troubles.push((at, trouble));
        }
    }

    /// Whether this clock is set wrong at some time.
    pub fn sets_clock(&self, node: usize) -> bool {
        let sets = |t: &Trouble| matches!(t, Trouble::Clock { node: whose, .. } if *whose == node);
        self.troubles.iter().any(|(_, trouble)| sets(trouble))
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
