//! Tables of certificates: comma-separated values with a first line that names the columns.

use std::path::Path;

use certchain_client::{atomic_file::read_limited, text_file::FileError};
use certchain_proto::Address;
use zeroize::Zeroizing;

use super::failure::Failure;

/// Largest table.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// The column with the holders' addresses.
const HOLDER: &str = "holder";

/// One line of the table: its number in the file, its holders, its fields.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file.
    pub number: u64,
    /// Its holders.
    pub holders: Vec<Address>,
    /// Names and values of its fields.
    pub values: Vec<(String, String)>,
}

/// A line that is not sent, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the file.
    pub number: u64,
    /// Why, without its values.
    pub reason: String,
}

/// Reads the table. Reasons name lines and columns, never a value.
pub fn read_table(path: &Path) -> Result<Vec<Result<Line, BadLine>>, Failure> {
    const WHAT: &str = "table of certificates";
    let malformed = |problem: String| FileError::Malformed {
        path: path.to_owned(),
        what: WHAT,
        problem,
    };
    let bytes = read_limited(path, MAX_FILE_BYTES)
        .map(Zeroizing::new)
        .map_err(|error| FileError::reading(path, WHAT, error))?;
    // Spreadsheets put a byte order mark before UTF-8.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let header: Vec<String> = reader
        .headers()
        .map_err(|_| malformed("its first line must name the columns, in UTF-8".to_owned()))?
        .iter()
        .map(|name| name.trim().to_owned())
        .collect();
    let holder = header.iter().position(|name| name == HOLDER);
    let Some(holder) = holder else {
        return Err(malformed(format!("it has no column '{HOLDER}'")).into());
    };
    let mut lines = Vec::new();
    let mut after = 1;
    for record in reader.records() {
        let line = match record {
            Ok(record) => {
                let number = record.position().map_or(after, csv::Position::line);
                after = number.saturating_add(1);
                read_line(&header, holder, &record)
                    .map(|(holders, values)| Line {
                        number,
                        holders,
                        values,
                    })
                    .map_err(|reason| BadLine { number, reason })
            }
            Err(error) => {
                let number = error.position().map_or(after, csv::Position::line);
                let reason = "the line is not UTF-8 text".to_owned();
                Err(BadLine { number, reason })
            }
        };
        lines.push(line);
    }
    Ok(lines)
}

type Cells = (Vec<Address>, Vec<(String, String)>);

fn read_line(
    header: &[String],
    holder: usize,
    record: &csv::StringRecord,
) -> Result<Cells, String> {
    if record.len() != header.len() {
        return Err(format!(
            "it has {} cells, the first line names {}",
            record.len(),
            header.len()
        ));
    }
    let mut holders = Vec::new();
    let mut values = Vec::new();
    for (index, (name, value)) in header.iter().zip(record.iter()).enumerate() {
        if index != holder {
            values.push((name.clone(), value.to_owned()));
            continue;
        }
        for text in value.split([' ', ';']).filter(|text| !text.is_empty()) {
            let address = text.parse();
            holders.push(address.map_err(|_| format!("column '{HOLDER}' holds no address"))?);
        }
    }
    Ok((holders, values))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::cli::exit_code::Exit;

    fn table(text: &[u8]) -> Result<Vec<Result<Line, BadLine>>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        read_table(&path)
    }

    #[test]
    fn bad_lines_are_told_and_the_rest_stands() {
        let (a, b) = (Address::from_bytes([1; 32]), Address::from_bytes([2; 32]));
        let text = format!(
            "\u{feff}subject,holder,notes\nPhysics,{a},\"a, \"\"b\"\"\nc\"\nLaw,nobody,\n\
             Law,{b}\nArt,{a} {b},\n"
        );
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(b"\xff,x,y\n");
        let lines = table(&bytes).unwrap();
        assert_eq!(lines.len(), 5);
        let first = lines[0].as_ref().unwrap();
        assert_eq!((first.number, first.holders.as_slice()), (2, &[a][..]));
        assert_eq!(
            first.values[1],
            ("notes".to_owned(), "a, \"b\"\nc".to_owned())
        );
        let bad = |index: usize| {
            let bad = lines[index].as_ref().unwrap_err();
            (bad.number, bad.reason.as_str())
        };
        assert_eq!(bad(1), (4, "column 'holder' holds no address"));
        assert_eq!(bad(2), (5, "it has 2 cells, the first line names 3"));
        assert_eq!(lines[3].as_ref().unwrap().holders, [a, b]);
        assert_eq!(bad(4), (7, "the line is not UTF-8 text"));
    }

    #[test]
    fn a_table_needs_its_columns() {
        for bad in [&b"subject,notes\nx,y\n"[..], b"", b"\xff\n"] {
            assert_eq!(table(bad).unwrap_err().exit, Exit::File);
        }
    }
}
