//! What a value must be to stand in a field.

use certchain_config::{FieldKind, catalogue};
use certchain_proto::Address;
use unicode_normalization::is_nfc;

/// Why values are not the fields of a certificate of this type. Names are shown, values never.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A required field has no value.
    #[error("field '{field}' is missing; certificates of this type must have it")]
    Missing {
        /// Its name.
        field: String,
    },
    /// The value is longer than the catalogue allows.
    #[error("field '{field}' has {actual} bytes, at most {limit} are allowed; shorten it")]
    TooLong {
        /// Its name.
        field: String,
        /// Bytes of the value.
        actual: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The value is not of the field's kind.
    #[error("field '{field}' must be {}", expected(.kind))]
    WrongKind {
        /// Its name.
        field: String,
        /// What it should be.
        kind: FieldKind,
    },
    /// The type has no such field.
    #[error("certificates of type '{type_name}' have no field '{field}'; look into the catalogue")]
    Unknown {
        /// The name, cut to 80 characters.
        field: String,
        /// The type's name.
        type_name: String,
    },
    /// A field is given twice.
    #[error("field '{field}' is given twice")]
    Repeated {
        /// Its name.
        field: String,
    },
    /// The value is not in normalisation form C.
    #[error("field '{field}' is not in Unicode normalisation form C; normalise it")]
    NotNfc {
        /// Its name.
        field: String,
    },
    /// Not as many salts as slots.
    #[error("{actual} salts for {needed} fields; draw one for each")]
    Salts {
        /// How many were given.
        actual: usize,
        /// How many are needed.
        needed: usize,
    },
}

fn expected(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Date => "a day written as YYYY-MM-DD",
        FieldKind::Number => "a whole number in decimal digits, without sign or leading zero",
        FieldKind::Address => "an address that starts with cc1",
    }
}

/// Checks one value against its definition.
///
/// # Errors
/// If it breaks the schema.
pub fn check_value(definition: &catalogue::Field, value: &str) -> Result<(), FieldError> {
    let field = || definition.name.as_str().to_owned();
    if value.is_empty() {
        return if definition.required {
            Err(FieldError::Missing { field: field() })
        } else {
            Ok(())
        };
    }
    let (actual, limit) = (value.len(), definition.max_bytes as usize);
    if actual > limit {
        return Err(FieldError::TooLong {
            field: field(),
            actual,
            limit,
        });
    }
    if !is_nfc(value) {
        return Err(FieldError::NotNfc { field: field() });
    }
    let fits = match definition.kind {
        FieldKind::Text => true,
        FieldKind::Date => is_date(value),
        FieldKind::Number => is_number(value),
        // One account has one spelling: bech32m may also be written in capitals.
        FieldKind::Address => value
            .parse::<Address>()
            .is_ok_and(|address| address.to_string() == value),
    };
    if fits {
        Ok(())
    } else {
        Err(FieldError::WrongKind {
            field: field(),
            kind: definition.kind,
        })
    }
}

fn is_number(value: &str) -> bool {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits && (value == "0" || !value.starts_with('0'))
}

fn is_date(value: &str) -> bool {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = value.as_bytes() else {
        return false;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0u16, |sum, digit| {
            let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
            Some(sum * 10 + u16::from(digit))
        })
    };
    let (Some(year), Some(month), Some(day)) = (
        number(&[y0, y1, y2, y3]),
        number(&[m0, m1]),
        number(&[d0, d1]),
    ) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    year >= 1 && (1..=days).contains(&day)
}
