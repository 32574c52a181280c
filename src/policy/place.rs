//! Where a call goes: its route, and the parameters in its path.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

use super::{
    Attempt, Authorization, Bearer, Found, Judged, Params, Pattern, Route, Sought, State, Target, authorize,
    check_encodings, judge, wrong_method,
};
use crate::model::{AccountId, Reason, Refusal};

/// A call's place in the route table, for those who explain; the stack has its own.
#[derive(Debug)]
pub struct Place<'a> {
    pub route: &'a Arc<Route>,
    pub pattern: &'a Pattern,
    pub params: Params,
    /// The judged path.
    pub path: Cow<'a, str>,
    /// The one that the upstream gets, where that is another.
    pub sent: Option<String>,
    /// The account that alone owns the host.
    pub account: Option<&'a AccountId>,
    /// The method that is judged.
    pub method: Method,
    /// Whether it overrides that of the request.
    pub is_overridden: bool,
    /// Why the method is not one of the route's.
    pub wrong_method: Option<Refusal>,
}

impl<'a> Place<'a> {
    /// # Errors
    /// `request.invalid` for a path or a method with two readings, `route.unknown`.
    pub fn find(attempt: Attempt<'a>, state: &'a State) -> Result<Self, Refusal> {
        let invalid = |why| Refusal::new(Reason::RequestInvalid).found(why);
        let judged = judge(attempt.path).map_err(invalid)?;
        let sought = state.routes.seek(attempt.host, attempt.method, attempt.headers, &judged.text);
        let Sought { found, overriding } = sought.map_err(|misled| misled.refusal())?;
        let judged_by = overriding.as_ref().unwrap_or(attempt.method);
        check_encodings(&judged, &found, &state.routes, attempt.host, judged_by).map_err(invalid)?;
        let Judged { text: path, sent: normal, .. } = judged;
        let (route, pattern, params, allow) = match found {
            Found::Nothing => return Err(Reason::RouteUnknown.into()),
            Found::Route { route, pattern, params } => (route, pattern, params, None),
            Found::OtherMethods { route, pattern, params, allow } => (route, pattern, params, Some(allow)),
        };
        if let Target::Advice(right) = &route.target {
            return Err(Refusal::new(Reason::RouteUnknown).expected(right.clone()));
        }
        let is_overridden = overriding.is_some();
        let method = overriding.unwrap_or_else(|| attempt.method.clone());
        let wrong_method = allow.map(|allow| wrong_method(&method, &allow));
        let sent = match &route.rewrite {
            Some(rewrite) => Some(rewrite.apply(&normal, pattern)),
            None => (*normal != *attempt.path).then(|| normal.into_owned()),
        };
        let (pattern, account) = (&route.patterns[pattern], state.registry.account_of_host(attempt.host));
        Ok(Self { route, pattern, params, path, sent, account, method, is_overridden, wrong_method })
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
    pub fn authorize<'b>(&self, bearer: impl Into<Bearer<'b>>, state: &State) -> Result<Authorization, Refusal> {
        authorize(bearer, self.route, self.pattern, &self.params, &self.path, self.account, &state.registry)
    }
}

/// Whether a parameter holds what the documents write in its place, such as `:{id}`.
pub(super) fn is_unfilled(value: &str) -> bool {
    value.starts_with(':') || value.starts_with('<') || value.contains('{') || value.contains('}')
}
