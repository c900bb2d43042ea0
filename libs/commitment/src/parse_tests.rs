#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_deployment_has_its_url() {
    let endpoint: Endpoint = "8A4CD2E1-36f7-4e0f-9b5d-0c1f2a3b4c5d".parse().unwrap();
    assert_eq!(endpoint.url(), "https://8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d.deployments.basilica.ai");
}

#[test]
fn a_uuid_in_another_spelling_is_refused_by_name() {
    // The Python backend would have called `https://8a4cd2e136f7….deployments.basilica.ai`, which is another name.
    let uuid = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";
    let simple = uuid.replace('-', "");
    for other in [simple.clone(), simple.to_uppercase(), format!("{{{uuid}}}"), format!("urn:uuid:{uuid}")] {
        let refused = other.parse::<Endpoint>().unwrap_err().to_string();
        assert!(refused.contains("UUID in another spelling") && refused.contains("8-4-4-4-12"), "{other}: {refused}");
        assert!(!refused.contains("8a4c"), "an endpoint is not shown: {refused}");
    }
}

#[test]
fn urls_keep_scheme_host_port_and_path() {
    for (text, url) in [
        ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("https://policy.example/", "https://policy.example"),
        ("HTTPS://Policy.Example:443/a/b//", "https://policy.example/a/b"),
        ("http://policy.example./a/./b/../c", "http://policy.example./a/c"),
        ("http://xn--bcher-kva.example", "http://xn--bcher-kva.example"),
        ("http://under_score.example:8000", "http://under_score.example:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://h/a%2fb", "http://h/a%2fb"),
        ("grpc://policy.example:50051/", "grpc://policy.example:50051"),
        ("grpc://Policy.Example:80", "grpc://policy.example"),
        ("GRPCS://policy.example", "grpcs://policy.example"),
        ("grpc://[::1]:50051", "grpc://[::1]:50051"),
        ("http://grpc", "http://grpc"),
        ("http://http", "http://http"),
        ("grpc://http", "grpc://http"),
    ] {
        let endpoint = text.parse::<Endpoint>().unwrap();
        assert_eq!(endpoint.url(), url);
        assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint, "{text}");
    }
}

#[test]
fn every_trick_has_its_sentence() {
    for (bad, why) in [
        ("", "is empty"),
        (&format!("http://h/{}", "x".repeat(2048)), "longer than 2048 bytes"),
        ("abc", "is neither"),
        ("ftp://host", "is neither"),
        ("file:///etc/passwd", "is neither"),
        ("javascript:alert(1)", "is neither"),
        ("http:host", "is neither"),
        ("grpc:host", "is neither"),
        (" http://host", "characters that a URL cannot have"),
        ("http://a b", "characters that a URL cannot have"),
        ("http://ho\tst", "characters that a URL cannot have"),
        ("http://host\0", "characters that a URL cannot have"),
        ("http://b\u{fc}cher.example", "characters that a URL cannot have"),
        ("http://\u{ff11}27.0.0.1", "characters that a URL cannot have"),
        ("http://pol{icy}.example", "characters that a URL cannot have"),
        ("http:\\\\host", "cannot have: a backslash"),
        ("http://good.example\\.evil.example", "cannot have: a backslash"),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http:////x", "names no host"),
        ("http://:80", "names no host"),
        ("grpc://", "names no host"),
        ("grpc:///x", "names no host"),
        ("http://user@host", "user name or password"),
        ("http://u:p@host", "user name or password"),
        ("http://@host", "user name or password"),
        ("http://good.example:80@evil.example", "user name or password"),
        ("grpc://user@host", "user name or password"),
        ("http://host?x=1", "a query or a fragment"),
        ("http://host/#@x", "user name or password"),
        ("http://host#f", "a query or a fragment"),
        ("grpcs://host?x=1", "a query or a fragment"),
        ("http://%31%32%37.0.0.1", "host in percent signs"),
        ("http://[fe80::1%25eth0]", "host in percent signs"),
        ("http://ho%00st", "host in percent signs"),
        ("http://host:0", "port 0"),
        ("grpcs://host:0", "port 0"),
        ("http://host:99999", "no valid URL: its port is none"),
        ("http://host:-1", "no valid URL: its port is none"),
        ("grpc://host:99999", "no valid URL: its port is none"),
        ("http://xn--a", "internationalised"),
        ("http://xn--\u{31}\u{32}7-.example", "internationalised"),
        ("http://2130706433", "four decimal numbers"),
        ("http://0x7f000001", "four decimal numbers"),
        ("grpc://0x7f000001", "four decimal numbers"),
        ("http://0177.0.0.1", "four decimal numbers"),
        ("http://127.1:80", "four decimal numbers"),
        ("http://127.0.0.1.", "four decimal numbers"),
        ("http://8.8.8.010", "four decimal numbers"),
        ("http://1.2.3.4.5", "no IPv4 address"),
        ("http://256.1.1.1", "no IPv4 address"),
        ("http://[::g]", "no IPv6 address"),
        ("http://[1.2.3.4]", "no IPv6 address"),
        ("http://host!", "characters that no name has"),
        ("http://a..b", "a part that is empty"),
        ("http://.host", "a part that is empty"),
        ("http://host..", "a part that is empty"),
        (&format!("http://{}.example", "x".repeat(64)), "a part that is empty or longer"),
        ("grpc://host/path", "gRPC has no place for"),
    ] {
        let refused = bad.parse::<Endpoint>().map(|endpoint| endpoint.url());
        let refused = refused.expect_err(bad).to_string();
        assert!(refused.contains(why), "{bad:?}: {refused}");
    }
}

