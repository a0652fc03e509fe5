//! The journal keeps our promises: what we signed, what we were prepared on, nothing of others.

use std::collections::BTreeMap;

use certchain_proto::{
    BlockHeader, Epoch, Height, View,
    hash::{HeaderDigest, OutcomeDigest},
};
use serde::{Deserialize, Serialize};

use crate::{
    limits::RESENT_COMMITS,
    message::{Message, PreparedCertificate},
    planted::{self, Bug},
    statement::Phase,
};

/// One promise, or the end of some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A message that we signed, whole; it is sent again as it stands and never signed anew.
    Signed(Box<Message>),
    /// The header that a PREPARE of ours names; its body lies synced in the node's store.
    Header(Box<BlockHeader>),
    /// The highest prepared certificate of its height so far.
    Prepared(Box<PreparedCertificate>),
    /// The ledger holds this height; promises up to it have been kept. Compaction may drop them.
    Sealed {
        /// The height.
        height: Height,
    },
    /// The journal was lost: nothing is signed until a restart notice with this nonce is committed.
    Amnesia {
        /// The nonce.
        nonce: [u8; 32],
    },
    /// That notice stands in the block at this height; votes may be cast above it.
    Cleared {
        /// The height.
        height: Height,
    },
}

/// Why records could not be made durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// No room, found before anything was written: voting pauses until there is.
    #[error(
        "the journal's disk is full: {needed} more bytes are needed; free some space, voting goes on by itself"
    )]
    NoRoom {
        /// Bytes that are missing.
        needed: u64,
    },
    /// A write or sync failed. What is on disk is unknown, so the process must end.
    #[error(
        "writing the journal failed ({0}); the process must end, check the disk before starting again"
    )]
    Failed(std::io::ErrorKind),
}

/// Where promises are made durable.
pub trait Journal {
    /// Appends records and returns once they are on disk, whole and in order; one call is one sync.
    ///
    /// # Errors
    /// [`JournalError::NoRoom`] only if nothing was written.
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError>;
}

/// Why records make no sense: they were not written by this engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalFault {
    /// Two different messages of ours for one slot.
    #[error("it holds two different messages for height {height}, view {view}")]
    Contradiction {
        /// The height.
        height: Height,
        /// The view.
        view: View,
    },
    /// Promises of ours for one height in two epochs.
    #[error("it holds promises of two epochs for height {height}")]
    TwoEpochs {
        /// The height.
        height: Height,
    },
    /// Two COMMITs of ours for one header with different outcomes.
    #[error("it holds commits for two outcomes of one block at height {height}")]
    TwoOutcomes {
        /// The height.
        height: Height,
    },
}

/// Our promises for one undecided height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeightPromises {
    epoch: Option<Epoch>,
    messages: BTreeMap<(View, Phase), Message>,
    headers: BTreeMap<HeaderDigest, BlockHeader>,
    prepared: Option<PreparedCertificate>,
}

impl HeightPromises {
    /// Own messages by view and phase.
    pub fn messages(&self) -> &BTreeMap<(View, Phase), Message> {
        &self.messages
    }

    /// Headers that own votes name.
    pub fn headers(&self) -> impl Iterator<Item = &BlockHeader> {
        self.headers.values()
    }

    /// The highest prepared certificate.
    pub fn prepared(&self) -> Option<&PreparedCertificate> {
        self.prepared.as_ref()
    }

    /// The epoch of all of them (J-5).
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The highest view in which we said anything.
    pub fn view(&self) -> View {
        self.messages
            .keys()
            .next_back()
            .map_or(View::ZERO, |(view, _)| *view)
    }

    /// The outcomes that we committed to, by header.
    pub fn locks(&self) -> BTreeMap<HeaderDigest, OutcomeDigest> {
        self.messages
            .values()
            .filter_map(|m| match m {
                Message::Commit(c) => Some((c.vote.header, c.vote.outcome)),
                _ => None,
            })
            .collect()
    }

    /// J-5: one set decides a height, so what we promise for it is of one epoch.
    fn bind(&mut self, epoch: Epoch, height: Height) -> Result<(), JournalFault> {
        if *self.epoch.get_or_insert(epoch) == epoch {
            return Ok(());
        }
        Err(JournalFault::TwoEpochs { height })
    }

    fn add(&mut self, message: &Message) -> Result<(), JournalFault> {
        let slot = message.statement().slot();
        self.bind(slot.epoch, slot.height)?;
        if let Some(known) = self.messages.get(&(slot.view, slot.phase)) {
            if known == message {
                return Ok(());
            }
            return Err(JournalFault::Contradiction {
                height: slot.height,
                view: slot.view,
            });
        }
        if let Message::Commit(c) = message
            && self
                .locks()
                .get(&c.vote.header)
                .is_some_and(|o| *o != c.vote.outcome)
        {
            return Err(JournalFault::TwoOutcomes {
                height: slot.height,
            });
        }
        self.messages
            .insert((slot.view, slot.phase), message.clone());
        Ok(())
    }

