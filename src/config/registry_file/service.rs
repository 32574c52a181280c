//! `[[service_account]]`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Reader, SecretText, yes};
use crate::jose::one_line;
use crate::model::{AccountId, RoleName, ServiceName};
use crate::password::{NewPassword, PasswordError, PasswordHash};
use crate::registry::{DesiredPassword, DesiredService, ServiceKind, ServiceSettings};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceEntry {
    name: ServiceName,
    account: Option<AccountId>,
    #[serde(default)]
    kind: ServiceKind,
    #[serde(default)]
    roles: BTreeSet<RoleName>,
    #[serde(default = "yes")]
    enabled: bool,
    password: Option<SecretText>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    password_hash: Option<SecretText>,
}

impl Reader<'_> {
    pub(super) fn service(
        &mut self,
        index: usize,
        entry: ServiceEntry,
        account: &impl Fn(Option<AccountId>) -> AccountId,
    ) -> DesiredService {
        let password = self.password(&entry).unwrap_or_else(|(key, why)| {
            let message = format!("service account {}: {why}", entry.name);
            self.fault(&["service_account", &index.to_string(), key], message);
            None
        });
        let ServiceEntry { name, account: named, kind, roles, enabled, .. } = entry;
        let settings = ServiceSettings { name, account: account(named), kind, roles, enabled };
        DesiredService { settings, password }
    }

    fn password(&self, entry: &ServiceEntry) -> Result<Option<DesiredPassword>, (&'static str, String)> {
        let at = |key| move |error: PasswordError| (key, error.to_string());
        let plain =
            |key, text: &str| NewPassword::new(text).map(|new| Some(DesiredPassword::Plain(new))).map_err(at(key));
        match (&entry.password, &entry.password_file, &entry.password_env, &entry.password_hash) {
            (None, None, None, None) => Ok(None),
            (Some(text), None, None, None) => plain("password", text.expose()),
            (None, Some(path), None, None) => {
                let bytes = self.bytes("password_file", path)?;
                plain("password_file", one_line(&bytes).map_err(|why| ("password_file", self.told(path, &why)))?)
            }
            (None, None, Some(name), None) => {
                let text =
                    std::env::var_os(name).ok_or_else(|| ("password_env", format!("the environment has no {name}")))?;
                let text =
                    one_line(text.as_encoded_bytes()).map_err(|why| ("password_env", format!("{name}: {why}")))?;
                plain("password_env", text)
            }
            (None, None, None, Some(text)) => {
                let hash = PasswordHash::parse(text.expose()).map_err(at("password_hash"))?;
                Ok(Some(DesiredPassword::Hash(hash)))
            }
            _ => Err(("name", "one of password, password_file, password_env and password_hash, not several".into())),
        }
    }
}
