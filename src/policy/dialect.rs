//! Path syntax of other routers. Taken literally, `/items/:id` matches no request, and what the route should guard is open;
//! so it is refused, with the same path in our own syntax.

use super::pattern::Pattern;

/// A part of a path in the syntax of another router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    part: String,
    what: &'static str,
    /// The path as it is written here, where that can be told.
    write: Option<String>,
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { part, what, write } = self;
        write!(f, "{part:?} would be taken literally: {what}; ")?;
        match write {
            Some(path) => write!(f, "write {path:?}"),
            None => f.write_str("write {name} for one segment and {*name} for the rest"),
        }
    }
}

const PARAMETER: &str = "a parameter is a whole segment in braces, {name}";
const REST: &str = "the rest of a path is {*name}, at its end";
const BARE: &str = "a parameter is a name in braces, without a pattern, a type or a default: {name} for one segment, {*name} for the rest";
const REGEX: &str = "paths are no regular expressions";
const REFERENCE: &str = "what a path matched is named {name}";
const QUERY: &str = "a path has no query, no fragment and no optional part";
const ENCODED: &str = "paths are compared after percent-decoding, and literal parts are printable ASCII";

/// How one segment is written here, and why not as it is.
struct Translation {
    what: &'static str,
    write: Written,
}

enum Written {
    Param(String),
    Rest(String),
    Literal(String),
    Nothing,
}

/// The first part of a path that has the syntax of another router, if one has.
pub(super) fn foreign(text: &str) -> Option<Foreign> {
    let (prefix, path) = anchored(text);
    let segments = segments(path.strip_prefix('/').unwrap_or(path));
    let last = segments.len() - 1;
    let mut first = prefix.map(|(part, what)| (part.to_owned(), what));
    let mut write = String::new();
    for (i, segment) in segments.iter().enumerate() {
        let Some(Translation { what, write: written }) = translate(segment, i == last) else {
            write.push('/');
            write.push_str(segment);
            continue;
        };
        first = first.or_else(|| Some(((*segment).to_owned(), what)));
        match written {
            Written::Rest(name) if i == last => write.push_str(&format!("/{{*{name}}}")),
            Written::Param(name) | Written::Rest(name) => write.push_str(&format!("/{{{name}}}")),
            Written::Literal(text) => write.push_str(&format!("/{text}")),
            Written::Nothing => {}
        }
    }
    let (part, what) = first?;
    let write = if write.is_empty() { "/".to_owned() } else { write };
    let is_good = write.parse::<Pattern>().is_ok();
    Some(Foreign { part, what, write: is_good.then_some(write) })
}

type Prefix<'t> = Option<(&'t str, &'static str)>;

/// What stands before the path, and the path.
fn anchored(text: &str) -> (Prefix<'_>, &str) {
    if text.starts_with('/') {
        return (None, text);
    }
    if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) {
        let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
        return (Some((&text[..scheme.len() + 3], "a route names its hosts in hosts, and no scheme")), path);
    }
    let at = text.find('/').unwrap_or(text.len());
    let (prefix, path) = text.split_at(at);
    let what = match prefix.trim() {
        "" => return (None, text),
        "~" | "~*" | "^" | "~ ^" | "~* ^" | "~^" | "\\A" => REGEX,
        "=" | "^~" => "a path has no modifier: {*name} at its end makes it match what is below",
        method if method.bytes().all(|b| b.is_ascii_uppercase()) => "a route names its methods in methods",
        rule if rule.contains('(') => "a path is no rule or function: the path alone stands here",
        _ => return (None, text),
    };
    (Some((prefix, what)), path.trim_end_matches(['`', '\'', '"', ')']))
}

