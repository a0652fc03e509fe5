//! Gossipsub as this network needs it: a few listed nodes, each connected with all others.
//!
//! The mesh is kept, rather than explicit peers or plain flooding, and made large enough to hold
//! all neighbours of a network of up to nine nodes:
//!
//! * an author sends to every connected peer at once (`flood_publish`), so among fully connected
//!   nodes a message needs one hop; forwarding repairs what the author could not reach;
//! * a forwarder spares those that already have the message: IDONTWANT goes out on arrival, while
//!   the application still validates, so that most copies are never sent. Explicit peers, which are
//!   kept out of the mesh, would get every copy;
//! * beyond nine nodes the rest hears of messages by IHAVE and asks for what it lacks.
//!
//! No peer scores: who may stay connected is decided by the list, and a score that drifts with the
//! load could silence an honest validator. The application counts verdicts by forwarder if it likes.

use std::time::Duration;

use libp2p::gossipsub::{self, MessageAuthenticity, MessageId, TopicHash, ValidationMode};
use libp2p::identity::Keypair;

use crate::error::{NetError, PublishError};
use crate::identity::ChannelId;
use crate::limits::{GOSSIP_ENVELOPE_BYTES, Limits};

/// Names what is hashed, so that a message id is no other hash.
const MESSAGE_ID_CONTEXT: &str = "certchain network 1: gossip message id";

/// Neighbours to which messages are forwarded.
const MESH: usize = 8;
const MESH_LOW: usize = 6;
const MESH_HIGH: usize = 12;
const MESH_OUTBOUND_MIN: usize = 1;

const HEARTBEAT: Duration = Duration::from_millis(500);
/// A message is kept for so many heartbeats: the time in which a verdict can still forward it.
const HISTORY: usize = 20;
/// For so many heartbeats it is offered to those outside the mesh.
const HISTORY_GOSSIP: usize = 6;
/// The default forgets a waiting forward after one second; a stalled link may take longer.
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);
/// Messages that wait for one peer; the default of 5,000 could be gigabytes.
const QUEUE_MESSAGES: usize = 256;
/// The default after a prune is a minute, far too long for a neighbour that one cannot replace.
const PRUNE_BACKOFF: Duration = Duration::from_secs(5);
const UNSUBSCRIBE_BACKOFF: Duration = Duration::from_secs(1);
/// How long a message is remembered, so that it is delivered once.
const SEEN: Duration = Duration::from_secs(120);
/// Below it the notice costs more than the copy it saves.
const IDONTWANT_ABOVE: usize = 1024;
/// Messages in one packet of the protocol; this implementation sends one.
const MESSAGES_PER_PACKET: usize = 64;

pub(crate) fn behaviour(key: &Keypair, limits: &Limits) -> Result<gossipsub::Behaviour, NetError> {
    let setup = |reason: String| NetError::Setup { reason };
    let hasher = blake3::Hasher::new_derive_key(MESSAGE_ID_CONTEXT);
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(move |message| message_id(hasher.clone(), &message.topic, &message.data))
        .max_transmit_size(limits.gossip_bytes.saturating_add(GOSSIP_ENVELOPE_BYTES))
        .max_publish_messages(MESSAGES_PER_PACKET)
        .mesh_n(MESH)
        .mesh_n_low(MESH_LOW)
        .mesh_n_high(MESH_HIGH)
        .mesh_outbound_min(MESH_OUTBOUND_MIN)
        .flood_publish(true)
        .heartbeat_initial_delay(HEARTBEAT)
        .heartbeat_interval(HEARTBEAT)
        .history_length(HISTORY)
        .history_gossip(HISTORY_GOSSIP)
        .publish_queue_duration(QUEUE_PATIENCE)
        .forward_queue_duration(QUEUE_PATIENCE)
        .connection_handler_queue_len(QUEUE_MESSAGES)
        .prune_backoff(PRUNE_BACKOFF)
        .unsubscribe_backoff(UNSUBSCRIBE_BACKOFF)
        .duplicate_cache_time(SEEN)
        .idontwant_message_size_threshold(IDONTWANT_ABOVE)
        .build()
        .map_err(|error| setup(error.to_string()))?;
    gossipsub::Behaviour::new(MessageAuthenticity::Signed(key.clone()), config)
        .map_err(|reason| setup(reason.to_owned()))
}

/// By content, so that the same batch from two authors travels once, and never by author.
fn message_id(mut hasher: blake3::Hasher, topic: &TopicHash, data: &[u8]) -> MessageId {
    // A topic's length never varies for channels that we take part in, so nothing is ambiguous.
    hasher.update(topic.as_str().as_bytes());
    hasher.update(data);
    MessageId::new(hasher.finalize().as_bytes())
}

pub(crate) fn topic(channel: &ChannelId) -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new(channel.to_string())
}

pub(crate) fn channel_of(topic: &TopicHash) -> Option<ChannelId> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(topic.as_str(), &mut bytes).ok()?;
    let channel = ChannelId::new(bytes);
    // Only the one spelling that we use ourselves.
    (channel.to_string() == topic.as_str()).then_some(channel)
}

pub(crate) fn publish_error(
    error: gossipsub::PublishError,
    size: usize,
    limit: usize,
) -> PublishError {
    match error {
        gossipsub::PublishError::Duplicate => PublishError::Duplicate,
        gossipsub::PublishError::NoPeersSubscribedToTopic => PublishError::NoPeers,
        gossipsub::PublishError::MessageTooLarge => PublishError::TooLarge { size, limit },
        gossipsub::PublishError::AllQueuesFull(_) => PublishError::Full,
        gossipsub::PublishError::SigningError(error) => PublishError::Encoding {
            reason: error.to_string(),
        },
        gossipsub::PublishError::TransformFailed(error) => PublishError::Encoding {
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_its_channel_in_one_spelling() {
        let channel = ChannelId::new([0xab; 32]);
        let hash = topic(&channel).hash();
        assert_eq!(channel_of(&hash), Some(channel));
        assert_eq!(
            channel_of(&TopicHash::from_raw(hash.as_str().to_uppercase())),
            None
        );
        assert_eq!(channel_of(&TopicHash::from_raw("main")), None);
    }

    #[test]
    fn message_ids_depend_on_topic_and_data() {
        let hasher = || blake3::Hasher::new_derive_key(MESSAGE_ID_CONTEXT);
        let one = topic(&ChannelId::new([1; 32])).hash();
        let two = topic(&ChannelId::new([2; 32])).hash();
        let id = message_id(hasher(), &one, b"data");
        assert_eq!(id, message_id(hasher(), &one, b"data"));
        assert_ne!(id, message_id(hasher(), &two, b"data"));
        assert_ne!(id, message_id(hasher(), &one, b"date"));
    }
}
