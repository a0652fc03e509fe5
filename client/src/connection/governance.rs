//! Governance: what is in force, and what has been proposed.

use certchain_proto::{
    hash::TransactionId,
    wire::v1::{
        GetGovernanceRequest, GetGovernanceResponse, GetProposalRequest, GetProposalResponse,
        ListProposalsRequest, ListProposalsResponse,
        governance_service_client::GovernanceServiceClient,
    },
};
use tonic::transport::Channel;

use super::{Connection, ConnectionError, MAX_ANSWER_BYTES};

fn client(channel: Channel) -> GovernanceServiceClient<Channel> {
    GovernanceServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES)
}

impl Connection {
    /// Who votes and how, and what is in force.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn governance(&self) -> Result<GetGovernanceResponse, ConnectionError> {
        self.ask(
            "what is in force",
            GetGovernanceRequest {},
            |channel, request| async move { client(channel).get_governance(request).await },
        )
        .await
    }

    /// Proposals, newest first, from a cursor on; empty: from the newest.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn proposals(
        &self,
        cursor: Vec<u8>,
        limit: u32,
        open_only: bool,
    ) -> Result<ListProposalsResponse, ConnectionError> {
        let question = ListProposalsRequest {
            cursor,
            limit,
            open_only,
        };
        self.ask("proposals", question, |channel, request| async move {
            client(channel).list_proposals(request).await
        })
        .await
    }

    /// A proposal with its votes.
    ///
    /// # Errors
    /// If there is none, or no node answers.
    pub async fn proposal(
        &self,
        proposal: &TransactionId,
        with_proof: bool,
    ) -> Result<GetProposalResponse, ConnectionError> {
        let question = GetProposalRequest {
            proposal: proposal.as_bytes().to_vec(),
            with_proof,
        };
        self.ask("a proposal", question, |channel, request| async move {
            client(channel).get_proposal(request).await
        })
        .await
    }
}
