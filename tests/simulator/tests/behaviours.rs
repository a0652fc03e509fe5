//! Every way to misbehave acts, and the honest bear as many of each as they must. `SIMULATOR_WAY`
//! chooses one, `SIMULATOR_SEEDS` sets the runs of each; with `SIMULATOR_SEED` one run is replayed
//! with every step printed.

use certchain_simulator::{
    byzantine::{WAYS, name},
    run_with,
};

/// Runs of each way.
const SEEDS: u64 = 12;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_way_deviates_and_breaks_nothing() {
    let only = number("SIMULATOR_WAY").map(|way| way as usize);
    if let (Some(way), Some(seed)) = (only, number("SIMULATOR_SEED")) {
        match run_with(seed, Some(way), true) {
            Ok(report) => eprintln!("{report:?}"),
            Err(failure) => panic!("{failure}"),
        }
        return;
    }
    let seeds = number("SIMULATOR_SEEDS").unwrap_or(SEEDS);
    let mut wrong = Vec::new();
    for way in (0..WAYS).filter(|way| only.is_none_or(|only| only == *way)) {
        let (mut deviations, mut unverifiable, mut steps) = (0, 0, 0);
        for seed in 0..seeds {
            match run_with(seed, Some(way), false) {
                Ok(report) => {
                    deviations += report.deviations;
                    unverifiable += report.unverifiable;
                    steps += report.steps;
                }
                Err(failure) => {
                    eprintln!("SIMULATOR_WAY={way} {failure}");
                    wrong.push(format!("{} fails at seed {seed}", name(way)));
                }
            }
        }
        let name = name(way);
        eprintln!("{name}: {deviations} deviations, {unverifiable} unverifiable, {steps} steps");
        if deviations == 0 {
            wrong.push(format!("{name} never acts"));
        }
        if name.starts_with("forged") && unverifiable == 0 {
            wrong.push(format!("{name} forges nothing"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
