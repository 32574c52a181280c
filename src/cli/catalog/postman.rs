//! The catalogue as a Postman collection, version 2.1.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::export::{Call, Exported, Part};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// A folder a group, and variables for the gateway, the token and every parameter of a path.
pub(super) fn collection(export: &Exported<'_>) -> Value {
    let mut folders: Vec<(&str, Vec<Value>)> = Vec::new();
    for call in &export.calls {
        let group = call.route.group.as_deref().unwrap_or("Others");
        match folders.iter_mut().find(|(name, _)| *name == group) {
            Some((_, items)) => items.push(item(call)),
            None => folders.push((group, vec![item(call)])),
        }
    }
    let folders: Vec<_> = folders.into_iter().map(|(name, item)| json!({ "name": name, "item": item })).collect();
    let params: BTreeSet<&str> = export.calls.iter().flat_map(|call| call.pattern.params()).collect();
    let params = params.into_iter().map(|name| json!({ "key": name, "value": "" }));
    let mint = format!("scopegate jwt mint --quiet --client-id {} --secret-file FILE", export.client_id);
    let fixed = [
        json!({ "key": "baseUrl", "value": export.base_url }),
        json!({ "key": "token", "value": "", "description": mint }),
    ];
    json!({
        "info": { "name": "Scopegate", "description": "The APIs behind the gateway.", "schema": SCHEMA },
        "item": folders,
        "variable": fixed.into_iter().chain(params).collect::<Vec<_>>(),
    })
}

fn item(call: &Call<'_>) -> Value {
    let mut headers = Vec::new();
    if let Some((header, scheme)) = call.credential() {
        let value = if scheme.is_empty() { "{{token}}".to_owned() } else { format!("{scheme} {{{{token}}}}") };
        headers.push(json!({ "key": header.as_str(), "value": value, "type": "text" }));
    }
    let mut request = json!({
        "method": call.method.as_str(),
        "description": call.needs(),
        // The header above is the credential, whatever the collection around it says.
        "auth": { "type": "noauth" },
        "url": url(call),
    });
    if call.may_have_body() {
        headers.push(json!({ "key": "content-type", "value": "application/json", "type": "text" }));
        request["body"] = json!({ "mode": "raw", "raw": "{}", "options": { "raw": { "language": "json" } } });
    }
    request["header"] = headers.into();
    let title = call.title();
    let alias = if call.id == call.route.id.as_str() {
        String::new()
    } else {
        format!(" ({} {})", call.method, call.pattern.as_str())
    };
    json!({ "name": format!("{title}{alias}"), "id": call.id, "request": request, "response": [] })
}

fn url(call: &Call<'_>) -> Value {
    let (mut path, mut variables) = (Vec::new(), Vec::new());
    for part in call.parts() {
        match part {
            Part::Literal(text) => path.push(text.to_owned()),
            // A path variable of Postman is one segment; the collection's variable takes its place where it may be more.
            Part::Rest(name) => path.push(format!("{{{{{name}}}}}")),
            Part::Param(name) => {
                path.push(format!(":{name}"));
                variables.push(json!({ "key": name, "value": format!("{{{{{name}}}}}") }));
            }
        }
    }
    json!({
        "raw": format!("{{{{baseUrl}}}}/{}", path.join("/")),
        "host": ["{{baseUrl}}"],
        "path": path,
        "variable": variables,
    })
}
