//! The routes of the tests: the same for each error format, under the format's name.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, Request, header, request};
use scopegate::model::{Algorithm, AlgorithmSet, AuthenticatorName, ClaimNames, RouteId, ScopeId, UpstreamName};
use scopegate::policy::{
    Authenticator, AuthenticatorKind, ErrorFormat, JwtAuthenticator, PathRules, Requirement, Route, RouteTable, Target,
};
use scopegate::registry::{Permission, ResourceKind};
use scopegate::verify::{Leeway, Origin, SingleUsePolicy, TokenRules, TokenSettings};

use super::NOW;

pub const HOST: &str = "bots.example";

/// In which words a route answers, and with them how it wants its credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `Authorization: Bearer TOKEN`.
    Problem,
    /// `auth: TOKEN`; a wrong method is answered before authentication.
    Kore,
}

impl Format {
    pub const ALL: [Self; 2] = [Self::Problem, Self::Kore];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Kore => "kore",
        }
    }

    pub const fn header(self) -> HeaderName {
        match self {
            Self::Problem => header::AUTHORIZATION,
            Self::Kore => HeaderName::from_static("auth"),
        }
    }

    pub fn credential(self, token: &str) -> String {
        match self {
            Self::Problem => format!("Bearer {token}"),
            Self::Kore => token.to_owned(),
        }
    }

    /// A request without a credential; `path` follows the format's name.
    pub fn bare(self, method: &str, path: &str) -> request::Builder {
        let uri = format!("/{}{path}", self.name());
        Request::builder().method(method).uri(uri).header(header::HOST, HOST)
    }

    pub fn request(self, method: &str, path: &str, token: &str) -> request::Builder {
        self.bare(method, path).header(self.header(), self.credential(token))
    }
}

pub fn table() -> RouteTable {
    let mut routes = vec![route("open", &[Method::GET], "/open", &anonymous(), Requirement::Nothing)];
    for format in Format::ALL {
        let name = format.name();
        let plain = authenticator(format, name, |_| {});
        let strict = authenticator(format, &format!("{name}-strict"), |settings| {
            settings.audiences = vec!["api".into()];
            settings.issuers = vec!["ci".into()];
            settings.require_exp = true;
            settings.max_lifetime = Some(Duration::from_secs(3600));
        });
        let add = |id: &str, methods: &[Method], path: &str, requirement| {
            route(&format!("{name}-{id}"), methods, &format!("/{name}{path}"), &plain, requirement)
        };
        let mut kept = add("kept", &[Method::GET], "/kept", Requirement::AnyApp);
        kept.keep_credential = true;
        routes.extend([
            add("logs", &[Method::GET], "/bot/{botId}/logs", scopes(Some("logs"), Some("logs"))),
            add("train", &[Method::POST], "/bot/{botId}/train", scopes(Some("train"), None)),
            add("users", &[Method::GET], "/users", scopes(None, Some("users"))),
            add("any", &[Method::GET, Method::POST], "/any", Requirement::AnyApp),
            add("read", &[Method::GET], "/tables/{table}", table_of(Permission::Read)),
            add("write", &[Method::POST], "/tables/{table}", table_of(Permission::Write)),
            kept,
            route(&format!("{name}-strict"), &[Method::GET], &format!("/{name}/strict"), &strict, Requirement::AnyApp),
        ]);
    }
    RouteTable::new(routes.into_iter().map(Arc::new).collect()).unwrap()
}

pub fn route(
    id: &str,
    methods: &[Method],
    path: &str,
    authenticator: &Arc<Authenticator>,
    requirement: Requirement,
) -> Route {
    Route {
        id: RouteId::new(id).unwrap(),
        title: None,
        group: None,
        hosts: Vec::new(),
        methods: methods.to_vec(),
        patterns: vec![path.parse().unwrap()],
        target: Target::Upstream(UpstreamName::new("bots").unwrap()),
        rewrite: None,
        cors: None,
        authenticator: Arc::clone(authenticator),
        requirement,
        app_param: None,
        bot_param: path.contains("{botId}").then(|| "botId".to_owned()),
        quota: None,
        client_certificate: None,
        keep_credential: false,
        upgrades: vec![],
        ends_with_token: None,
        path_rules: PathRules::default(),
        grpc: false,
    }
}

