//! Which addresses a stranger may make us connect to.
//!
//! The tables are IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates). For IPv6 it is the other way round:
//! only global unicast, 2000::/3, is let through, less what lies inside it and is special; so the forms that carry an IPv4 address
//! (mapped, compatible, translated, NAT64) are out without being listed.
//!
//! This is the only list. Link-local addresses and those under which clouds hand their machines credentials are on it for good: a policy is
//! served at none of them, and what answers there may give an operator's keys away, so that not even an operator who allows private
//! addresses allows them, in whatever form they are written.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Why an address is not connected to. Its text never contains the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRefusal {
    kind: &'static str,
    /// Not even an operator can allow it: nothing can be reached there by TCP, or nothing that is a policy.
    never: bool,
}

impl fmt::Display for AddressRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

type V4Range = ([u8; 4], u32, &'static str, bool);
type V6Range = ([u16; 8], u32, &'static str, bool);

const V4: &[V4Range] = &[
    ([0, 0, 0, 0], 8, "unspecified", true),
    ([10, 0, 0, 0], 8, "private", false),
    // Alibaba Cloud.
    ([100, 100, 100, 200], 32, "cloud metadata", true),
    ([100, 64, 0, 0], 10, "shared (carrier-grade NAT)", false),
    ([127, 0, 0, 0], 8, "loopback", false),
    // Azure.
    ([168, 63, 129, 16], 32, "cloud metadata", true),
    // AWS, Google, Azure, OpenStack and most others.
    ([169, 254, 169, 254], 32, "cloud metadata", true),
    ([169, 254, 0, 0], 16, "link-local", true),
    ([172, 16, 0, 0], 12, "private", false),
    // Oracle Cloud Classic.
    ([192, 0, 0, 192], 32, "cloud metadata", true),
    ([192, 0, 0, 0], 24, "protocol assignment", false),
    ([192, 0, 2, 0], 24, "documentation", false),
    ([192, 31, 196, 0], 24, "anycast service", false),
    ([192, 52, 193, 0], 24, "anycast service", false),
    ([192, 88, 99, 0], 24, "6to4 relay", false),
    ([192, 168, 0, 0], 16, "private", false),
    ([192, 175, 48, 0], 24, "anycast service", false),
    ([198, 18, 0, 0], 15, "benchmarking", false),
    ([198, 51, 100, 0], 24, "documentation", false),
    ([203, 0, 113, 0], 24, "documentation", false),
    ([224, 0, 0, 0], 4, "multicast", true),
    ([255, 255, 255, 255], 32, "broadcast", true),
    ([240, 0, 0, 0], 4, "reserved", false),
];

/// The reason given where several fit is the first one.
const V6: &[V6Range] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified", true),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback", false),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast", true),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local", true),
    // AWS: instance metadata, and the credentials of pods and of containers.
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, "cloud metadata", true),
    // Google.
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, "cloud metadata", true),
    // Oracle.
    ([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128, "cloud metadata", true),
    // Scaleway.
    ([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, "cloud metadata", true),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "private", false),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped", false),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible", false),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "NAT64", false),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "NAT64", false),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "protocol assignment", false),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation", false),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4", false),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "anycast service", false),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation", false),
];

/// Global unicast.
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Whether an address may be connected to. With `allow_private` everything may that can be reached by TCP at all; that is for
/// development and for operators who run policies in their own network. Link-local and metadata addresses never may.
pub fn check_address(address: IpAddr, allow_private: bool) -> Result<(), AddressRefusal> {
    let refusal = match address {
        IpAddr::V4(address) => v4(address),
        // The form does not matter to an operator who allows everything, but what is never allowed is so in every form.
        IpAddr::V6(address) => match carried(address).and_then(v4).filter(|refusal| refusal.never) {
            Some(refusal) => Some(refusal),
            None => v6(address),
        },
    };
    match refusal {
        Some(refusal) if refusal.never || !allow_private => Err(refusal),
        _ => Ok(()),
    }
}

/// The IPv4 address that a network may make of an IPv6 address: mapped, compatible, translated (RFC 2765), NAT64 (the well-known prefix and
/// the local one, with 96 bits before the address), 6to4, and ISATAP. Those are all that a machine's own tables or a gateway translate.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let (low, high) = ((g, h), (b, c));
    let (upper, lower) = match (a, b, c, d, e, f) {
        // Too small a number is the loopback or unspecified address and no IPv4 address.
        (0, 0, 0, 0, 0, 0) if g != 0 => low,
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) => low,
        (0x64, 0xff9b, 0, 0, 0, 0) | (0x64, 0xff9b, 1, ..) => low,
        (0x2002, ..) => high,
        (_, _, _, _, 0 | 0x200, 0x5efe) => low,
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(upper) << 16 | u32::from(lower)))
}

fn v4(address: Ipv4Addr) -> Option<AddressRefusal> {
    V4.iter()
        .find(|(prefix, length, ..)| (address.to_bits() ^ Ipv4Addr::from(*prefix).to_bits()) >> (32 - length) == 0)
        .map(|&(.., kind, never)| AddressRefusal { kind, never })
}

