//! Where a call goes: its route, and the parameters in its path.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

use super::{Authorization, Found, Params, Pattern, Route, State, authorize, judge, wrong_method};
use crate::model::{AccountId, Reason, Refusal};
use crate::registry::App;

/// A call's place in the route table, for those who explain; the stack has its own.
#[derive(Debug)]
pub struct Place<'a> {
    pub route: &'a Arc<Route>,
    pub pattern: &'a Pattern,
    pub params: Params,
    /// The judged path.
    pub path: Cow<'a, str>,
    /// The account that alone owns the host.
    pub account: Option<&'a AccountId>,
    /// Why the method is not one of the route's.
    pub wrong_method: Option<Refusal>,
}

impl<'a> Place<'a> {
    /// # Errors
    /// `request.invalid` for a path with two readings, `route.unknown`.
    pub fn find(state: &'a State, host: &'a str, method: &Method, path: &'a str) -> Result<Self, Refusal> {
        let path = judge(path).map_err(|why| Refusal::new(Reason::RequestInvalid).found(why))?;
        let (route, pattern, params, allow) = match state.routes.find(host, method, &path) {
            Found::Nothing => return Err(Reason::RouteUnknown.into()),
            Found::Route { route, pattern, params } => (route, pattern, params, None),
            Found::OtherMethods { route, pattern, params, allow } => (route, pattern, params, Some(allow)),
        };
        let wrong_method = allow.map(|allow| wrong_method(method, &allow));
        let account = state.registry.account_of_host(host);
        Ok(Self { route, pattern: &route.patterns[pattern], params, path, account, wrong_method })
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.pattern.param(name).and_then(|i| self.params.get(&self.path, i))
    }

    /// The path's parameters and what they hold.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let value = |i| self.params.get(&self.path, i);
        self.pattern.params().enumerate().filter_map(move |(i, name)| Some((name, value(i)?)))
    }

    /// The bot that the path names.
    pub fn bot(&self) -> Option<&str> {
        self.route.bot_param.as_deref().and_then(|name| self.param(name))
    }

    /// # Errors
    /// Those of [`authorize`].
    pub fn authorize(&self, app: &App, state: &State) -> Result<Authorization, Refusal> {
        authorize(app, self.route, self.pattern, &self.params, &self.path, self.account, &state.registry)
    }
}

/// Whether a parameter holds what the documents write in its place, such as `:{id}`.
pub(super) fn is_unfilled(value: &str) -> bool {
    value.starts_with(':') || value.starts_with('<') || value.contains('{') || value.contains('}')
}
