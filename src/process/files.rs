//! Follows the files of a configuration by what they are: a file that is replaced by a rename, or whose folder is
//! replaced behind a symlink, as Kubernetes does it, is another file under the same name.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often files are looked at.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Files that change at every look are taken as they are after so many.
const PATIENCE: u32 = 3;
/// What was bad is read again after so many looks: a file that was missing may be one that nobody could follow.
const ANOTHER_TRY: u32 = 5;

/// What tells a file from what it was; none where it is not there.
pub(super) type Identity = Option<[i64; 6]>;

/// Files as they are at a moment.
pub(super) type Look = Vec<(PathBuf, Identity)>;

/// Whether files have changed and come to rest.
pub(super) struct Watch {
    in_force: Look,
    seen: Look,
    restless: u32,
    /// Looks since the files in force turned out to be no good.
    faulty: Option<u32>,
}

impl Watch {
    pub fn new(now: Look) -> Self {
        Self { in_force: now.clone(), seen: now, restless: 0, faulty: None }
    }

    /// Whether it is time to read the files, as they are now. A program that writes them in place gets a second for it.
    pub fn is_time(&mut self, now: Look) -> bool {
        let is_settled = now == self.seen;
        self.seen = now;
        if self.seen == self.in_force {
            self.restless = 0;
            let Some(looks) = &mut self.faulty else { return false };
            *looks += 1;
            return *looks % ANOTHER_TRY == 0;
        }
        self.restless += 1;
        is_settled || self.restless > PATIENCE
    }

    /// The files were read as they were seen last, or later.
    pub fn took(&mut self, was_good: bool) {
        self.in_force.clone_from(&self.seen);
        self.restless = 0;
        self.faulty = if was_good { None } else { self.faulty.or(Some(0)) };
    }

    /// The list of files may have changed with them: files that were not on it are taken as they are now.
    pub fn follow(&mut self, now: Look) {
        let known = |path: &Path| self.seen.iter().find(|(seen, _)| seen == path).cloned();
        let list: Look = now.into_iter().map(|file| known(&file.0).unwrap_or(file)).collect();
        self.in_force.clone_from(&list);
        self.seen = list;
    }
}

/// Looks at files; it takes as long as their file system does.
pub(super) fn look(files: &[PathBuf]) -> Look {
    files.iter().map(|path| (path.clone(), identity(path))).collect()
}

fn identity(path: &Path) -> Identity {
    let metadata = path.metadata().ok()?;
    let number = |number: u64| number.cast_signed();
    let (device, inode, size) = (number(metadata.dev()), number(metadata.ino()), number(metadata.size()));
    // The time of change can't be set back, as that of modification can.
    Some([device, inode, size, metadata.mtime(), metadata.ctime(), metadata.ctime_nsec()])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_is_taken_when_it_has_come_to_rest() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("one"), folder.path().join("two")];
        fs::write(&files[0], "1").unwrap();
        let mut watch = Watch::new(look(&files));
        assert!(!watch.is_time(look(&files)));
        fs::write(&files[1], "1").unwrap();
        assert!(!watch.is_time(look(&files)), "it may be half written");
        fs::write(&files[1], "12").unwrap();
        assert!(!watch.is_time(look(&files)), "it was");
        assert!(watch.is_time(look(&files)));
        watch.took(true);
        assert!(!watch.is_time(look(&files)));
        fs::remove_file(&files[0]).unwrap();
        assert!(!watch.is_time(look(&files)) && watch.is_time(look(&files)), "a file that goes is a change, too");
    }

    #[test]
    fn files_that_never_rest_are_taken_nevertheless() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("one")];
        let mut watch = Watch::new(look(&files));
        let taken = (1..20).position(|length| {
            fs::write(&files[0], "x".repeat(length)).unwrap();
            watch.is_time(look(&files))
        });
        assert_eq!(taken, Some(3));
    }

    #[test]
    fn a_folder_that_is_replaced_behind_a_symlink_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["..v1", "..v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("tls.crt"), "same length").unwrap();
        }
        symlink("..v1", at("..data")).unwrap();
        symlink("..data/tls.crt", at("tls.crt")).unwrap();
        let files = [at("tls.crt")];
        let mut watch = Watch::new(look(&files));
        symlink("..v2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert!(!watch.is_time(look(&files)) && watch.is_time(look(&files)));
    }

    #[test]
    fn what_was_bad_is_tried_again_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("one")];
        let mut watch = Watch::new(look(&files));
        fs::write(&files[0], "bad").unwrap();
        assert!(!watch.is_time(look(&files)) && watch.is_time(look(&files)));
        watch.took(false);
        assert_eq!((1..20).position(|_| watch.is_time(look(&files))), Some(4));
    }
}
