//! The thread on which a chain's consensus engine runs.
//!
//! It takes events in order, steps the engine, makes its promises durable, and only then hands out
//! what the engine wants done. Nothing else runs here: no execution, no database, no network.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use certchain_consensus::{
    Action, CommitError, Engine, Event, JournalError, Output, Status, TimerId, TimerKind,
};
use certchain_proto::TimeMs;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::pause::{NO_ROOM_PAUSE, Part, Pause};
use crate::{
    journal::FileJournal,
    metrics::{Metrics, chain_label},
    stop::{Fatal, StopReason},
};

/// Most events stepped before their promises are made durable with one sync.
const EVENTS_PER_SYNC: usize = 64;

/// Longest wait without an event or timer, so that a stop is noticed.
const IDLE: Duration = Duration::from_secs(1);

/// What the thread is sent.
pub enum Input {
    /// An event, with the room that its bytes take among those of its sender; given back after the
    /// step.
    Event(Event, Option<OwnedSemaphorePermit>),
    /// End.
    Stop,
}

/// What the thread works with.
pub struct EngineThread {
    /// The chain's name, for logs and metrics.
    pub chain: String,
    /// The engine.
    pub engine: Engine,
    /// Where its promises go.
    pub journal: FileJournal,
    /// What happens to it.
    pub inputs: Receiver<Input>,
    /// Takes what it wants done; never blocks.
    pub dispatch: Box<dyn FnMut(Action) + Send>,
    /// Shows its state to others.
    pub status: watch::Sender<Status>,
    /// Ends the process when a promise cannot be kept.
    pub fatal: Fatal,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells of a full disk.
    pub pause: Arc<Pause>,
}

/// The node's clock as block time. Only the engine's timers, time bounds and the times of signed
/// queries see it.
pub fn now() -> TimeMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimeMs::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl EngineThread {
    /// Runs until told to stop, or until the journal fails.
    pub fn run(mut self) {
        let mut timers = BTreeMap::new();
        let mut pending = self.engine.start(now());
        loop {
            match self.commit(pending, &mut timers) {
                Flow::Continue => {}
                Flow::End => return,
            }
            self.publish();
            pending = Output::default();
            match self.inputs.recv_timeout(self.patience(&timers)) {
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Input::Event(event, permit)) => {
                    self.step(event, &mut pending);
                    drop(permit);
                    if self.take_more(&mut pending).is_end() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.fire(&mut timers, &mut pending);
        }
    }

    /// Takes events that wait already, so that they share a sync.
    fn take_more(&mut self, pending: &mut Output) -> Flow {
        for _ in 1..EVENTS_PER_SYNC {
            match self.inputs.try_recv() {
                Ok(Input::Event(event, permit)) => {
                    self.step(event, pending);
                    drop(permit);
                }
                Ok(Input::Stop) => return Flow::End,
                Err(_) => break,
            }
        }
        Flow::Continue
    }

    fn step(&mut self, event: Event, pending: &mut Output) {
        let output = self.engine.step(now(), event);
        for rejection in output.rejections() {
            tracing::debug!(chain = %self.chain, %rejection, "consensus message without effect");
        }
        pending.join(output);
    }

    fn fire(&mut self, timers: &mut BTreeMap<TimerKind, (TimerId, TimeMs)>, pending: &mut Output) {
        let time = now();
        let due: Vec<TimerKind> = timers
            .iter()
            .filter(|(_, (_, at))| *at <= time)
            .map(|(kind, _)| *kind)
            .collect();
        for kind in due {
            if let Some((id, _)) = timers.remove(&kind) {
                self.step(Event::Timer(id), pending);
            }
        }
    }

    fn patience(&self, timers: &BTreeMap<TimerKind, (TimerId, TimeMs)>) -> Duration {
        let time = now();
        timers
            .values()
            .map(|(_, at)| Duration::from_millis(at.since(time)))
            .min()
            .unwrap_or(IDLE)
            .min(IDLE)
    }

    /// Makes promises durable, then lets actions out. On a full disk voting pauses until there is
    /// room; on a failed sync nobody knows what is on disk, so the process must end.
    fn commit(
        &mut self,
        mut output: Output,
        timers: &mut BTreeMap<TimerKind, (TimerId, TimeMs)>,
    ) -> Flow {
        loop {
            let synced = output.needs_sync();
            match output.commit(&mut self.journal) {
                Ok(actions) => {
                    self.pause.end(Part::Journal);
                    if synced {
                        self.metrics
                            .synced_writes
                            .get_or_create(&chain_label(&self.chain))
                            .inc();
                    }
                    for action in actions {
                        self.act(action, timers);
                    }
                    return Flow::Continue;
                }
                Err(error) => match *error {
                    CommitError {
                        source: error @ JournalError::NoRoom { .. },
                        output: kept,
                    } => {
                        self.pause.begin(Part::Journal, &error);
                        output = *kept;
                        std::thread::sleep(NO_ROOM_PAUSE);
                        if self.fatal.is_stopping() {
                            return Flow::End;
                        }
                    }
                    CommitError {
                        source: error @ JournalError::Failed(_),
                        ..
                    } => {
                        self.fatal.stop(StopReason::Journal {
                            chain: self.chain.clone(),
                            error: error.to_string(),
                        });
                        return Flow::End;
                    }
                },
            }
        }
    }

    fn act(&mut self, action: Action, timers: &mut BTreeMap<TimerKind, (TimerId, TimeMs)>) {
        match action {
            Action::SetTimer { id, at } => {
                timers.insert(id.kind, (id, at));
            }
            Action::CancelTimer { id } => {
                if timers
                    .get(&id.kind)
                    .is_some_and(|(running, _)| *running == id)
                {
                    timers.remove(&id.kind);
                }
            }
            other => (self.dispatch)(other),
        }
    }

    fn publish(&self) {
        let status = self.engine.status();
        let view = i64::from(status.view.get());
        self.metrics
            .view
            .get_or_create(&chain_label(&self.chain))
            .set(view);
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Continue,
    End,
}

impl Flow {
    fn is_end(self) -> bool {
        self == Self::End
    }
}
