//! Networks that callers come from (RFC 4632, RFC 4291 section 2.3), in one form each.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The prefix behind which an IPv6 address is an IPv4 one (RFC 4291 section 2.5.5.2).
const MAPPED: u8 = 96;

/// An IPv4 or IPv6 network. Addresses are compared canonically: an IPv4 address that is mapped into IPv6 is that IPv4
/// address, in a network as in an address that is looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Why a text is no network; says what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidNetwork {
    /// Neither an address nor one with a prefix.
    Form(String),
    /// Bits are set that the prefix leaves out: nobody knows which of the two is meant.
    Bits { given: String, network: String },
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(given) => {
                write!(f, "{given:?} is no network: write an address and a prefix, such as 10.0.0.0/8 or 2001:db8::/32")
            }
            Self::Bits { given, network } => {
                write!(f, "{given} has bits behind its prefix: write {network} for the network, or the address alone")
            }
        }
    }
}

impl std::error::Error for InvalidNetwork {}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// An address alone is a network of one.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let form = || InvalidNetwork::Form(text.chars().take(80).collect());
        let net = net(text).ok_or_else(form)?;
        let network = Self(canonical(net.trunc()));
        if net.addr() == net.network() {
            Ok(network)
        } else {
            Err(InvalidNetwork::Bits { given: net.to_string(), network: network.to_string() })
        }
    }
}

/// Strictly: some read an octet with a leading zero as octal, and some don't.
fn net(text: &str) -> Option<IpNet> {
    let Some((address, prefix)) = text.split_once('/') else { return text.parse().ok().map(|ip: IpAddr| ip.into()) };
    let is_plain = prefix.bytes().all(|b| b.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    IpNet::new(address.parse().ok()?, prefix.parse().ok().filter(|_| is_plain)?).ok()
}

fn canonical(net: IpNet) -> IpNet {
    match (net.network(), net.prefix_len()) {
        (IpAddr::V6(address), MAPPED..) => mapped(address, net.prefix_len()).unwrap_or(net),
        _ => net,
    }
}

fn mapped(address: Ipv6Addr, prefix: u8) -> Option<IpNet> {
    let v4: Ipv4Addr = address.to_ipv4_mapped()?;
    Some(IpNet::V4(Ipv4Net::new(v4, prefix - MAPPED).ok()?))
}

/// As an address where it is one alone.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_one_form() {
        for (text, form) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).to_string(), form, "{text}");
            assert_eq!(network(text), network(form));
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_would_be_right() {
        for bad in [
            "",
            "10.0.0.0/33",
            "10/8",
            "10.0.0.0/8 ",
            "010.0.0.0/8",
            "2001:db8::/129",
            "example.com",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
        ] {
            assert!(matches!(bad.parse::<Network>(), Err(InvalidNetwork::Form(_))), "{bad}");
        }
        let bits = "10.1.2.3/8".parse::<Network>().unwrap_err().to_string();
        assert!(bits.contains("write 10.0.0.0/8"), "{bits}");
        let bits = "::ffff:10.1.2.3/104".parse::<Network>().unwrap_err().to_string();
        assert!(bits.contains("write 10.0.0.0/8"), "{bits}");
    }

    #[test]
    fn a_mapped_address_is_the_address_that_it_maps() {
        assert!(network("10.0.0.0/8").contains(address("::ffff:10.1.2.3")));
        assert!(network("::ffff:10.0.0.0/104").contains(address("10.1.2.3")));
        assert!(!network("10.0.0.0/8").contains(address("::10.1.2.3")));
        assert!(!network("::/0").contains(address("10.1.2.3")), "IPv4 has its own networks");
        assert!(!network("::/0").contains(address("::ffff:10.1.2.3")));
        assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            _ = text.parse::<Network>();
        }

        #[test]
        fn a_network_is_read_as_it_is_shown_and_holds_its_own_addresses(address in any::<IpAddr>(), prefix in any::<u8>()) {
            let net = IpNet::new(address, prefix % if address.is_ipv4() { 33 } else { 129 }).unwrap().trunc();
            let network: Network = net.to_string().parse().unwrap();
            prop_assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
            prop_assert!(network.contains(address) || net.contains(&address) && address.to_canonical() != address);
        }
    }
}
