//! The catalogue as an OpenAPI document, version 3.1.

use std::collections::BTreeMap;

use http::header;
use serde_json::{Map, Value, json};

use super::export::{Call, Exported, Part};
use crate::gateway::told;
use crate::model::{Level, Reason};
use crate::policy::{AuthenticatorKind, ErrorFormat, HostPattern, Requirement};
use crate::verify::Origin;

/// Refusals that a caller of any route may meet, a status each.
const REFUSALS: [Reason; 9] = [
    Reason::RequestInvalid,
    Reason::TokenInvalid,
    Reason::ScopeInsufficient,
    Reason::BotUnknown,
    Reason::MethodNotAllowed,
    Reason::RequestBodyTooLarge,
    Reason::UpstreamUnreachable,
    Reason::GatewayOverloaded,
    Reason::UpstreamTimeout,
];

pub(super) fn document(export: &Exported<'_>) -> Value {
    let mut paths: BTreeMap<String, Path> = BTreeMap::new();
    for call in &export.calls {
        // Two paths that differ in the names of their parameters alone are one path here, with the first one's names.
        let path = paths.entry(call.pattern.erased()).or_insert_with(|| Path::of(call));
        path.add(call, &export.base_url);
    }
    let paths: Map<_, _> = paths.into_values().map(|path| (path.template, path.operations.into())).collect();
    let tags: Vec<_> = groups(export).into_iter().map(|name| json!({ "name": name })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The APIs behind Scopegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a route's upstream takes and gives is not known to the gateway, and is not described here.",
        },
        "servers": [{ "url": export.base_url }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": schemes(export),
            "schemas": {
                "Problem": problem_schema(),
                "KoreError": kore_schema(),
                "KhorosError": khoros_schema(),
                "IcrError": texts_schema(&["message", "documentation_url"]),
                "OauthError": texts_schema(&["error", "error_description"]),
            },
        },
    })
}

fn groups<'a>(export: &Exported<'a>) -> Vec<&'a str> {
    let mut groups: Vec<&str> = Vec::new();
    for group in export.calls.iter().filter_map(|call| call.route.group.as_deref()) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

struct Path {
    template: String,
    /// The parameters' names, in their order.
    names: Vec<String>,
    operations: Map<String, Value>,
}

impl Path {
    fn of(call: &Call<'_>) -> Self {
        let segments = call.parts().map(|part| match part {
            Part::Literal(text) => format!("/{text}"),
            Part::Param(name) | Part::Rest(name) => format!("/{{{name}}}"),
        });
        let names = call.pattern.params().map(str::to_owned).collect();
        Self { template: segments.collect(), names, operations: Map::new() }
    }

    fn add(&mut self, call: &Call<'_>, base_url: &str) {
        let method = call.method.as_str().to_ascii_lowercase();
        let operation = operation(call, &self.names, base_url);
        match self.operations.get_mut(&method) {
            // The same call on another host: the document has one place for both.
            Some(first) => {
                let others = first["x-scopegate-other-hosts"].as_array().cloned().unwrap_or_default();
                let others = others.into_iter().chain([operation]).collect::<Vec<_>>();
                first["x-scopegate-other-hosts"] = others.into();
            }
            None => _ = self.operations.insert(method, operation),
        }
    }
}

fn operation(call: &Call<'_>, names: &[String], base_url: &str) -> Value {
    let parts = call.parts().filter(|part| !matches!(part, Part::Literal(_)));
    let parameters: Vec<_> = parts.zip(names).map(|(part, name)| parameter(call, part, name)).collect();
    let mut operation = json!({
        "operationId": call.id,
        "summary": call.title(),
        "description": call.needs(),
        "parameters": parameters,
        "security": security(call),
        "responses": responses(call),
    });
    if let Some(group) = &call.route.group {
        operation["tags"] = json!([group]);
    }
    if call.may_have_body() {
        operation["requestBody"] = json!({ "required": false, "content": { "application/json": { "schema": {} } } });
    }
    if !call.route.hosts.is_empty() {
        let scheme = base_url.split_once("://").map_or("https", |(scheme, _)| scheme);
        let servers = call.route.hosts.iter().map(|host| server(scheme, host));
        operation["servers"] = servers.collect();
    }
    match &call.route.requirement {
        Requirement::Scope { bot, account } => {
            let text = |scope: &Option<crate::model::ScopeId>| scope.as_ref().map(ToString::to_string);
            operation["x-scopegate-scopes"] = json!({ "bot": text(bot), "account": text(account) });
        }
        Requirement::Resource { kind, param, permissions } => {
            let permissions: Vec<_> = permissions.iter().map(crate::registry::Permission::as_str).collect();
            operation["x-scopegate-permissions"] =
                json!({ "kind": kind.as_str(), "parameter": param, "permissions": permissions });
        }
        Requirement::AnyResource => operation["x-scopegate-permissions"] = json!({ "kind": "any" }),
        Requirement::Role(role) => operation["x-scopegate-role"] = json!(role),
        Requirement::Permission(needed) => {
            operation["x-scopegate-permissions"] =
                json!({ "kind": "installation", "name": needed.name, "level": needed.level });
        }
        Requirement::Nothing | Requirement::AnyApp => {}
    }
    operation
}

