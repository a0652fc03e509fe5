//! The rules of the crate document, one table per letter: what happened before, the event, and what
//! must follow, in words.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod answers;
mod changes;
mod journal;
mod limits;
mod promises;
mod proposals;
mod sandbox;
mod sets;
mod start;
mod sync;
mod timers;
mod verification;
mod votes;

use certchain_consensus::Event;
use sandbox::Sandbox;

/// One line of a table.
struct Row {
    name: &'static str,
    /// Who we are, of four; validator 0 is the primary of view 0 at height 1.
    me: usize,
    before: fn(&mut Sandbox),
    event: fn(&Sandbox) -> Event,
    /// Everything that follows, but for timers unless a line names one.
    expect: &'static [&'static str],
}

fn check(table: &[Row]) {
    for row in table {
        let mut sandbox = Sandbox::new(row.me);
        (row.before)(&mut sandbox);
        let event = (row.event)(&sandbox);
        let words = sandbox.step(event);
        assert_eq!(
            without_timers(&words, row.expect),
            row.expect,
            "{}",
            row.name
        );
    }
}

fn without_timers<'a>(words: &'a [String], expect: &[&str]) -> Vec<&'a str> {
    words
        .iter()
        .map(String::as_str)
        .filter(|w| {
            let timer = w.starts_with("set ") || w.starts_with("stop ");
            !timer || expect.contains(w)
        })
        .collect()
}
