//! What a side chain's genesis block puts into its state beside what every chain has there
//! (parameters and validator set).

use std::{collections::BTreeMap, sync::Arc};

use certchain_config::catalogue::{CertificateType, SideChain};
use certchain_ledger::{state::StateKey, view::Value};
use certchain_proto::codec;

use crate::certificate::keys;

/// The leaves of a side chain's own: the types of its certificates, each entry of the network's
/// catalogue that names the chain.
pub fn genesis_leaves(
    chain: SideChain,
    catalogue: &[CertificateType],
) -> BTreeMap<StateKey, Value> {
    let own = catalogue.iter().filter(|entry| entry.chain == chain);
    own.map(|entry| {
        let key = keys::certificate_type(entry.name.as_str());
        (key, Arc::from(codec::encode(entry)))
    })
    .collect()
}
