//! What happened in a run: a hash of all of it, by which two runs are compared, and its last lines
//! for people.

use std::collections::VecDeque;

use certchain_consensus::Event;

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

/// An event as numbers, for the trace's hash.
pub fn numbers(event: &Event) -> [u64; 4] {
    let front = |bytes: &[u8; 32]| bytes[..8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
    match event {
        Event::Message(m) => [
            1 + u64::from(m.signer().get()),
            m.height().get(),
            u64::from(m.view().get()),
            front(m.statement().signing_hash().as_bytes()),
        ],
        Event::Timer(id) => [
            101,
            id.height.get(),
            u64::from(id.view.get()),
            id.kind as u64,
        ],
        Event::Proposal(p) => [
            102,
            p.height.get(),
            p.time_ms.get(),
            front(p.tx_root.as_bytes()),
        ],
        Event::NothingToPropose { height, view } => [103, height.get(), u64::from(view.get()), 0],
        Event::BodyReady { header } => [104, front(header.as_bytes()), 0, 0],
        Event::BodyInvalid { header, .. } => [105, front(header.as_bytes()), 0, 0],
        Event::Executed { header, .. } => [106, front(header.as_bytes()), 0, 0],
        Event::Sealed(s) => [107, s.header.height.get(), 0, 0],
        Event::Applied { height } => [108, height.get(), 0, 0],
        Event::Connected { validator } => [111, u64::from(validator.get()), 0, 0],
        Event::WorkChanged { pending } => [109, u64::from(*pending), 0, 0],
        Event::AmnesiaCleared { height } => [110, height.get(), 0, 0],
        Event::Validators { header, validators } => {
            [112, front(header.as_bytes()), validators.epoch().get(), 0]
        }
        Event::LaterEpoch { epoch } => [113, epoch.get(), 0, 0],
    }
}

/// One line for a trace.
pub fn brief(event: &Event) -> String {
    match event {
        Event::Message(m) => format!(
            "{} of {} for height {} view {} ({:?})",
            m.kind(),
            m.signer(),
            m.height(),
            m.view(),
            m.header()
        ),
        Event::Timer(id) => format!("{id:?}"),
        Event::Proposal(p) => format!("proposal for height {} view {}", p.height, p.view),
        Event::Sealed(s) => format!("sealed {}", s.header.height),
        Event::Validators { header, validators } => {
            format!("validators of {header}: epoch {}", validators.epoch())
        }
        other => format!("{other:?}"),
    }
}
