//! Comparison with the committed files.

use std::{env, fs, path::PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

/// Where a vector file lies.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(name)
}

/// Whether the files are to be written anew.
pub fn bless() -> bool {
    env::var_os("CERTCHAIN_BLESS").is_some_and(|value| value == "1")
}

/// Compares a JSON value with the committed file, or writes it.
pub fn check(name: &str, actual: &Value) {
    let mut text = serde_json::to_string_pretty(actual).unwrap();
    text.push('\n');
    if bless() {
        fs::write(path(name), text).unwrap();
        return;
    }
    let committed = fs::read_to_string(path(name)).unwrap_or_default();
    if committed == text {
        return;
    }
    let expected = serde_json::from_str(&committed).unwrap_or(Value::Null);
    let (place, expected, actual) = difference(String::new(), &expected, actual);
    panic!(
        "{name}: {place} differs from the committed vector; a format has changed, which forks \
         every chain\n  committed: {expected}\n  computed:  {actual}"
    );
}

/// Compares a text with the committed file, or writes it.
pub fn check_text(name: &str, actual: &str) {
    if bless() {
        fs::write(path(name), actual).unwrap();
        return;
    }
    let committed = fs::read_to_string(path(name)).unwrap_or_default();
    assert_eq!(
        committed, actual,
        "{name} differs from the committed vector"
    );
}

/// The first place where two values differ.
fn difference(place: String, expected: &Value, actual: &Value) -> (String, String, String) {
    match (expected, actual) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for (key, one) in a {
                if Some(one) != b.get(key) {
                    return difference(format!("{place}/{key}"), one, &b[key]);
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (one, other)) in a.iter().zip(b).enumerate() {
                if one != other {
                    return difference(format!("{place}/{index}"), one, other);
                }
            }
        }
        _ => {}
    }
    (place, expected.to_string(), actual.to_string())
}

/// The fields of a structure by their names: byte strings as hexadecimal digits, signatures whole.
pub fn fields(value: &impl Serialize) -> Value {
    plain(serde_json::to_value(value).unwrap())
}

fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_number) => {
            let bytes: Vec<u8> = items
                .iter()
                .map(|n| u8::try_from(n.as_u64().unwrap()).unwrap())
                .collect();
            Value::String(hex::encode(bytes))
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(map) if map.keys().eq(["r", "s"]) => {
            let text = |key| plain(map[key].clone()).as_str().unwrap().to_owned();
            Value::String(text("r") + &text("s"))
        }
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, plain(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// Hexadecimal digits.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}
