//! Names and passwords of service accounts (RFC 7617), and a memory of those that were right.

use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use moka::sync::Cache;

use crate::model::{Reason, Refusal};
use crate::password::PasswordHash;
use crate::registry::{ServiceAccount, Snapshot};
use crate::secret::{Secret, random};

/// Sign-ins that are remembered; one takes about a hundred bytes.
const REMEMBERED: u64 = 10_000;

/// A name and a password, as they came.
#[derive(Clone, Debug)]
pub struct NameAndPassword {
    pub name: Box<str>,
    pub password: Secret,
}

/// Judges names and passwords. To find out costs tens of milliseconds on purpose, so what was right is remembered, by a
/// keyed hash and for as long as the account keeps that password; whether the account is enabled is asked each time.
pub struct Passwords {
    key: hmac::Key,
    /// Under which credential version it was right.
    right: Cache<[u8; 32], i64>,
}

impl Passwords {
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new() -> Result<Self, Unspecified> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>().map_err(|_| Unspecified)?);
        Ok(Self { key, right: Cache::new(REMEMBERED) })
    }

    /// The account, if this was found right before and still is.
    pub fn recall(&self, given: &NameAndPassword, snapshot: &Snapshot) -> Option<Arc<ServiceAccount>> {
        let version = self.right.get(&self.digest(given))?;
        let account = snapshot.service_account(&given.name)?;
        (account.enabled && account.credential_version == version).then(|| Arc::clone(account))
    }

    /// Finds out, and remembers what is right. Takes tens of milliseconds, whether there is such an account or not.
    ///
    /// # Errors
    /// `credential.invalid`, whatever of the two is wrong; `gateway.overloaded` when there is no memory to find out.
    pub fn check(&self, given: &NameAndPassword, snapshot: &Snapshot) -> Result<Arc<ServiceAccount>, Refusal> {
        let account = snapshot.service_account(&given.name);
        let hash = account.map_or(PasswordHash::decoy(), |account| &account.hash);
        let is_right = hash.matches(given.password.expose());
        let is_right = is_right.map_err(|error| Refusal::new(Reason::GatewayOverloaded).found(error.to_string()))?;
        let refused = |found: &'static str| Refusal::new(Reason::CredentialInvalid).found(found);
        match account {
            None => Err(refused("no service account of the name")),
            Some(_) if !is_right => Err(refused("another password than the service account's")),
            Some(account) if !account.enabled => Err(refused("a service account that is disabled")),
            Some(account) => {
                self.right.insert(self.digest(given), account.credential_version);
                Ok(Arc::clone(account))
            }
        }
    }

    fn digest(&self, given: &NameAndPassword) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        // A name holds no colon, so no two pairs are one text.
        context.update(given.name.as_bytes());
        context.update(b":");
        context.update(given.password.expose());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}
