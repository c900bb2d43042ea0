//! A netuid that is not on the chain.

use kinitro_ingestion::Config;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Ingestion, NETUID, World, eventually, hotkey, reason};

/// The health report, as a person asks for it.
async fn health(ingestion: &Ingestion) -> Result<String, std::io::Error> {
    let mut stream = TcpStream::connect(ingestion.address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ingestion\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_subnet_that_is_not_on_the_chain_is_named_with_those_that_are_until_it_is_there() {
    let mut world = World::new(&["//Alice"]).await;
    world.finalize();
    let wrong = Ingestion::start(Config { netuid: 9_999, ..world.config() }).await;
    let fault = "there is no subnet 9999";
    let report = eventually("the health report names the subnet", || async {
        match health(&wrong).await {
            Ok(report) if report.contains(fault) => Ok(report),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(report.starts_with("HTTP/1.1 503"), "{report}");
    assert!(report.contains(&format!("which has {NETUID}:")) && report.contains("netuid"), "{report}");
    let status = wrong.list().await.expect_err("there is nobody to list");
    assert_eq!(reason(&status), "CHAIN_UNREAD");
    assert!(status.message().contains(fault), "{status}");
    wrong.stop().await;

    // A subnet without a neuron is one.
    world.replace_chain(&[]).await;
    world.finalize();
    let right = world.ingest().await;
    assert!(right.list_at(1).await.miners.is_empty());
    world.chain.register(0, "//Alice").unwrap();
    let block = world.finalize();
    assert_eq!(right.list_at(block).await.miners[0].hotkey, hotkey("//Alice"));
}
