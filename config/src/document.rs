//! A TOML text, and the way from a key or a place in it to the other, so that every refusal can
//! name file, line and key.

use std::{
    fs::File,
    io::Read as _,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::error::{ConfigError, ContentError, Problem};

/// Largest configuration file in bytes.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A text with the name of its file.
#[derive(Clone, Debug)]
pub struct Document {
    file: PathBuf,
    text: String,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is no text.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let refused = |problem| ConfigError::of_file(file, problem);
        let io = |error: std::io::Error| {
            refused(Problem::Io {
                action: "read",
                kind: error.kind(),
            })
        };
        let mut bytes = Vec::new();
        let opened = File::open(file).map_err(io)?;
        opened
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(refused(Problem::FileTooLarge {
                limit: MAX_FILE_BYTES,
            }));
        }
        let text = String::from_utf8(bytes).map_err(|_| refused(Problem::NotText))?;
        Ok(Self::new(file, text))
    }

    /// Takes a text that is already in memory.
    pub fn new(file: &Path, text: String) -> Self {
        Self {
            file: file.to_owned(),
            text,
        }
    }

    /// The name of the file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads the text into a plain structure.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|error| self.explain(&error))
    }

    /// A refusal of the value at `key`, or of its nearest table if the key is not in the text.
    pub fn refuse(&self, key: impl Into<String>, problem: Problem) -> ConfigError {
        let key = key.into();
        let line = self.span_of(&key).map(|span| self.line(span.start));
        ConfigError {
            file: self.file.clone(),
            line,
            key,
            problem,
        }
    }

    pub(crate) fn refuse_content(&self, error: ContentError) -> ConfigError {
        self.refuse(error.key, error.problem)
    }

    fn line(&self, offset: usize) -> usize {
        self.text
            .bytes()
            .take(offset)
            .filter(|b| *b == b'\n')
            .count()
            + 1
    }

    /// Turns the TOML library's error into one with the whole key path.
    fn explain(&self, error: &toml::de::Error) -> ConfigError {
        let message = error.message().to_owned();
        let start = error.span().map(|span| span.start);
        let line = start.map(|start| self.line(start));
        let refused = |key, problem| ConfigError {
            file: self.file.clone(),
            line,
            key,
            problem,
        };
        let Ok(table) = DeTable::parse(&self.text) else {
            return refused(String::new(), Problem::Syntax { message });
        };
        if let Some(rest) = message.strip_prefix("missing field ") {
            // The span is that of the table without the key; none or an empty one is the top.
            let table = error
                .span()
                .and_then(|span| locate(table.get_ref(), &span, true));
            let key = join(&table.unwrap_or_default(), rest.trim_matches('`'));
            return refused(key, Problem::MissingKey);
        }
        let place = error
            .span()
            .and_then(|span| locate(table.get_ref(), &span, false));
        let place = place.unwrap_or_default();
        if let Some(rest) = message.strip_prefix("unknown field ") {
            let name = rest.split('`').nth(1).unwrap_or_default();
            let known = rest
                .split_once(", ")
                .map_or("none is known here", |(_, known)| known);
            // The span is that of the unknown key itself; the path already ends in it.
            let key = if last(&place) == name {
                place
            } else {
                join(&place, name)
            };
            return refused(
                key,
                Problem::UnknownKey {
                    known: known.to_owned(),
                },
            );
        }
        refused(place, Problem::WrongType { message })
    }

    /// Where the value at a path stands; the nearest table above it, if it is not there.
    fn span_of(&self, path: &str) -> Option<Range<usize>> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut span = None;
        let mut at: Option<&DeTable<'_>> = Some(table.get_ref());
        for step in path.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let Some((key, value)) = at.and_then(|t| t.iter().find(|(k, _)| k.get_ref() == name))
            else {
                break;
            };
            span = Some(key.span());
            let mut value = value.get_ref();
            if let (Some(index), DeValue::Array(items)) = (index, value)
                && let Some(item) = items.get(index)
            {
                span = Some(item.span());
                value = item.get_ref();
            }
            at = match value {
                DeValue::Table(table) => Some(table),
                _ => None,
            };
        }
        span
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The path of the key or value with the smallest span around `wanted`; if `tables`, the table
/// with exactly this span.
fn locate(table: &DeTable<'_>, wanted: &Range<usize>, tables: bool) -> Option<String> {
    let mut search = Search {
        wanted: wanted.clone(),
        tables,
        best: None,
    };
    search.table(table, "");
    search.best.map(|(_, path)| path)
}

struct Search {
    wanted: Range<usize>,
    tables: bool,
    best: Option<(usize, String)>,
}

impl Search {
    fn consider(&mut self, span: &Range<usize>, path: &str, is_table: bool) {
        let holds = if self.tables {
            is_table && *span == self.wanted
        } else {
            span.start <= self.wanted.start && self.wanted.end <= span.end
        };
        let length = span.end.saturating_sub(span.start);
        // Of two equal spans the deeper one, which is visited later, is meant.
        if holds
            && self
                .best
                .as_ref()
                .is_none_or(|(shortest, _)| length <= *shortest)
        {
            self.best = Some((length, path.to_owned()));
        }
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str) {
        for (key, value) in table {
            let here = join(path, key.get_ref());
            self.consider(&key.span(), &here, false);
            self.value(value.get_ref(), &value.span(), &here);
        }
    }

    fn value(&mut self, value: &DeValue<'_>, span: &Range<usize>, path: &str) {
        self.consider(span, path, matches!(value, DeValue::Table(_)));
        match value {
            DeValue::Table(table) => self.table(table, path),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item.get_ref(), &item.span(), &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }
}
