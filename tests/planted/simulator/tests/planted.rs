//! Bugs that are put in are found, and how soon.
//!
//! `PLANTED_BUG` names one to look for, `PLANTED_SEEDS` how many seeds to try for each.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use certchain_simulator_planted::{self as simulator, Bug, Change};

/// Seeds to try before a bug counts as missed.
const SEEDS: u64 = 1_000;

/// How a bug was found.
struct Found {
    bug: Bug,
    seeds: u64,
    took: Duration,
    by: Option<String>,
}

fn look_for(bug: Bug, seeds: u64) -> Found {
    let begun = Instant::now();
    simulator::plant(Some(bug));
    let mut found = Found {
        bug,
        seeds: 0,
        took: Duration::ZERO,
        by: None,
    };
    while found.by.is_none() && found.seeds < seeds {
        let seed = found.seeds;
        found.seeds += 1;
        found.by = catch_unwind(AssertUnwindSafe(|| {
            // Every other run has as many as can be misbehave in one way.
            let way = (seed % 2 == 1).then_some(seed as usize / 2 % simulator::byzantine::WAYS);
            // Runs in which the set changes are longer; most bugs need none.
            match simulator::breaks(seed, way, Change::Never) {
                None if seed.is_multiple_of(4) => simulator::breaks(seed, way, Change::Always),
                found => found,
            }
        }))
        .unwrap_or_else(|_| Some("the engine panics".to_owned()));
    }
    simulator::plant(None);
    found.took = begun.elapsed();
    found
}

#[test]
fn planted_bugs_are_found() {
    let seeds = std::env::var("PLANTED_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SEEDS);
    let only = std::env::var("PLANTED_BUG").ok();
    let bugs: Vec<Bug> = Bug::ALL
        .iter()
        .copied()
        .filter(|bug| only.as_ref().is_none_or(|name| *name == format!("{bug:?}")))
        .collect();
    assert!(!bugs.is_empty(), "there is no such bug");
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = look_for(*bug, seeds);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    println!(
                        "{:<32} {:>6} seeds {:>8.2} s  {}",
                        format!("{:?}", found.bug),
                        found.seeds,
                        found.took.as_secs_f64(),
                        found.by.as_deref().unwrap_or("NOT FOUND")
                    );
                    all.push(found);
                }
            });
        }
    });
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missed: Vec<Bug> = all
        .iter()
        .filter(|found| found.by.is_none())
        .map(|found| found.bug)
        .collect();
    println!("{} bugs, {} missed", all.len(), missed.len());
    assert!(missed.is_empty(), "missed: {missed:?}");
}

#[test]
fn without_a_bug_the_same_sources_are_in_order() {
    simulator::plant(None);
    for seed in 0..50 {
        for change in [Change::Never, Change::Always] {
            let broken = simulator::breaks(seed, None, change);
            assert_eq!(broken, None, "seed {seed}, {change:?}");
        }
    }
}
