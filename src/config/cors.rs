//! `cors` of a route: pages of which origins may call it.

use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;

use super::time::Span;
use crate::policy::CorsSettings;

/// No browser keeps an answer for longer.
const LONGEST: Duration = Duration::from_secs(86_400);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CorsSection {
    origins: Vec<String>,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    expose: Vec<String>,
    #[serde(default)]
    credentials: bool,
    max_age: Option<Span>,
}

impl CorsSection {
    /// # Errors
    /// What is wrong.
    pub fn settings(&self) -> Result<CorsSettings, String> {
        let origins = match &self.origins[..] {
            [] => return Err("origins: name at least one, or write [\"*\"] for any".to_owned()),
            [any] if any == "*" => None,
            origins if origins.iter().any(|origin| origin == "*") => {
                return Err("origins: \"*\" stands alone: it is any origin".to_owned());
            }
            origins if origins.iter().any(|origin| origin == "null") => {
                return Err("origins: any page can have the origin \"null\": write [\"*\"] if that is meant".to_owned());
            }
            origins => {
                let origins = origins.iter().map(|origin| origin.parse()).collect::<Result<_, _>>();
                Some(origins.map_err(|why: String| format!("origins: {why}"))?)
            }
        };
        if origins.is_none() && self.credentials {
            return Err(
                "credentials: with any origin every page could call in the name of whoever looks at it: name the \
                        origins"
                    .to_owned(),
            );
        }
        let max_age = self.max_age.unwrap_or(Span::of(Duration::from_secs(600)));
        if max_age.0 > LONGEST || max_age.0.subsec_nanos() != 0 {
            return Err(format!("max_age: {max_age} is out of range: whole seconds, 0s to 1day"));
        }
        let max_age = max_age.0;
        let is_any = self.headers == ["*"];
        Ok(CorsSettings {
            origins,
            headers: if is_any { None } else { Some(names("headers", &self.headers)?) },
            expose: names("expose", &self.expose)?,
            credentials: self.credentials,
            max_age,
        })
    }
}

fn names(key: &str, texts: &[String]) -> Result<Vec<HeaderName>, String> {
    // As a name it would say something else to browsers than that they may show all.
    let is_name = |text: &String| text.parse().ok().filter(|_| text != "*");
    texts.iter().map(|text| is_name(text).ok_or_else(|| format!("{key}: {text:?} is no header name"))).collect()
}
