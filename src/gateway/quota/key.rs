//! What a call is counted by, as a number and as a text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use super::super::{Authorized, Caller};
use crate::policy::QuotaKey;

/// Of one size, however long what it stands for. No caller can make two that are alike.
pub(super) type Key = u128;

/// Makes keys: two keyed hashes.
#[derive(Default)]
pub(super) struct Keys([RandomState; 2]);

impl Keys {
    pub fn of<B>(&self, parts: &[QuotaKey], authorized: &Authorized<B>) -> Key {
        let [mut high, mut low] = [self.0[0].build_hasher(), self.0[1].build_hasher()];
        for part in parts {
            let value = value(part, authorized);
            value.hash(&mut high);
            value.hash(&mut low);
        }
        u128::from(high.finish()) << 64 | u128::from(low.finish())
    }
}

fn value<'a, B>(part: &QuotaKey, authorized: &'a Authorized<B>) -> Option<Cow<'a, str>> {
    let authenticated = authorized.authenticated();
    let matched = authenticated.matched();
    let place = matched.place();
    let verified = match authenticated.caller() {
        Caller::App(verified) => Some(verified),
        Caller::Anonymous | Caller::Service(_) => None,
    };
    match part {
        QuotaKey::App => verified.map(|v| v.app().client_id.as_str()),
        QuotaKey::Account => verified.map(|v| v.account().as_str()),
        QuotaKey::Bot => authorized.authorization().and_then(|a| a.bot.as_ref()).map(|bot| bot.as_str()),
        QuotaKey::Route => Some(place.route.id.as_str()),
        QuotaKey::Subject => verified.and_then(|v| v.claims().subject.as_deref()),
        QuotaKey::Peer => return matched.call().client.address.map(|address| Cow::Owned(network(address))),
        QuotaKey::Param(name) => place.pattern().param(name).and_then(|i| place.params.get(matched.path(), i)),
    }
    .map(Cow::Borrowed)
}

/// Whoever has an IPv6 address has at least its network of 64 bits.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            format!("{}/64", Ipv6Addr::from(network))
        }
    }
}

/// The key for the operator, such as `, by bot "st-1"`. Who the subject is stays in the token.
pub(super) fn key_text<B>(parts: &[QuotaKey], authorized: &Authorized<B>) -> String {
    let mut text = String::new();
    for (i, part) in parts.iter().enumerate() {
        text.push_str(if i == 0 { ", by " } else { " and " });
        _ = match value(part, authorized) {
            Some(value) if *part != QuotaKey::Subject => {
                let shown: String = value.chars().take(80).collect();
                write!(text, "{part} {shown:?}")
            }
            Some(_) => write!(text, "{part}"),
            None => write!(text, "no {part}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_counts_as_its_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }
}
