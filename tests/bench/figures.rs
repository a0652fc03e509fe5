//! The figures of a run, for people and for programs.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

/// What is asked for, what it means, and in what order it is shown.
const KNOWN: [(&str, &str); 38] = [
    ("transactions_per_s", "registrations decided per second"),
    (
        "commit_p50_ms",
        "from submission to receipt at 100/s, median",
    ),
    ("commit_p99_ms", "the same, 99 of 100"),
    ("commit_max_ms", "the same, the slowest"),
    (
        "primary_death_p50_ms",
        "from the death of the primary under load to the second next block, median",
    ),
    ("primary_death_p99_ms", "the same, 99 of 100"),
    ("primary_deaths", "how often it was killed"),
    (
        "quiet_transactions_per_s",
        "registrations decided per second by three, the fourth being silent",
    ),
    (
        "flooded_transactions_per_s",
        "the same while the fourth floods them with votes",
    ),
    ("flooded_share", "the second by the first"),
    (
        "flood_votes_per_s",
        "votes that they took from it meanwhile, all three together",
    ),
    (
        "flood_memory_mib",
        "growth of a node's memory by the flood alone, the most of the three",
    ),
    (
        "loaded_block_transactions",
        "registrations per block under full load",
    ),
    (
        "bytes_per_transaction",
        "growth of one node's store per registration, block and state",
    ),
    (
        "certificates_per_s",
        "certificates decided per second, one a transaction",
    ),
    ("batch_certificates_per_s", "the same in batches of 100"),
    (
        "check_p50_ms",
        "from a presentation to the recorded result, median",
    ),
    (
        "bytes_per_certificate",
        "growth of one node's store per certificate, besides its ciphertext",
    ),
    ("offline_verify_ms", "verifying a pack off line, median"),
    ("pack_bytes", "its size"),
    (
        "anchor_lag_s",
        "from a certificate's receipt to the anchor that covers it",
    ),
    (
        "start_s",
        "from nothing to a network whose six chains are ready",
    ),
    ("rss_mib_per_node", "memory of a node after the load"),
    ("rss_peak_mib_per_node", "the most that a node had"),
    (
        "node_cpu_us_per_transaction",
        "processor time of one node per registration",
    ),
    ("replay_tx_per_s", "registrations audited per second"),
    (
        "tree_update_us",
        "one update of the state tree, all in, 1,000 at a time",
    ),
    ("tree_bytes_written_per_update", "written to the log for it"),
    ("tree_insert_us", "one new key, all in"),
    ("tree_keys", "keys in that tree"),
    (
        "signature_batch_us",
        "one signature in a batch of 256 distinct keys, one core",
    ),
    ("signature_single_us", "one signature alone"),
    ("synced_write_us", "4 KiB appended and synced, median"),
    ("sign_us", "making one signed registration, one core"),
    (
        "submit_many_us",
        "answer to a batch under full load, per registration",
    ),
    ("cores", "processors of the machine"),
    ("nodes", "nodes on it"),
    ("transactions", "registrations of the throughput run"),
];

/// Values by name.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<&'static str, f64>);

impl Figures {
    /// Notes a value.
    pub fn set(&mut self, name: &'static str, value: f64) {
        self.0.insert(name, value);
    }

    /// All of them, to three digits after the point.
    pub fn to_json(&self) -> Value {
        let rounded = |value: f64| (value * 1e3).round() / 1e3;
        self.0
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(rounded(*value))))
            .collect()
    }

    /// A table.
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        for (name, meaning) in KNOWN {
            if let Some(value) = self.0.get(name) {
                let digits = if *value < 100.0 { 2 } else { 0 };
                // Writing to a text cannot fail.
                let _ = writeln!(text, "{name:<30} {value:>12.digits$}  {meaning}");
            }
        }
        text
    }
}
