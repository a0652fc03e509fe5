//! Names that people give: slugs, titles, organisation codes, network addresses.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use unicode_normalization::is_nfc;

use crate::error::Problem;

/// Longest name in bytes.
pub const MAX_NAME_BYTES: usize = 32;
/// Longest title in bytes.
pub const MAX_TITLE_BYTES: usize = 128;
/// Longest organisation code in bytes.
pub const MAX_CODE_BYTES: usize = 32;

pub(crate) const NAME_RULE: &str = "1 to 32 of a-z, 0-9, '-' and '_', starting with a letter";
pub(crate) const TITLE_RULE: &str =
    "1 to 128 bytes of UTF-8 in normalisation form C, no control characters, no blanks at the ends";

/// The rule for organisation codes, in words.
pub(crate) struct CodeRule;

impl fmt::Display for CodeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("2 to 32 of A-Z, 0-9 and '-'")
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $problem:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// If it breaks the rule of the type.
            pub fn parse(text: &str) -> Result<Self, Problem> {
                if $check(text) { Ok(Self(text.to_owned())) } else { Err($problem) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Problem;

            fn try_from(text: String) -> Result<Self, Problem> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl FromStr for $name {
            type Err = Problem;

            fn from_str(text: &str) -> Result<Self, Problem> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// The name of a network, node, certificate type or field: 1 to 32 of a-z, 0-9, `-` and `_`,
    /// starting with a letter.
    Name,
    Problem::Name,
    is_name
);

text!(
    /// A name for people, in any script.
    Title,
    Problem::Title,
    is_title
);

text!(
    /// The code under which the state knows an organisation: 2 to 32 of A-Z, 0-9 and `-`.
    OrganisationCode,
    Problem::OrganisationCode,
    is_organisation_code
);

fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(fits)
}

fn is_title(text: &str) -> bool {
    (1..=MAX_TITLE_BYTES).contains(&text.len())
        && is_nfc(text)
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

fn is_organisation_code(text: &str) -> bool {
    (2..=MAX_CODE_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
}

/// Where a node listens or a peer is dialled, in libp2p's notation: an IP address and a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetAddress(SocketAddr);

impl NetAddress {
    /// The TCP socket.
    pub const fn socket(&self) -> SocketAddr {
        self.0
    }
}

impl From<SocketAddr> for NetAddress {
    fn from(socket: SocketAddr) -> Self {
        Self(socket)
    }
}

impl fmt::Display for NetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.0.is_ipv4() { 4 } else { 6 };
        write!(f, "/ip{version}/{}/tcp/{}", self.0.ip(), self.0.port())
    }
}

impl FromStr for NetAddress {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let parts: Vec<&str> = text.split('/').collect();
        let [nothing, version, ip, protocol, port] = parts.as_slice() else {
            return Err(Problem::NetAddress);
        };
        let ip: IpAddr = ip.parse().map_err(|_| Problem::NetAddress)?;
        let right = matches!(
            (*version, ip),
            ("ip4", IpAddr::V4(_)) | ("ip6", IpAddr::V6(_))
        );
        // A port has one way to be written.
        let number: u16 = port.parse().map_err(|_| Problem::NetAddress)?;
        if !nothing.is_empty() || !right || *protocol != "tcp" || *port != number.to_string() {
            return Err(Problem::NetAddress);
        }
        Ok(Self(SocketAddr::new(ip, number)))
    }
}

impl TryFrom<String> for NetAddress {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<NetAddress> for String {
    fn from(value: NetAddress) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_rules() {
        let long = "a".repeat(32);
        for good in ["a", "civil-affairs", "devnet_2", long.as_str()] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(33);
        for bad in [
            "",
            "2a",
            "-a",
            "Civil",
            "a b",
            "ä",
            "a/b",
            "..",
            too_long.as_str(),
        ] {
            assert_eq!(Name::parse(bad), Err(Problem::Name), "{bad}");
        }
    }

    #[test]
    fn titles_keep_their_rules() {
        for good in ["民政局", "Office of Civil Affairs", "ä"] {
            assert_eq!(Title::parse(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(129);
        for bad in ["", " a", "a ", "a\nb", "a\u{308}", too_long.as_str()] {
            assert_eq!(Title::parse(bad), Err(Problem::Title), "{bad:?}");
        }
    }

    #[test]
    fn organisation_codes_keep_their_rules() {
        for good in ["CA", "91440300-MA5", "A1"] {
            assert_eq!(OrganisationCode::parse(good).unwrap().as_str(), good);
        }
        let too_long = "A".repeat(33);
        for bad in ["", "A", "ca", "A B", "A_B", "民政", too_long.as_str()] {
            assert_eq!(
                OrganisationCode::parse(bad),
                Err(Problem::OrganisationCode),
                "{bad}"
            );
        }
    }

    #[test]
    fn network_addresses_have_one_notation() {
        for good in ["/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/0"] {
            assert_eq!(good.parse::<NetAddress>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "127.0.0.1:4001",
            "/ip4/127.0.0.1/tcp/4001/",
            "/ip4/127.0.0.1/udp/4001",
            "/ip4/::1/tcp/4001",
            "/ip6/127.0.0.1/tcp/4001",
            "/ip4/127.0.0.1/tcp/70000",
            "/ip4/127.0.0.1/tcp/+1",
            "/ip4/127.0.0.1/tcp/01",
            "x/ip4/127.0.0.1/tcp/1",
            "/dns/example.org/tcp/1",
        ] {
            assert_eq!(bad.parse::<NetAddress>(), Err(Problem::NetAddress), "{bad}");
        }
    }
}
