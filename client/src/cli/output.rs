//! Answers for people and for programs, from one list of fields.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

use super::failure::Failure;

/// Fields in the order in which people read them.
#[derive(Debug, Default)]
pub struct Report {
    title: String,
    fields: Vec<(&'static str, Value)>,
}

impl Report {
    /// Starts a report; the title is for people only.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            fields: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds another report's fields.
    #[must_use]
    pub fn append(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        self
    }

    /// Adds a field if there is a value.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// Adds bytes in hexadecimal digits.
    #[must_use]
    pub fn hex(self, name: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.field(name, hex::encode(bytes))
    }

    /// Adds a time: for programs in milliseconds, for people as a date too.
    #[must_use]
    pub fn time(self, name: &'static str, milliseconds: u64) -> Self {
        self.field(name, milliseconds)
    }

    /// As JSON.
    pub fn into_value(self) -> Value {
        let fields = self
            .fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        if !self.title.is_empty() {
            text.push_str(&self.title);
            text.push('\n');
        }
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|(name, value)| (*name, value))
            .collect();
        write_fields(&mut text, &fields, 2);
        text
    }
}

fn write_fields(text: &mut String, fields: &[(&str, &Value)], indent: usize) {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        let label = name.strip_suffix("_ms").unwrap_or(name).replace('_', " ");
        let line = match value {
            Value::Null => continue,
            Value::String(string) if string.is_empty() => continue,
            Value::String(string) => string.clone(),
            Value::Number(number) if is_time(name) => {
                number.as_u64().map_or_else(|| number.to_string(), date)
            }
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::Array(items) => {
                text.push_str(&format!("{:indent$}{label} ({})\n", "", items.len()));
                for item in items {
                    match item {
                        Value::Object(map) => {
                            let line: Vec<_> = map
                                .iter()
                                .filter(|(_, value)| !value.is_null() && **value != json!(""))
                                .map(|(name, value)| format!("{name} {}", plain(value)))
                                .collect();
                            text.push_str(&format!(
                                "{:1$}- {2}\n",
                                "",
                                indent + 2,
                                line.join(", ")
                            ));
                        }
                        other => {
                            text.push_str(&format!("{:1$}- {2}\n", "", indent + 2, plain(other)));
                        }
                    }
                }
                continue;
            }
            Value::Object(map) => {
                text.push_str(&format!("{:indent$}{label}\n", ""));
                let fields: Vec<_> = map
                    .iter()
                    .map(|(name, value)| (name.as_str(), value))
                    .collect();
                write_fields(text, &fields, indent + 2);
                continue;
            }
            Value::Number(number) => number.to_string(),
        };
        text.push_str(&format!("{:indent$}{label:width$}  {line}\n", ""));
    }
}

/// Whether a field is a time, which people read as a date; other milliseconds are spans.
fn is_time(name: &str) -> bool {
    const TIMES: [&str; 6] = [
        "valid_from_ms",
        "valid_until_ms",
        "issued_ms",
        "status_ms",
        "expires_ms",
        "accepted_ms",
    ];
    name.ends_with("time_ms") || TIMES.contains(&name)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(string) => string.clone(),
        other => other.to_string(),
    }
}

/// A time as people write it, in UTC.
pub fn date(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // The civil calendar from the count of days, after Howard Hinnant's `civil_from_days`: years
    // start in March, 400 of them have 146,097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{rest:03} UTC")
}

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether a program reads them.
    pub json: bool,
}

impl Output {
    /// Writes one answer: an indented text for people, one line of JSON for programs.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn write(self, report: Report) -> io::Result<()> {
        let text = match self.json {
            true => format!("{}\n", report.into_value()),
            false => report.to_text(),
        };
        self.raw(text.as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn raw(self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// A hint for people that does not belong to the answer.
    pub fn hint(self, text: &str) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Writes an error to standard error.
    pub fn failure(self, failure: &Failure) {
        let text = if self.json {
            json!({ "error": {
                "exit_code": failure.exit.number(),
                "kind": failure.exit.name(),
                "code": failure.code.map(|code| code.as_str_name()),
                "message": failure.message,
            }})
            .to_string()
        } else {
            format!("certchain: {}", failure.message)
        };
        // Nobody is left to tell if this fails.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (milliseconds, text) in [
            (0, "1970-01-01 00:00:00.000 UTC"),
            (951_782_399_999, "2000-02-28 23:59:59.999 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00.000 UTC"),
            (951_868_800_000, "2000-03-01 00:00:00.000 UTC"),
            (1_700_000_000_123, "2023-11-14 22:13:20.123 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000 UTC"),
        ] {
            assert_eq!(date(milliseconds), text);
        }
        // No overflow at the largest.
        date(u64::MAX);
    }

    #[test]
    fn people_and_programs_get_the_same_fields() {
        let report = || {
            Report::new("Title")
                .field("height", 7)
                .field("empty", "")
                .maybe("absent", None::<u64>)
                .hex("block_id", [1u8, 2])
                .time("time_ms", 1_700_000_000_123)
                .field("voting", true)
                .field("items", json!([{ "a": 1, "b": "x" }, "plain"]))
        };
        let text = report().to_text();
        assert!(text.starts_with("Title\n  height"), "{text}");
        assert!(text.contains("block id  0102\n"), "{text}");
        assert!(text.contains("2023-11-14"), "{text}");
        assert!(
            text.contains("  items (2)\n    - a 1, b x\n    - plain\n"),
            "{text}"
        );
        assert!(!text.contains("empty"), "{text}");
        let value = report().into_value();
        assert_eq!(value["time_ms"], 1_700_000_000_123u64);
        assert_eq!(value["empty"], "");
        assert!(value.get("absent").is_none());
    }
}