fn v6(address: Ipv6Addr) -> Option<AddressRefusal> {
    let within = |prefix: Ipv6Addr, length: u32| (address.to_bits() ^ prefix.to_bits()) >> (128 - length) == 0;
    let special = V6.iter().find(|(prefix, length, ..)| within(Ipv6Addr::from(*prefix), *length));
    match special {
        Some(&(.., kind, never)) => Some(AddressRefusal { kind, never }),
        None if within(V6_GLOBAL.0, V6_GLOBAL.1) => None,
        None => Some(AddressRefusal { kind: "not globally reachable", never: false }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(text: &str) -> bool {
        check_address(text.parse().unwrap(), false).is_ok()
    }

    #[test]
    fn each_special_range_is_refused_at_both_ends() {
        for range in [
            ["0.0.0.0", "0.255.255.255"],
            ["10.0.0.0", "10.255.255.255"],
            ["100.64.0.0", "100.127.255.255"],
            ["127.0.0.1", "127.255.255.255"],
            ["169.254.0.0", "169.254.255.255"],
            ["169.254.169.254", "168.63.129.16"],
            ["172.16.0.0", "172.31.255.255"],
            ["192.0.0.0", "192.0.0.255"],
            ["192.0.2.0", "192.0.2.255"],
            ["192.168.0.0", "192.168.255.255"],
            ["198.18.0.0", "198.19.255.255"],
            ["198.51.100.0", "198.51.100.255"],
            ["203.0.113.0", "203.0.113.255"],
            ["224.0.0.0", "239.255.255.255"],
            ["240.0.0.0", "255.255.255.255"],
            ["::", "::1"],
            ["::ffff:8.8.8.8", "::ffff:127.0.0.1"],
            ["::8.8.8.8", "::7f00:1"],
            ["64:ff9b::7f00:1", "64:ff9b:1::a00:1"],
            ["100::", "1fff:ffff::"],
            ["2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2001:db8::", "2001:db8:ffff::1"],
            ["2002:7f00:1::", "2002:ffff::"],
            ["3fff::1", "3fff:fff::1"],
            ["4000::", "fbff::1"],
            ["fc00::", "fdff:ffff::"],
            ["fd00:ec2::254", "fe80::1"],
            ["fec0::1", "ff02::1"],
        ] {
            for address in range {
                assert!(!public(address), "{address}");
            }
        }
    }

    #[test]
    fn their_public_neighbours_are_let_through() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn an_operator_can_allow_what_is_private_but_not_what_cannot_be_reached() {
        for address in ["127.0.0.1", "10.1.2.3", "100.64.0.1", "::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"] {
            assert_eq!(check_address(address.parse().unwrap(), true), Ok(()), "{address}");
        }
        for address in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:0.0.0.0"] {
            assert!(check_address(address.parse().unwrap(), true).is_err(), "{address}");
        }
    }

    #[test]
    fn link_local_and_metadata_addresses_are_allowed_to_no_operator_in_any_form() {
        let forms = |address: Ipv4Addr| {
            let [a, b, c, d] = address.octets();
            let (g, h) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let v6 = |segments: [u16; 8]| IpAddr::from(Ipv6Addr::from(segments));
            [
                address.into(),
                v6([0, 0, 0, 0, 0, 0, g, h]),
                v6([0, 0, 0, 0, 0, 0xffff, g, h]),
                v6([0, 0, 0, 0, 0xffff, 0, g, h]),
                v6([0x64, 0xff9b, 0, 0, 0, 0, g, h]),
                v6([0x64, 0xff9b, 1, 0, 0, 0, g, h]),
                v6([0x2002, g, h, 0, 0, 0, 0, 1]),
                v6([0xfd00, 0, 0, 0, 0, 0x5efe, g, h]),
                v6([0xfd00, 0, 0, 0, 0x200, 0x5efe, g, h]),
            ]
        };
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.23",
            "169.254.0.0",
            "169.254.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
        ] {
            for form in forms(address.parse().unwrap()) {
                assert!(check_address(form, true).is_err(), "{form}");
                assert!(check_address(form, false).is_err(), "{form}");
            }
        }
        for address in [
            "fe80::1",
            "fe80::a9fe:a9fe",
            "febf:ffff::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd00:ec2::253",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
        ] {
            let address = address.parse().unwrap();
            assert!(check_address(address, true).is_err() && check_address(address, false).is_err(), "{address}");
        }
        let neighbours =
            ["100.100.100.201", "192.0.0.193", "168.63.129.17", "fec0::1", "fd00:ec3::254", "fd20:ce::255", "::1"];
        for address in neighbours {
            assert_eq!(check_address(address.parse().unwrap(), true), Ok(()), "{address}");
        }
    }

    proptest! {
        #[test]
        fn what_is_let_through_is_special_in_no_way_that_the_standard_library_knows(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            if check_address(address.into(), false).is_ok() {
                prop_assert!(!(address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified()));
                prop_assert!(!(address.is_multicast() || address.is_broadcast() || address.is_documentation()));
            }
        }

        #[test]
        fn no_ipv6_form_that_carries_an_ipv4_address_is_let_through(bits in any::<u32>(), low in any::<u64>()) {
            let carried = u128::from(bits);
            for form in [
                carried,
                0xffff_u128 << 32 | carried,
                0x64_ff9b_u128 << 96 | carried,
                0x64_ff9b_0001_u128 << 80 | u128::from(low),
                0x2002_u128 << 112 | carried << 80 | u128::from(low),
                0x2001_0000_u128 << 96 | u128::from(low),
            ] {
                prop_assert!(check_address(Ipv6Addr::from_bits(form).into(), false).is_err(), "{form:x}");
            }
        }

        #[test]
        fn only_global_unicast_is_let_through(bits in any::<u128>()) {
            let passes = check_address(Ipv6Addr::from_bits(bits).into(), false).is_ok();
            prop_assert!(!passes || bits >> 125 == 1);
        }
    }
}
