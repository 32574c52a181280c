//! What is written: all of it or nothing, and over nothing that is there unless that is meant.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::super::Failure;
use crate::secret::Secret;

/// Files to be.
pub(super) struct Files {
    folder: PathBuf,
    files: Vec<(PathBuf, Content)>,
}

enum Content {
    Text(String),
    /// For its owner alone.
    Secret(Secret),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Secret(secret) => secret.expose(),
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Self::Text(_) => 0o644,
            Self::Secret(_) => 0o600,
        }
    }
}

impl Files {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), files: Vec::new() }
    }

    pub fn add(&mut self, name: &str, text: String) {
        self.files.push((self.folder.join(name), Content::Text(text)));
    }

    pub fn add_secret(&mut self, name: &str, secret: Secret) {
        self.files.push((self.folder.join(name), Content::Secret(secret)));
    }

    /// Writes them, and says what was written; takes back what it wrote where one of them can't be.
    pub fn write(&self, force: bool) -> Result<Vec<String>, Failure> {
        let there: Vec<_> =
            self.files.iter().map(|(path, _)| path).filter(|path| path.symlink_metadata().is_ok()).collect();
        if !force && !there.is_empty() {
            let names: Vec<_> = there.iter().map(|path| path.display().to_string()).collect();
            return Err(Failure::new(format!(
                "{} {} there already, and nothing was written: --force writes over it, --dir names another folder",
                names.join(", "),
                if names.len() == 1 { "is" } else { "are" }
            )));
        }
        let mut written = Vec::new();
        for (path, content) in &self.files {
            if let Err(error) = write(path, content, force) {
                // What was there before is gone with --force: only what is new is taken back.
                written.iter().filter(|_| !force).for_each(|path: &&PathBuf| _ = fs::remove_file(path));
                return Err(Failure::new(format!("{}: {error}", path.display())));
            }
            written.push(path);
        }
        Ok(self.files.iter().map(|(path, content)| told(path, content)).collect())
    }
}

fn told(path: &Path, content: &Content) -> String {
    match content {
        Content::Text(_) => path.display().to_string(),
        Content::Secret(_) => format!("{} (for you alone, mode 0600)", path.display()),
    }
}

/// Whole, or not at all: whoever reads it meanwhile finds the former or the new one.
fn write(path: &Path, content: &Content, force: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mode = if matches!(content, Content::Secret(_)) { 0o700 } else { 0o755 };
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    if !force {
        return fill(&new_file(path, content)?, content);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let aside = folder.join(name);
    let replaced =
        new_file(&aside, content).and_then(|file| fill(&file, content)).and_then(|()| fs::rename(&aside, path));
    if replaced.is_err() {
        _ = fs::remove_file(&aside);
    }
    replaced
}

fn new_file(path: &Path, content: &Content) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(content.mode()).open(path)
}

fn fill(mut file: &File, content: &Content) -> io::Result<()> {
    file.write_all(content.bytes())?;
    file.sync_all()
}
