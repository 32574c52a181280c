//! Registry files.

use std::fmt::Write as _;

/// An app with one key; its secret is made of its client id, so that every test knows it.
#[derive(Clone, Debug)]
pub struct App {
    pub client_id: String,
    pub account: String,
    pub bots: Vec<String>,
    /// On each of its bots, or on its account if it has none.
    pub scopes: Vec<String>,
    pub algorithms: Vec<String>,
    /// Keys of `[[app]]` more, as TOML lines.
    pub settings: String,
    /// The lines of `[[key]]`.
    pub key: String,
}

impl App {
    /// Of level account where it has no bots.
    pub fn new(client_id: &str, account: &str, bots: &[&str], scopes: &[&str]) -> Self {
        let text = |list: &[&str]| list.iter().map(|&t| t.to_owned()).collect();
        Self {
            client_id: client_id.into(),
            account: account.into(),
            bots: text(bots),
            scopes: text(scopes),
            algorithms: vec!["HS256".into()],
            settings: String::new(),
            key: format!("secret = {:?}", secret_of(client_id)),
        }
    }

    pub fn algorithms(self, algorithms: &[&str]) -> Self {
        Self { algorithms: algorithms.iter().map(|&a| a.to_owned()).collect(), ..self }
    }

    pub fn settings(self, settings: &str) -> Self {
        Self { settings: settings.into(), ..self }
    }

    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: key.into(), ..self }
    }

    pub fn secret(&self) -> String {
        secret_of(&self.client_id)
    }

    /// A good token.
    pub fn token(&self) -> String {
        super::Token::of(&self.client_id).sign(self.secret())
    }
}

fn secret_of(client_id: &str) -> String {
    format!("the secret of {client_id}, which is long enough")
}

/// A registry file in the making.
#[derive(Clone, Debug)]
pub struct Registry(String);

impl Registry {
    pub fn new() -> Self {
        Self("version = 1\n".into())
    }

    pub fn account(mut self, id: &str, bots: &[&str]) -> Self {
        _ = writeln!(self.0, "[[account]]\nid = {id:?}");
        for bot in bots {
            _ = writeln!(self.0, "[[bot]]\nid = {bot:?}\naccount = {id:?}");
        }
        self
    }

    pub fn app(mut self, app: &App) -> Self {
        let App { client_id, account, bots, scopes, algorithms, settings, key } = app;
        let name = format!("named {client_id}");
        let level = if bots.is_empty() { "account" } else { "bot" };
        _ = writeln!(
            self.0,
            "[[app]]\nclient_id = {client_id:?}\nname = {name:?}\naccount = {account:?}\nlevel = {level:?}\n\
             bots = {bots:?}\nalgorithms = {algorithms:?}\n{settings}\n[[key]]\napp = {client_id:?}\n{key}"
        );
        if scopes.is_empty() {
            return self;
        }
        let on_bots = bots.iter().map(|bot| format!("bot = {bot:?}"));
        let on_account = bots.is_empty().then(|| format!("account = {account:?}"));
        for target in on_bots.chain(on_account) {
            _ = writeln!(self.0, "[[grant]]\napp = {client_id:?}\n{target}\nscopes = {scopes:?}");
        }
        self
    }

    pub fn apps(self, apps: &[App]) -> Self {
        apps.iter().fold(self, Self::app)
    }

    /// Lines as they are.
    pub fn lines(mut self, lines: &str) -> Self {
        self.0.push_str(lines);
        self.0.push('\n');
        self
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
