//! The file with the master key: made once, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::error::KeyFileError;
use crate::files;
use crate::secret::Secret;

const KEY_LEN: usize = 32;
/// More than any key file has.
const MAX_FILE: u64 = 1024;

/// The key in the file; none where there is no file.
///
/// # Errors
/// When others may read the file, or it holds something else.
pub fn read(path: &Path) -> Result<Option<Secret>, KeyFileError> {
    let broken = |source| KeyFileError::Io { path: path.into(), source };
    let file = match files::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    let mode = file.metadata().map_err(broken)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(64));
    file.take(MAX_FILE).read_to_end(&mut text).map_err(broken)?;
    match STANDARD.decode(text.trim_ascii()) {
        Ok(key) if key.len() == KEY_LEN => Ok(Some(Secret::new(key))),
        _ => Err(KeyFileError::Malformed(path.into())),
    }
}

/// Makes the file unless it is there by now, and reads it: processes that start at once agree on one key.
///
/// # Errors
/// When the folder can't be written to, or takes no hard links.
pub fn make(path: &Path) -> Result<Secret, KeyFileError> {
    let broken = |source| KeyFileError::Io { path: path.into(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(broken)?;
    let draft = folder.join(draft_name()?);
    let linked = write_new(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let removed = fs::remove_file(&draft);
    linked.and(removed).and_then(|()| File::open(folder)?.sync_all()).map_err(broken)?;
    read(path)?.ok_or_else(|| broken(io::ErrorKind::NotFound.into()))
}

fn draft_name() -> Result<PathBuf, KeyFileError> {
    let mut suffix = [0; 12];
    rand::fill(&mut suffix).map_err(|_| KeyFileError::Crypto)?;
    Ok(format!(".master.key.{}", URL_SAFE_NO_PAD.encode(suffix)).into())
}

fn write_new(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    rand::fill(&mut *key).map_err(|_| io::Error::other("the system gives no randomness"))?;
    let text = Zeroizing::new(STANDARD.encode(*key));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    fn folder_and_key() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys").join("master.key");
        (folder, path)
    }

    #[test]
    fn a_new_key_file_belongs_to_its_owner_alone_and_leaves_no_draft() {
        let (_folder, path) = folder_and_key();
        assert_eq!(read(&path).unwrap(), None);
        let key = make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(read(&path).unwrap(), Some(key));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_key() {
        let (_folder, path) = folder_and_key();
        let barrier = Barrier::new(8);
        let keys: Vec<_> = thread::scope(|scope| {
            let start = || {
                barrier.wait();
                make(&path).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        let (_folder, path) = folder_and_key();
        make(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused_without_showing_what_it_holds() {
        let (_folder, path) = folder_and_key();
        make(&path).unwrap();
        for text in ["", "hunter2", "aHVudGVyMg==", &STANDARD.encode([7; 33])] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Malformed(_)), "{error:?}");
            assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("aHV"), "{error}");
        }
    }
}
