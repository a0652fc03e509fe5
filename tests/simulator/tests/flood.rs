//! Ten million far-future votes of one validator, each signed as it must be, leave next to nothing
//! behind. `FLOOD_VOTES` sets how many.

use certchain_simulator::flood::Flooded;

/// What they may leave, in bytes.
const MOST: u64 = 64 << 20;

/// The memory of this process, in bytes.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[test]
fn a_flood_of_far_votes_leaves_nothing_behind() {
    let votes = std::env::var("FLOOD_VOTES").ok();
    let votes = votes.and_then(|v| v.parse().ok()).unwrap_or(10_000_000);
    let mut flooded = Flooded::new();
    // What a few leave, all may leave: the bounds are reached early.
    flooded.flood(10_000);
    let (place, load, before) = (flooded.place(), flooded.load(), resident());
    let begun = std::time::Instant::now();
    flooded.flood(votes);
    println!(
        "{votes} votes, {} ns each, {:?} bytes before, {:?} after",
        begun.elapsed().as_nanos() / u128::from(votes.max(1)),
        before,
        resident()
    );
    assert_eq!(flooded.place(), place, "one validator moves another");
    assert_eq!(flooded.load(), load, "more is kept");
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(
            after.saturating_sub(before) <= MOST,
            "{before} became {after}"
        );
    }
}
