//! Headers that an upstream gets from us: its own credential, for one.

use std::fmt;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::source::unreadable;
use crate::jose::one_line;
use crate::model::shell_word;
use crate::policy::{is_of_our_family, reads_as};

/// A text, or where the secret in it comes from.
#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text, { file = \"…\" } or { env = \"…\" }, with a prefix where one is needed"
)]
pub(super) enum InjectedHeader {
    Text(String),
    File(FromFile),
    Env(FromEnv),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromFile {
    file: PathBuf,
    #[serde(default)]
    prefix: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromEnv {
    env: String,
    #[serde(default)]
    prefix: String,
}

/// It may be a secret.
impl fmt::Debug for InjectedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InjectedHeader")
    }
}

/// What frames a message or names its host is the gateway's own affair.
const NEVER: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
    "x-request-id",
];

impl InjectedHeader {
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(FromFile { file, .. }) => Some(file),
            Self::Text(_) | Self::Env(_) => None,
        }
    }

    /// # Errors
    /// What is wrong with it, without what it holds.
    pub fn resolve(&self, name: &str) -> Result<(HeaderName, HeaderValue), String> {
        let header: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header's name"))?;
        if NEVER.iter().any(|never| reads_as(header.as_str(), never)) || is_of_our_family(header.as_str()) {
            return Err(format!("{name} is set by the gateway itself"));
        }
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File(FromFile { file, prefix }) => {
                let told = |why: &dyn fmt::Display| {
                    let why = why.to_string().replace("FILE", &shell_word(&file.to_string_lossy()));
                    format!("{}: {why}", file.display())
                };
                let bytes = crate::files::read(file).map_err(|error| told(&unreadable(&error)))?;
                format!("{prefix}{}", one_line(&bytes).map_err(|why| told(&why))?)
            }
            Self::Env(FromEnv { env, prefix }) => match std::env::var_os(env) {
                Some(text) => {
                    let text = one_line(text.as_encoded_bytes());
                    format!("{prefix}{}", text.map_err(|why| format!("the environment variable {env}: {why}"))?)
                }
                None => return Err(format!("there is no environment variable {env}")),
            },
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| format!("{name} can't hold such a value"))?;
        value.set_sensitive(true);
        Ok((header, value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resolve(name: &str, header: Value) -> Result<(HeaderName, HeaderValue), String> {
        serde_json::from_value::<InjectedHeader>(header).unwrap().resolve(name)
    }

    #[test]
    fn a_secret_comes_from_a_file_and_is_printed_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2\n").unwrap();
        let header = json!({ "file": path, "prefix": "Bearer " });
        let (name, value) = resolve("Authorization", header.clone()).unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("authorization", &b"Bearer hunter2"[..]));
        assert!(!format!("{value:?}").contains("hunter2"));
        std::fs::write(&path, "hun\nter2\n").unwrap();
        let error = resolve("authorization", header.clone()).unwrap_err();
        assert!(!error.contains("ter2"), "{error}");
        std::fs::write(&path, "\n").unwrap();
        assert!(resolve("authorization", header).unwrap_err().contains("is empty"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(resolve("x-key", json!({ "file": "/no/such/file" })).unwrap_err().contains("/no/such/file"));
        assert!(
            resolve("x-key", json!({ "env": "NO_SUCH_VARIABLE_HERE" })).unwrap_err().contains("NO_SUCH_VARIABLE_HERE")
        );
        assert_eq!(resolve("x-stage", json!("prod")).unwrap().1, "prod");
    }

    #[test]
    fn what_the_gateway_sets_itself_can_not_be_injected() {
        for name in [
            "Host",
            "content-length",
            "X-Scopegate-App",
            "connection",
            "x-request-id",
            "x_scopegate~app",
            "content_length",
            "a b",
        ] {
            assert!(resolve(name, json!("x")).is_err(), "{name}");
        }
    }
}
