//! Service accounts: who signs in with HTTP Basic on the proxy listener. Apart from operators, so that guessing there locks
//! no administrator out.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, RoleName, ServiceName};
use crate::password::PasswordHash;

/// The role that may create, look up and reset tokens of Bot API apps.
pub const BOT_API: &str = "bot-api";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    pub name: ServiceName,
    pub account: AccountId,
    pub kind: ServiceKind,
    pub roles: BTreeSet<RoleName>,
    pub enabled: bool,
    pub hash: PasswordHash,
    /// The version of the registry at which the password last changed: what was proved with another one is void.
    pub credential_version: i64,
}

/// All of a service account but its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    pub name: ServiceName,
    pub account: AccountId,
    pub kind: ServiceKind,
    pub roles: BTreeSet<RoleName>,
    pub enabled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// A program's own.
    #[default]
    Service,
    /// Somebody's: it ends when that person leaves.
    Person,
}

impl ServiceKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Person => "person",
        }
    }
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ServiceAccount {
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    pub fn settings(&self) -> ServiceSettings {
        let Self { name, account, kind, roles, enabled, .. } = self.clone();
        ServiceSettings { name, account, kind, roles, enabled }
    }
}

impl ServiceSettings {
    /// What an operator should know: tokens that depend on a person's account go when the person does.
    pub fn caution(&self) -> Option<String> {
        let owns_tokens = self.kind == ServiceKind::Person && self.roles.contains(BOT_API);
        owns_tokens.then(|| {
            format!(
                "service account {} belongs to a person and has the role {BOT_API}: tokens outlive people, so give the role \
                 to an account of kind service",
                self.name
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f041_a_person_who_may_make_tokens_is_pointed_out() {
        let settings = |kind, role: &str| ServiceSettings {
            name: ServiceName::new("ana").unwrap(),
            account: AccountId::new("default").unwrap(),
            kind,
            roles: BTreeSet::from([RoleName::new(role).unwrap()]),
            enabled: true,
        };
        let why = settings(ServiceKind::Person, BOT_API).caution().unwrap();
        assert!(why.contains("ana") && why.contains("kind service"), "{why}");
        assert_eq!(settings(ServiceKind::Service, BOT_API).caution(), None);
        assert_eq!(settings(ServiceKind::Person, "reports").caution(), None);
    }
}
