//! Every way to misbehave acts among whole nodes, and the honest bear as many of each as they must.
//! `SIMULATOR_WAY` chooses one, `NETWORK_SEEDS` sets the runs of each; with `SIMULATOR_SEED` one run is
//! replayed with every step printed.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use certchain_network_simulator::{WAYS, run_with, way_name};

/// Runs of each way.
const SEEDS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a way; what is wrong with it.
fn try_way(way: usize, seeds: u64) -> Vec<String> {
    let name = way_name(way);
    let (mut deviations, mut unverifiable, mut receipts) = (0, 0, 0);
    let mut wrong = Vec::new();
    for seed in 0..seeds {
        match run_with(seed, Some(way), false) {
            Ok(report) => {
                deviations += report.deviations;
                unverifiable += report.unverifiable;
                receipts += report.receipts;
            }
            Err(failure) => {
                eprintln!("SIMULATOR_WAY={way} {failure}");
                wrong.push(format!("{name} fails at seed {seed}"));
            }
        }
    }
    eprintln!("{name}: {deviations} deviations, {unverifiable} unverifiable, {receipts} receipts");
    if deviations == 0 {
        wrong.push(format!("{name} never acts"));
    }
    wrong
}

#[test]
fn every_way_deviates_and_breaks_nothing() {
    let only = number("SIMULATOR_WAY").and_then(|way| usize::try_from(way).ok());
    if let (Some(way), Some(seed)) = (only, number("SIMULATOR_SEED")) {
        match run_with(seed, Some(way), true) {
            Ok(report) => eprintln!("{report:?}"),
            Err(failure) => panic!("{failure}"),
        }
        return;
    }
    let seeds = number("NETWORK_SEEDS").unwrap_or(SEEDS);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let way = next.fetch_add(1, Ordering::Relaxed);
                    if way >= WAYS {
                        return;
                    }
                    if only.is_none_or(|only| only == way) {
                        let found = try_way(way, seeds);
                        let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                        wrong.extend(found);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
