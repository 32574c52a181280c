//! From files to settings.

mod audiences;
mod clash;
mod files;
mod routes;
mod warnings;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::routes::Broken;
use super::authenticator::{AuthenticatorSection, two_ids_for_one_token};
use super::cors::CorsSection;
use super::diagnostic::nearest;
use super::file::{MainFile, PartFile, ProfileSection};
use super::identity::Audiences;
use super::named_file::NamedFile;
use super::profile;
use super::quota::QuotaSection;
use super::range;
use super::route::{RouteSection, unknown};
use super::scope::ScopeSection;
use super::source::Source;
use super::tokens::{AssertionAudiences, OauthSettings};
use super::upstream::UpstreamSection;
use super::{
    ConfigError, Diagnostic, ProxySettings, RegistrySettings, ReplaySettings, StoreLocation, TelemetrySettings,
};
use crate::clock::Clock;
use crate::endpoints::EndpointSettings;
use crate::gateway::forward::Upstream;
use crate::model::{AuthenticatorName, QuotaName, UpstreamName};
use crate::policy::{Authenticator, AuthenticatorKind, HostPattern, Quota, RouteTable, TABLES_SCOPE};
use crate::registry::{GrantRules, ScopeCatalogue};
use crate::tokens::RotationSettings;

/// A configuration in which every name leads somewhere.
#[derive(Debug)]
pub struct Config {
    pub proxy: ProxySettings,
    pub telemetry: TelemetrySettings,
    pub store: StoreLocation,
    pub replay: ReplaySettings,
    pub registry: RegistrySettings,
    pub endpoints: EndpointSettings,
    /// How our own keys are rotated.
    pub rotation: RotationSettings,
    pub upstreams: HashMap<UpstreamName, Arc<Upstream>>,
    pub routes: Arc<RouteTable>,
    pub scopes: Arc<ScopeCatalogue>,
    /// What grants have to obey under this configuration.
    pub grants: GrantRules,
    /// Whether the files are followed.
    pub watch: bool,
    /// The files that it was read from, and those that it names and whose content is a part of it.
    pub files: Vec<PathBuf>,
    /// What works, and is hardly meant.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// Whether its routes can be served by the listener that runs, which a reload does not change.
    ///
    /// # Errors
    /// When that would have passwords sent in the clear.
    pub fn check_listener(&self, running: &ProxySettings) -> Result<(), ConfigError> {
        let running = ProxySettings { forwarding: self.proxy.forwarding.clone(), ..running.clone() };
        let Some(message) = passwords_in_the_clear(&running, &self.routes) else { return Ok(()) };
        let help = Some("this listener changes at a restart".to_owned());
        Err(ConfigError(vec![Diagnostic { place: "the running gateway".to_owned(), line: None, message, help }]))
    }

    /// The keys that differ from another configuration and take effect only at a start.
    pub fn needs_restart(&self, running: &Self) -> Vec<&'static str> {
        let mut keys = self.proxy.at_start.differences(&running.proxy.at_start);
        let others = [
            ("telemetry", self.telemetry != running.telemetry),
            ("store", self.store != running.store),
            ("replay", self.replay != running.replay),
            ("tokens", self.rotation != running.rotation),
            ("khoros", self.endpoints.khoros != running.endpoints.khoros),
            ("icr", self.endpoints.icr != running.endpoints.icr),
        ];
        keys.extend(others.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key));
        keys
    }
}

/// Reads a file, what it includes, the profiles it names, and the environment.
///
/// # Errors
/// All that is wrong with them.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let source = Source::file(path).map_err(|diagnostic| {
        let help = Some("`-c FILE` names another file; config/scopegate.toml is a commented example".to_owned());
        ConfigError(vec![Diagnostic { help, ..diagnostic }])
    })?;
    let config = resolve(source, path, true)?;
    // A gateway tells at its start and at each reload; commands have no log, and `check` prints them.
    for warning in &config.warnings {
        tracing::warn!(%warning, "configuration");
    }
    Ok(config)
}

