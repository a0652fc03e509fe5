//! Bounds on what is said on top, so that runs stay fast and two of a kind do not answer each other
//! for ever.

use std::collections::BTreeMap;

use certchain_consensus::statement::Slot;

/// How long a budget lasts.
const WINDOW_MS: u64 = 100;

/// Answers in that time, whatever the slots: those of two of a kind may make ever new ones.
const ANSWERS: u32 = 20;

/// Slots that are remembered.
const SLOTS: usize = 512;

/// Counts by time and by slot.
#[derive(Debug, Default)]
pub struct Limit {
    window: u64,
    used: u32,
    slots: BTreeMap<Slot, u32>,
}

impl Limit {
    /// Whether this is among the first `most` times in this tenth of a second.
    pub fn now(&mut self, now: u64, most: u32) -> bool {
        let window = now / WINDOW_MS;
        if window != self.window {
            self.window = window;
            self.used = 0;
        }
        self.used += 1;
        self.used <= most
    }

    /// Whether this is among the first `most` times for this slot, and not too often by time.
    pub fn here(&mut self, now: u64, slot: Slot, most: u32) -> bool {
        let times = self.slots.entry(slot).or_default();
        *times += 1;
        let fits = *times <= most;
        if self.slots.len() > SLOTS {
            self.slots.pop_first();
        }
        fits && self.now(now, ANSWERS)
    }
}
