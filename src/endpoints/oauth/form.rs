//! Parameters in a body (RFC 6749 section 3.2).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use http::HeaderValue;

use super::super::Call;
use crate::model::{Reason, Refusal, quoted};

const TYPE: &str = "application/x-www-form-urlencoded";

/// What a form holds, each name once. May hold a token: it has no Debug.
pub struct Form(BTreeMap<String, String>);

/// No endpoint knows half as many.
const MOST_PARAMETERS: usize = 32;

impl Form {
    /// # Errors
    /// `oauth.request_invalid` for another kind of body, for a name that stands twice, and for parameters in the query,
    /// where they would get into logs.
    pub fn of(call: &Call) -> Result<Self, Refusal> {
        check_head(call.content_type.as_ref(), call.query.as_deref())?;
        Self::parse(&call.body)
    }

    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut parameters = BTreeMap::new();
        // Before anything is proved: nobody gets thousands of names sorted.
        if body.split(|b| *b == b'&').nth(MOST_PARAMETERS).is_some() {
            return Err(invalid("at most 32 parameters", "more"));
        }
        for (name, value) in form_urlencoded::parse(body) {
            match parameters.entry(name.into_owned()) {
                Entry::Vacant(new) => _ = new.insert(value.into_owned()),
                Entry::Occupied(known) => {
                    return Err(invalid("each parameter at most once", format!("{} twice", quoted(known.key()))));
                }
            }
        }
        Ok(Self(parameters))
    }

    /// One that is empty counts as left out (RFC 6749 section 3.2).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// # Errors
    /// `oauth.request_invalid`.
    pub fn require(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| invalid(name, "none"))
    }
}

/// Whether a form comes with the body, and nothing beside it.
///
/// # Errors
/// `oauth.request_invalid`.
pub fn check_head(content_type: Option<&HeaderValue>, query: Option<&str>) -> Result<(), Refusal> {
    if !content_type.is_some_and(is_form) {
        return Err(invalid("Content-Type: application/x-www-form-urlencoded", "another, or none"));
    }
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(invalid("all parameters in the body", "a query"));
    }
    Ok(())
}

fn is_form(content_type: &HeaderValue) -> bool {
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(TYPE)
}

fn invalid(expected: &'static str, found: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::OauthRequestInvalid).expected(expected).found(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(body: &str, name: &str) -> Option<String> {
        Form::parse(body.as_bytes()).ok()?.get(name).map(str::to_owned)
    }

    #[test]
    fn parameters_are_decoded_once() {
        assert_eq!(get("a=1&b=x%20y+z%2Bw", "b").as_deref(), Some("x y z+w"));
        assert_eq!(get("a=%2525", "a").as_deref(), Some("%25"));
        assert_eq!(get("scope=&a", "scope"), None, "empty is left out");
        assert_eq!(get("", "a"), None);
    }

    #[test]
    fn a_form_has_32_parameters_at_most() {
        let form = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(form(MOST_PARAMETERS).as_bytes()).is_ok());
        let refusal = Form::parse(form(MOST_PARAMETERS + 1).as_bytes()).err().unwrap();
        assert_eq!(refusal.reason, Reason::OauthRequestInvalid);
        assert!(Form::parse("&".repeat(60_000).as_bytes()).is_err());
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused_however_it_is_written() {
        for twice in ["a=1&a=1", "a=1&%61=2", "a=&a=1", "a&b=1&a"] {
            let refusal = Form::parse(twice.as_bytes()).err().unwrap();
            assert_eq!(refusal.reason, Reason::OauthRequestInvalid, "{twice}");
            assert!(!refusal.found.unwrap().contains('1'), "a value may be a secret");
        }
    }

    #[test]
    fn only_the_one_content_type_is_taken() {
        for (text, wanted) in [
            (TYPE, true),
            ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", true),
            ("application/json", false),
            ("application/x-www-form-urlencodedx", false),
            ("multipart/form-data; boundary=application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            assert_eq!(is_form(&HeaderValue::from_static(text)), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(written in prop::collection::btree_map(".{0,8}", ".{0,12}", 0..6)) {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&written).finish();
            let form = Form::parse(body.as_bytes()).ok().unwrap();
            prop_assert_eq!(&form.0, &written);
            for (name, value) in &written {
                prop_assert_eq!(form.get(name), Some(value.as_str()).filter(|value| !value.is_empty()));
            }
        }

        #[test]
        fn any_bytes_are_read_with_each_name_once_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let names: Vec<_> = form_urlencoded::parse(&body).map(|(name, _)| name).collect();
            let different: std::collections::BTreeSet<_> = names.iter().collect();
            prop_assert_eq!(Form::parse(&body).is_ok(), names.len() == different.len());
        }
    }
}
