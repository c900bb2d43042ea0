//! What ingestion accepts as an endpoint, an executor can call: the commitment's text, the text in Postgres and in the task, and the
//! request that is sent.
#![allow(clippy::unwrap_used)]

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use http::uri::{Authority, PathAndQuery};
use kinitro_commitment::{Endpoint, parse_commitment};
use kinitro_domain::Cause;
use kinitro_policy::Destination;
use proptest::prelude::*;

fn endpoints() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-zA-Z0-9_-]{1,12}(\\.[a-zA-Z0-9_-]{1,8}){0,3}\\.?",
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits))),
        // Global unicast.
        any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits >> 3 | 1 << 125))),
        "(0x[0-9a-f]{1,8}|[0-9]{1,10}|127\\.1|①\\.1|[!-~]{1,12})",
    ];
    let path = prop_oneof![Just(String::new()), "(/[a-zA-Z0-9._~%!$&'()*+,;=:-]{0,6}){0,4}", "[!-~]{0,8}"];
    let url =
        ("(https?|grpcs?|HTTP|gRPC)", prop_oneof![9 => Just("://"), 1 => Just(":")], host, "(:[0-9]{0,5})?", path)
            .prop_map(|(scheme, colon, host, port, path)| format!("{scheme}{colon}{host}{port}{path}"));
    prop_oneof![8 => url, 1 => any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).to_string())]
}

/// Whether the address of an endpoint is called; `None` for a name, which only a network can tell.
fn called(endpoint: &Endpoint, allow_private: bool) -> Option<Result<u16, Cause>> {
    endpoint.address()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let destination = Destination::from(endpoint.clone());
    let resolved = runtime.block_on(destination.resolve(allow_private, Duration::from_secs(60)));
    Some(resolved.map(|resolved| resolved.0[0].port()).map_err(|fault| fault.cause()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_ingestion_accepts_an_executor_can_call(text in endpoints(), allow_private in any::<bool>()) {
        let Ok(committed) = parse_commitment(format!("a/b:v1:{text}").as_bytes(), None) else { return Ok(()) };
        let accepted = committed.endpoint.check_address(allow_private).is_ok();
        // What ingestion stores, and a task carries.
        let stored = committed.endpoint.url();
        let endpoint: Endpoint = stored.parse().unwrap();
        prop_assert!(endpoint.identity() == committed.endpoint.identity(), "{stored}");
        prop_assert_eq!(endpoint.check_address(allow_private).is_ok(), accepted, "{}", &stored);
        // Both agree about an address that is written out.
        if let Some(called) = called(&endpoint, allow_private) {
            prop_assert_eq!(called.clone().is_ok(), accepted, "{}: {:?}", &stored, called);
        }
        // Either transport can name host and path in a request.
        prop_assert!(Authority::try_from(endpoint.authority()).is_ok(), "{stored}");
        for path in ["/health", "/reset", "/act"] {
            prop_assert!(PathAndQuery::try_from(endpoint.path_below(path)).is_ok(), "{stored}");
        }
    }
}
