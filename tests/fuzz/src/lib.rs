//! What the fuzz targets share: the rules that hold for whatever a decoder takes.
//!
//! Every decoder of a target reads every input, so that seeds are plain encodings and a find says
//! by itself which bytes broke which decoder.

pub mod step;

use std::fmt::Debug;

use certchain_proto::codec;
use serde::{Serialize, de::DeserializeOwned};

/// Largest input that any decoder is given room for.
pub const LIMIT: usize = 1024 * 1024;

/// Reads bytes and, if it takes them, gives their encoding back.
pub type Decoder = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

/// Reads bytes with all of these decoders: nothing that one takes may have two encodings.
pub fn canonical(decoders: &[Decoder], bytes: &[u8]) {
    for (name, decode) in decoders {
        if let Some(again) = decode(bytes) {
            assert_eq!(again, bytes, "{name} has two encodings");
        }
    }
}

/// A value of the codec. It must also come back as the same value.
pub fn coded<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: T = codec::decode(bytes, LIMIT).ok()?;
    let again = codec::encode(&value);
    assert_eq!(codec::decode(&again, LIMIT).as_ref(), Ok(&value));
    Some(again)
}

/// Evidence in a protobuf message, of which many say the same: what is read comes back from the
/// message that it makes.
pub fn evidence<M, T>(bytes: &[u8])
where
    M: prost::Message + Default + for<'a> From<&'a T>,
    T: for<'a> TryFrom<&'a M> + PartialEq + Debug,
{
    let Some(value) = M::decode(bytes)
        .ok()
        .and_then(|message| T::try_from(&message).ok())
    else {
        return;
    };
    let again = T::try_from(&M::from(&value)).ok();
    assert_eq!(again.as_ref(), Some(&value), "evidence does not come back");
}
