//! Files that others read while they are replaced: whole at every moment, and never anybody else's to read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::jose::one_line;
use crate::secret::{Secret, random};

/// The longest token that a file may hold.
const MAX_TOKEN: u64 = 64 << 10;
/// Room that is kept on the disk for a token that is on its way.
const ROOM: usize = 16 << 10;

/// What a file or its folder did not let happen.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    what: &'static str,
    error: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path.display(), self.what, self.error)
    }
}

impl std::error::Error for FileError {}

/// The file that holds one token, as a line of text.
///
/// It is replaced by renaming a file that is written and synced beside it, so that a reader finds the old token or the
/// new one and nothing between, also after a power cut. Whoever replaces it by hand is heard at the next look.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text without white space at the ends; none where there is no file, or an empty one.
    ///
    /// # Errors
    /// When it can't be read, or holds more than any token.
    pub fn read(&self) -> Result<Option<Secret>, FileError> {
        let broken = |error| FileError { path: self.path.clone(), what: "can't be read", error };
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(broken)?,
        };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, MAX_TOKEN + 1), &mut bytes).map_err(broken)?;
        let text = Secret::new(bytes);
        if text.len() as u64 > MAX_TOKEN {
            return Err(broken(io::Error::other("it is too long for a token")));
        }
        let bare = text.expose().trim_ascii();
        if bare.is_empty() {
            return Ok(None);
        }
        let token = one_line(bare).map_err(|why| broken(io::Error::other(why)))?;
        Ok(Some(Secret::new(token)))
    }

    /// Whether others than its owner may read it now.
    pub fn is_open_to_others(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|meta| meta.mode() & 0o077 != 0)
    }

    /// Makes sure that a new token will find its place, before there is one.
    ///
    /// # Errors
    /// When a file can't be written in this folder.
    pub fn prepare(&self) -> Result<Replacement, FileError> {
        Replacement::prepare(&self.path, 0o600, ROOM)
    }
}

/// Puts a text in a file's place for everybody to read.
///
/// # Errors
/// When a file can't be written in this folder.
pub fn publish(path: &Path, text: &str) -> Result<(), FileError> {
    let mut replacement = Replacement::prepare(path, 0o644, 0)?;
    replacement.write(text.as_bytes())?;
    replacement.put()
}

/// A file that is to take another's place. Dropped, it is gone.
#[derive(Debug)]
pub struct Replacement {
    file: File,
    beside: PathBuf,
    target: PathBuf,
    is_put: bool,
}

impl Replacement {
    fn prepare(path: &Path, mode: u32, room: usize) -> Result<Self, FileError> {
        let broken = |error| FileError { path: path.to_owned(), what: "can't be replaced", error };
        // Where it is a link, what it leads to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = target.file_name().ok_or_else(|| broken(io::Error::other("it is no name of a file")))?;
        let number = random::<8>().map_err(|error| broken(io::Error::other(error)))?;
        let beside = format!(".{}.{:016x}.new", name.to_string_lossy(), u64::from_le_bytes(number));
        let beside = target.with_file_name(beside);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(broken)?;
        let mut replacement = Self { file, beside, target, is_put: false };
        if room > 0 {
            replacement.write(&vec![b' '; room])?;
        }
        Ok(replacement)
    }

    /// The token with a line break, on the disk when this returns.
    ///
    /// # Errors
    /// When the disk does not take it; it may be tried again.
    pub fn commit(&mut self, token: &Secret) -> Result<(), FileError> {
        let mut line = zeroize::Zeroizing::new(token.expose().to_vec());
        line.push(b'\n');
        self.write(&line)?;
        self.put()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let mut whole = || {
            self.file.seek(io::SeekFrom::Start(0))?;
            self.file.write_all(bytes)?;
            self.file.set_len(bytes.len() as u64)?;
            self.file.sync_all()
        };
        whole().map_err(|error| FileError { path: self.target.clone(), what: "can't be written", error })
    }

    fn put(&mut self) -> Result<(), FileError> {
        let broken = |error| FileError { path: self.target.clone(), what: "can't be replaced", error };
        fs::rename(&self.beside, &self.target).map_err(broken)?;
        self.is_put = true;
        let folder = self.target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The new name is in force already; only a power cut could still undo it.
        _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_put {
            _ = fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_token_is_kept_for_its_owner_alone_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("token"));
        assert_eq!(file.read().unwrap(), None);
        for token in ["first", "a longer second", "third"] {
            file.prepare().unwrap().commit(&Secret::new(token)).unwrap();
            assert_eq!(file.read().unwrap(), Some(Secret::new(token)));
            assert_eq!(fs::read_to_string(file.path()).unwrap(), format!("{token}\n"));
            assert!(!file.is_open_to_others() && names(folder.path()) == ["token"]);
        }
        drop(file.prepare().unwrap());
        assert_eq!(
            (names(folder.path()), file.read().unwrap()),
            (vec!["token".to_owned()], Some(Secret::new("third")))
        );
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file.is_open_to_others());
        file.prepare().unwrap().commit(&Secret::new("fourth")).unwrap();
        assert!(!file.is_open_to_others(), "what takes its place has a mode of its own");
    }

    #[test]
    fn a_file_on_its_way_is_nobody_elses_either() {
        let folder = tempfile::tempdir().unwrap();
        let _replacement = TokenFile::new(folder.path().join("token")).prepare().unwrap();
        let [name] = &names(folder.path())[..] else { panic!("not one file") };
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert!(name.starts_with(".token.") && mode & 0o777 == 0o600, "{name} {mode:o}");
    }

    #[test]
    fn what_a_link_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("real"), "old").unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        TokenFile::new(folder.path().join("link")).prepare().unwrap().commit(&Secret::new("new")).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("real")).unwrap(), "new\n");
        assert!(fs::symlink_metadata(folder.path().join("link")).unwrap().is_symlink());
    }

    #[test]
    fn what_can_not_be_kept_is_known_before_there_is_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let error = TokenFile::new(folder.path().join("missing/token")).prepare().unwrap_err();
        assert!(error.to_string().contains("can't be replaced"));
        fs::write(folder.path().join("long"), vec![b'x'; 65 << 10]).unwrap();
        assert!(TokenFile::new(folder.path().join("long")).read().is_err());
        assert!(TokenFile::new(folder.path()).read().is_err(), "a folder");
    }

    #[test]
    fn a_reader_never_sees_a_part_of_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("token"));
        let token = |n: usize| Secret::new(n.to_string().repeat(500));
        file.prepare().unwrap().commit(&token(1)).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (reader, stop) = (file.clone(), Arc::clone(&over));
        let reading = std::thread::spawn(move || {
            let mut reads = 0;
            while !stop.load(Ordering::Relaxed) || reads == 0 {
                let text = String::from_utf8(reader.read().unwrap().unwrap().expose().to_vec()).unwrap();
                let digit = &text[..1];
                assert_eq!(text, digit.repeat(500));
                reads += 1;
            }
        });
        for n in 0..100 {
            file.prepare().unwrap().commit(&token(n % 10)).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        reading.join().unwrap();
    }

    #[test]
    fn a_metrics_file_is_everybodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.prom");
        publish(&path, "a 1\n").unwrap();
        publish(&path, "a 2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a 2\n");
        assert_eq!(names(folder.path()), ["metrics.prom"]);
    }
}
