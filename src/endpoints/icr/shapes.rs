//! What is told of apps and installations, as the platform writes it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::super::{Call, json};
use crate::clock::Timestamp;
use crate::model::{AccountId, Reason, Refusal};
use crate::registry::{App, Installation, InstallationTarget};

pub(super) fn app(app: &App) -> Value {
    json!({
        "id": app.number.0,
        "client_id": app.client_id,
        "slug": slug(&app.name),
        "name": app.name,
        "owner": { "login": app.account },
        "events": [],
        "installations_count": app.installations().len(),
    })
}

pub(super) fn installation(app: &App, installation: &Installation) -> Value {
    json!({
        "id": installation.id,
        "app_id": app.number.0,
        "app_slug": slug(&app.name),
        "client_id": app.client_id,
        "account": owner(&installation.account, installation.target),
        "target_type": kind(installation.target),
        "repository_selection": installation.repositories.as_str(),
        "permissions": installation.permissions,
        "events": [],
        "created_at": time(installation.created_at),
        "updated_at": time(installation.updated_at),
        "suspended_at": installation.suspended_at.map(time),
    })
}

/// A repository of an installation; where all are reached and none is listed, only its name is known.
pub(super) fn repository(installation: &Installation, id: Option<i64>, name: &str) -> Value {
    let mut repository = json!({
        "name": name,
        "full_name": format!("{}/{name}", installation.account),
        "owner": owner(&installation.account, installation.target),
    });
    if let Some(id) = id {
        repository["id"] = id.into();
    }
    repository
}

fn owner(account: &AccountId, target: InstallationTarget) -> Value {
    json!({ "login": account, "type": kind(target) })
}

const fn kind(target: InstallationTarget) -> &'static str {
    match target {
        InstallationTarget::Organization => "Organization",
        InstallationTarget::User => "User",
    }
}

/// ISO 8601, in whole seconds.
pub(super) fn time(at: Timestamp) -> String {
    Timestamp::from_secs(at.secs()).to_string().replace(".000Z", "Z")
}

/// A name as a part of a path: lower-case words with hyphens between them.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1.
    number: usize,
    size: usize,
}

impl Page {
    /// By `per_page`, which is 30 where there is none and at most 100, and `page`.
    pub fn of(call: &Call) -> Result<Self, Refusal> {
        Self::read(call.query.as_deref().unwrap_or_default())
    }

    fn read(query: &str) -> Result<Self, Refusal> {
        let mut page = Self { number: 1, size: 30 };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let place = match name {
                "per_page" => &mut page.size,
                "page" => &mut page.number,
                _ => continue,
            };
            let number = value.parse().ok().filter(|number| (1..=1_000_000).contains(number));
            *place = number.ok_or_else(|| {
                let found: String = value.chars().take(40).collect();
                Refusal::new(Reason::RequestInvalid)
                    .expected(format!("{name}: a number from 1"))
                    .found(format!("{found:?}"))
            })?;
        }
        Ok(Self { size: page.size.min(100), ..page })
    }

    pub fn part<T>(self, all: &[T]) -> &[T] {
        let start = (self.size * (self.number - 1)).min(all.len());
        &all[start..all.len().min(start + self.size)]
    }

    /// With links to the pages before and after (RFC 8288), which are relative to the call's own URL.
    pub fn answer(self, path: &str, total: usize, body: &Value) -> Response<Full<Bytes>> {
        let mut response = json(StatusCode::OK, body);
        let last = total.div_ceil(self.size).max(1);
        let link = |number: usize, rel: &str| format!("<{path}?per_page={}&page={number}>; rel=\"{rel}\"", self.size);
        let mut links = Vec::new();
        if self.number > 1 {
            links.extend([link((self.number - 1).min(last), "prev"), link(1, "first")]);
        }
        if self.number < last {
            links.extend([link(self.number + 1, "next"), link(last, "last")]);
        }
        if let Some(links) = HeaderValue::try_from(links.join(", ")).ok().filter(|links| !links.is_empty()) {
            response.headers_mut().insert(header::LINK, links);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_whole_seconds() {
        assert_eq!(time(Timestamp::from_millis(1_795_348_800_999)), "2026-11-22T12:00:00Z");
    }

    #[test]
    fn a_slug_is_a_name_for_paths() {
        assert_eq!(slug("  Octo's App (2)"), "octo-s-app-2");
    }

    #[test]
    fn a_page_is_a_part_of_the_whole() {
        let all: Vec<_> = (0..65).collect();
        let part = |query: &str| Page::read(query).unwrap().part(&all).to_vec();
        assert_eq!(part(""), (0..30).collect::<Vec<_>>());
        assert_eq!(part("page=3"), (60..65).collect::<Vec<_>>());
        assert_eq!(part("per_page=2&page=2&since=x"), [2, 3]);
        assert_eq!(part("per_page=1000"), all);
        assert_eq!(part("page=4"), [0; 0]);
        assert_eq!(part("page=1000000&per_page=100"), [0; 0]);
        for bad in ["page=0", "per_page=", "page=-1", "page=1000001", "per_page=x"] {
            assert_eq!(Page::read(bad).unwrap_err().reason, Reason::RequestInvalid, "{bad}");
        }
    }

    #[test]
    fn a_page_links_to_its_neighbours() {
        let links = |query: &str| {
            let answer = Page::read(query).unwrap().answer("/a", 65, &json!([]));
            answer.headers().get(header::LINK).map(|links| links.to_str().unwrap().to_owned())
        };
        let first = r#"</a?per_page=30&page=2>; rel="next", </a?per_page=30&page=3>; rel="last""#;
        assert_eq!(links("").as_deref(), Some(first));
        let last = r#"</a?per_page=30&page=2>; rel="prev", </a?per_page=30&page=1>; rel="first""#;
        assert_eq!(links("page=3").as_deref(), Some(last));
        assert_eq!(links("per_page=100"), None);
    }
}
