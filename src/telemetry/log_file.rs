//! A file that lines are appended to, and that may be moved away while they are.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Others of the group may read it, such as a process that ships logs.
const MODE: u32 = 0o640;

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether the last writing broke off, perhaps in the middle of a line.
    is_torn: bool,
    is_failing: bool,
}

impl LogFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)?, is_torn: false, is_failing: false })
    }

    /// Appends lines, to a new file where the old one was moved away or deleted: whoever rotates it need not tell us.
    ///
    /// # Errors
    /// When the disk is full or fails; the lines are lost then. The next ones begin a line of their own.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.follow().and_then(|()| {
            let torn = std::mem::replace(&mut self.is_torn, true);
            if torn {
                self.file.write_all(b"\n")?;
            }
            self.file.write_all(lines)
        });
        self.is_torn &= written.is_err();
        self.tell(&written);
        written
    }

    fn follow(&mut self) -> io::Result<()> {
        let there = match std::fs::metadata(&self.path) {
            Ok(there) => Some(identity(&there)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if there != Some(identity(&self.file.metadata()?)) {
            self.file = open(&self.path)?;
            self.is_torn = false;
        }
        Ok(())
    }

    /// Once for a failure that lasts, and once when it is over.
    fn tell(&mut self, written: &io::Result<()>) {
        let path = self.path.display();
        match (written, std::mem::replace(&mut self.is_failing, written.is_err())) {
            (Err(error), false) => {
                tracing::error!(%path, %error, "the access log can't be written; its lines are lost");
            }
            (Ok(()), true) => tracing::info!(%path, "the access log is written again"),
            _ => {}
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

/// What tells a file from another one under the same name.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let mut log = LogFile::open(&path).unwrap();
        log.append(b"one\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        log.append(b"two\n").unwrap();
        log.append(b"three\n").unwrap();
        fs::remove_file(&path).unwrap();
        log.append(b"four\n").unwrap();
        assert_eq!((fs::read(&moved).unwrap(), fs::read(&path).unwrap()), (b"one\n".to_vec(), b"four\n".to_vec()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o640, 0);
    }

    #[test]
    fn a_file_that_was_cut_goes_on_at_its_new_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, "old\n").unwrap();
        let mut log = LogFile::open(&path).unwrap();
        log.append(b"one\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old\none\n");
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
    }

    #[test]
    fn a_folder_that_is_gone_loses_lines_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, away) = (folder.path().join("logs"), folder.path().join("away"));
        fs::create_dir(&inner).unwrap();
        let path = inner.join("access.log");
        let mut log = LogFile::open(&path).unwrap();
        fs::rename(&inner, &away).unwrap();
        assert!(log.append(b"lost\n").is_err());
        fs::rename(&away, &inner).unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
    }

    #[test]
    fn after_a_line_that_broke_off_comes_a_new_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = LogFile::open(&path).unwrap();
        log.append(b"half a li").unwrap();
        log.is_torn = true;
        log.append(b"whole\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"half a li\nwhole\n");
    }
}
