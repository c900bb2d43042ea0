//! Policies that never come to the end of what nothing in HTTP bounds. Each costs a bounded number of bytes and ends with its cause, and an
//! honest policy beside it is not kept waiting.

use super::*;

/// More than that leaves no server: the budget of one question, and what the buffers of two sockets and a server's own write hold.
const MOST_BYTES: usize = 12 << 20;

fn floods() -> Vec<(&'static str, Reply)> {
    let flood = |head: &'static [u8], again: &[u8]| Reply::Endless(head, again.repeat(65536 / again.len()));
    vec![
        ("interim answers", flood(b"", b"HTTP/1.1 100 \r\n\r\n")),
        ("interim answers with lines", flood(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")),
        ("empty lines before the answer", flood(b"", b"\r\n")),
        ("an endless status line", flood(b"HTTP/1.1 200 ", b"OK")),
        ("header lines", flood(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n")),
        ("one header line", flood(b"HTTP/1.1 200 OK\r\nX-Long: ", b"xxxxxxxx")),
        ("a chunk's extension", flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x=y;")),
        (
            "extensions of small chunks",
            flood(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n",
            ),
        ),
        ("chunks of one byte", flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")),
        ("the size of a chunk", flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0000")),
        ("trailer lines", flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-More: 1\r\n")),
        ("one trailer line", flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ", b"xxxxxxxx")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_ends_with_its_cause_and_few_bytes_wherever_it_is() {
    for (what, reply) in floods() {
        for path in ["/reset", "/act"] {
            let begun = std::time::Instant::now();
            let (fault, server) = fault_within(ACTION_TIMEOUT, path, reply.clone()).await;
            let bytes = server.written.load(Ordering::Relaxed);
            println!("{what} at {path}: {fault:.90}, {bytes} bytes, {:?}", begun.elapsed());
            let found =
                matches!(fault.cause(), Cause::ResponseTooLarge | Cause::InvalidResponse | Cause::ConnectionClosed);
            assert!(found, "{what} at {path}: {fault}");
            assert!(bytes < MOST_BYTES, "{what} at {path}: {bytes} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_interim_answers_is_too_large_from_the_first_question_on() {
    for path in ["/health", "/reset", "/act"] {
        let flood = Reply::Endless(b"", b"HTTP/1.1 100 \r\n\r\n".repeat(4096));
        let (fault, _) = fault_within(ACTION_TIMEOUT, path, flood).await;
        assert_eq!(fault.cause(), Cause::ResponseTooLarge, "{path}: {fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_interim_answers_are_no_flood() {
    let server = Server::start(|path| match good(path) {
        Reply::Json(text) => Reply::Raw([&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(4)[..], &json(&text)].concat()),
        other => other,
    })
    .await;
    assert!(play(&transport(ACTION_TIMEOUT), &server.url(), 20).await.is_ok());
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

/// One thread, as small as a machine can be: what a flood costs, the honest one waits for.
#[tokio::test]
async fn floods_do_not_keep_an_honest_policy_waiting() {
    let transport = transport(Duration::from_secs(30));
    let bad = Server::start(|path| match path {
        "/act" => Reply::Endless(b"", b"HTTP/1.1 100 \r\n\r\n".repeat(4096)),
        path => good(path),
    })
    .await;
    let honest = Server::start(good).await.url();
    let floods = async {
        let url = bad.url();
        let four = std::array::from_fn::<_, 4, _>(|_| play(&transport, &url, 1));
        futures::future::join_all(four).await
    };
    let (faults, honest) = tokio::join!(floods, play(&transport, &honest, 50));
    for fault in faults {
        assert_eq!(fault.unwrap_err().cause(), Cause::ResponseTooLarge);
    }
    assert!(honest.is_ok(), "{honest:?}");
}
