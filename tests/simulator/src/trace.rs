//! What happened in a run: a hash of all of it, by which two runs are compared, and its last lines
//! for people.

use std::collections::VecDeque;

/// Lines that are kept for a report.
const KEPT: usize = 120;

/// The record of a run.
#[derive(Debug)]
pub struct Trace {
    hasher: Box<blake3::Hasher>,
    lines: Option<VecDeque<String>>,
    aloud: bool,
}

impl Trace {
    /// Without lines a run is twice as fast; `aloud` prints each as it comes.
    pub fn new(lines: bool, aloud: bool) -> Self {
        Self {
            hasher: Box::new(blake3::Hasher::new()),
            lines: (lines || aloud).then(VecDeque::new),
            aloud,
        }
    }

    /// Something happened that these numbers describe.
    pub fn note(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.hasher.update(&number.to_le_bytes());
        }
    }

    /// Adds a line, if lines are wanted.
    pub fn line(&mut self, text: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else {
            return;
        };
        let text = text();
        if self.aloud {
            eprintln!("{text}");
        }
        if lines.len() >= KEPT {
            lines.pop_front();
        }
        lines.push_back(text);
    }

    /// The hash of everything noted.
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    /// The last lines.
    pub fn last_lines(&self) -> String {
        let lines = self.lines.iter().flatten();
        lines.fold(String::new(), |all, line| all + line + "\n")
    }
}
