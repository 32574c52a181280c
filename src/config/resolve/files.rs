//! Warnings about the files that a configuration names: secrets that others may read, certificates that have ended.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::Parts;
use crate::clock::Timestamp;
use crate::config::exposure::exposure;
use crate::config::named_file::NamedFile;
use crate::config::source::Source;
use crate::jose::{Certificate, Content, Validity, without_mark};

impl Parts {
    pub(super) fn warn_of_files(&mut self, main: &Source, files: &[NamedFile], now: Timestamp) {
        let mut told = Vec::new();
        for NamedFile { path, keys, is_secret } in files {
            if told.contains(&path) {
                continue;
            }
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let bytes = if *is_secret { None } else { crate::files::read(path).ok() };
            let bytes = bytes.as_ref().map_or(&[][..], |bytes| bytes);
            // A file of certificates may hold their key, too.
            if let Some(why) = exposure(path).filter(|_| *is_secret || Content::of(bytes).is_private()) {
                told.push(path);
                let (why, help) = why.split_once(": ").map_or((why.as_str(), ""), |(why, command)| (why, command));
                let message = format!("{}: {}: {why}", keys.join("."), path.display());
                self.warning(main, &keys, message, help);
            }
            if let Some(why) = ended(bytes, now) {
                let message = format!("{}: {}: {why}", keys.join("."), path.display());
                self.warning(main, &keys, message, "put the renewed one in its place");
            }
        }
    }
}

/// What the first certificate of a file says of now.
fn ended(bytes: &[u8], now: Timestamp) -> Option<String> {
    let first = CertificateDer::from_pem_slice(without_mark(bytes)).ok()?;
    let (certificate, _) = Certificate::read(first.to_vec()).ok()?;
    match certificate.validity(now) {
        Validity::Good => None,
        Validity::Over(at) => Some(format!("the certificate ended at {at}")),
        Validity::NotYet(at) => Some(format!("the certificate begins at {at}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_has_ended_or_not_begun_is_told() {
        let bytes = include_bytes!("../../../tests/all/support/keys/rsa.crt");
        assert!(ended(bytes, Timestamp::from_secs(0)).unwrap().contains("the certificate begins at "));
        assert!(ended(bytes, Timestamp::from_secs(250_000_000_000)).unwrap().contains("the certificate ended at "));
        assert_eq!(ended(b"no certificate", Timestamp::from_secs(0)), None);
    }
}
