//! Measures the off-line verification of a pack over chains with many accounts and certificates:
//! bytes of the pack, and milliseconds to decode and verify it.
//!
//! `cargo run -p certchain-sidechain --example offline_verify [ACCOUNTS]`
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

#[path = "../tests/anchors/world.rs"]
mod world;

use std::time::Instant;

use certchain_sidechain::pack::{MainLink, MainTrust, Pack};

const ROUNDS: usize = 200;

fn main() {
    let accounts = std::env::args()
        .nth(1)
        .map_or(100_000, |text| text.parse().expect("a number of accounts"));
    let mut world = world::World::with_citizens(accounts);
    world.apply(world.anchor(3, 0));
    world.main.push([], world::START + 4000, None);
    let links = [
        (
            "commit certificate",
            world.certified(3),
            MainTrust::validators(world.main.id, world.validators().clone()),
        ),
        (
            "trusted header",
            MainLink::Later(world.main.proof(3, 4)),
            MainTrust::block(world.main.verified(4)),
        ),
    ];
    for (name, link, trust) in links {
        let bytes = Pack::new(world.parts(2, 3, 3, link)).unwrap().encode();
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                let pack = Pack::decode(&bytes).unwrap();
                std::hint::black_box(pack.verify(&trust).unwrap());
                start.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{name}: pack_bytes={} offline_verify_ms={:.3} (p99 {:.3}) accounts={accounts}",
            bytes.len(),
            times[ROUNDS / 2],
            times[ROUNDS * 99 / 100],
        );
    }
}