pub fn scopes(bot: Option<&str>, account: Option<&str>) -> Requirement {
    let scope = |id: Option<&str>| id.map(|id| ScopeId::new(id).unwrap());
    Requirement::Scope { bot: scope(bot), account: scope(account) }
}

fn table_of(permission: Permission) -> Requirement {
    let permissions = [permission].into_iter().collect();
    Requirement::Resource { kind: ResourceKind::Table, param: "table".to_owned(), permissions }
}

pub fn anonymous() -> Arc<Authenticator> {
    Arc::new(Authenticator {
        name: AuthenticatorName::new("open").unwrap(),
        kind: AuthenticatorKind::Anonymous,
        method_first: false,
        method_override: false,
        encoded_slashes: false,
        error_format: ErrorFormat::Problem,
    })
}

pub fn authenticator(format: Format, name: &str, adjust: impl FnOnce(&mut TokenSettings)) -> Arc<Authenticator> {
    let mut settings = token_settings(name);
    adjust(&mut settings);
    let (scheme, error_format) = match format {
        Format::Problem => ("Bearer", ErrorFormat::Problem),
        Format::Kore => ("", ErrorFormat::Kore),
    };
    let rules = TokenRules::new(settings);
    let jwt = JwtAuthenticator {
        header: format.header(),
        scheme: scheme.to_owned(),
        other_schemes: Vec::new(),
        prefix: String::new(),
        websocket_protocol: None,
        rules,
    };
    Arc::new(Authenticator {
        name: AuthenticatorName::new(name).unwrap(),
        kind: AuthenticatorKind::Jwt(Box::new(jwt)),
        method_first: format == Format::Kore,
        method_override: format == Format::Kore,
        encoded_slashes: false,
        error_format,
    })
}

/// Takes a bare token in this header.
pub fn keyed(header: &'static str) -> Arc<Authenticator> {
    let plain = authenticator(Format::Kore, "keyed", |_| {});
    let AuthenticatorKind::Jwt(jwt) = &plain.kind else { panic!("it takes tokens") };
    let jwt = JwtAuthenticator {
        header: HeaderName::from_static(header),
        scheme: String::new(),
        other_schemes: Vec::new(),
        prefix: String::new(),
        websocket_protocol: None,
        rules: jwt.rules.clone(),
    };
    Arc::new(Authenticator {
        name: AuthenticatorName::new("keyed").unwrap(),
        kind: AuthenticatorKind::Jwt(Box::new(jwt)),
        method_first: false,
        method_override: false,
        encoded_slashes: false,
        error_format: ErrorFormat::Problem,
    })
}

/// All algorithms, `typ` JWT, no demand on parties or lifetime.
pub fn token_settings(authenticator: &str) -> TokenSettings {
    TokenSettings {
        authenticator: AuthenticatorName::new(authenticator).unwrap(),
        origin: Origin::App,
        app_claims: vec!["appId".into(), "iss".into()],
        app_numbers: false,
        claim_names: ClaimNames::default(),
        algorithms: AlgorithmSet::of(&Algorithm::ALL),
        token_types: vec!["JWT".into()],
        audiences: Vec::new(),
        issuers: Vec::new(),
        require_exp: false,
        require_iat: false,
        leeway: Leeway { exp: Duration::ZERO, nbf: Duration::from_secs(30), iat: Duration::from_secs(60) },
        max_lifetime: None,
        single_use: SingleUsePolicy::Enforced,
        single_use_lifetime: None,
        single_use_memory: Duration::ZERO,
        max_token_bytes: 4096,
        encrypted: true,
    }
}

/// A time so many seconds from [`NOW`], as a claim.
pub const fn in_secs(seconds: i64) -> i64 {
    NOW + seconds
}