    /// J-4: what still binds: the messages of the highest view, the highest VIEW-CHANGE, one COMMIT
    /// per outcome and the newest of them, and the headers that kept votes name.
    fn live(&self) -> Vec<Record> {
        let view = self.view();
        let highest_change = self
            .messages
            .keys()
            .rev()
            .find(|(_, p)| *p == Phase::ViewChange);
        let newest: Vec<_> = self
            .messages
            .keys()
            .rev()
            .filter(|(_, p)| *p == Phase::Commit)
            .take(RESENT_COMMITS)
            .collect();
        let mut locked = BTreeMap::new();
        let mut records = Vec::new();
        let mut kept = Vec::new();
        for (slot, message) in self.messages.iter().rev() {
            let keep = slot.0 == view
                || Some(slot) == highest_change
                || match message {
                    Message::Commit(_) if planted::is(Bug::CompactsCommitsAway) => false,
                    Message::Commit(c) => {
                        locked.insert(c.vote.header, ()).is_none() || newest.contains(&slot)
                    }
                    Message::PrePrepare(_)
                    | Message::Prepare(_)
                    | Message::ViewChange(_)
                    | Message::NewView(_) => false,
                };
            if keep {
                kept.push(message);
            }
        }
        for header in self.headers.values() {
            let digest = header.digest();
            if kept.iter().any(|m| m.header() == Some(digest)) {
                records.push(Record::Header(Box::new(header.clone())));
            }
        }
        records.extend(
            self.prepared
                .iter()
                .filter(|_| !planted::is(Bug::CompactsCertificateAway))
                .map(|p| Record::Prepared(Box::new(p.clone()))),
        );
        records.extend(
            kept.into_iter()
                .rev()
                .map(|m| Record::Signed(Box::new(m.clone()))),
        );
        records
    }
}

/// What a journal's records come to: J-3, the pure replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    floor: Height,
    amnesia: Option<[u8; 32]>,
    heights: BTreeMap<Height, HeightPromises>,
}

impl Promises {
    /// Reads records in the order of writing.
    ///
    /// # Errors
    /// If they contradict each other.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, JournalFault> {
        let mut promises = Self::default();
        for record in records {
            promises.apply(record)?;
        }
        Ok(promises)
    }

    /// Adds one record.
    ///
    /// # Errors
    /// If it contradicts an earlier one.
    pub fn apply(&mut self, record: &Record) -> Result<(), JournalFault> {
        match record {
            Record::Signed(message) => {
                let height = message.height();
                if height > self.floor {
                    self.heights.entry(height).or_default().add(message)?;
                }
            }
            Record::Header(header) => {
                if header.height > self.floor {
                    let promises = self.heights.entry(header.height).or_default();
                    promises.bind(header.epoch, header.height)?;
                    promises
                        .headers
                        .insert(header.digest(), BlockHeader::clone(header));
                }
            }
            Record::Prepared(certificate) => {
                let height = certificate.header.height;
                if height > self.floor {
                    let promises = self.heights.entry(height).or_default();
                    promises.bind(certificate.header.epoch, height)?;
                    if promises
                        .prepared
                        .as_ref()
                        .is_none_or(|p| p.view < certificate.view)
                    {
                        promises.prepared = Some(PreparedCertificate::clone(certificate));
                    }
                }
            }
            Record::Sealed { height } => self.raise(*height),
            Record::Amnesia { nonce } => self.amnesia = Some(*nonce),
            Record::Cleared { height } => {
                self.amnesia = None;
                self.raise(*height);
            }
        }
        Ok(())
    }

    fn raise(&mut self, floor: Height) {
        self.floor = self.floor.max(floor);
        self.heights = self.heights.split_off(&self.floor.next());
    }

    /// Nothing is ever signed at or below this height.
    pub fn floor(&self) -> Height {
        self.floor
    }

    /// The nonce whose committed restart notice would let us sign again, if we may not now.
    pub fn amnesia(&self) -> Option<[u8; 32]> {
        self.amnesia
    }

    /// The promises for one height.
    pub fn height(&self, height: Height) -> Option<&HeightPromises> {
        self.heights.get(&height)
    }

    /// J-5: the epoch of our promises for a height, if it is not the one of the height's set.
    pub(crate) fn other_epoch(&self, height: Height, set: Epoch) -> Option<Epoch> {
        let promised = self.heights.get(&height)?.epoch()?;
        (promised != set).then_some(promised)
    }

    pub(crate) fn take(&mut self, height: Height) -> Option<HeightPromises> {
        self.heights.remove(&height)
    }

    /// J-4: the fewest records that replay to what still binds; a journal that runs full is
    /// rewritten with these.
    pub fn live_records(&self) -> Vec<Record> {
        let mut records = vec![Record::Sealed { height: self.floor }];
        records.extend(self.amnesia.map(|nonce| Record::Amnesia { nonce }));
        records.extend(self.heights.values().flat_map(HeightPromises::live));
        records
    }
}
