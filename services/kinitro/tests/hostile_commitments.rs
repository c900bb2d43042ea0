//! What a miner may put on the chain to do harm: nothing of it panics, nothing of it is connected to, each is shown with its reason, and
//! the backend goes on.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::{IpAddr, ToSocketAddrs as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kinitro_chain::{Signer, Wait};
use serde_json::Value;
use support::{ALONE, Backend, Options, eventually};
use tokio::net::TcpListener;

/// Listens on every address of this machine; nobody may call.
struct Canary {
    port: u16,
    calls: Arc<AtomicUsize>,
}

impl Canary {
    async fn listen() -> Self {
        // Takes IPv4 as well, unless the machine is told otherwise; then the second socket does.
        let six = TcpListener::bind("[::]:0").await;
        let four = match &six {
            Ok(six) => TcpListener::bind(("0.0.0.0", six.local_addr().unwrap().port())).await,
            Err(_) => TcpListener::bind("0.0.0.0:0").await,
        };
        let listeners: Vec<_> = [six, four].into_iter().flatten().collect();
        let (port, calls) = (listeners[0].local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        for listener in listeners {
            let calls = calls.clone();
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { port, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// A name that this machine's resolver maps to addresses of its own. The name `localhost` is known to be one without asking.
#[expect(clippy::disallowed_methods, reason = "once, before anything else runs")]
fn private_name() -> String {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let names = [own.trim(), "ip6-localhost", "ip6-loopback"];
    let private = |name: &&str| {
        let resolved = (*name, 80).to_socket_addrs().map(|all| all.map(|one| one.ip()).collect::<Vec<_>>());
        resolved.is_ok_and(|all| {
            !all.is_empty() && all.into_iter().all(|one| kinitro_domain::check_address(one, false).is_err())
        })
    };
    let found = names.into_iter().find(private);
    found.expect("/etc/hosts has a name for this machine, e.g. `127.0.1.1 myhost`").to_owned()
}

/// What is committed, and what its reason speaks of.
fn commitments(port: u16) -> Vec<(Vec<u8>, &'static str)> {
    let policy = |endpoint: &str| format!("a/b:v1:{endpoint}").into_bytes();
    let random: Vec<u8> = (0..128_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        (random, "printable"),
        (vec![0; 128], "printable"),
        (b"a/b:v1:http://h\xff\xfe".to_vec(), "printable"),
        (vec![b'{'; 128], "JSON"),
        (br#"{"m":"a/b","r":"v1","d":"http://h","e":"x"}"#.to_vec(), "both"),
        (b"../../etc/passwd:v1:http://h".to_vec(), "repository"),
        (policy("http://169.254.169.254/latest/meta-data"), "address"),
        (policy("http://[fd00:ec2::254]/"), "address"),
        (policy(&format!("http://127.0.0.1:{port}")), "address"),
        (policy(&format!("http://127.1:{port}")), "address"),
        (policy(&format!("http://0x7f000001:{port}")), "address"),
        (policy(&format!("http://2130706433:{port}")), "address"),
        (policy(&format!("http://017700000001:{port}")), "address"),
        (policy(&format!("http://%31%32%37.0.0.1:{port}")), "address"),
        (policy(&format!("http://[::ffff:127.0.0.1]:{port}")), "address"),
        (policy(&format!("http://[::1]:{port}")), "address"),
        (policy(&format!("http://0:{port}")), "address"),
        (policy(&format!("grpc://127.0.0.1:{port}")), "address"),
        (policy(&format!("http://localhost:{port}")), "localhost"),
        (policy(&format!("http://LOCALHOST.:{port}")), "localhost"),
        (policy(&format!("http://a.localhost:{port}")), "localhost"),
        (policy(&format!("http://user:pass@127.0.0.1:{port}")), "user name or password"),
        (policy(&format!("http://policy.example@127.0.0.1:{port}")), "user name or password"),
        (policy("http://policy.example:0"), "port"),
        (policy("http://policy.example:65536"), "URL"),
        (policy("http://b\u{fc}cher.example"), "printable"),
        (policy("http://\u{2488}27.0.0.1"), "printable"),
        (policy(&format!("http://127.0.0.1:{port}\\@policy.example")), "characters"),
        (policy("file:///etc/passwd"), "neither"),
        (policy("e:no-blob"), "sealed"),
        (policy(&format!("e:{}", "~".repeat(80))), "sealed"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_commitments_are_shown_with_their_reason_and_connected_to_by_nobody() {
    let _alone = ALONE.lock().await;
    let canary = Canary::listen().await;
    let refused = ["KINITRO_SCHEDULER_ALLOW_PRIVATE_ENDPOINTS", "KINITRO_EXECUTOR_ALLOW_PRIVATE_ENDPOINTS"];
    let variables = refused.into_iter().map(|name| (name, "false".to_owned())).collect();
    let commitments = commitments(canary.port);
    // Passes as a URL; only who resolves it sees where it leads.
    let resolves = format!("a/b:v1:http://{}:{}", private_name(), canary.port).into_bytes();
    let resolving = commitments.len();

    let backend = Backend::start_registered(Options { variables, ..Options::default() }, resolving + 1).await;
    let chain = backend.chain().await;
    let all = commitments.iter().map(|(data, _)| data).chain([&resolves]);
    for (uid, data) in all.enumerate() {
        let signer = Signer::from_uri(&format!("//miner{uid}")).unwrap();
        chain.set_commitment(&signer, 1, data, Wait::Inclusion).await.unwrap();
    }
    let listed = |body: &Value, uid: usize| body["miners"][uid].clone();
    let body = eventually("every commitment was read", || async {
        let (_, body) = backend.get("/v1/miners").await;
        let unread = |uid: &usize| matches!(listed(&body, *uid)["status"].as_str(), None | Some("uncommitted"));
        match (0..=resolving).find(unread) {
            Some(uid) => Err(format!("uid {uid} of {body}")),
            None => Ok(body),
        }
    })
    .await;
    for (uid, (data, reason)) in commitments.iter().enumerate() {
        let miner = listed(&body, uid);
        let shown = miner["status_reason"].as_str().unwrap_or_default();
        let data = String::from_utf8_lossy(data);
        assert_eq!(miner["status"], "invalid", "{data:?}: {miner}");
        assert!(shown.contains(reason) && !shown.contains(char::is_control), "{data:?}: {shown}");
        assert_eq!(miner["endpoint"], Value::Null, "{data:?}");
    }
    assert_eq!(listed(&body, resolving)["status"], "active");

    let cycle = backend.start_cycle(2).await;
    assert_eq!((cycle.n_miners, cycle.tasks_total), (1, 2), "the others are not evaluated");
    let done = backend.cycle_when(cycle.id, "the cycle is scored", |cycle| cycle.status == "completed").await;
    assert_eq!((done.successes, done.policy_faults), (0, 2));
    let (_, body) = backend.get("/v1/miners").await;
    let miner = listed(&body, resolving);
    assert_eq!(miner["last_faults"]["endpoint_refused"], 2, "{miner}");
    assert!(miner["status_reason"].as_str().unwrap().contains("endpoint_refused"), "{miner}");

    assert_eq!(canary.calls(), 0, "somebody connected");
    // It would have noticed.
    for address in [IpAddr::from([127, 0, 0, 1])] {
        tokio::net::TcpStream::connect((address, canary.port)).await.unwrap();
    }
    eventually("the canary notices a call", || async {
        if canary.calls() > 0 { Ok(()) } else { Err("no call".to_owned()) }
    })
    .await;
}
