//! The files that a configuration names: certificates, keys, credentials.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{PemObject as _, SectionKind};
use zeroize::Zeroizing;

use super::connect::{Finding, Trial};
use crate::clock::Timestamp;
use crate::config::exposure;
use crate::jose::Certificate;

pub(super) async fn try_all(files: &[PathBuf], now: Timestamp) -> Vec<Trial> {
    let mut trials = Vec::new();
    for path in files {
        let check = if is_configuration(path) { "configuration" } else { "file" };
        let trying = async { look_at(path, now).unwrap_or_else(|error| Finding::failed(error.to_string())) };
        trials.push(Trial::of(check, path.display().to_string(), trying).await);
    }
    trials
}

fn is_configuration(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

fn look_at(path: &Path, now: Timestamp) -> io::Result<Finding> {
    let content = Zeroizing::new(fs::read(path)?);
    if is_configuration(path) {
        return Ok(Finding::good("readable"));
    }
    let sections: Vec<_> = <(SectionKind, Vec<u8>)>::pem_slice_iter(&content).map_while(Result::ok).collect();
    let certificates = sections.iter().filter(|(kind, _)| *kind == SectionKind::Certificate);
    let certificates: Vec<_> = certificates.map(|(_, der)| der).collect();
    let is_secret = certificates.len() < sections.len() || sections.is_empty();
    let found = match &certificates[..] {
        [] if sections.is_empty() && content.trim_ascii().is_empty() => Finding::failed("it is empty"),
        [] if sections.is_empty() => Finding::good("a credential"),
        [] => Finding::good("a private key"),
        all => of_certificates(all, now),
    };
    Ok(match exposure(path).filter(|_| is_secret) {
        Some(why) => found.and(&Finding::failed(why)),
        None => found,
    })
}

/// The first is the one that is shown or trusted first; the others are told of where they end.
fn of_certificates(all: &[&Vec<u8>], now: Timestamp) -> Finding {
    let judge = |der: &&Vec<u8>| match Certificate::read((*der).clone()) {
        Ok((certificate, _)) => Finding::of_certificate(&certificate, now),
        Err(error) => Finding::warning(error.to_string()),
    };
    let mut judged = all.iter().map(judge);
    let Some(first) = judged.next() else { return Finding::failed("it holds no certificate") };
    let worst = judged.filter(|finding| finding.outcome != super::connect::Outcome::Ok).map(|finding| {
        // Of several authorities one may have ended.
        Finding::warning(format!("of {} certificates one more: {}", all.len(), finding.detail))
    });
    worst.fold(first, |first, other| first.and(&other))
}
