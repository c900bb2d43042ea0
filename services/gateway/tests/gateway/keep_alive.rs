//! Connections that carry one request after another.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::House;

/// A connection over which requests are written piece by piece.
struct Kept(TcpStream);

impl Kept {
    async fn open(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.unwrap())
    }

    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The head of the next answer, its body read; `None` when the connection ended.
    async fn answer(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = self.0.read_u8().await;
            head.push(read.ok()?);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        self.0.read_exact(&mut vec![0; length]).await.ok()?;
        Some(head)
    }
}

#[tokio::test]
async fn an_answer_to_an_unread_body_keeps_the_connection_or_says_that_it_closes() {
    let house = House::build().await;
    for (request, status) in [
        ("POST /v1/tasks/fetch", "401"),
        ("POST /nothing", "404"),
        ("DELETE /v1/weights/latest", "405"),
        ("GET /v1/weights/latest", "200"),
    ] {
        let mut kept = Kept::open(house.gateway).await;
        for round in 0..3 {
            kept.write(&format!("{request} HTTP/1.1\r\nhost: g\r\ncontent-length: 19\r\n\r\n")).await;
            // The head is answered before the body is there, on any machine that is not too slow for it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            kept.write(r#"{"executor_id":"e"}"#).await;
            let head = kept.answer().await;
            let head = head.unwrap_or_else(|| panic!("{request}: closed without a word before answer {round}"));
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
            if head.contains("connection: close") {
                assert_eq!(kept.answer().await, None);
                kept = Kept::open(house.gateway).await;
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_or_is_large_closes_the_connection_and_the_answer_says_so() {
    let house = House::build().await;
    for head in ["content-length: 19", "content-length: 3000000", "content-length: 19\r\nexpect: 100-continue"] {
        let mut kept = Kept::open(house.gateway).await;
        kept.write(&format!("POST /v1/tasks/fetch HTTP/1.1\r\nhost: g\r\n{head}\r\n\r\n")).await;
        let answer = kept.answer().await.unwrap();
        assert!(answer.starts_with("http/1.1 401") && answer.contains("connection: close"), "{head}: {answer}");
        assert_eq!(kept.answer().await, None);
    }
}