/// Reads a text instead of a file, and leaves the environment out. Included files are relative to the working directory.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
    resolve(Source::new(name, text), Path::new(""), false)
}

/// Why these routes can't be served by that listener, if they take passwords.
fn passwords_in_the_clear(proxy: &ProxySettings, routes: &RouteTable) -> Option<String> {
    let route = routes.routes().iter().find(|r| matches!(r.authenticator.kind, AuthenticatorKind::Basic))?;
    let listen = proxy.listen.iter().find(|address| !address.is_local())?;
    let id = &route.id;
    let message =
        || format!("proxy.listen: route {id} takes passwords, and would have them sent in the clear to {listen}");
    (!proxy.keeps_secrets()).then(message)
}

fn resolve(source: Source, path: &Path, with_environment: bool) -> Result<Config, ConfigError> {
    let main: MainFile = source.read(with_environment)?;
    let mut parts = Parts { files: vec![path.into()], ..Parts::default() };
    let folder = path.parent().unwrap_or(Path::new("."));
    for (i, name) in main.profiles.iter().enumerate() {
        match profile::text(name) {
            Some(text) => {
                let section = main.profile.get(name);
                let cors = section.and_then(|section| section.cors.as_ref()).map(CorsSection::settings);
                if let Some(Err(why)) = cors {
                    parts.report(&source, &["profile", name, "cors"], format!("profile.{name}.cors.{why}"), None);
                }
                parts.add_profile(&source, name, text, section);
            }
            None => {
                parts.broken.parts = true;
                let help = nearest(name, profile::names()).map(|near| format!("did you mean {near:?}?"));
                let help = help.or_else(|| Some(format!("known: {}", profile::names().collect::<Vec<_>>().join(", "))));
                parts.report(&source, &["profiles", &i.to_string()], format!("there is no profile {name:?}"), help);
            }
        }
    }
    parts.check_profiles_are_used(&source, &main);
    let source = Arc::new(source);
    for (i, pattern) in main.include.iter().enumerate() {
        let place = ["include", &i.to_string()].map(str::to_owned);
        parts.include(&source, &place, folder, pattern);
    }
    let MainFile { watch, proxy, telemetry, store, replay, registry, tokens, khoros, icr, oauth, .. } = main;
    let MainFile { upstream, authenticator, quota, route, scope, identity, .. } = main;
    parts.add(&source, PartFile { upstream, authenticator, quota, route, scope });
    match oauth.resolve() {
        Ok(oauth) => parts.issue_as(&source, oauth),
        Err((key, why)) => {
            parts.broken.oauth = true;
            parts.report(&source, &key, format!("{}: {why}", key.join(".")), None);
        }
    }
    let (names, upstreams) = parts.upstreams();
    parts.check_upstreams_of_profiles(&source, &main.profile, &names);
    let scopes = Arc::new(parts.catalogue());
    let grants = GrantRules {
        catalogue: (*scopes).clone(),
        grantable: parts.by_authenticator(AuthenticatorSection::grantable),
        authenticators: parts.by_authenticator(AuthenticatorSection::taken),
    };
    let routes = parts.routes(&names, &scopes, &source, &identity);
    parts.named_files.extend(proxy.named_files());
    let proxy = proxy.resolve(&mut parts.files).map_err(|(key, why)| {
        parts.report(&source, &range::path(&["proxy"], key), format!("proxy.{key}: {why}"), None);
    });
    let store = store
        .resolve()
        .map_err(|(key, why)| parts.report(&source, &["store", key], format!("store.{key}: {why}"), None));
    let replay = replay
        .resolve(store.as_ref().ok())
        .map_err(|(key, why)| parts.report(&source, &["replay", key], format!("replay.{key}: {why}"), None));
    let telemetry = telemetry.resolve();
    if let (Ok(proxy), Some(routes)) = (&proxy, &routes) {
        parts.check_listener(&source, proxy, routes);
    }
    if let Ok(proxy) = &proxy {
        let files = clash::Files { store: store.as_ref().ok(), replay: replay.as_ref().ok(), telemetry: &telemetry };
        parts.check_clashes(&source, proxy, &files);
    }
    let access_life = parts.oauth.as_ref().map_or(Duration::ZERO, |oauth| oauth.life);
    let identity_life = routes.iter().filter_map(|routes| routes.identity().token()).map(|token| token.lifetime).max();
    let access_life = access_life.max(identity_life.unwrap_or_default());
    let issuing = super::tokens::endpoints(&khoros, &icr)
        .and_then(|e| Ok((tokens.resolve(e.longest_life().max(access_life))?, e)));
    let issuing = issuing.map_err(|(key, why)| parts.report(&source, &key, format!("{}: {why}", key.join(".")), None));
    match (proxy, store, replay, routes, issuing) {
        (Ok(proxy), Ok(store), Ok(replay), Some(routes), Ok((rotation, endpoints))) if parts.faults.is_empty() => {
            parts.warn(&source, &proxy, &routes, &upstreams, with_environment);
            let named = std::mem::take(&mut parts.named_files);
            parts.warn_of_files(&source, &named, Clock::System.now());
            Ok(Config {
                proxy,
                telemetry,
                store,
                replay,
                registry: registry.resolve(),
                endpoints,
                rotation,
                upstreams,
                routes: Arc::new(routes),
                scopes,
                grants,
                watch,
                files: parts.files,
                warnings: parts.warnings,
            })
        }
        _ => Err(ConfigError(parts.faults)),
    }
}

