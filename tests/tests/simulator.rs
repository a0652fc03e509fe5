//! Thousands of seeded runs of the simulator. `SIMULATOR_SEEDS` sets how many, `SIMULATOR_SEED`
//! replays one with every step printed.

use certchain_tests::simulator;

/// Seeds of a normal run.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_is_safe_and_makes_progress() {
    if let Some(seed) = number("SIMULATOR_SEED") {
        match simulator::run(seed, true) {
            Ok(report) => eprintln!("{report:?}"),
            Err(failure) => panic!("{failure}"),
        }
        return;
    }
    let seeds = number("SIMULATOR_SEEDS").unwrap_or(SEEDS);
    let mut failures = Vec::new();
    let (mut blocks, mut steps, mut slowest) = (0, 0, 0);
    for seed in 0..seeds {
        match simulator::run(seed, false) {
            Ok(report) => {
                blocks += report.height;
                steps += report.steps;
                slowest = slowest.max(report.first_block_after_ms);
            }
            Err(failure) => {
                eprintln!("{failure}");
                failures.push(seed);
            }
        }
    }
    eprintln!("{seeds} seeds, {blocks} blocks, {steps} steps, slowest heal {slowest} ms");
    assert!(failures.is_empty(), "seeds that failed: {failures:?}");
    assert!(
        blocks > 10 * seeds,
        "the runs decide too little to show anything: {blocks} blocks"
    );
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in [1, 5, 17] {
        let runs = [simulator::run(seed, false), simulator::run(seed, false)];
        let [first, second] = runs.map(|run| run.map(|r| (r.height, r.steps, r.height_at_heal)));
        assert_eq!(
            first.map_err(|f| f.to_string()),
            second.map_err(|f| f.to_string())
        );
    }
}
