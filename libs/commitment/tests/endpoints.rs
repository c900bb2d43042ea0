//! What holds of every endpoint that the parser takes.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use kinitro_commitment::{ENDPOINT_LIMIT, Endpoint, Host};
use proptest::prelude::*;

/// Texts that are endpoints often enough, and otherwise almost.
fn texts() -> impl Strategy<Value = String> {
    let scheme = prop_oneof!["https?", "grpcs?", "HTTPS?", "gRPC", "ftp"];
    let host = prop_oneof![
        "[a-zA-Z0-9_-]{1,12}(\\.[a-zA-Z0-9_-]{1,8}){0,3}\\.?",
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits))),
        "(xn--[a-z0-9-]{1,8}|0x[0-9a-f]{1,8}|[0-9]{1,10}|[0-9]{1,3}\\.[0-9]{1,3}|[!-~]{1,12})",
    ];
    let port = prop_oneof![Just(String::new()), ":[0-9]{0,6}"];
    let path = prop_oneof!["(/[a-zA-Z0-9._~%-]{0,6}){0,4}", "[/%.a-zA-Z0-9:;,=+*'()!$&-]{0,16}", "[ -~]{0,8}"];
    let url = (scheme, prop_oneof![9 => Just("://"), 1 => Just(":/")], host, port, path)
        .prop_map(|(scheme, colon, host, port, path)| format!("{scheme}{colon}{host}{port}{path}"));
    prop_oneof![
        8 => url,
        1 => any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).to_string()),
        1 => any::<String>(),
    ]
}

fn respelt(text: &str, capital: &[bool]) -> String {
    let capital = capital.iter().cycle();
    let letter = |(letter, capital): (char, &bool)| if *capital { letter.to_ascii_uppercase() } else { letter };
    text.chars().zip(capital).map(letter).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_shown_is_read_as_the_same(text in texts()) {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            let shown = endpoint.to_string();
            prop_assert!(shown.len() <= ENDPOINT_LIMIT && shown.is_ascii());
            let again: Endpoint = shown.parse().unwrap();
            prop_assert!(again == endpoint && again.to_string() == shown, "{text}: {shown}");
            // As it is stored: a deployment as its URL, too.
            let stored: Endpoint = endpoint.url().parse().unwrap();
            prop_assert!(stored.url() == endpoint.url() && stored.identity() == endpoint.identity(), "{text}");
            prop_assert!(stored.host() == endpoint.host() && stored.port() == endpoint.port(), "{text}");
            prop_assert!(stored.protocol() == endpoint.protocol() && stored.is_secure() == endpoint.is_secure());
        }
    }

    #[test]
    fn a_refusal_is_one_short_line_without_the_endpoint(text in texts()) {
        if let Err(refused) = text.parse::<Endpoint>() {
            let refused = refused.to_string();
            prop_assert!(refused.starts_with("the endpoint ") && refused.len() < 300, "{refused}");
            prop_assert!(!refused.contains(char::is_control));
            prop_assert!(text.len() < 12 || !refused.contains(&text), "{refused}");
        }
    }

    #[test]
    fn a_name_is_one_host_in_every_spelling(
        name in "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9-]{0,8}){0,3}",
        capital in prop::collection::vec(any::<bool>(), 1..12),
        scheme in "(http|https|grpc|grpcs)",
        dot in "\\.?",
        port in "(:[1-9][0-9]{0,3})?",
    ) {
        let plain = format!("http://{name}").parse::<Endpoint>();
        let other = format!("{scheme}://{}{dot}{port}", respelt(&name, &capital)).parse::<Endpoint>();
        prop_assert_eq!(plain.is_ok(), other.is_ok(), "{}", &name);
        if let (Ok(plain), Ok(other)) = (plain, other) {
            prop_assert!(plain.host() == other.host(), "{name}");
            prop_assert_eq!(plain.host().to_string(), name);
        }
    }

    #[test]
    fn an_address_is_one_host_in_every_spelling_that_is_taken(
        bits in any::<u128>(),
        zeros in any::<u128>(),
        capital in prop::collection::vec(any::<bool>(), 1..12),
    ) {
        let address = Ipv6Addr::from_bits(bits & zeros);
        let long = address.segments().map(|segment| format!("{segment:04x}")).join(":");
        let short: Endpoint = format!("http://[{address}]").parse().unwrap();
        let other: Endpoint = format!("grpcs://[{}]:8443", respelt(&long, &capital)).parse().unwrap();
        prop_assert!(short.host() == other.host() && short.host() == Host::Address(address.to_canonical()));

        let carried = Ipv4Addr::from_bits(bits as u32);
        let plain: Endpoint = format!("http://{carried}").parse().unwrap();
        for form in [format!("[::ffff:{carried}]"), format!("[{}]", carried.to_ipv6_mapped())] {
            let mapped: Endpoint = format!("http://{form}").parse().unwrap();
            prop_assert!(plain.host() == mapped.host() && plain.identity() == mapped.identity(), "{form}");
        }
    }
}

#[test]
fn nothing_that_may_have_been_sealed_is_shown_by_debug() {
    let endpoint: Endpoint = "http://secret.example/path".parse().unwrap();
    let shown = format!("{endpoint:?} {:?} {:?}", endpoint.host(), endpoint.identity());
    assert_eq!(shown, "Endpoint(not shown) Host(not shown) EndpointIdentity(not shown)");
}
