//! The sender against real servers, where some are at hand: `LOGMON_TEST_FLUENTD`,
//! `LOGMON_TEST_FLUENT_BIT`, `LOGMON_TEST_VECTOR` and `LOGMON_TEST_OTEL` name the address
//! (`host:port`) of a Forward input without TLS and without a shared key.

use logmon_core::Log;
use logmon_forward::Sender;
use logmon_forward::sender::{Address, Compression, SenderConfig};

/// The address a variable names; says so where there is none.
fn server(variable: &str) -> Option<Address> {
    let named = std::env::var(variable).ok();
    let Some(text) = named.filter(|text| !text.is_empty()) else {
        eprintln!("skipped: {variable} names no server (host:port)");
        return None;
    };
    Some(text.parse().expect("an address"))
}

async fn deliver(address: &Address, compression: Compression, events: usize, bytes: usize) {
    let mut config = SenderConfig::to(address.clone());
    config.compression = compression;
    let sender = Sender::new(config).unwrap();
    let logs: Vec<Log> = (0..events)
        .map(|n| Log::new(format!("{n} {}", "x".repeat(bytes))).tag("logmon.test"))
        .collect();
    sender.send_logs(&logs).await.unwrap();
    let stats = sender.stats();
    assert_eq!((stats.events, stats.acks, stats.resent), (events as u64, stats.chunks, 0));
    sender.close().await;
}

/// F-139: Fluentd takes every form and acknowledges it. zstd needs 1.19.
#[tokio::test]
async fn fluentd_takes_every_form() {
    let Some(address) = server("LOGMON_TEST_FLUENTD") else { return };
    for compression in [Compression::None, Compression::gzip(), Compression::zstd()] {
        deliver(&address, compression, 10_000, 100).await;
    }
}

/// F-140: 100 MB into Fluent Bit, none of it refused.
#[tokio::test]
async fn fluent_bit_takes_a_backlog() {
    let Some(address) = server("LOGMON_TEST_FLUENT_BIT") else { return };
    deliver(&address, Compression::None, 100_000, 1_000).await;
    deliver(&address, Compression::gzip(), 10_000, 1_000).await;
}

/// F-141.
#[tokio::test]
async fn vector_takes_chunks() {
    let Some(address) = server("LOGMON_TEST_VECTOR") else { return };
    deliver(&address, Compression::None, 10_000, 100).await;
}

/// F-141.
#[tokio::test]
async fn opentelemetry_takes_chunks() {
    let Some(address) = server("LOGMON_TEST_OTEL") else { return };
    deliver(&address, Compression::None, 10_000, 100).await;
}