fn server(scheme: &str, host: &HostPattern) -> Value {
    match host.parent() {
        None => json!({ "url": format!("{scheme}://{host}") }),
        Some(parent) => {
            let name = json!({ "default": "www", "description": "Any name below." });
            json!({ "url": format!("{scheme}://{{name}}.{parent}"), "variables": { "name": name } })
        }
    }
}

fn parameter(call: &Call<'_>, part: Part<'_>, name: &str) -> Value {
    let own = match part {
        Part::Literal(own) | Part::Param(own) | Part::Rest(own) => own,
    };
    let mut parameter = json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    if matches!(part, Part::Rest(_)) {
        parameter["description"] = "The rest of the path; slashes in it stay as they are.".into();
        parameter["x-scopegate-rest"] = true.into();
    } else if call.route.bot_param.as_deref() == Some(own) {
        parameter["description"] = "The bot.".into();
    }
    parameter
}

/// One alternative for each level that can call.
fn security(call: &Call<'_>) -> Value {
    let name = call.route.authenticator.name.as_str();
    let scheme = |scopes: Vec<String>| json!({ name: scopes });
    match (&call.route.authenticator.kind, &call.route.requirement) {
        (AuthenticatorKind::Anonymous, _) => json!([]),
        (AuthenticatorKind::Jwt(_), requirement @ Requirement::Scope { .. }) => {
            let scopes =
                [Level::Bot, Level::Account].map(|level| requirement.scope_for(level).map(ToString::to_string));
            let mut scopes: Vec<_> = scopes.into_iter().flatten().collect();
            scopes.dedup();
            scopes.into_iter().map(|scope| scheme(vec![scope])).collect()
        }
        (AuthenticatorKind::Jwt(_) | AuthenticatorKind::Basic, _) => json!([scheme(vec![])]),
    }
}

fn schemes(export: &Exported<'_>) -> Value {
    let mut schemes = Map::new();
    for call in &export.calls {
        let jwt = match &call.route.authenticator.kind {
            AuthenticatorKind::Anonymous => continue,
            AuthenticatorKind::Basic => {
                let scheme = json!({ "type": "http", "scheme": "basic", "description": "A service account." });
                schemes.insert(call.route.authenticator.name.to_string(), scheme);
                continue;
            }
            AuthenticatorKind::Jwt(jwt) => jwt,
        };
        let algorithms = match jwt.rules.origin {
            Origin::App => format!("A JSON Web Token, signed with one of {}.", jwt.rules.algorithms),
            Origin::Held | Origin::Access => "A token that the gateway issued.".to_owned(),
            Origin::Installation => format!("A token for an installation, which begins with {:?}.", jwt.prefix),
        };
        let is_bearer = jwt.header == header::AUTHORIZATION && jwt.scheme.eq_ignore_ascii_case("bearer");
        let scheme = match jwt.scheme.as_str() {
            _ if is_bearer => {
                json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": algorithms })
            }
            "" => json!({ "type": "apiKey", "in": "header", "name": jwt.header.as_str(), "description": algorithms }),
            scheme => {
                let description = format!("{algorithms} {scheme:?} and a space stand before it.");
                json!({ "type": "apiKey", "in": "header", "name": jwt.header.as_str(), "description": description })
            }
        };
        schemes.insert(call.route.authenticator.name.to_string(), scheme);
    }
    schemes.into()
}

fn responses(call: &Call<'_>) -> Value {
    let format = call.error_format();
    let (media, schema) = match format {
        ErrorFormat::Problem => ("application/problem+json", "Problem"),
        ErrorFormat::Kore => ("application/json", "KoreError"),
        ErrorFormat::Khoros => ("application/json", "KhorosError"),
        ErrorFormat::Icr | ErrorFormat::IcrInstallation => ("application/json", "IcrError"),
        ErrorFormat::Oauth => ("application/json", "OauthError"),
    };
    let content = json!({ media: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    let mut texts: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for reason in REFUSALS {
        let (status, text) = told(reason, format);
        texts.entry(status).or_default().push(text);
    }
    let mut responses = Map::from_iter([("2XX".to_owned(), json!({ "description": "What the upstream answers." }))]);
    for (status, texts) in texts {
        let description = format!("Refused: {}", texts.join("; "));
        responses.insert(status.to_string(), json!({ "description": description, "content": content.clone() }));
    }
    responses.into()
}

/// RFC 9457, with the members that the gateway adds.
fn problem_schema() -> Value {
    let codes: Vec<_> = Reason::ALL.iter().filter(|r| r.public() == **r).map(|r| r.code()).collect();
    json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "request_id"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "enum": codes },
            "request_id": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "scope": { "type": "string", "description": "The scope that is missing, where that is the problem." },
        },
    })
}

fn khoros_schema() -> Value {
    let error = json!({ "type": "object", "properties": { "error": texts_schema(&["message", "requestId"]) } });
    json!({ "anyOf": [texts_schema(&["status", "message"]), error] })
}

/// An object of these texts.
fn texts_schema(names: &[&str]) -> Value {
    let text = json!({ "type": "string" });
    let properties: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
    json!({ "type": "object", "required": [names[0]], "properties": properties })
}

fn kore_schema() -> Value {
    let error = json!({
        "type": "object",
        "required": ["msg", "code"],
        "properties": { "msg": { "type": "string" }, "code": { "type": "integer" } },
    });
    json!({
        "type": "object",
        "required": ["errors"],
        "properties": { "errors": { "type": "array", "minItems": 1, "items": error } },
    })
}
