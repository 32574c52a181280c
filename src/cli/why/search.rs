//! Finds a call in access logs of any size: files from their end, standard input as it comes.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Failure;
use crate::model::printable_json;
use crate::telemetry::LoggedCall;

/// How much of a file is read at once.
const BLOCK: u64 = 256 << 10;
/// No line of an access log is longer; what is, is not looked at.
const MAX_LINE: usize = 1 << 20;
/// How many calls with the same beginning are told.
const MAX_TOLD: usize = 5;

const MAX_ID: usize = 64;
const FEWEST: usize = 8;

/// A request id, or how it begins.
#[derive(Clone, Debug)]
pub(super) struct Wanted(String);

impl FromStr for Wanted {
    type Err = String;

    /// Takes also what stands around an id where it is copied from: `x-request-id: …`, `"request_id":"…"`.
    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.rsplit([':', '=']).next().unwrap_or_default();
        let id = id.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}'));
        let is_plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let is_id = (FEWEST..=MAX_ID).contains(&id.len()) && is_plain;
        // Ours are in lower case, however they are copied.
        let is_ours = id.bytes().all(|b| b.is_ascii_hexdigit());
        is_id.then(|| Self(if is_ours { id.to_ascii_lowercase() } else { id.to_owned() })).ok_or_else(|| {
            format!("a request id has 32 hexadecimal digits, or is what a trusted proxy made; its first {FEWEST} characters may be enough")
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a search gave.
pub(super) enum Found {
    One(Box<LoggedCall>),
    /// The ids of some calls that begin alike.
    Several(Vec<String>),
    Nothing,
}

/// Files of the access log, newest first.
pub(super) struct Logs(Vec<PathBuf>);

impl Logs {
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self(files)
    }

    /// # Errors
    /// When a file can't be read.
    pub fn find(&self, wanted: &Wanted) -> Result<Found, Failure> {
        let mut found: Option<Box<LoggedCall>> = None;
        let mut others = BTreeSet::new();
        self.visit(&wanted.0, |call| {
            if !call.request_id.starts_with(&wanted.0) {
                return Visit::GoOn;
            }
            let is_whole = call.request_id == wanted.0;
            match &found {
                Some(first) if first.request_id != call.request_id => _ = others.insert(call.request_id),
                Some(_) => {}
                None => found = Some(Box::new(call)),
            }
            // Only what is no whole id may be that of another call, too.
            if is_whole || others.len() >= MAX_TOLD { Visit::Stop } else { Visit::GoOn }
        })?;
        Ok(match found {
            None => Found::Nothing,
            Some(call) if others.is_empty() => Found::One(call),
            Some(call) => Found::Several([call.request_id].into_iter().chain(others).collect()),
        })
    }

    /// The call that used up the jti of one that was refused for using it again.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn first_use(&self, call: &LoggedCall) -> Result<Option<LoggedCall>, Failure> {
        let Some(jti) = call.jti.as_deref().filter(|_| call.reason.as_deref() == Some("token.replayed")) else {
            return Ok(None);
        };
        // As it stands in the line.
        let quoted = serde_json::to_string(jti)?;
        let quoted = printable_json(&quoted);
        let mut first = None;
        self.visit(&quoted, |other| {
            let is_use = other.jti == call.jti && other.app == call.app && other.upstream.is_some();
            if !is_use || other.request_id == call.request_id {
                return Visit::GoOn;
            }
            first = Some(other);
            Visit::Stop
        })?;
        Ok(first)
    }

    /// Shows the lines that hold a text, newest first, until it is enough.
    fn visit(&self, text: &str, mut show: impl FnMut(LoggedCall) -> Visit) -> Result<(), Failure> {
        let mut look = |line: &[u8]| {
            let line = std::str::from_utf8(line).ok().filter(|line| line.contains(text));
            // What is no line of ours, or half of one, is passed over.
            line.and_then(|line| LoggedCall::read(line).ok()).map_or(Visit::GoOn, &mut show)
        };
        for path in &self.0 {
            let visited =
                if path.as_os_str() == "-" { forwards(io::stdin().lock(), &mut look) } else { file(path, &mut look) };
            match visited {
                Ok(Visit::Stop) => return Ok(()),
                Ok(Visit::GoOn) => {}
                Err(error) => return Err(Failure::new(format!("{}: {error}", path.display()))),
            }
        }
        Ok(())
    }
}

/// Where the search was, and where it was not.
impl fmt::Display for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|path| path.display().to_string()).collect();
        f.write_str(&names.join(", "))?;
        let mut rotated: Vec<_> =
            self.0.iter().flat_map(|path| rotated(path)).filter(|p| !self.0.contains(p)).collect();
        rotated.sort();
        if !rotated.is_empty() {
            let names: Vec<_> = rotated.iter().map(|path| path.display().to_string()).collect();
            write!(f, "; there is also {}: read it with --log", names.join(", "))?;
        }
        Ok(())
    }
}

