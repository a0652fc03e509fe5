//! Lists that belong to an account, newest first.

use certchain_ledger::{
    chain::{ListPosition, Listed},
    execution::Topic,
};
use certchain_proto::{
    Address, Height,
    hash::{CertificateId, PresentationId},
    wire::v1::{ListCertificatesRequest, ListCertificatesResponse, ListedCertificate, QueryTopic},
};
use tonic::Status;

use super::{
    super::{
        Services,
        cursor::{read_cursor, write_cursor},
        on_worker,
        status::{invalid, unreadable},
    },
    main_of,
    records::{self, Codes},
};
use crate::chain::ChainHost;

/// Entries of an answer if the request names no number.
const USUAL_ENTRIES: u32 = 64;
/// Most entries of an answer.
const MAX_ENTRIES: u32 = 256;

const TOPICS: &[QueryTopic] = &[
    QueryTopic::Held,
    QueryTopic::Issued,
    QueryTopic::Checked,
    QueryTopic::Checks,
];

pub(super) async fn list_certificates(
    services: &Services,
    request: ListCertificatesRequest,
) -> Result<ListCertificatesResponse, Status> {
    let host = services.side_chain(&request.chain)?;
    let before = read_cursor(&request.cursor).ok_or_else(|| {
        invalid(
            "cursor",
            "must be empty or next_cursor of an earlier answer",
        )
    })?;
    let most = match request.limit {
        0 => USUAL_ENTRIES,
        most if most <= MAX_ENTRIES => most,
        _ => return Err(invalid("limit", "must be at most 256")),
    };
    let asker = services.asker(host, request.authorisation, TOPICS).await?;
    let topic = match asker.query.topic {
        QueryTopic::Issued => Topic::Issued,
        QueryTopic::Checked => Topic::Checked,
        QueryTopic::Checks => Topic::Checks,
        _ => Topic::Held,
    };
    on_worker(host, move |host| {
        page(host, &asker.query.address, topic, before, most)
    })
    .await
}

fn page(
    host: &ChainHost,
    owner: &Address,
    topic: Topic,
    before: Option<ListPosition>,
    most: u32,
) -> Result<ListCertificatesResponse, Status> {
    // All is told as of one block, whatever is committed meanwhile.
    let height = host.chain.head().height();
    let newest = ListPosition::start_of(height.next());
    let before = before.map_or(newest, |before| before.min(newest));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // One more shows whether there is more.
    let mut listed = host
        .chain
        .list_back(owner, topic, before, most.saturating_add(1))
        .map_err(unreadable)?;
    let more = listed.len() > most;
    listed.truncate(most);
    let next_cursor = match listed.last() {
        Some(last) if more => write_cursor(last.position).to_vec(),
        _ => Vec::new(),
    };
    let mut codes = Codes::new(main_of(host)?);
    let entries = listed
        .iter()
        .map(|listed| entry(host, topic, listed, height, &mut codes))
        .collect::<Result<_, _>>()?;
    Ok(ListCertificatesResponse {
        entries,
        next_cursor,
        height: height.get(),
    })
}

fn entry(
    host: &ChainHost,
    topic: Topic,
    listed: &Listed,
    height: Height,
    codes: &mut Codes<'_>,
) -> Result<ListedCertificate, Status> {
    let missing = || unreadable("a list names what the state does not hold");
    let (id, check) = match topic {
        Topic::Held | Topic::Issued => (CertificateId::from_bytes(listed.id), None),
        Topic::Proposals => return Err(missing()),
        Topic::Checked | Topic::Checks => {
            let id = PresentationId::from_bytes(listed.id);
            let record = records::check(host, &id)?.ok_or_else(missing)?;
            let message = record.to_message(&host.name, &id);
            (record.certificate, Some(message))
        }
    };
    let record = records::certificate_at(host, &id, height)?.ok_or_else(missing)?;
    let code = codes.of(&record.issuer)?;
    Ok(ListedCertificate {
        certificate: Some(record.to_message(&host.name, &id, code)),
        check,
    })
}
