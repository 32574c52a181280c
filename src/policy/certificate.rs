//! The certificate that a client has to have.

use std::fmt;

use crate::model::{Reason, Refusal};

/// Which client certificates a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateRule {
    /// Any that is verified.
    Any,
    /// One that has any of these alternative names.
    Named(Vec<String>),
}

impl CertificateRule {
    /// Judges a client by the alternative names of its verified certificate, if it has one.
    ///
    /// # Errors
    /// `certificate.required` and `certificate.not_allowed`.
    pub fn check(&self, names: Option<&[String]>) -> Result<(), Refusal> {
        let Some(names) = names else {
            return Err(Refusal::new(Reason::CertificateRequired).expected(self.to_string()));
        };
        match self {
            Self::Any => Ok(()),
            Self::Named(wanted) if wanted.iter().any(|wanted| names.iter().any(|name| same(wanted, name))) => Ok(()),
            Self::Named(_) => {
                let found = if names.is_empty() { "a certificate without names".to_owned() } else { names.join(", ") };
                Err(Refusal::new(Reason::CertificateNotAllowed).expected(self.to_string()).found(found))
            }
        }
    }
}

impl fmt::Display for CertificateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("a verified client certificate"),
            Self::Named(names) => write!(f, "a client certificate for {}", names.join(" or ")),
        }
    }
}

/// URIs are compared exactly, host names and mail addresses without case.
fn same(one: &str, other: &str) -> bool {
    if one.contains(':') { one == other } else { one.eq_ignore_ascii_case(other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_names_is_enough_and_none_is_like_another() {
        let rule = CertificateRule::Named(vec!["ci.example.com".into(), "spiffe://example/ci".into()]);
        let reason = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            rule.check(Some(&names)).map_err(|refusal| refusal.reason)
        };
        assert_eq!(reason(&["other.example.com", "CI.example.com"]), Ok(()));
        assert_eq!(reason(&["spiffe://example/ci"]), Ok(()));
        for names in [&[][..], &["xci.example.com"], &["*.example.com"], &["spiffe://example/CI"]] {
            assert_eq!(reason(names), Err(Reason::CertificateNotAllowed), "{names:?}");
        }
        assert_eq!(rule.check(None).unwrap_err().reason, Reason::CertificateRequired);
        assert_eq!(CertificateRule::Any.check(Some(&[])), Ok(()));
    }
}