/// What profiles, included files and the main file say together, each part with its place.
#[derive(Default)]
struct Parts {
    /// Of the upstreams that were resolved.
    audiences: Audiences,
    upstreams: BTreeMap<String, (Arc<Source>, UpstreamSection)>,
    authenticators: BTreeMap<String, (Arc<Source>, AuthenticatorSection)>,
    quotas: BTreeMap<String, (Arc<Source>, QuotaSection)>,
    routes: Vec<Placed<RouteSection>>,
    scopes: Vec<Placed<ScopeSection>>,
    oauth: Option<OauthSettings>,
    /// Those whose content is a part of the configuration.
    files: Vec<PathBuf>,
    faults: Vec<Diagnostic>,
    /// Certificates, keys and credentials among them.
    named_files: Vec<NamedFile>,
    warnings: Vec<Diagnostic>,
    /// Authenticators that files declare.
    declared: BTreeMap<String, Arc<Source>>,
    broken: Broken,
}

/// With what the name of a source begins that is a profile.
const PROFILE: &str = "profile ";

/// An entry of a list, and where it stands.
struct Placed<T> {
    source: Arc<Source>,
    index: usize,
    is_profile: bool,
    entry: T,
}

impl Parts {
    fn report(&mut self, source: &Source, path: &[&str], message: String, help: Option<String>) {
        self.faults.push(Diagnostic { place: source.name.clone(), line: source.line(path), message, help });
    }

    fn add_profile(&mut self, main: &Source, name: &str, text: &str, section: Option<&ProfileSection>) {
        let source = Arc::new(Source::new(format!("{PROFILE}{name}"), text));
        match source.read::<PartFile>(false) {
            Ok(mut part) => {
                let hosts_are_good =
                    section.is_none_or(|section| self.check_hosts_of_profile(main, name, section, &part));
                for route in &mut part.route {
                    if let Some(section) = section {
                        route.upstream = route.upstream.take().or_else(|| section.upstream.clone());
                        let hosts = section.hosts.of(route.hosts_of.as_deref().unwrap_or(&route.authenticator));
                        route.hosts.extend(hosts.iter().filter(|_| hosts_are_good).cloned());
                        route.quota = route.quota.take().filter(|_| section.quotas);
                        if let Some(cors) = section.cors.as_ref().filter(|cors| cors.settings().is_ok()) {
                            route.open_to(cors);
                        }
                    }
                }
                self.put(&source, part, true);
            }
            Err(ConfigError(faults)) => self.faults.extend(faults),
        }
    }

