//! `proxy.tls`: certificates, and whose certificates are asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::named_file::NamedFile;
use crate::net::{CertificateFiles, ClientAuthority, ServerTls, TlsFiles};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    client_auth: Option<ClientAuthKey>,
    /// Served to clients that name one of their hosts.
    #[serde(default)]
    certs: Vec<CertSection>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertSection {
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClientAuthKey {
    Required,
    Optional,
}

impl TlsSection {
    /// Certificates and keys.
    pub fn named_files(&self) -> Vec<NamedFile> {
        let of = |path: &Path, key, is_secret| NamedFile::new(path, &["proxy", "tls", key], is_secret);
        let mut files = vec![of(&self.cert, "cert", false), of(&self.key, "key", true)];
        files.extend(self.client_ca.iter().map(|ca| of(ca, "client_ca", false)));
        files.extend(self.certs.iter().flat_map(|c| [of(&c.cert, "certs", false), of(&c.key, "certs", true)]));
        files
    }

    /// The files are those to be followed, also where they give no TLS.
    pub fn resolve(&self, files: &mut Vec<PathBuf>) -> Result<Arc<ServerTls>, String> {
        files.extend([&self.cert, &self.key].into_iter().chain(&self.client_ca).cloned());
        files.extend(self.certs.iter().flat_map(|more| [more.cert.clone(), more.key.clone()]));
        let clients = match (&self.client_ca, self.client_auth) {
            (Some(ca), auth) => {
                Some(ClientAuthority { ca: ca.clone(), is_required: auth != Some(ClientAuthKey::Optional) })
            }
            (None, None) => None,
            (None, Some(_)) => {
                return Err("client_auth without client_ca: by whom would certificates be issued?".into());
            }
        };
        let first = CertificateFiles { cert: self.cert.clone(), key: self.key.clone() };
        let others = self.certs.iter().map(|c| CertificateFiles { cert: c.cert.clone(), key: c.key.clone() });
        let files = TlsFiles { first, others: others.collect(), clients };
        ServerTls::read(&files).map(Arc::new).map_err(|error| error.to_string())
    }
}
