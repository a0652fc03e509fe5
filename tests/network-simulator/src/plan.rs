//! What a seed decides: members, the network's temper, and when what breaks.

use certchain_simulator::{checkers, rng::Rng};

use crate::faulty::WAYS;

/// When the network heals and every node is back, in milliseconds after the start.
const HEALS_AT: u64 = 12_000;

/// Something that goes wrong at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A process ends.
    Crash {
        /// Whose.
        node: usize,
        /// How long it is away.
        away_ms: u64,
    },
    /// A process ends in the middle of what the next step of one of its engines wants done.
    CrashInOutput {
        /// Whose.
        node: usize,
        /// On which chain.
        chain: usize,
        /// What of the output still happens.
        point: Point,
    },
    /// The power goes while a node writes to its store.
    CrashInWrite {
        /// Whose.
        node: usize,
        /// Whether what was written is there when it comes back.
        written: bool,
    },
    /// A store has no room.
    StoreFull {
        /// Whose.
        node: usize,
        /// For how long.
        lasts_ms: u64,
    },
    /// A journal has no room.
    JournalFull {
        /// Whose.
        node: usize,
        /// On which chain.
        chain: usize,
        /// For how long.
        lasts_ms: u64,
    },
    /// A journal is rewritten with what binds.
    Compact {
        /// Whose.
        node: usize,
        /// On which chain.
        chain: usize,
    },
    /// All processes end at once.
    PowerCut {
        /// How long they are away.
        away_ms: u64,
    },
    /// A process ends and comes back without one of its journals.
    Amnesia {
        /// Whose.
        node: usize,
        /// On which chain.
        chain: usize,
        /// How long it is away.
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
    /// A process stands still and does not know it.
    Pause {
        /// Whose.
        node: usize,
        /// For how long.
        lasts_ms: u64,
    },
}

/// What of an output still happens before a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Nothing.
    BeforeJournal,
    /// This many records reach the disk.
    TornJournal(usize),
    /// All is written, and so many actions happen.
    MidActions(usize),
}

/// Everything that a seed decides in advance.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Members.
    pub n: usize,
    /// Who misbehaves, and in which way.
    pub faulty: Vec<(usize, usize)>,
    /// Clocks' errors in milliseconds.
    pub skews: Vec<i64>,
    /// Messages lost, of 1,000, until the network heals.
    pub loss: u64,
    /// Messages doubled, of 1,000.
    pub duplication: u64,
    /// Longest delay of a message.
    pub delay_ms: u64,
    /// Longest pause between two wishes of clients.
    pub work_ms: u64,
    /// When the network heals, in milliseconds after the start.
    pub heal_at: u64,
    /// What goes wrong, by time.
    pub troubles: Vec<(u64, Trouble)>,
}

impl Plan {
    /// Draws a plan for a network with this many chains. With a way, as many as can be borne
    /// misbehave in it.
    pub fn draw(rng: &mut Rng, chains: usize, way: Option<usize>) -> Self {
        let n = match rng.between(0, 99) {
            0..=3 if way.is_none() => 1,
            0..=74 => 4,
            75..=84 => 5,
            85..=94 => 7,
            _ => 10,
        };
        let most = checkers::faulty(n);
        let count = match way {
            Some(_) => most,
            None if rng.coin() => 0,
            None => rng.between(0, most as u64) as usize,
        };
        let mut places: Vec<usize> = (0..n).collect();
        let faulty = (0..count).map(|_| {
            let place = places.swap_remove(rng.index(places.len()));
            (place, way.unwrap_or_else(|| rng.index(WAYS)))
        });
        let mut plan = Self {
            n,
            faulty: faulty.collect(),
            skews: (0..n).map(|_| rng.between(0, 1_200) as i64 - 600).collect(),
            loss: match rng.index(4) {
                0 => rng.between(0, 250),
                1 => rng.between(250, 500),
                _ => 0,
            },
            duplication: if rng.coin() { rng.between(0, 100) } else { 0 },
            delay_ms: match rng.index(8) {
                0 => rng.between(400, 5_000),
                1..=3 => rng.between(5, 400),
                _ => rng.between(2, 40),
            },
            work_ms: rng.between(40, 500),
            heal_at: HEALS_AT,
            troubles: Vec::new(),
        };
        plan.draw_troubles(rng, chains);
        plan
    }

    fn draw_troubles(&mut self, rng: &mut Rng, chains: usize) {
        // More than n - q amnesiacs would need the recovery, and who is faulty may be no better.
        let forgetful = rng.index(self.n);
        let bears = self.faulty.len() + checkers::quorum(self.n) < self.n;
        let kinds = rng.next_u64() | 1;
        for _ in 0..rng.between(0, 12) {
            let at = rng.between(50, self.heal_at - 1_000);
            let lasts_ms = rng.between(10, self.heal_at / 2);
            // Not every run knows every trouble: some are only found without the others.
            let kind = loop {
                let kind = rng.index(14);
                if (kinds >> kind) & 1 == 1 {
                    break kind;
                }
            };
            let forgetful = bears.then_some(forgetful);
            let trouble = self.draw_trouble(rng, kind, chains, forgetful, lasts_ms);
            self.troubles.push((at, trouble));
        }
    }

    fn draw_trouble(
        &self,
        rng: &mut Rng,
        kind: usize,
        chains: usize,
        forgetful: Option<usize>,
        lasts_ms: u64,
    ) -> Trouble {
        let (node, chain) = (rng.index(self.n), rng.index(chains));
        match kind {
            0 | 1 => Trouble::Crash {
                node,
                away_ms: lasts_ms,
            },
            2 | 3 => Trouble::CrashInOutput {
                node,
                chain,
                point: match rng.index(4) {
                    0 => Point::BeforeJournal,
                    1 => Point::TornJournal(rng.index(3)),
                    _ => Point::MidActions(rng.index(6)),
                },
            },
            4 | 5 => Trouble::CrashInWrite {
                node,
                written: rng.coin(),
            },
            6 => Trouble::StoreFull { node, lasts_ms },
            7 => Trouble::JournalFull {
                node,
                chain,
                lasts_ms,
            },
            8 => Trouble::Compact { node, chain },
            9 => Trouble::PowerCut {
                away_ms: rng.between(10, 500),
            },
            10 if forgetful.is_some() => Trouble::Amnesia {
                node: forgetful.unwrap_or(node),
                chain,
                away_ms: lasts_ms,
            },
            10 | 11 => Trouble::Partition {
                side: rng.next_u64(),
                lasts_ms,
            },
            12 => Trouble::OneWay {
                unheard: rng.next_u64(),
                lasts_ms,
            },
            _ => Trouble::Pause { node, lasts_ms },
        }
    }
}
