//! Variables that a web build puts into what browsers download, and that hold what no browser may see.

use crate::secret::{Secret, may_be_secret};

/// By the build tools that do so with every variable of that prefix.
const PUBLIC_PREFIXES: [&str; 13] = [
    "NEXT_PUBLIC_",
    "VITE_",
    "REACT_APP_",
    "EXPO_PUBLIC_",
    "NUXT_PUBLIC_",
    "PUBLIC_",
    "GATSBY_",
    "VUE_APP_",
    "NG_APP_",
    "STORYBOOK_",
    "PLASMO_PUBLIC_",
    "SNOWPACK_PUBLIC_",
    "TARO_APP_",
];

/// Words in the names of what is secret.
const SECRET_WORDS: [&str; 5] = ["SECRET", "PRIVATE", "PASSWORD", "PASSWD", "TOKEN"];

/// A variable that ought not to be public. Its value is nowhere in this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Exposed {
    pub name: String,
    prefix: &'static str,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    PrivateKey,
    Token,
    InUse,
    Secret,
}

impl std::fmt::Display for Exposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.what {
            What::PrivateKey => "a private key",
            What::Token => "a token",
            What::InUse => "the secret that is used here",
            What::Secret => "what looks like a secret",
        };
        let bare = self.name.strip_prefix(self.prefix).filter(|rest| !rest.is_empty()).unwrap_or("SECRET");
        write!(
            f,
            "the variable {} holds {what}, and builds put every {}* variable into what browsers download: rename it, for \
             example to {bare}, and replace the secret if the site was ever built",
            self.name, self.prefix
        )
    }
}

/// The variables with a public prefix that hold a private key, a token, this secret, or by their name another secret.
pub(super) fn exposed<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    in_use: Option<&Secret>,
) -> Vec<Exposed> {
    let mut found: Vec<_> = variables.into_iter().filter_map(|(name, value)| judge(name, value, in_use)).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn judge(name: &str, value: &str, in_use: Option<&Secret>) -> Option<Exposed> {
    let upper = name.to_ascii_uppercase();
    let prefix = *PUBLIC_PREFIXES.iter().find(|prefix| upper.starts_with(**prefix))?;
    let value = value.trim().trim_matches(['"', '\'']);
    let is_in_use = |secret: &Secret| !secret.is_empty() && *secret == Secret::new(value);
    let says_secret =
        || SECRET_WORDS.iter().any(|word| upper.contains(word)) && may_be_secret(value) && !value.contains("://");
    let what = if value.contains("PRIVATE KEY-----") || is_private_jwk(value) {
        What::PrivateKey
    } else if in_use.is_some_and(is_in_use) {
        What::InUse
    } else if is_token(value) {
        What::Token
    } else if says_secret() {
        What::Secret
    } else {
        return None;
    };
    Some(Exposed { name: name.to_owned(), prefix, what })
}

fn is_private_jwk(value: &str) -> bool {
    let jwk = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value);
    jwk.is_ok_and(|jwk| jwk.contains_key("kty") && (jwk.contains_key("d") || jwk.contains_key("k")))
}

/// A compact JWS or JWE, or an installation token.
fn is_token(value: &str) -> bool {
    let is_base64url = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let dots = value.matches('.').count();
    let is_compact = value.starts_with("eyJ") && matches!(dots, 2 | 4) && value.chars().all(is_base64url);
    is_compact || value.starts_with("ghs_")
}

/// This process's variables, also of what is not UTF-8, as far as it can be read.
pub(super) fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// The variables of a `.env` file, as the usual loaders read them: `NAME=VALUE`, also after `export`; a value in quotes
/// may go over several lines.
pub(super) fn dotenv(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let entry = line.trim_start().strip_prefix("export ").unwrap_or(line).trim();
        rest = after;
        let Some((name, value)) = entry.split_once('=').filter(|_| !entry.starts_with('#')) else { continue };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        let value = match quote {
            Some(quote) if !value[1..].contains(quote) => {
                let (more, after) = rest.split_once(quote).unwrap_or((rest, ""));
                rest = after.split_once('\n').map_or("", |(_, after)| after);
                format!("{}\n{more}", &value[1..])
            }
            _ => value.to_owned(),
        };
        found.push((name.trim().to_owned(), value));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../tests/all/support/keys/rsa.pem");
    const PUBLIC: &str = include_str!("../../tests/all/support/keys/rsa.pub.pem");
    const SECRET: &str = "Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6hJ1pL5cX7dA8=";
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln";

    fn found(name: &str, value: &str) -> Option<What> {
        let in_use = Secret::new("a secret that is used");
        exposed([(name, value)], Some(&in_use)).first().map(|exposed| exposed.what)
    }

    #[test]
    fn f169_secrets_in_public_variables_are_found() {
        for prefix in PUBLIC_PREFIXES {
            assert_eq!(found(&format!("{prefix}KEY"), KEY), Some(What::PrivateKey), "{prefix}");
            assert_eq!(found(&format!("{prefix}KEY").to_lowercase(), KEY), Some(What::PrivateKey), "{prefix}");
        }
        assert_eq!(found("NEXT_PUBLIC_X", &KEY.replace('\n', "\\n")), Some(What::PrivateKey));
        assert_eq!(found("VITE_X", r#"{"kty":"RSA","d":"x"}"#), Some(What::PrivateKey));
        assert_eq!(found("VITE_X", TOKEN), Some(What::Token));
        assert_eq!(found("VITE_X", "ghs_16C7e42F292c6912E7710c838347Ae178B4a"), Some(What::Token));
        assert_eq!(found("VITE_X", "\"a secret that is used\""), Some(What::InUse));
        assert_eq!(found("VITE_CLIENT_SECRET", SECRET), Some(What::Secret));
    }

    #[test]
    fn what_may_be_public_is_left_alone() {
        for (name, value) in [
            ("NEXT_PUBLIC_APP_ID", "123456"),
            ("NEXT_PUBLIC_APP_ID", "cs-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90"),
            ("VITE_PUBLIC_KEY", PUBLIC),
            ("REACT_APP_URL", "https://api.example.com/with/a/rather/long/path"),
            ("VITE_TOKEN_URL", "https://login.example.com/oauth2/token"),
            ("PRIVATE_KEY", KEY),
            ("SCOPEGATE_SECRET", SECRET),
            ("MY_NEXT_PUBLIC_KEY", KEY),
            ("VITE_X", ""),
        ] {
            assert_eq!(found(name, value), None, "{name}");
        }
    }

    #[test]
    fn no_finding_shows_a_value() {
        for value in [KEY, SECRET, TOKEN] {
            let found = exposed([("VITE_SECRET", value)], None);
            assert!(!format!("{} {found:?}", found[0]).contains(&value[..12]));
            assert!(found[0].to_string().contains("VITE_SECRET") && found[0].to_string().contains("to SECRET,"));
        }
    }

    #[test]
    fn a_dotenv_file_is_read_as_its_loaders_do() {
        let text = format!("# VITE_NO={TOKEN}\nexport A=1\n\nB=\"{KEY}\" # why\nC = 'x'\nnonsense\nVITE_D=`open");
        let read = dotenv(&text);
        let names: Vec<_> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "B", "C", "VITE_D"]);
        assert!(read[1].1.contains("END PRIVATE KEY") || read[1].1.contains("END RSA PRIVATE KEY"));
        assert_eq!((read[0].1.as_str(), read[2].1.as_str()), ("1", "'x'"));
    }
}
