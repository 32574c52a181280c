//! Files of configuration: read whole, and only where they are regular ones, so that a FIFO or a device can't keep the
//! reader for ever; and what tells a file from another one under the same name.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// More than any file of a configuration has; a registry of 100,000 apps has a tenth of it.
const MAX_LEN: u64 = 1 << 30;

/// Reads a regular file.
///
/// # Errors
/// Where it is something else, has more than 1 GiB, or can't be read.
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = open(path)?;
    let mut content = Zeroizing::new(Vec::new());
    if file.take(MAX_LEN + 1).read_to_end(&mut content)? as u64 > MAX_LEN {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "has more than 1 GiB"));
    }
    Ok(content)
}

/// Reads a regular file of text.
///
/// # Errors
/// As [`read`], and where it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let content = read(path)?;
    std::str::from_utf8(&content).map(str::to_owned).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Opens a regular file to read. Opening never waits for the other end of a FIFO.
///
/// # Errors
/// Where it is something else, or can't be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

fn check_regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
    } else if kind.is_fifo() {
        "is a FIFO"
    } else if kind.is_socket() {
        "is a socket"
    } else {
        "is a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{what}; only a regular file is read here")))
}

/// What tells a file from another one that takes its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of the file which has the name now; none where there is none.
    ///
    /// # Errors
    /// When that can't be known.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        match path.metadata() {
            Ok(metadata) => Ok(Some(Self { device: metadata.dev(), inode: metadata.ino() })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Files that are open, by what they were when they were opened.
#[derive(Debug)]
pub struct OpenFiles(Vec<(PathBuf, Option<FileId>)>);

/// A file that was open is no longer found under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    Deleted(PathBuf),
    Replaced(PathBuf),
}

impl OpenFiles {
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path, None)).collect())
    }

    /// What became of the files since they were seen first. A file that comes later counts from then on.
    ///
    /// # Errors
    /// When that can't be known.
    pub fn check(&mut self) -> io::Result<Option<Moved>> {
        for (path, opened) in &mut self.0 {
            let now = FileId::of(path)?;
            match (&opened, now) {
                (None, now) => *opened = now,
                (Some(_), None) => return Ok(Some(Moved::Deleted(path.clone()))),
                (Some(before), Some(now)) if *before != now => return Ok(Some(Moved::Replaced(path.clone()))),
                (Some(_), Some(_)) => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_none_keeps_the_reader() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("text"), "text").unwrap();
        assert_eq!(read_text(&at("text")).unwrap(), "text");
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("fifo", at("link")).unwrap();
        for (path, what) in [
            (at("fifo"), "is a FIFO"),
            (at("link"), "is a FIFO"),
            (folder.path().into(), "is a directory"),
            ("/dev/zero".into(), "is a device"),
        ] {
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(what), "{}: {error}", path.display());
        }
        assert!(read(&at("socket")).is_err() && read(&at("absent")).is_err());
        fs::write(at("text"), [0xff]).unwrap();
        assert_eq!(read_text(&at("text")).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn open_files_that_are_deleted_or_replaced_are_noticed_until_they_are_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("one"), "1").unwrap();
        let mut files = OpenFiles::new([at("one"), at("log")]);
        assert_eq!(files.check().unwrap(), None);
        fs::write(at("log"), "").unwrap();
        assert_eq!(files.check().unwrap(), None, "it came later");
        fs::write(at("one"), "written in place").unwrap();
        assert_eq!(files.check().unwrap(), None);
        fs::rename(at("one"), at("aside")).unwrap();
        assert_eq!(files.check().unwrap(), Some(Moved::Deleted(at("one"))));
        fs::write(at("one"), "another").unwrap();
        assert_eq!(files.check().unwrap(), Some(Moved::Replaced(at("one"))));
        fs::rename(at("aside"), at("one")).unwrap();
        assert_eq!(files.check().unwrap(), None);
        fs::remove_file(at("log")).unwrap();
        assert_eq!(files.check().unwrap(), Some(Moved::Deleted(at("log"))));
    }
}
