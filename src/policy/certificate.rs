//! The certificate that a client has to have.

use std::fmt;

use crate::model::{AlternativeName, Reason, Refusal};

/// Which client certificates a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateRule {
    /// Any that is verified.
    Any,
    /// One that has any of these alternative names.
    Named(Vec<AlternativeName>),
}

impl CertificateRule {
    /// Judges a client by the alternative names of its verified certificate, if it has one.
    ///
    /// # Errors
    /// `certificate.required` and `certificate.not_allowed`.
    pub fn check(&self, names: Option<&[AlternativeName]>) -> Result<(), Refusal> {
        let Some(names) = names else {
            return Err(Refusal::new(Reason::CertificateRequired).expected(self.to_string()));
        };
        match self {
            Self::Any => Ok(()),
            Self::Named(wanted) if wanted.iter().any(|wanted| names.contains(wanted)) => Ok(()),
            Self::Named(_) => {
                let found =
                    if names.is_empty() { "a certificate without names".to_owned() } else { joined(names, ", ") };
                Err(Refusal::new(Reason::CertificateNotAllowed).expected(self.to_string()).found(found))
            }
        }
    }
}

impl fmt::Display for CertificateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("a verified client certificate"),
            Self::Named(names) => write!(f, "a client certificate for {}", joined(names, " or ")),
        }
    }
}

fn joined(names: &[AlternativeName], separator: &str) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> AlternativeName {
        AlternativeName::Dns(name.into())
    }

    fn uri(name: &str) -> AlternativeName {
        AlternativeName::Uri(name.into())
    }

    fn mail(name: &str) -> AlternativeName {
        AlternativeName::Mail(name.into())
    }

    #[test]
    fn one_of_the_names_is_enough_and_none_is_like_another() {
        let rule =
            CertificateRule::Named(vec![dns("ci.example.com"), uri("spiffe://example/ci"), mail("ci@example.com")]);
        let reason = |names: &[AlternativeName]| rule.check(Some(names)).map_err(|refusal| refusal.reason);
        assert_eq!(reason(&[dns("other.example.com"), dns("CI.example.com")]), Ok(()));
        assert_eq!(reason(&[uri("spiffe://example/ci")]), Ok(()));
        assert_eq!(reason(&[mail("CI@example.com")]), Ok(()));
        for names in [&[][..], &[dns("xci.example.com")], &[dns("*.example.com")], &[uri("spiffe://example/CI")]] {
            assert_eq!(reason(names), Err(Reason::CertificateNotAllowed), "{names:?}");
        }
        assert_eq!(rule.check(None).unwrap_err().reason, Reason::CertificateRequired);
        assert_eq!(CertificateRule::Any.check(Some(&[])), Ok(()));
    }

    #[test]
    fn a_name_of_another_kind_is_another_name() {
        let rule =
            CertificateRule::Named(vec![dns("ci.example.com"), uri("spiffe://example/ci"), mail("ci@example.com")]);
        for names in [
            [dns("spiffe://example/ci"), dns("ci@example.com")],
            [uri("ci.example.com"), uri("ci@example.com")],
            [mail("ci.example.com"), mail("spiffe://example/ci")],
        ] {
            let refusal = rule.check(Some(&names)).unwrap_err();
            assert_eq!(refusal.reason, Reason::CertificateNotAllowed, "{names:?}");
            assert_eq!(refusal.found, Some(joined(&names, ", ").into()));
        }
    }
}
