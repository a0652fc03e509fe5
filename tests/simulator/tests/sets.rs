//! The set of validators changes at every height, for a thousand heights, under crashes, splits and
//! losses. `SETS_SEEDS` sets how many runs, `SETS_FIRST` the first seed, `SETS_HEIGHTS` how far each
//! goes.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use certchain_simulator::run_changing;

/// Runs in CI.
const SEEDS: u64 = 6;
/// Heights of each.
const HEIGHTS: u64 = 1_000;

fn number(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn sets_that_change_at_every_height_go_on() {
    let (seeds, heights) = (number("SETS_SEEDS", SEEDS), number("SETS_HEIGHTS", HEIGHTS));
    let first = number("SETS_FIRST", 0);
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let taken = next.fetch_add(1, Ordering::Relaxed);
                    if taken >= seeds {
                        return;
                    }
                    let begun = std::time::Instant::now();
                    let fault = match run_changing(first + taken, heights) {
                        Ok(report) => {
                            println!("{report:?} in {} s", begun.elapsed().as_secs());
                            // At some heights the one that was drawn changes nothing, or is too many.
                            (report.epochs < report.height / 2)
                                .then(|| "the sets hardly change".to_owned())
                        }
                        Err(failure) => Some(failure.to_string()),
                    };
                    if let Some(fault) = fault {
                        println!("{fault}");
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.push(first + taken);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}
