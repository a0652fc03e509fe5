//! The trees over transactions and receipts, and the history of blocks.

use std::{collections::BTreeMap, convert::Infallible};

use certchain_ledger::{
    history::{History, HistoryProof, NodePosition},
    merkle,
};
use certchain_proto::{
    Height,
    hash::{BlockId, ReceiptHash, WitnessId},
};
use serde_json::{Value, json};

use crate::golden::{check, hex};

fn list(hashes: &[[u8; 32]]) -> Vec<String> {
    hashes.iter().map(hex).collect()
}

fn tree(count: u8) -> Value {
    let items: Vec<WitnessId> = (0..count).map(|n| WitnessId::from_bytes([n; 32])).collect();
    let root = merkle::tx_root(&items);
    // Receipts have the same tree: their hashes give the same root.
    let receipts: Vec<ReceiptHash> = (0..count)
        .map(|n| ReceiptHash::from_bytes([n; 32]))
        .collect();
    assert_eq!(root.as_bytes(), merkle::receipts_root(&receipts).as_bytes());
    let proofs: Vec<Value> = (0..count)
        .map(|index| {
            let proof = merkle::prove_transaction(&items, u32::from(index)).unwrap();
            let item = items[usize::from(index)];
            assert_eq!(proof.verify_transaction(&root, &item), Ok(()));
            json!({
                "index": proof.index, "count": proof.count, "siblings": list(&proof.siblings),
            })
        })
        .collect();
    json!({
        "items": items.iter().map(|item| hex(item.as_bytes())).collect::<Vec<_>>(),
        "root": hex(root.as_bytes()),
        "proofs": proofs,
    })
}

#[test]
fn merkle_trees() {
    let trees: Vec<Value> = [0, 1, 2, 3, 4, 5, 7, 8, 9].into_iter().map(tree).collect();
    check("merkle.json", &json!(trees));
}

#[test]
fn histories() {
    let block = |height: u64| BlockId::from_bytes([height as u8 + 1; 32]);
    let mut history = History::EMPTY;
    let mut nodes: BTreeMap<NodePosition, [u8; 32]> = BTreeMap::new();
    let mut vectors = Vec::new();
    for size in 0..=11u64 {
        let node = |position| Ok::<_, Infallible>(nodes.get(&position).copied());
        let proofs: Vec<Value> = (0..size)
            .map(|height| {
                let proof = HistoryProof::build(Height::new(height), size, node)
                    .unwrap()
                    .unwrap();
                assert_eq!(proof.verify(&history.root(), &block(height)), Ok(()));
                json!({
                    "height": height, "size": size,
                    "siblings": list(&proof.siblings), "peaks": list(&proof.peaks),
                })
            })
            .collect();
        vectors.push(json!({
            "size": size, "root": hex(history.root().as_bytes()), "proofs": proofs,
        }));
        nodes.extend(history.append(&block(size)));
    }
    check(
        "history.json",
        &json!({ "block_ids": "block of height h: 32 bytes h + 1", "histories": vectors }),
    );
}
