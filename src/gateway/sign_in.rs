//! Sign-ins by name and password: what is known is let through at once, guesses are few and cost no worker's time.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::error::Unspecified;

use super::blocking::Displaced;
use super::quota::{Limiter, network};
use super::{Ask, Blocking};
use crate::clock::Clock;
use crate::model::{QuotaName, Reason, Refusal};
use crate::policy::{Quota, QuotaKey, QuotaWindow, State};
use crate::registry::ServiceAccount;
use crate::verify::{NameAndPassword, Passwords};

const MINUTE: Duration = Duration::from_secs(60);
/// Sign-ins that are not known, of one name from one network.
const PER_NAME: u32 = 10;
/// Those of all names from one network.
const PER_PEER: u32 = 60;

/// Passwords, and bounds on guessing at them. A name and password that were right once count no more, so whoever guesses
/// keeps nobody out who is in.
pub struct SignIns {
    passwords: Arc<Passwords>,
    by_name: Limiter,
    by_peer: Limiter,
    keys: [RandomState; 2],
    /// Apart from decryption, which is quicker by far.
    blocking: Blocking,
}

/// Whether somebody may sign in.
pub type SignedIn = Result<Arc<ServiceAccount>, Denied>;

/// Why not, and after how many seconds it is worth another try, if that is why.
#[derive(Debug)]
pub struct Denied {
    pub refusal: Refusal,
    pub retry_after: Option<u64>,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, retry_after: None }
    }
}

impl SignIns {
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(clock: &Clock) -> Result<Self, Unspecified> {
        let limiter = |calls, key| {
            let name = QuotaName::new("sign-in").map_err(|_| Unspecified)?;
            let window = QuotaWindow::new(calls, MINUTE).map_err(|_| Unspecified)?;
            Ok::<_, Unspecified>(Limiter::new(&Quota { name, windows: vec![window], key }, clock))
        };
        Ok(Self {
            passwords: Arc::new(Passwords::new()?),
            by_name: limiter(PER_NAME, vec![QuotaKey::Subject, QuotaKey::Peer])?,
            by_peer: limiter(PER_PEER, vec![QuotaKey::Peer])?,
            keys: Default::default(),
            blocking: Blocking::new(1),
        })
    }

    pub(super) fn ask(&self, given: NameAndPassword, client: Option<IpAddr>, state: &Arc<State>) -> Ask<SignedIn> {
        if let Some(account) = self.passwords.recall(&given, &state.registry) {
            return Ask::Now(Ok(account));
        }
        // Those without an address share one count, and no address's.
        let network = client.map_or_else(|| "no known address".to_owned(), network);
        let counts = [(&self.by_peer, self.key(&network, "")), (&self.by_name, self.key(&network, &given.name))];
        for (limiter, key) in counts {
            if let Some(exceeded) = limiter.take(key).exceeded {
                let expected = format!(
                    "at most {PER_NAME} sign-ins a minute of a name from {network} that were not right before, {PER_PEER} of all names"
                );
                let refusal = Refusal::new(Reason::CredentialThrottled).expected(expected);
                return Ask::Now(Err(Denied { refusal, retry_after: Some(exceeded.retry_after) }));
            }
        }
        let (passwords, state) = (Arc::clone(&self.passwords), Arc::clone(state));
        let verdict = self.blocking.submit_from(None, client.into(), move || passwords.check(&given, &state.registry));
        match verdict {
            Some(verdict) => Ask::Later(Box::pin(async move {
                let verdict = verdict.await.map_err(|_| Refusal::new(Reason::GatewayInternal))?;
                verdict.unwrap_or_else(|Displaced| Err(overloaded())).map_err(Denied::from)
            })),
            None => Ask::Now(Err(overloaded().into())),
        }
    }

    /// Forgets whom it has not to count any more. To be called every now and then.
    pub fn sweep(&self) {
        self.by_name.sweep();
        self.by_peer.sweep();
    }

    fn key(&self, network: &str, name: &str) -> u128 {
        let hash = |state: &RandomState| u128::from(state.hash_one((network, name)));
        hash(&self.keys[0]) << 64 | hash(&self.keys[1])
    }
}

fn overloaded() -> Refusal {
    Refusal::new(Reason::GatewayOverloaded).expected("fewer sign-ins at once")
}
