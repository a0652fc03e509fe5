//! Seeded runs of whole nodes, on all processors.
//!
//! `NETWORK_SEEDS` sets how many (150 if left out), `NETWORK_FIRST` the first one; `SIMULATOR_SEED`
//! replays one with every step printed.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use certchain_network_simulator as simulator;

/// Seeds of a normal run.
const SEEDS: u64 = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What all runs came to.
#[derive(Default)]
struct Sums {
    seeds: u64,
    blocks: u64,
    receipts: u64,
    slowest_ms: u64,
    failed: Vec<u64>,
}

impl Sums {
    fn add(&mut self, seed: u64, result: Result<simulator::Report, Box<simulator::Failure>>) {
        self.seeds += 1;
        match result {
            Ok(report) => {
                self.blocks += report.heights.iter().sum::<u64>();
                self.receipts += report.receipts;
                self.slowest_ms = self.slowest_ms.max(report.blocks_after_ms);
            }
            Err(failure) => {
                println!("{failure}");
                self.failed.push(seed);
            }
        }
    }
}

#[test]
fn whole_nodes_lose_nothing_and_go_on() {
    if let Some(seed) = number("SIMULATOR_SEED") {
        match simulator::run(seed, true) {
            Ok(report) => println!("{report:?}"),
            Err(failure) => panic!("{failure}"),
        }
        return;
    }
    let first = number("NETWORK_FIRST").unwrap_or(0);
    let seeds = number("NETWORK_SEEDS").unwrap_or(SEEDS);
    let (next, sums) = (AtomicU64::new(0), Mutex::new(Sums::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let taken = next.fetch_add(1, Ordering::Relaxed);
                    if taken >= seeds {
                        return;
                    }
                    let result = simulator::run(first + taken, false);
                    let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                    sums.add(first + taken, result);
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} blocks, {} receipts, slowest heal {} ms",
        sums.blocks, sums.receipts, sums.slowest_ms
    );
    println!("{} seeds, {} violations", sums.seeds, sums.failed.len());
    assert!(
        sums.failed.is_empty(),
        "seeds that failed: {:?}",
        sums.failed
    );
    assert!(
        sums.blocks >= 15 * sums.seeds && sums.receipts >= 5 * sums.seeds,
        "the runs do too little to show anything"
    );
}

/// A mistake must show within so many seeds.
const MOST: u64 = 200;

#[test]
fn mistakes_of_the_surroundings_are_found() {
    let next = AtomicU64::new(0);
    let search = || {
        loop {
            let taken = next.fetch_add(1, Ordering::Relaxed);
            let place = usize::try_from(taken).unwrap_or(usize::MAX);
            let Some(weakness) = simulator::Weakness::ALL.get(place) else {
                return;
            };
            let found =
                (0..MOST).find_map(|seed| Some((seed, simulator::breaks(seed, *weakness)?)));
            let (seed, how) = found.unwrap_or_else(|| panic!("{weakness:?} is not found"));
            println!("{weakness:?}: seed {seed}: {how}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(search);
        }
    });
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in [1, 5] {
        let [first, second] = [0, 1].map(|_| simulator::run(seed, false).map(|r| r.trace));
        assert_eq!(
            first.map_err(|f| f.to_string()),
            second.map_err(|f| f.to_string())
        );
    }
}
