//! Values without I/O: identifiers, algorithms, claims, and the reasons for which a call is refused.

mod algorithm;
mod alternative_name;
mod claims;
mod endpoint;
mod id;
mod level;
mod media_type;
mod nearest;
mod network;
mod port;
mod reason;
mod refusal;
mod text;

pub use algorithm::{Algorithm, AlgorithmSet, Family, UnknownAlgorithm};
pub use alternative_name::AlternativeName;
pub use claims::{Audience, ClaimNames, Claims, Name, RegisteredClaims};
pub use endpoint::Endpoint;
pub use id::{
    AccountId, AppNumber, AuthenticatorName, BotId, ClientId, InstallationId, InvalidId, KeyId, PermissionName,
    QuotaName, RoleName, RouteId, ScopeId, ServiceName, TokenId, UpstreamName,
};
pub use level::Level;
pub use media_type::is_same_media_type;
pub use nearest::nearest;
pub use network::{InvalidNetwork, Network};
pub use port::port_of;
pub use reason::{BearerError, Reason};
pub use refusal::Refusal;
pub use text::{is_printable, path_segment, printable, printable_json, printable_lines, quoted, shell_word};