/// Split at slashes outside of brackets: a regular expression in braces may hold one.
fn segments(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in path.char_indices() {
        match c {
            '{' | '[' | '<' | '(' => depth += 1,
            '}' | ']' | '>' | ')' => depth -= 1,
            '/' if depth <= 0 => {
                parts.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&path[start..]);
    if depth == 0 { parts } else { path.split('/').collect() }
}

fn translate(segment: &str, is_last: bool) -> Option<Translation> {
    let found = |what, write| Some(Translation { what, write });
    let named = |text: &str| Written::Param(name_in(text).unwrap_or_else(|| "name".to_owned()));
    let rest = |text: &str| Written::Rest(name_in(text).unwrap_or_else(|| "rest".to_owned()));
    if segment.contains(['{', '}']) {
        return braces(segment);
    }
    if let Some(at) = segment.find("(/") {
        return found(QUERY, Written::Literal(segment[..at].to_owned()));
    }
    if let Some(colon) = colon(segment) {
        let after = &segment[colon + 1..];
        let is_rest =
            after.ends_with(['*', '+']) || after.contains("(.*)") || after.contains("(.+)") || after == "splat";
        return found(PARAMETER, if is_rest { rest(after) } else { named(after) });
    }
    if segment.contains(['<', '>']) {
        return found(PARAMETER, angles(segment));
    }
    if segment.contains('[') || segment.contains(']') {
        let inner = segment.trim_matches(['[', ']', '+', '*', '?']);
        return match inner.rsplit_once(':').map_or(inner, |(_, name)| name) {
            slug if slug.starts_with("...") => found(PARAMETER, rest(slug)),
            name if is_name(name) => found(PARAMETER, named(name)),
            _ => found(REGEX, Written::Param("name".to_owned())),
        };
    }
    if is_regex(segment) {
        let is_everything = [".*", ".+", "(.*)", "(.+)", ".*$", "(.*)$", "(.+)$", ".+$"].contains(&segment);
        let bare = segment.trim_end_matches('$');
        return match bare {
            "" => found(REGEX, Written::Nothing),
            _ if is_everything && is_last => found(REGEX, Written::Rest("rest".to_owned())),
            text if text.len() < segment.len() && translate(text, is_last).is_none() => {
                found(REGEX, Written::Literal(text.to_owned()))
            }
            _ => found(REGEX, Written::Param("name".to_owned())),
        };
    }
    if segment.contains('*') || segment == "..." {
        return found(REST, if is_last { rest(segment) } else { named(segment) });
    }
    if is_reference(segment) {
        return found(REFERENCE, named(segment.trim_start_matches('$')));
    }
    if let Some(at) = segment.find(['?', '#']) {
        let kept = &segment[..at];
        return found(QUERY, if kept.is_empty() { Written::Nothing } else { Written::Literal(kept.to_owned()) });
    }
    if segment.contains('%') || !segment.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
        return found(ENCODED, decoded(segment).map_or_else(|| Written::Param("name".to_owned()), Written::Literal));
    }
    None
}

/// `:name` at the beginning, or behind what is no letter and no digit: `things:run` is a literal.
fn colon(segment: &str) -> Option<usize> {
    let before = |at: usize| segment[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
    let after = |at: usize| segment[at + 1..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    segment.match_indices(':').map(|(at, _)| at).find(|at| before(*at) && (*at == 0 || after(*at)))
}

fn braces(segment: &str) -> Option<Translation> {
    let found = |what, write| Some(Translation { what, write });
    let inner = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
    let Some(inner) = inner else {
        let name = segment.split_once('{').and_then(|(_, inner)| name_in(inner));
        return found(PARAMETER, Written::Param(name.unwrap_or_else(|| "name".to_owned())));
    };
    if is_name(inner.strip_prefix('*').unwrap_or(inner)) {
        return None;
    }
    let inner = inner.trim_matches(['{', '}', ' ']);
    let (name, pattern) = inner.find([':', '=']).map_or((inner, ""), |at| (&inner[..at], &inner[at + 1..]));
    let is_rest = name.starts_with(['*', '+'])
        || name.ends_with(['*', '+'])
        || name.ends_with("...")
        || pattern.contains("**")
        || [".*", ".+", "path", "*path"].contains(&pattern);
    let kept: String = name.chars().map(|c| if c == '-' { '_' } else { c }).collect();
    match name_in(&kept) {
        None if inner == "$" => found("a path ends where it ends", Written::Nothing),
        name if is_rest => found(BARE, Written::Rest(name.unwrap_or_else(|| "rest".to_owned()))),
        name => found(BARE, Written::Param(name.unwrap_or_else(|| "name".to_owned()))),
    }
}

/// `<id>`, `<int:id>`, `<id:int>`, `<path:rest>`, `<rest..>`.
fn angles(segment: &str) -> Written {
    const TYPES: [&str; 9] = ["int", "string", "str", "float", "uuid", "slug", "any", "regex", "re"];
    let inner = segment.split_once('<').map_or(segment, |(_, inner)| inner);
    let inner = inner.split_once('>').map_or(inner, |(inner, _)| inner);
    let (one, other) = inner.split_once(':').unwrap_or((inner, ""));
    let is_type = |text: &str| TYPES.contains(&text.split('(').next().unwrap_or_default()) || text == "path";
    let name = name_in(if is_type(one) && !other.is_empty() { other } else { one });
    if inner.ends_with("..") || one == "path" && !other.is_empty() || other == "path" {
        return Written::Rest(name.unwrap_or_else(|| "rest".to_owned()));
    }
    Written::Param(name.unwrap_or_else(|| "name".to_owned()))
}

fn is_regex(segment: &str) -> bool {
    let is_group = segment.starts_with('(') && segment.contains(')');
    segment.contains(['\\', '^', '|', '`', '"'])
        || segment.ends_with('$')
        || is_group
        || ["(?", ".*", ".+", ")+", ")*", ")?"].iter().any(|part| segment.contains(part))
}

/// `$1`, `$uri`: `$metadata` is a literal of OData, and `$everything` one of FHIR.
fn is_reference(segment: &str) -> bool {
    const VARIABLES: [&str; 8] =
        ["$uri", "$request_uri", "$args", "$is_args", "$path", "$host", "$scheme", "$query_string"];
    let is_number = |at: usize| segment[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    VARIABLES.iter().any(|name| segment.contains(name)) || segment.match_indices('$').any(|(at, _)| is_number(at))
}

/// What a percent-encoding stands for, if that can stand in a path as it is.
fn decoded(segment: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        };
        text.push(Some(char::from(byte)).filter(|c| c.is_ascii_alphanumeric() || "-._~!&'()+,=@".contains(*c))?);
    }
    Some(text)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The first word in a text.
fn name_in(text: &str) -> Option<String> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word = text.split(|c: char| !is_letter(c)).find(|word| !word.is_empty())?;
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_of_other_routers_is_refused_with_the_same_path_in_ours() {
        for (text, write) in [
            ("/items/:id", "/items/{id}"),
            ("/:id", "/{id}"),
            ("/items/:id/parts/:part", "/items/{id}/parts/{part}"),
            ("/items/:id?", "/items/{id}"),
            (r"/items/:id(\d+)", "/items/{id}"),
            ("/items/:id.json", "/items/{id}"),
            ("/flights/:from-:to", "/flights/{from}"),
            ("/files/:path*", "/files/{*path}"),
            ("/files/:path(.*)", "/files/{*path}"),
            ("/files/:splat", "/files/{*splat}"),
            ("/items.:format", "/{format}"),
            ("/posts(/:id)", "/posts"),
            ("/admin/*", "/admin/{*rest}"),
            ("/admin/**", "/admin/{*rest}"),
            ("/admin/*path", "/admin/{*path}"),
            ("/admin*", "/{*admin}"),
            ("/*", "/{*rest}"),
            ("/*/settings", "/{name}/settings"),
            ("/a/**/b", "/a/{name}/b"),
            ("/x/<id>", "/x/{id}"),
            ("/x/<int:id>", "/x/{id}"),
            ("/x/<id:int>", "/x/{id}"),
            ("/x/<path:rest>", "/x/{*rest}"),
            ("/x/<rest..>", "/x/{*rest}"),
            ("/x/[id]", "/x/{id}"),
            ("/x/[...slug]", "/x/{*slug}"),
            ("/x/[[...slug]]", "/x/{*slug}"),
            ("/x/[i:id]", "/x/{id}"),
            ("/x/[0-9]+", "/x/{name}"),
            ("/x/{id:[0-9]+}", "/x/{id}"),
            ("/x/{id:[^/]+}/y", "/x/{id}/y"),
            ("/x/{id:int}", "/x/{id}"),
            ("/x/{id?}", "/x/{id}"),
            ("/x/{path...}", "/x/{*path}"),
            ("/x/{path:.*}", "/x/{*path}"),
            ("/x/{path:path}", "/x/{*path}"),
            ("/x/{**path}", "/x/{*path}"),
            ("/x/{proxy+}", "/x/{*proxy}"),
            ("/x/{+path}", "/x/{*path}"),
            ("/x/{*}", "/x/{*rest}"),
            ("/x/{name=things/*}", "/x/{name}"),
            ("/x/{{id}}", "/x/{id}"),
            ("/x/{user-id}", "/x/{user_id}"),
            ("/x/{id}.json", "/x/{id}"),
            ("/x/v{version}", "/x/{version}"),
            ("/x/${id}", "/x/{id}"),
            ("/x/{}", "/x/{name}"),
            ("/x/{$}", "/x"),
            ("/x$", "/x"),
            ("/x/$", "/x"),
            ("^/x", "/x"),
            ("^/x/(.*)$", "/x/{*rest}"),
            ("~ ^/x", "/x"),
            ("^~ /x", "/x"),
            ("= /x", "/x"),
            (r"/x/\d+", "/x/{name}"),
            (r"/x/\d+/y", "/x/{name}/y"),
            ("/x/.*", "/x/{*rest}"),
            ("/x/.+/y", "/x/{name}/y"),
            ("/(en|fr)/x", "/{name}/x"),
            ("/x/(?P<id>[a-z]+)", "/x/{id}"),
            ("/x/$1", "/x/{name}"),
            ("/x?y=1", "/x"),
            ("/x#y", "/x"),
            ("/x/...", "/x/{*rest}"),
            ("/%41/x", "/A/x"),
            ("/a%20b", "/{name}"),
            ("/a%2Fb", "/{name}"),
            ("/%zz", "/{name}"),
            ("/ä", "/{name}"),
            ("/a b", "/{name}"),
            ("GET /x", "/x"),
            ("https://bots.example.com/x", "/x"),
            ("PathPrefix(`/x`)", "/x"),
        ] {
            let found = foreign(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.write.as_deref(), Some(write), "{text}: {found}");
            assert!(text.parse::<Pattern>().unwrap_err().to_string().contains(write), "{text}");
        }
    }

    #[test]
    fn literals_of_real_apis_stay_literals() {
        for text in [
            "/",
            "/things:run",
            "/v1/things/{id}",
            "/Items(1)",
            "/$metadata",
            "/Patient/{id}/$everything",
            "/@scope/name",
            "/~user",
            "/a+b",
            "/c++",
            "/a,b=c",
            "/robots.txt",
            "/.well-known/x",
            "/{*rest}",
            "/a/",
        ] {
            assert_eq!(foreign(text), None, "{text}");
            assert!(text.parse::<Pattern>().is_ok(), "{text}");
        }
    }
}
