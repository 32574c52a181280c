//! Who speaks for callers, and what upstreams are told of them: `trusted_proxies`, `trusted_headers` and `forwarded`.

use serde::Deserialize;

use crate::gateway::{Believed, Forwarding, Told};
use crate::model::InvalidNetwork;
use crate::net::TrustedProxies;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HeadersKey {
    #[default]
    XForwarded,
    Rfc7239,
    Cloudflare,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ForwardedKey {
    #[default]
    XForwarded,
    Rfc7239,
    Both,
}

/// # Errors
/// What is wrong, and with which key.
pub(super) fn resolve(
    proxies: &[String],
    headers: HeadersKey,
    forwarded: ForwardedKey,
) -> Result<Forwarding, (&'static str, String)> {
    let mut trusted = TrustedProxies::default();
    for text in proxies {
        match text.as_str() {
            "unix" => trusted.unix = true,
            range => {
                let network = range.parse();
                let network = network.map_err(|e: InvalidNetwork| ("trusted_proxies", e.to_string()))?;
                trusted.networks.push(network);
            }
        }
    }
    let believed = match headers {
        HeadersKey::XForwarded => Believed::XForwarded,
        HeadersKey::Rfc7239 => Believed::Rfc7239,
        HeadersKey::Cloudflare => Believed::Cloudflare,
    };
    let told = match forwarded {
        ForwardedKey::XForwarded => Told::XForwarded,
        ForwardedKey::Rfc7239 => Told::Rfc7239,
        ForwardedKey::Both => Told::Both,
    };
    Ok(Forwarding { trusted, believed, told })
}
