//! Names on the network: the node's own key, the ids of peers, addresses and channels.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use libp2p::identity::{self, PublicKey, ed25519};
use libp2p::multiaddr::{Multiaddr, Protocol};

/// Why a network identity or address was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The 32 bytes are no ed25519 public key.
    #[error(
        "these 32 bytes are not an ed25519 public key; use the network key that the peer shows"
    )]
    NotAKey,
    /// The text is no peer id.
    #[error("`{text}` is not a peer id of an ed25519 key; such ids start with 12D3KooW")]
    NotAPeerId {
        /// What was given.
        text: String,
    },
    /// The secret seed cannot be used.
    #[error("the network key's seed cannot be used; make a new key")]
    BadSeed,
    /// The text is no address that this node can listen on or dial.
    #[error(
        "`{text}` is not a network address; write /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT"
    )]
    NotAnAddress {
        /// What was given.
        text: String,
    },
}

/// A peer: the ed25519 public key that it proves to hold when a connection is made.
///
/// It is a key of its own, not the key with which the node votes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    key: [u8; 32],
    id: libp2p::PeerId,
}

impl PeerId {
    /// The peer that holds this ed25519 public key.
    pub fn from_public_key(key: &[u8; 32]) -> Result<Self, IdentityError> {
        let public = ed25519::PublicKey::try_from_bytes(key).map_err(|_| IdentityError::NotAKey)?;
        Ok(Self::from_ed25519(&public))
    }

    /// The 32 bytes of the peer's public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The same id as libp2p writes it.
    pub fn to_libp2p(&self) -> libp2p::PeerId {
        self.id
    }

    /// Reads libp2p's id. None for a peer whose key is not ed25519: such a peer cannot be listed.
    pub fn from_libp2p(id: &libp2p::PeerId) -> Option<Self> {
        // Code 0 is the identity multihash: the key itself in its protobuf envelope.
        let multihash = id.as_ref();
        if multihash.code() != 0 {
            return None;
        }
        let public = PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
        let peer = Self::from_ed25519(&public.try_into_ed25519().ok()?);
        (peer.id == *id).then_some(peer)
    }

    fn from_ed25519(public: &ed25519::PublicKey) -> Self {
        let id = PublicKey::from(public.clone()).to_peer_id();
        Self {
            key: public.to_bytes(),
            id,
        }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.id)
    }
}

impl FromStr for PeerId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        libp2p::PeerId::from_str(text)
            .ok()
            .and_then(|id| Self::from_libp2p(&id))
            .ok_or_else(|| IdentityError::NotAPeerId {
                text: text.to_owned(),
            })
    }
}

/// The node's own network key. It never shows its secret half.
#[derive(Clone)]
pub struct NetworkKey {
    pair: ed25519::Keypair,
}

impl NetworkKey {
    /// The key that grows from a 32-byte seed. The bytes given are wiped.
    pub fn from_seed(seed: &mut [u8; 32]) -> Result<Self, IdentityError> {
        let secret =
            ed25519::SecretKey::try_from_bytes(seed).map_err(|_| IdentityError::BadSeed)?;
        Ok(Self {
            pair: ed25519::Keypair::from(secret),
        })
    }

    /// The id under which others see this node.
    pub fn peer_id(&self) -> PeerId {
        PeerId::from_ed25519(&self.pair.public())
    }

    pub(crate) fn to_libp2p(&self) -> identity::Keypair {
        identity::Keypair::from(self.pair.clone())
    }
}

impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkKey({})", self.peer_id())
    }
}

/// One chain's share of the network. What the 32 bytes mean is the application's business.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId([u8; 32]);

impl ChannelId {
    /// A channel under this name.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The name's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({self})")
    }
}

/// An address to listen on or to dial: an IP address and a TCP port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Multiaddr);

impl Address {
    /// The address of a TCP socket.
    pub fn from_socket(socket: SocketAddr) -> Self {
        Self(Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port())))
    }

    /// The TCP socket behind the address.
    pub fn to_socket(&self) -> Option<SocketAddr> {
        socket_of(&self.0)
    }

    pub(crate) fn from_multiaddr(address: Multiaddr) -> Option<Self> {
        socket_of(&address).map(Self::from_socket)
    }

    pub(crate) fn to_multiaddr(&self) -> Multiaddr {
        self.0.clone()
    }
}

fn socket_of(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.0)
    }
}

impl FromStr for Address {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Multiaddr::from_str(text)
            .ok()
            .and_then(Self::from_multiaddr)
            .ok_or_else(|| IdentityError::NotAnAddress {
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_survives_every_form() {
        let peer = NetworkKey::from_seed(&mut [7; 32]).unwrap().peer_id();
        assert!(peer.to_string().starts_with("12D3KooW"), "{peer}");
        assert_eq!(peer.to_string().parse::<PeerId>().unwrap(), peer);
        assert_eq!(PeerId::from_public_key(peer.public_key()).unwrap(), peer);
        assert_eq!(PeerId::from_libp2p(&peer.to_libp2p()), Some(peer));
    }

    #[test]
    fn the_seed_is_wiped() {
        let mut seed = [9; 32];
        NetworkKey::from_seed(&mut seed).unwrap();
        assert_eq!(seed, [0; 32]);
    }

    #[test]
    fn what_is_no_peer_id_is_refused() {
        assert!("".parse::<PeerId>().is_err());
        assert!("12D3KooW".parse::<PeerId>().is_err());
        // A hashed key (RSA and the like): a valid libp2p id, but not one of ours.
        assert!(
            "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
                .parse::<PeerId>()
                .is_err()
        );
        let no_point = (0..=255u8)
            .map(|byte| [byte; 32])
            .filter(|key| PeerId::from_public_key(key).is_err())
            .count();
        assert!(no_point > 0, "some strings of bytes are no curve point");
    }

    #[test]
    fn only_ip_and_tcp_is_an_address() {
        for good in ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/4001"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "127.0.0.1:80",
            "/ip4/1.2.3.4",
            "/ip4/1.2.3.4/udp/1/quic-v1",
            "/dns4/a/tcp/1",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
