//! `methods` of a route. Methods are compared exactly (RFC 9110 section 9.1), so what means more than one elsewhere means none here.

use http::Method;

/// What is wrong, and what would be right.
type Fault = (String, Option<String>);

/// Those that are likely to be meant by what is nearly one of them.
const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// # Errors
/// When there is none, or one that no request could have.
pub(super) fn methods(names: &[String]) -> Result<Vec<Method>, Fault> {
    if names.is_empty() {
        return Err(("name at least one method, for example methods = [\"GET\"]".to_owned(), None));
    }
    names.iter().map(|name| method(name)).collect()
}

fn method(name: &str) -> Result<Method, Fault> {
    let wrong = |help: String| Err((format!("{name:?} is no method"), Some(help)));
    let upper = name.to_ascii_uppercase();
    if name == "*" || ["ANY", "ALL", "_"].contains(&upper.as_str()) {
        let all = USUAL.map(|one| format!("{one:?}")).join(", ");
        return wrong(format!("no word means all of them; name each: methods = [{all}]"));
    }
    let several: Vec<&str> = upper.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    if several.len() > 1 && several.iter().all(|one| USUAL.contains(one)) {
        let each = several.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
        return wrong(format!("write each for itself: methods = [{each}]"));
    }
    match name.parse::<Method>() {
        Ok(Method::CONNECT | Method::TRACE) => Err((format!("{name} is never taken"), None)),
        Ok(method) if name.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') => Ok(method),
        _ => {
            let near = USUAL.contains(&upper.as_str()).then(|| format!("write {upper:?}"));
            wrong(near.unwrap_or_else(|| "methods are compared exactly; write GET, POST, …".to_owned()))
        }
    }
}

/// A usual method that a name is probably meant to be: one letter apart, or two that changed places.
pub(super) fn meant(method: &Method) -> Option<&'static str> {
    let name = method.as_str();
    let is_near = |usual: &&&str| strsim::damerau_levenshtein(name, usual) == 1;
    USUAL.iter().find(|usual| **usual == name).map_or_else(|| USUAL.iter().find(is_near).copied(), |_| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_several_methods_elsewhere_is_refused_with_each_named() {
        let error = |name: &str| {
            let (message, help) = methods(&[name.to_owned()]).unwrap_err();
            format!("{message}; {}", help.unwrap_or_default())
        };
        for name in ["*", "ANY", "any", "ALL", "_"] {
            assert!(error(name).contains("name each: methods = [\"GET\", \"HEAD\""), "{name}");
        }
        for name in ["GET,POST", "GET|POST", "GET POST", "get/post"] {
            assert!(error(name).ends_with("methods = [\"GET\", \"POST\"]"), "{name}: {}", error(name));
        }
        for name in ["get", "Post"] {
            assert!(error(name).contains(&format!("write {:?}", name.to_ascii_uppercase())), "{name}");
        }
        for name in ["", "[A-Z]+", "!GET", "GET2 ", "CONNECT", "TRACE", ":method", "{method}"] {
            error(name);
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_told_from_a_method_of_its_own() {
        let meant = |name: &str| super::meant(&name.parse().unwrap());
        assert_eq!((meant("GTE"), meant("PSOT"), meant("DELET")), (Some("GET"), Some("POST"), Some("DELETE")));
        assert_eq!((meant("GET"), meant("PURGE"), meant("PROPFIND"), meant("QUERY")), (None, None, None, None));
    }
}
