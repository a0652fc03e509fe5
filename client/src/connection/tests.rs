#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use certchain_proto::wire::v1::Code;
use tonic::{Status, metadata::MetadataMap};

use super::*;

fn quick() -> ConnectOptions {
    ConnectOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_millis(300),
        decision_timeout: Duration::from_millis(500),
    }
}

#[tokio::test]
async fn urls_are_checked_before_anything_is_sent() {
    let connect = |urls: &[&str]| Connection::new(urls, quick()).map(|_| ());
    assert_eq!(connect(&[]), Err(ConnectionError::NoNode));
    for wrong in [
        "",
        "localhost:1",
        "https://localhost:1",
        "http://",
        "http:// x",
        "ftp://a",
    ] {
        assert!(
            matches!(connect(&[wrong]), Err(ConnectionError::Url { .. })),
            "{wrong}"
        );
    }
    connect(&[
        "http://127.0.0.1:1",
        " http://[::1]:2 ",
        "http://node.example",
    ])
    .unwrap();
    let many = vec!["http://127.0.0.1:1"; MAX_NODES + 1];
    assert_eq!(connect(&many), Err(ConnectionError::TooManyNodes));
}

/// A port that nobody listens on: bound, then given back.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn nodes_that_are_not_there() {
    let urls = [closed_port(), closed_port()];
    let connection = Connection::new(&urls, quick()).unwrap();
    let error = connection.status("main").await.unwrap_err();
    assert!(
        matches!(&error, ConnectionError::Unreachable { url, .. } if *url == urls[1]),
        "the last one tried is named: {error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
    let error = connection
        .watch("main", None, true)
        .next()
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectionError::Unreachable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_node_that_hangs_costs_one_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connection = Connection::new([&url], quick()).unwrap();
    let error = connection.node().await.unwrap_err();
    assert!(matches!(error, ConnectionError::Timeout { .. }), "{error}");
    let id = certchain_proto::hash::TransactionId::ZERO;
    let error = connection.wait_receipt("main", &id).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectionError::Timeout {
                what: "a receipt",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn nodes_stand_in_for_each_other_in_a_circle() {
    let urls = [
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
        "http://127.0.0.1:3",
    ];
    let connection = Connection::new(urls, quick()).unwrap();
    for (preferred, order) in [(0, [0, 1, 2]), (1, [1, 2, 0]), (2, [2, 0, 1])] {
        connection.preferred.store(preferred, Ordering::Relaxed);
        let found: Vec<usize> = connection.in_order().map(|(index, _)| index).collect();
        assert_eq!(found, order);
        for (index, node) in connection.in_order() {
            assert_eq!(node.url, urls[index]);
        }
    }
}

#[test]
fn statuses_become_typed_errors() {
    let read = |status: &Status| {
        ConnectionError::from_status("a test", "http://x", Duration::from_secs(1), status)
    };
    let mut metadata = MetadataMap::new();
    metadata.insert(error::CODE_METADATA, "CODE_TAG_TAKEN".parse().unwrap());
    let named = Status::with_metadata(tonic::Code::AlreadyExists, "has one already", metadata);
    for status in [
        named,
        Status::already_exists("CODE_TAG_TAKEN: has one already"),
    ] {
        let error = read(&status);
        assert!(
            matches!(
                error,
                ConnectionError::Refused {
                    code: Code::TagTaken,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("CODE_TAG_TAKEN"), "{error}");
        assert!(!error.is_node_failure());
    }
    let error = read(&Status::not_found("no such block"));
    assert_eq!(
        error,
        ConnectionError::NotFound {
            message: "no such block".into()
        }
    );
    let error = read(&Status::out_of_range("height 9 is not decided yet"));
    assert!(matches!(error, ConnectionError::NotFound { .. }), "{error}");
    let error = read(&Status::unavailable("CODE_UNAVAILABLE: stopping"));
    assert!(error.is_node_failure(), "{error}");
    assert!(read(&Status::unavailable("starting")).is_node_failure());
    assert!(matches!(
        read(&Status::deadline_exceeded("")),
        ConnectionError::Timeout { .. }
    ));
    let error = read(&Status::invalid_argument("the key is too long"));
    assert!(
        matches!(
            error,
            ConnectionError::Status {
                status: tonic::Code::InvalidArgument,
                ..
            }
        ),
        "{error}"
    );
    assert!(!read(&Status::internal("its own fault")).is_node_failure());
}