    fn check_profiles_are_used(&mut self, source: &Source, main: &MainFile) {
        for name in main.profile.keys().filter(|name| !main.profiles.contains(name)) {
            let (message, help) = (format!("profile {name:?} is not in use"), format!("add it: profiles = [{name:?}]"));
            self.report(source, &["profile", name], message, Some(help));
        }
    }

    /// Once, and not for each of its routes.
    fn check_hosts_of_profile(&mut self, main: &Source, name: &str, section: &ProfileSection, part: &PartFile) -> bool {
        let place = ["profile", name, "hosts"];
        let before = self.faults.len();
        for why in section.hosts.all().filter_map(|host| host.parse::<HostPattern>().err()) {
            self.report(main, &place, format!("profile.{name}.hosts: {why}"), None);
        }
        let of_routes = |route: &RouteSection| route.hosts_of.clone().unwrap_or_else(|| route.authenticator.clone());
        let known: BTreeSet<String> = part.route.iter().map(of_routes).collect();
        for unknown in section.hosts.authenticators().filter(|one| !known.contains(*one)) {
            let message = format!("profile.{name}.hosts: no route of the profile has the authenticator {unknown:?}");
            let help = match nearest(unknown, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known: {}", known.iter().cloned().collect::<Vec<_>>().join(", ")),
            };
            self.report(main, &place, message, Some(help));
        }
        self.faults.len() == before
    }

    /// Once, and not for each of its routes.
    fn check_upstreams_of_profiles(
        &mut self,
        main: &Source,
        profiles: &BTreeMap<String, ProfileSection>,
        known: &[UpstreamName],
    ) {
        for (name, section) in profiles {
            let Some(upstream) = &section.upstream else { continue };
            if known.iter().any(|one| one.as_str() == upstream) || self.broken.upstreams.contains(upstream) {
                continue;
            }
            let (key, why, help) = unknown("upstream", upstream, known.iter().map(UpstreamName::as_str));
            self.report(main, &["profile", name, key], format!("profile.{name}.{key}: {why}"), help);
            self.broken.upstreams.insert(upstream.clone());
        }
    }

    /// Whether the routes can be served by the listener at all.
    fn check_listener(&mut self, main: &Source, proxy: &ProxySettings, routes: &RouteTable) {
        if let Some(message) = passwords_in_the_clear(proxy, routes) {
            let help = "give the listener a certificate with proxy.tls, let it listen on a loopback address alone, or name \
                        the proxies that encrypt for it in proxy.trusted_proxies";
            self.report(main, &["proxy", "listen"], message, Some(help.into()));
        }
        let asks = proxy.server.tls.as_ref().is_some_and(|tls| tls.asks_clients());
        if let Some(route) = routes.routes().iter().find(|r| r.client_certificate.is_some()).filter(|_| !asks) {
            let message =
                format!("proxy.tls: route {} needs client certificates, and nobody is asked for one", route.id);
            let help =
                "name who issues them: client_ca = \"…\", with client_auth = \"optional\" if other routes need none";
            self.report(main, &["proxy", "tls"], message, Some(help.into()));
        }
    }

    /// Tells the authenticators as whom access tokens are issued.
    fn issue_as(&mut self, main: &Source, oauth: Option<OauthSettings>) {
        let takes_endpoints = oauth.as_ref().filter(|oauth| oauth.assertion_audiences == AssertionAudiences::Endpoints);
        let endpoints = takes_endpoints.map(|oauth| self.client_endpoints(oauth)).unwrap_or_default();
        let sections = self.authenticators.iter_mut();
        let lacking: Vec<_> = sections
            .filter_map(|(name, (_, section))| (!section.fill_in(oauth.as_ref(), &endpoints)).then(|| name.clone()))
            .collect();
        if !lacking.is_empty() {
            self.broken.oauth = true;
            let message = format!("oauth.issuer is missing, which authenticator {} needs", lacking.join(", "));
            let help = "write the URL by which clients know this gateway: [oauth] issuer = \"https://id.example.com\"";
            let place: &[&str] = if main.line(&["oauth"]).is_some() { &["oauth"] } else { &["profiles"] };
            self.report(main, place, message, Some(help.into()));
        }
        self.oauth = oauth;
    }

