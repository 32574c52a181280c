//! Fields by which proxies in front of a gateway speak: of users and certificates that they checked, and of URLs that they changed.
//!
//! Upstreams that were built to stand behind such a proxy believe them. docs/operations.md lists them all.

use super::header_name::NameTable;

/// By these a server takes another URL, host, method or client address than those that were judged. They are dropped from
/// every client and proxy: the gateway sets its own.
const REDIRECTING: NameTable = NameTable {
    names: &[
        "cdn-src-ip",
        "client-ip",
        "forwarded-for",
        "front-end-https",
        "proxy-client-ip",
        "request-uri",
        "true-client-ip",
        "x-backend-host",
        "x-cdn-src-ip",
        "x-client-ip",
        "x-clientip",
        "x-cluster-client-ip",
        "x-custom-ip-authorization",
        "x-forward-for",
        "x-forwarded",
        "x-host",
        "x-http-destinationurl",
        "x-http-host-override",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-override-url",
        "x-proxy-url",
        "x-replaced-path",
        "x-request-uri",
        "x-scheme",
        "x-script-name",
        "x-sendfile-type",
        "x-source-ip",
        "x-url-scheme",
        "x-waws-unencoded-url",
    ],
    families: &[
        "http-",
        "wl-proxy-",
        "x-accel-",
        "x-envoy-original-",
        "x-original-",
        "x-originating-",
        "x-real-",
        "x-rewrite-",
    ],
};

/// By these proxies tell who the user is, which certificate the client has, or what else they alone know. They are dropped
/// unless a trusted proxy sends them.
const ASSERTING: NameTable = NameTable {
    names: &[
        "auth-user",
        "do-connecting-ip",
        "incap-client-ip",
        "proxy-user",
        "ssl-cert",
        "x-amzn-request-context",
        "x-anonymous-consumer",
        "x-auth-email",
        "x-auth-groups",
        "x-auth-name",
        "x-auth-roles",
        "x-auth-subject",
        "x-auth-user",
        "x-auth-userid",
        "x-auth-username",
        "x-client-cert",
        "x-client-certificate",
        "x-client-dn",
        "x-client-i-dn",
        "x-client-s-dn",
        "x-client-verify",
        "x-clientcert",
        "x-credential-identifier",
        "x-credential-username",
        "x-endpoint-api-userinfo",
        "x-incap-client-ip",
        "x-jwt-assertion",
        "x-proxy-user",
        "x-ssl",
        "x-sucuri-clientip",
        "x-userinfo",
    ],
    families: &[
        "akamai-",
        "cf-",
        "cloudfront-",
        "fastly-",
        "fly-",
        "iv-",
        "mellon-",
        "oidc-",
        "remote-",
        "shib-",
        "sm-",
        "ssl-client-",
        "tailscale-",
        "tls-client-",
        "x-akamai-",
        "x-amzn-mtls-",
        "x-amzn-oidc-",
        "x-amzn-tls-",
        "x-apigateway-",
        "x-appengine-",
        "x-arr-",
        "x-auth-request-",
        "x-authenticated-",
        "x-authentik-",
        "x-azure-",
        "x-cf-",
        "x-client-cert-",
        "x-consumer-",
        "x-envoy-",
        "x-goog-authenticated-",
        "x-goog-iap-",
        "x-ms-client-principal",
        "x-ms-token-",
        "x-mtls-",
        "x-nf-",
        "x-oidc-",
        "x-pomerium-",
        "x-remote-",
        "x-shib-",
        "x-ssl-",
        "x-tls-",
        "x-vercel-",
        "x-vouch-",
        "x-webauth-",
    ],
};

/// Whether a server could take another URL, host, method or address from the field than those that were judged.
pub fn is_redirecting(name: &str) -> bool {
    REDIRECTING.holds(name)
}

/// Whether upstreams believe the field since a proxy in front of them sets it.
pub fn is_asserting(name: &str) -> bool {
    ASSERTING.holds(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_their_order_and_no_family_hides_another() {
        for table in [&REDIRECTING, &ASSERTING] {
            assert!(table.names.is_sorted() && table.families.is_sorted());
            assert!(table.families.windows(2).all(|pair| !pair[1].starts_with(pair[0])));
            let all = table.names.iter().chain(table.families);
            let is_spelled =
                |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(all.into_iter().all(|name| is_spelled(name) && table.holds(name)));
        }
    }

    #[test]
    fn the_documents_list_every_name() {
        let documents = include_str!("../../docs/operations.md").to_lowercase();
        for table in [&REDIRECTING, &ASSERTING] {
            for name in table.names {
                assert!(documents.contains(&format!("`{name}`")), "{name}");
            }
            for family in table.families {
                assert!(documents.contains(&format!("`{family}…`")), "{family}");
            }
        }
    }

    #[test]
    fn what_clients_send_for_themselves_is_in_no_table() {
        for name in [
            "accept",
            "authorization",
            "auth",
            "content-type",
            "cookie",
            "etag",
            "if-match",
            "origin",
            "range",
            "referer",
            "sec-websocket-key",
            "traceparent",
            "user-agent",
            "x-amz-date",
            "x-api-key",
            "x-auth-token",
            "x-csrf-token",
            "x-goog-meta-a",
            "x-github-api-version",
            "x-ms-date",
            "x-requested-with",
            "x-user-id",
            "x-access-token",
        ] {
            assert!(!is_redirecting(name) && !is_asserting(name), "{name}");
        }
    }
}
