//! A primary that votes but never proposes and opens no view: attacks T-2 and VC-1, by which others
//! leave the views of such a primary.

use std::sync::Arc;

use certchain_consensus::Message;

use super::{Behaviour, Letter, Tools};

/// Drops PRE-PREPAREs and NEW-VIEWs of its own.
#[derive(Debug, Default)]
pub struct SilentPrimary;

impl Behaviour for SilentPrimary {
    fn sends(
        &mut self,
        tools: &mut Tools<'_>,
        message: &Arc<Message>,
        receivers: &[usize],
    ) -> Vec<Letter> {
        match message.as_ref() {
            Message::PrePrepare(_) | Message::NewView(_) => Vec::new(),
            Message::Prepare(_) | Message::Commit(_) | Message::ViewChange(_) => {
                tools.to(receivers, message)
            }
        }
    }
}
