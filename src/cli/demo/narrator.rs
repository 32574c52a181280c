//! Tells of each refusal as it happens.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use http::{HeaderMap, Method};

use crate::clock::Timestamp;
use crate::gateway::{AccessLog, Entry};
use crate::model::Reason;
use crate::policy::{Attempt, Live, explain};
use crate::tokens::Issued;

/// An access log for somebody who watches. What comes faster than it can be told is left out.
pub(super) struct Narrator(SyncSender<Refused>);

/// What is needed to explain a refused call; it holds the credential, and goes when it is told.
struct Refused {
    reason: Reason,
    found: Option<String>,
    status: Option<u16>,
    method: Method,
    host: String,
    path: String,
    at: Timestamp,
    headers: HeaderMap,
    from: Option<IpAddr>,
}

impl Narrator {
    pub fn new(live: Arc<Live>, issued: Issued) -> Self {
        let (sender, refused) = sync_channel::<Refused>(256);
        // Where there is no thread the demo runs on, untold.
        _ = std::thread::Builder::new().name("narrator".into()).spawn(move || {
            for refused in refused {
                print!("{}", tell(&refused, &live, &issued));
            }
        });
        Self(sender)
    }
}

impl AccessLog for Narrator {
    fn explains(&self) -> bool {
        true
    }

    fn write(&self, entry: &Entry<'_>) {
        let Some(reason) = entry.reason else { return };
        let refused = Refused {
            reason,
            found: entry.found.map(ToOwned::to_owned),
            status: entry.status,
            method: entry.method.clone(),
            host: entry.host.unwrap_or_default().to_owned(),
            path: entry.uri.path().to_owned(),
            at: entry.at,
            headers: entry.headers.cloned().unwrap_or_default(),
            from: entry.client.or_else(|| entry.peer.and_then(|peer| peer.address.ip())),
        };
        _ = self.0.try_send(refused);
    }
}

fn tell(refused: &Refused, live: &Live, issued: &Issued) -> String {
    let Refused { reason, method, path, .. } = refused;
    let status = refused.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
    let mut text = format!("{status} {method} {path}\n  {reason}\n");
    let attempt = Attempt { method, host: &refused.host, path, headers: &refused.headers, from: refused.from };
    let story = explain(attempt, &live.load(), issued, refused.at);
    // What only the call itself met, such as a replay or an upstream that is down, the story does not know.
    if story.reason == Some(*reason) {
        if let Some(check) = story.checks.iter().find(|c| c.reason == Some(*reason)) {
            text.push_str(&format!("  {}\n", check.detail));
        }
        story.hints.iter().for_each(|hint| text.push_str(&format!("  fix: {hint}\n")));
    } else {
        text.push_str(&format!("  {}\n", reason.title()));
        refused.found.iter().for_each(|found| text.push_str(&format!("  found: {found}\n")));
        text.push_str(&format!("  fix: {}\n", reason.fix()));
    }
    text.push('\n');
    text
}