    fn include(&mut self, main: &Source, place: &[String], folder: &Path, pattern: &str) {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let whole = folder.join(pattern);
        let found: Vec<PathBuf> = match glob::glob(&whole.to_string_lossy()) {
            Ok(paths) => paths.filter_map(Result::ok).collect(),
            Err(error) => return self.report(main, &place, format!("{pattern:?} is no pattern: {error}"), None),
        };
        if found.is_empty() && !pattern.contains(['*', '?', '[']) {
            self.broken.parts = true;
            self.report(main, &place, format!("{} does not exist", whole.display()), None);
        }
        if pattern.contains(['*', '?', '[']) {
            // A file that is added later changes its folder.
            self.files.extend(whole.parent().map(Path::to_owned));
        }
        self.files.extend(found.iter().cloned());
        for path in found {
            match Source::file(&path)
                .map_err(|d| ConfigError(vec![d]))
                .and_then(|s| s.read(false).map(|part| (s, part)))
            {
                Ok((source, part)) => self.add(&Arc::new(source), part),
                Err(ConfigError(faults)) => {
                    self.broken.parts = true;
                    self.faults.extend(faults);
                }
            }
        }
    }

    fn add(&mut self, source: &Arc<Source>, part: PartFile) {
        self.put(source, part, false);
    }

    /// Later parts may change an authenticator or a quota of a profile key by key, and replace a route of a profile by its id.
    fn put(&mut self, source: &Arc<Source>, part: PartFile, is_profile: bool) {
        for (name, section) in part.upstream {
            self.upstreams.insert(name, (Arc::clone(source), section));
        }
        for (name, section) in part.authenticator {
            let base = self.authenticators.remove(&name).map(|(_, base)| base).unwrap_or_default();
            self.authenticators.insert(name, (Arc::clone(source), section.over(base)));
        }
        for (name, section) in part.quota {
            let base = self.quotas.remove(&name).map(|(_, base)| base).unwrap_or_default();
            self.quotas.insert(name, (Arc::clone(source), section.over(base)));
        }
        self.routes.retain(|known| !known.is_profile || part.route.iter().all(|r| r.id != known.entry.id));
        let place = |index, entry| Placed { source: Arc::clone(source), index, is_profile, entry };
        self.routes.extend(part.route.into_iter().enumerate().map(|(i, route)| place(i, route)));
        let place = |index, entry| Placed { source: Arc::clone(source), index, is_profile, entry };
        self.scopes.extend(part.scope.into_iter().enumerate().map(|(i, scope)| place(i, scope)));
    }

    /// All that are declared by name, and those that are good.
    fn upstreams(&mut self) -> (Vec<UpstreamName>, HashMap<UpstreamName, Arc<Upstream>>) {
        let (mut names, mut resolved) = (Vec::new(), HashMap::new());
        for (name, (source, section)) in std::mem::take(&mut self.upstreams) {
            let id = match UpstreamName::new(&name) {
                Ok(id) => id,
                Err(error) => {
                    self.report(&source, &["upstream", &name], format!("upstream {name:?}: {error}"), None);
                    self.broken.upstreams.insert(name);
                    continue;
                }
            };
            names.push(id.clone());
            self.files.extend(section.files());
            let audience = section.identity_audience();
            if audience == Some("") {
                let message = format!(
                    "upstream.{name}.identity_audience: it can't be empty; leave it out for the upstream's name"
                );
                self.report(&source, &["upstream", &name, "identity_audience"], message, None);
            }
            self.audiences.insert(id.clone(), audience.map(Into::into));
            self.named_files.extend(section.named_files(&name));
            match section.resolve(id.clone()) {
                Ok(upstream) => _ = resolved.insert(id, Arc::new(upstream)),
                Err((key, why)) => {
                    self.report(
                        &source,
                        &range::path(&["upstream", &name], key),
                        format!("upstream.{name}.{key}: {why}"),
                        None,
                    );
                }
            }
        }
        (names, resolved)
    }

