//! A journal on a simulated disk.

use certchain_consensus::{Promises, Record};

/// The records of one validator.
#[derive(Clone, Debug, Default)]
pub struct JournalFile {
    records: Vec<Record>,
    written: Vec<Record>,
}

impl JournalFile {
    /// What a start reads.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What was ever written, in that order; no rewrite takes of it.
    pub fn written(&self) -> &[Record] {
        &self.written
    }

    /// Adds records.
    pub fn append(&mut self, records: &[Record]) {
        self.records.extend_from_slice(records);
        self.written.extend_from_slice(records);
    }

    /// Leaves what binds (J-4).
    ///
    /// # Errors
    /// If the records contradict each other.
    pub fn rewrite(&mut self) -> Result<(), String> {
        let promises = Promises::replay(&self.records).map_err(|e| e.to_string())?;
        self.records = promises.live_records();
        Ok(())
    }

    /// All is lost, and the node notices at its start.
    pub fn lose(&mut self, nonce: [u8; 32]) {
        self.records = vec![Record::Amnesia { nonce }];
        self.written.clone_from(&self.records);
    }
}

#[cfg(test)]
mod tests {
    use certchain_proto::Height;

    use super::*;

    #[test]
    fn a_rewrite_takes_nothing_of_what_was_ever_written() {
        let records = [1, 2].map(|height| Record::Sealed {
            height: Height::new(height),
        });
        let mut journal = JournalFile::default();
        journal.append(&records);
        assert_eq!(journal.rewrite(), Ok(()));
        assert_eq!(journal.records(), &records[1..]);
        assert_eq!(journal.written(), &records[..]);
        journal.lose([7; 32]);
        assert_eq!(journal.records(), journal.written());
    }
}
