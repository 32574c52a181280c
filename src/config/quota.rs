//! `[quota.NAME]`: how many calls of a kind are let through.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::time::Span;
use crate::model::QuotaName;
use crate::policy::{Quota, QuotaKey, QuotaWindow};

/// Both keys may be absent, so that a file can change one of a profile's quota.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QuotaSection {
    windows: Option<Vec<WindowKey>>,
    key: Option<Vec<KeyPart>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowKey {
    calls: u32,
    per: Span,
}

/// What calls are counted by, as a file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPart(pub QuotaKey);

impl<'de> Deserialize<'de> for KeyPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(match text.as_str() {
            "app" => QuotaKey::App,
            "account" => QuotaKey::Account,
            "bot" => QuotaKey::Bot,
            "route" => QuotaKey::Route,
            "subject" => QuotaKey::Subject,
            "peer" => QuotaKey::Peer,
            _ => match text.strip_prefix("param:") {
                Some(name) if !name.is_empty() => QuotaKey::Param(name.to_owned()),
                _ => {
                    let known = "app, account, bot, route, subject, peer, or param:NAME for a parameter of the path";
                    return Err(D::Error::custom(format!("calls can't be counted by {text:?}; write {known}")));
                }
            },
        }))
    }
}

impl QuotaSection {
    /// This section's keys over another's.
    pub fn over(self, base: Self) -> Self {
        Self { windows: self.windows.or(base.windows), key: self.key.or(base.key) }
    }

    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self, name: &QuotaName) -> Result<Quota, (&'static str, String)> {
        let mut windows: Vec<QuotaWindow> = Vec::new();
        for WindowKey { calls, per } in self.windows.iter().flatten() {
            let window = QuotaWindow::new(*calls, per.0).map_err(|why| ("windows", why.to_owned()))?;
            if windows.iter().any(|known| known.per() == window.per()) {
                return Err(("windows", format!("two windows of {}", humantime::format_duration(window.per()))));
            }
            windows.push(window);
        }
        if windows.is_empty() {
            let example = "windows = [{ calls = 600, per = \"60s\" }]";
            return Err(("windows", format!("name at least one window: {example}")));
        }
        let key = match &self.key {
            Some(parts) => parts.iter().map(|part| part.0.clone()).collect(),
            None => vec![QuotaKey::App],
        };
        Ok(Quota { name: name.clone(), windows, key })
    }
}
