//! Is this token good, now? No HTTP type and no clock: `now` is an argument.
//!
//! The order of checks: form, decryption where the token is encrypted, app, key and algorithm, signature, type, whether it
//! came encrypted, times, audience and issuer, its state and revocations, its installation, single use. What the signature proved is kept in a [`ProofCache`]; a hit
//! skips base64, JSON, decryption and signature, and nothing else.

mod cache;
mod checks;
mod decryption;
mod installation;
mod issuance;
mod naming;
mod own_audience;
mod passwords;
mod rules;
mod spending;
mod stranger;
#[cfg(test)]
mod tests;
mod verifier;

pub use cache::ProofCache;
pub use checks::{
    Form, SingleUse, check_encryption, check_length, check_number, check_parties, check_times, check_type, prove,
    prove_issued, read, single_use,
};
pub use decryption::{Opened, check_owner, hidden, inner, open};
pub use installation::{GrantedRepositories, InstallationGrant, Reach, RepositoryRef, check_suspension};
pub use issuance::{APP_NUMBER, IDENTITY_TYPE, Issuance, IssuerKeyNumber, NothingIssued, Origin};
pub use naming::{find_app, named_app};
pub use own_audience::OwnAudience;
pub use passwords::{NameAndPassword, Passwords};
pub use rules::{LONGEST_LEEWAY, Leeway, SingleUsePolicy, TokenRules, TokenSettings};
pub use verifier::{Glance, Proof, Signer, Unverified, Verified, Verifier};
