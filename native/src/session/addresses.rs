//! Addresses that no policy allows unless it names them, in all their forms.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// The address that a host is written as.
pub fn literal(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
    }
}

/// Addresses of the services that clouds offer a machine about itself, beside the link-local ones: Alibaba's, Azure's
/// and Oracle's.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The same of networks that are private otherwise, fc00::/7: the first two groups of all of Amazon's (credentials are at
/// more than one address), of Google's, Oracle's and Scaleway's.
const METADATA_V6: [[u16; 2]; 4] = [[0xfd00, 0x0ec2], [0xfd20, 0x00ce], [0xfd00, 0x00c1], [0xfd00, 0x0042]];

/// Addresses that lead to the host's own services or to nowhere.
pub(super) fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[0] == 0 || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_unicast_link_local() || is_metadata(v6),
    }
}

/// Addresses of this machine and of networks that are not everybody's, special ones included.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && b & 0xc0 == 64; // RFC 6598
            let tests = a == 198 && b & 0xfe == 18; // RFC 2544
            v4.is_private()
                || v4.is_loopback()
                || v4.is_multicast()
                || a >= 240
                || shared
                || tests
                || is_special(address)
        }
        IpAddr::V6(v6) => {
            let site_local = v6.segments()[0] & 0xffc0 == 0xfec0;
            v6.is_loopback() || v6.is_unique_local() || v6.is_multicast() || site_local || is_special(address)
        }
    }
}

/// A service about the machine: one that is known, or one at the usual address, 169.254.169.254, in a private network.
fn is_metadata(address: Ipv6Addr) -> bool {
    let s = address.segments();
    METADATA_V6.iter().any(|prefix| s.starts_with(prefix))
        || (address.is_unique_local() && s[4..] == [0, 0, 0xa9fe, 0xa9fe])
}

/// The address itself, and the IPv4 address that it carries inside.
pub(super) fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let inner = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => embedded(v6).map(IpAddr::V4),
    };
    std::iter::once(address).chain(inner)
}

/// The IPv4 address inside an IPv6 one: mapped, translated, NAT64 (RFC 6052, RFC 8215), compatible, 6to4, Teredo.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 1, _, _, _, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [0x2001, 0, .., high, low] => v4(!high, !low),
        _ => None,
    }
}