    fn catalogue(&mut self) -> ScopeCatalogue {
        let mut definitions: Vec<crate::registry::ScopeDefinition> = Vec::new();
        for placed in std::mem::take(&mut self.scopes) {
            let index = placed.index.to_string();
            if placed.entry.id.as_str() == TABLES_SCOPE {
                let message = format!("{TABLES_SCOPE} stands for permissions on tables and views in access tokens");
                self.report(&placed.source, &["scope", &index, "id"], message, None);
                continue;
            }
            for definition in placed.entry.definitions() {
                if definitions.iter().any(|d| d.id == definition.id && d.level == definition.level) {
                    let message = format!("scope {} is declared twice at level {}", definition.id, definition.level);
                    self.report(&placed.source, &["scope", &index, "id"], message, None);
                } else {
                    definitions.push(definition);
                }
            }
        }
        ScopeCatalogue::new(definitions)
    }

    fn quotas(&mut self) -> BTreeMap<String, Arc<Quota>> {
        let mut resolved = BTreeMap::new();
        for (name, (source, section)) in std::mem::take(&mut self.quotas) {
            match QuotaName::new(&name).map_err(|e| ("", e.to_string())).and_then(|n| section.resolve(&n)) {
                Ok(quota) => _ = resolved.insert(name, Arc::new(quota)),
                Err((key, why)) => {
                    self.report(&source, &["quota", &name, key], dotted("quota", &name, key, &why), None);
                    self.broken.quotas.insert(name);
                }
            }
        }
        resolved
    }

    fn by_authenticator<T>(&self, ask: impl Fn(&AuthenticatorSection) -> Option<T>) -> BTreeMap<AuthenticatorName, T> {
        let entry = |(name, (_, section)): (&String, &(_, AuthenticatorSection))| {
            Some((AuthenticatorName::new(name).ok()?, ask(section)?))
        };
        self.authenticators.iter().filter_map(entry).collect()
    }

    fn resolved_authenticators(&mut self) -> BTreeMap<String, Arc<Authenticator>> {
        let own = self.own_audience();
        let sections = std::mem::take(&mut self.authenticators);
        let is_declared = |source: &Source| !source.name.starts_with(PROFILE);
        let declared = sections.iter().filter(|(_, (source, _))| is_declared(source));
        self.declared = declared.map(|(name, (source, _))| (name.clone(), Arc::clone(source))).collect();
        let mut authenticators = BTreeMap::new();
        for (name, (source, section)) in &sections {
            let parsed = AuthenticatorName::new(name).map_err(|e| ("", e.to_string()));
            match parsed.and_then(|n| section.resolve(&n, own.as_ref())) {
                Ok(authenticator) => _ = authenticators.insert(name.clone(), Arc::new(authenticator)),
                Err((key, why)) => {
                    let message = dotted("authenticator", name, key, &why);
                    self.report(source, &["authenticator", name, key], message, None);
                    self.broken.authenticators.insert(name.clone());
                }
            }
        }
        if let Some((name, why)) = two_ids_for_one_token(authenticators.values())
            && let Some((source, _)) = sections.get(name.as_str())
        {
            let message = format!("authenticator.{name}.jti_claims: {why}");
            self.report(source, &["authenticator", name.as_str(), "jti_claims"], message, None);
        }
        authenticators
    }
}

/// What is wrong with a key, or with the section's name where there is none.
fn dotted(section: &str, name: &str, key: &str, why: &str) -> String {
    let dot = if key.is_empty() { "" } else { "." };
    format!("{section}.{name}{dot}{key}: {why}")
}