#[test]
fn what_executors_once_read_in_their_own_way_is_refused() {
    for text in [
        "http:host",
        "http:/host",
        "http:///host",
        "http:\\\\host",
        "http://host\\@other",
        "http://@host",
        "http://host/a@b",
        "http://127.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://127.0.0.1.",
        "http://①②⑦.⓪.⓪.①",
        "http://bücher.example",
        "http://%31%32%37.0.0.1",
        "http://ho%73t",
        "http://[fe80::1%25eth0]",
        "http://h!st",
        "http://a..b",
        "http://host/a|b",
        "http://host/{a}",
        "http://host/\"a\"",
    ] {
        assert!(text.parse::<Endpoint>().is_err(), "{text}");
    }
}

#[test]
fn a_default_port_is_left_out_also_an_empty_one() {
    for (text, url, port) in [
        ("http://h:", "http://h", 80),
        ("http://h:0080", "http://h", 80),
        ("grpcs://h:443", "grpcs://h", 443),
        ("https://h:80", "https://h:80", 80),
        ("http://1.2.3.4:", "http://1.2.3.4", 80),
    ] {
        let endpoint = text.parse::<Endpoint>().unwrap();
        assert_eq!((endpoint.url().as_str(), endpoint.port()), (url, port), "{text}");
    }
}

#[test]
fn an_address_that_is_written_out_is_checked_by_the_executors_rule() {
    for (text, kind) in [
        ("http://127.0.0.1:9001", "loopback"),
        ("http://10.0.0.1", "private"),
        ("http://192.168.1.1:8000/policy", "private"),
        ("http://[::1]", "loopback"),
        ("http://[::ffff:127.0.0.1]", "IPv4-mapped"),
        ("http://[::ffff:8.8.8.8]", "IPv4-mapped"),
        ("http://[fd00::254]", "private"),
        ("http://[64:ff9b::7f00:1]", "NAT64"),
        ("http://LocalHost:8000", "localhost"),
        ("grpcs://policy.localhost.", "localhost"),
    ] {
        let endpoint: Endpoint = text.parse().unwrap();
        let refused = endpoint.check_address(false).unwrap_err().to_string();
        assert_eq!(refused, format!("the endpoint leads to an address that is not called: {kind}"), "{text}");
        assert_eq!(endpoint.check_address(true), Ok(()), "{text}");
    }
    for (text, kind) in [
        ("http://0.0.0.0", "unspecified"),
        ("http://224.0.0.1", "multicast"),
        ("http://[::]", "unspecified"),
        ("http://169.254.169.254/latest/meta-data", "cloud metadata"),
        ("http://[::ffff:169.254.169.254]", "cloud metadata"),
        ("http://[fd00:ec2::254]", "cloud metadata"),
        ("http://100.100.100.200", "cloud metadata"),
        ("grpc://169.254.1.1:50051", "link-local"),
        ("grpc://[fe80::1]:50051", "link-local"),
    ] {
        let endpoint = text.parse::<Endpoint>().unwrap();
        for allow_private in [false, true] {
            let refused = endpoint.check_address(allow_private).unwrap_err().to_string();
            assert!(refused.ends_with(kind), "no operator can allow {text}: {refused}");
        }
    }
    for text in ["http://1.1.1.1", "http://[2606:4700::1111]:8443", "http://localhost.example", "http://notlocalhost"] {
        assert_eq!(text.parse::<Endpoint>().unwrap().check_address(false), Ok(()), "{text}");
    }
}
