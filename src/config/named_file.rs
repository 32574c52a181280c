//! Files by the keys that name them.

use std::path::{Path, PathBuf};

/// A file that a configuration names, and the keys by which it does.
#[derive(Clone, Debug)]
pub(super) struct NamedFile {
    pub path: PathBuf,
    /// The section and the keys in it.
    pub keys: Vec<String>,
    /// Whether it is known to hold a credential or a private key; else its content tells.
    pub is_secret: bool,
}

impl NamedFile {
    pub fn new(path: &Path, keys: &[&str], is_secret: bool) -> Self {
        Self { path: path.into(), keys: keys.iter().map(|key| (*key).to_owned()).collect(), is_secret }
    }
}