/// Files beside a log that have its name and something after it.
fn rotated(log: &Path) -> Vec<PathBuf> {
    let Some(name) = log.file_name().map(|name| format!("{}.", name.to_string_lossy())) else { return Vec::new() };
    let folder = log.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).filter(|n| n.to_string_lossy().starts_with(&name));
    names.map(|name| log.with_file_name(name)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    GoOn,
    Stop,
}

type Look<'a> = &'a mut dyn FnMut(&[u8]) -> Visit;

fn file(path: &Path, look: Look<'_>) -> io::Result<Visit> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::other("is a folder"));
    }
    if !metadata.is_file() {
        return forwards(BufReader::new(file), look);
    }
    let mut magic = [0; 2];
    if metadata.len() > 1 && file.read_exact_at(&mut magic, 0).is_ok() && magic == [0x1f, 0x8b] {
        return Err(io::Error::other("is compressed; pipe it in: zcat FILE | scopegate why REQUEST_ID --log -"));
    }
    backwards(&file, metadata.len(), look)
}

/// Lines as they come. One that is too long comes in pieces.
fn forwards(mut source: impl io::BufRead, look: Look<'_>) -> io::Result<Visit> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let limited = source.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        if limited == 0 {
            return Ok(Visit::GoOn);
        }
        if look(line.trim_ascii_end()) == Visit::Stop {
            return Ok(Visit::Stop);
        }
    }
}

/// Lines from the last to the first: what is asked about is mostly what was just seen.
fn backwards(file: &File, length: u64, look: Look<'_>) -> io::Result<Visit> {
    // Where the part that was read begins in the file; its first line may begin before it.
    let (mut at, mut read) = (length, Vec::new());
    loop {
        while let Some(end) = read.iter().rposition(|byte| *byte == b'\n') {
            if look(&read[end + 1..]) == Visit::Stop {
                return Ok(Visit::Stop);
            }
            read.truncate(end);
        }
        if at == 0 {
            return Ok(look(&read));
        }
        if read.len() > MAX_LINE {
            read.clear();
        }
        let size = at.min(BLOCK);
        at -= size;
        let mut block = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut block, at)?;
        block.append(&mut read);
        read = block;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines_of(bytes: &[u8], read: impl Fn(&[u8], Look<'_>) -> io::Result<Visit>) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let visit = read(bytes, &mut |line| {
            if !line.is_empty() {
                lines.push(line.to_vec());
            }
            Visit::GoOn
        });
        assert!(visit.unwrap() == Visit::GoOn);
        lines
    }

    fn of_file(bytes: &[u8]) -> Vec<Vec<u8>> {
        lines_of(bytes, |bytes, look| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            backwards(&file, bytes.len() as u64, look)
        })
    }

    #[test]
    fn a_file_is_read_line_by_line_from_its_end() {
        let long = "x".repeat(700_000);
        for text in ["", "\n", "a", "a\n", "a\nb\n\nc", &format!("a\n{long}\nb\n{long}"), &format!("{long}\n{long}\n")]
        {
            let mut wanted: Vec<_> = text.lines().filter(|l| !l.is_empty()).map(|l| l.as_bytes().to_vec()).collect();
            assert_eq!(lines_of(text.as_bytes(), |bytes, look| forwards(bytes, look)), wanted);
            wanted.reverse();
            assert_eq!(of_file(text.as_bytes()), wanted);
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let text = format!("first\n{}\nlast\n", "x".repeat(10 << 20));
        let lines = of_file(text.as_bytes());
        assert_eq!(
            (lines.first().unwrap().as_slice(), lines.last().unwrap().as_slice()),
            (&b"last"[..], &b"first"[..])
        );
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE + 512 * 1024));
    }

    #[test]
    fn an_id_is_taken_as_it_is_copied() {
        let id = "bf412e9e47de1a9ba579631a00000001";
        for text in [id, &format!("x-request-id: {id}\r\n"), &format!("\"request_id\":\"{id}\","), &id.to_uppercase()] {
            assert_eq!(text.parse::<Wanted>().unwrap().0, id);
        }
        assert_eq!("bf412e9e".parse::<Wanted>().unwrap().0, "bf412e9e");
        assert_eq!("8F1C2E34-aaaa".parse::<Wanted>().unwrap().0, "8F1C2E34-aaaa");
        for text in ["", "bf412e9", &"f".repeat(65), "../etc/passwd"] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }
}
