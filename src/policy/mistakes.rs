//! What claims look like that were not meant so: for whoever reads a token with no gateway at hand.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::jose::{kind_of, looks_like_a_duration, read_time};
use crate::model::Claims;

/// Claims by which platforms know an app.
const NAMES: [&str; 3] = ["iss", "appId", "client_id"];

/// What programs write where a variable is not set.
const UNSET: [&str; 5] = ["undefined", "null", "None", "nil", "NaN"];

/// The longest that an ICR app's token may be ahead of the gateway's clock, and what is too near to it.
const TEN_MINUTES: Duration = Duration::from_secs(600);
const NEARLY: Duration = Duration::from_secs(570);
/// Such a token says that it was made up to a minute ago.
const BACKDATED: Duration = Duration::from_secs(660);

/// What is likely wrong with these claims, most telling first: nothing here is certain.
pub fn likely_mistakes(claims: &Claims, now: Timestamp) -> Vec<String> {
    let mut found: Vec<_> = NAMES.iter().filter_map(|name| of_name(claims, name)).collect();
    let time = |name: &str| claims.get(name).and_then(|raw| read_time(raw).ok());
    let texts =
        ["exp", "iat", "nbf"].into_iter().filter(|name| claims.get(name).is_some_and(|raw| kind_of(raw) == "string"));
    found.extend(texts.map(|name| format!("{name} is a text: write the number without quotes.")));
    let (expires, issued) = (time("exp"), time("iat"));
    found.extend(issued.and_then(|issued| of_issue(issued, now)));
    // Ten minutes are the limit of gateways that know apps by `iss`.
    let of_app_token = issued.filter(|_| claims.get("iss").is_some());
    found.extend(expires.and_then(|expires| of_expiry(expires, of_app_token, now)));
    if claims.get("alg").is_some() {
        found.push("alg stands among the claims, where it says nothing: the algorithm is the header's.".to_owned());
    }
    found
}

/// A text that is no name of an app, shown with what can't be seen of it.
pub(super) fn of_name(claims: &Claims, name: &str) -> Option<String> {
    let text = claims.string(name)?;
    let is_stray = |c: char| !matches!(c, ' '..='~') || matches!(c, '"' | '\'');
    if text.trim().is_empty() {
        Some(format!("{name} is empty: the variable that should hold the app's id is not set."))
    } else if UNSET.contains(&text.as_str()) || text.starts_with('$') {
        Some(format!("{name} is {text:?}: the variable that should hold the app's id is not set."))
    } else if text.trim() != text || text.contains(is_stray) {
        // Escaped, since what is wrong with it can't be seen.
        let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
        Some(format!("{name} holds what belongs to no id: \"{shown}\"."))
    } else {
        None
    }
}

fn of_issue(issued: Timestamp, now: Timestamp) -> Option<String> {
    let ahead = now.until(issued);
    (!ahead.is_zero()).then(|| {
        format!("iat is {} s ahead of this machine's clock: the signer's clock is that fast.", ahead.as_secs().max(1))
    })
}

fn of_expiry(expires: Timestamp, issued: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let (ahead, ago) = (now.until(expires), expires.until(now));
    if looks_like_a_duration(expires) {
        Some("exp looks like a duration: write the time now in seconds since 1970, plus the lifetime.".to_owned())
    } else if !ago.is_zero() || ahead.is_zero() {
        Some(format!(
            "exp was {} s ago: if the token was made just now, the signer's clock is slow or its lifetime too short.",
            ago.as_secs()
        ))
    } else if is_near_ten_minutes(ahead, issued.map(|issued| issued.until(expires))) {
        Some(
            "exp is 10 minutes ahead or nearly so, which is all that an ICR gateway takes: where the signer's clock is a \
             second fast, it is too far in the future. Use 9 minutes."
                .to_owned(),
        )
    } else {
        None
    }
}

/// A token that was just made, or whose own times say that it was made so.
fn is_near_ten_minutes(ahead: Duration, life: Option<Duration>) -> bool {
    let is_so = |life| life > TEN_MINUTES || ahead > NEARLY;
    life.is_some_and(|life| life > NEARLY && life <= BACKDATED && is_so(life))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::{Part, read_object};

    const NOW: i64 = 1_795_348_800;

    fn mistakes(claims: &Value) -> String {
        let claims = read_object(Part::Payload, claims.to_string().into_bytes()).unwrap();
        likely_mistakes(&claims, Timestamp::from_secs(NOW)).join("\n")
    }

    #[test]
    fn claims_that_are_meant_so_are_no_mistakes() {
        for claims in [
            json!({ "iss": "123", "iat": NOW - 60, "exp": NOW + 540 }),
            json!({ "appId": "cs-1", "iat": NOW, "exp": NOW + 600 }),
            json!({ "iss": 123, "exp": NOW + 7_776_000 }),
            json!({ "iss": "https://login.example.com/", "exp": NOW + 1 }),
            json!({}),
        ] {
            assert_eq!(mistakes(&claims), "", "{claims}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (claims, wanted) in [
            (json!({ "exp": 540 }), "looks like a duration"),
            (json!({ "exp": (NOW + 60).to_string() }), "exp is a text"),
            (json!({ "iss": "1", "iat": NOW - 60, "exp": NOW + 600 }), "Use 9 minutes"),
            (json!({ "iss": "1", "iat": NOW, "exp": NOW + 600 }), "Use 9 minutes"),
            (json!({ "iat": NOW + 120, "exp": NOW + 660 }), "iat is 120 s ahead"),
            (json!({ "iat": NOW - 700, "exp": NOW - 160 }), "exp was 160 s ago"),
            (json!({ "exp": NOW }), "exp was 0 s ago"),
            (json!({ "iss": "" }), "iss is empty"),
            (json!({ "iss": "undefined" }), "iss is \"undefined\""),
            (json!({ "iss": "$APP_ID" }), "iss is \"$APP_ID\""),
            (json!({ "iss": "123\n" }), r#""123\n""#),
            (json!({ "iss": "12\u{200b}3" }), r#""12\u{200b}3""#),
            (json!({ "iss": "\"123\"" }), r#""\"123\"""#),
            (json!({ "appId": " cs-1" }), "appId holds"),
            (json!({ "alg": "RS256" }), "the header's"),
        ] {
            assert!(mistakes(&claims).contains(wanted), "{wanted:?} is not in {:?}", mistakes(&claims));
        }
    }

    proptest! {
        #[test]
        fn no_claim_makes_it_panic_or_reaches_a_terminal_unescaped(text in "\\PC*|.{0,20}", exp in any::<i64>(), iat in any::<f64>()) {
            let said = mistakes(&json!({ "iss": text, "exp": exp, "iat": iat, "nbf": text }));
            prop_assert!(!said.replace('\n', "").contains(char::is_control), "{said:?}");
        }
    }
}
