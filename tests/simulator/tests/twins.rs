//! Schedules of twins: all of four validators up to `TWINS_ROUNDS` rounds (3 if left out; 4 is a
//! matter of minutes), and `TWINS_SAMPLES` drawn ones of seven with two twins.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use certchain_simulator::{
    rng::Rng,
    twins::{self, Schedule},
};

fn number(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

/// Runs `count` schedules on all processors; gives how often honest ones found proof.
fn run_all(count: u64, schedule: impl Fn(u64) -> Schedule + Sync) -> usize {
    let (next, evidence, slowest) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    match twins::run(&schedule(number)) {
                        Ok(outcome) => {
                            evidence.fetch_add(outcome.evidence, Ordering::Relaxed);
                            slowest.fetch_max(outcome.rounds_to_heal, Ordering::Relaxed);
                        }
                        Err(broken) => panic!("schedule {number}: {broken}"),
                    }
                }
            });
        }
    });
    let (evidence, slowest) = (evidence.into_inner(), slowest.into_inner());
    println!("{count} schedules, {evidence} proofs, slowest heal {slowest} rounds");
    evidence
}

#[test]
fn all_schedules_of_four() {
    let rounds = u32::try_from(number("TWINS_ROUNDS", 3)).unwrap_or(3);
    let cuts = u64::from(Schedule::cuts(5).end);
    let each = cuts.pow(rounds);
    let evidence = run_all(4 * each, |number| Schedule {
        n: 4,
        twins: vec![(number / each) as usize],
        sides: (0..rounds)
            .map(|round| (number % each / cuts.pow(round) % cuts) as u32)
            .collect(),
    });
    assert!(
        evidence > 0,
        "no twin has contradicted itself: nothing was tried"
    );
}

#[test]
fn drawn_schedules_of_seven() {
    let evidence = run_all(number("TWINS_SAMPLES", 2_000), |seed| {
        let mut rng = Rng::new(seed);
        let first = rng.index(7);
        let second = (first + 1 + rng.index(6)) % 7;
        let cuts = u64::from(Schedule::cuts(9).end);
        Schedule {
            n: 7,
            twins: vec![first, second],
            sides: (0..rng.between(1, 6))
                .map(|_| rng.between(0, cuts - 1) as u32)
                .collect(),
        }
    });
    assert!(
        evidence > 0,
        "no twin has contradicted itself: nothing was tried"
    );
}
