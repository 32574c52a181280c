//! May this call go on, and why not? Pure: route table, credential, authorization, and [`explain`], which gives each
//! check's verdict. The stack, the command line and the console ask the same functions.

mod authority;
mod authorize;
mod bearer;
mod certificate;
mod cors;
mod credential;
mod diagnose;
mod dialect;
mod explain;
mod header_name;
mod hints;
mod host;
mod identity;
mod method;
mod mistakes;
mod network;
mod path;
mod path_rules;
mod pattern;
mod place;
mod proxy_fields;
mod quota;
mod requirement;
mod rewrite;
mod route;
mod state;
mod table;
mod upgrade;

pub use authority::Authority;
pub use authorize::{Authorization, authorize, authorize_service};
pub use bearer::{Bearer, TABLES_SCOPE};
pub use certificate::CertificateRule;
pub use cors::{Cors, CorsSettings, OriginPattern, Preflight, one_origin};
pub use credential::{credential, name_and_password, token_in};
pub use diagnose::{Case, Near, Unsolved, is_placeholder, nearest};
pub use dialect::Foreign;
pub use explain::{Attempt, Check, Explanation, Moment, Outcome, explain, explain_token};
pub use header_name::{begins, reads_as};
pub use hints::advise_call;
pub use host::{HostPattern, canonical_host, configured_host, is_host};
pub use identity::{Identity, IdentityHeaders, IdentityToken, has_other_meaning, is_of_our_family};
pub use method::METHOD_OVERRIDE;
pub use mistakes::likely_mistakes;
pub use network::check_network;
pub use path::{Judged, judge};
pub use path_rules::{PathRules, check_encodings};
pub use pattern::{Params, Pattern, PatternError};
pub use place::Place;
pub use proxy_fields::{is_asserting, is_redirecting};
pub use quota::{Quota, QuotaKey, QuotaWindow};
pub use rewrite::Rewrite;
pub use route::{
    Authenticator, AuthenticatorKind, ErrorFormat, JwtAuthenticator, NeededPermission, Requirement, Route, Target,
};
pub use state::{Followed, Live, State};
pub use table::{Conflict, Found, Misled, ReservedHeaders, RouteTable, Sought, allowed_methods, wrong_method};
pub use upgrade::{WEBSOCKET, check_upgrade, offered_token, strip_tokens, upgrade};
