//! Who besides us may read or change a file with a secret.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::model::shell_word;

/// What is wrong with a file's permissions, with the command that mends it; nothing where it is not there.
///
/// A group may read it: that is how a service gets a key that belongs to root.
pub fn exposure(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let (mode, owner) = (metadata.permissions().mode() & 0o7777, metadata.uid());
    let word = shell_word(&path.to_string_lossy());
    let who = match mode {
        mode if mode & 0o002 != 0 => "everybody on this machine may change it",
        mode if mode & 0o007 != 0 => "everybody on this machine may read it",
        mode if mode & 0o020 != 0 => "its group may change it",
        _ => {
            let us = rustix::process::geteuid().as_raw();
            let is_anothers = owner != us && owner != 0 && us != 0;
            return is_anothers.then(|| {
                format!("another user (uid {owner}) may change it: chown {us} {word}, or let it belong to root")
            });
        }
    };
    Some(format!("{who} (mode {mode:04o}): chmod 600 {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_exposed_to_all_and_to_a_group_that_may_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "x").unwrap();
        for (mode, told) in [
            (0o600, None),
            (0o400, None),
            (0o640, None),
            (0o644, Some("everybody on this machine may read it (mode 0644): chmod 600 ")),
            (0o604, Some("may read it")),
            (0o602, Some("everybody on this machine may change it (mode 0602)")),
            (0o666, Some("may change it")),
            (0o660, Some("its group may change it (mode 0660)")),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = exposure(&path);
            assert_eq!(found.is_some(), told.is_some(), "{mode:o}: {found:?}");
            assert!(found.unwrap_or_default().contains(told.unwrap_or_default()), "{mode:o}");
        }
        assert_eq!(exposure(&folder.path().join("none")), None);
        assert_eq!(exposure(folder.path()), None);
    }
}
