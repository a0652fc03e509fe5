//! The journal as an engine's output meets it: with room or without, and torn by a crash.

use certchain_consensus::{Journal, JournalError, Record};
use certchain_simulator::journal::JournalFile;

/// A journal's file at the moment of a write.
#[derive(Debug)]
pub struct CrashingJournal<'a> {
    /// The file.
    pub file: &'a mut JournalFile,
    /// A crash while writing leaves this many records.
    pub torn_after: Option<usize>,
    /// There is no room.
    pub full: bool,
}

impl Journal for CrashingJournal<'_> {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.full {
            return Err(JournalError::NoRoom { needed: 1 });
        }
        let kept = self.torn_after.unwrap_or(records.len()).min(records.len());
        self.file.append(&records[..kept]);
        match self.torn_after {
            None => Ok(()),
            Some(_) => Err(JournalError::Failed(std::io::ErrorKind::Interrupted)),
        }
    }
}
