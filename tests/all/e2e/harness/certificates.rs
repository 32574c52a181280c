//! Certificates of an authority of the test's own, made with openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::texts;

/// An authority and what it issues, in a folder.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes `ca.pem` and `ca.key` in the folder, which is made too.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let made = Self { folder: folder.into() };
        let constraints = "basicConstraints=critical,CA:TRUE";
        made.openssl(&format!("{KEY} -keyout ca.key -out ca.pem -subj /CN=authority -addext {constraints}"));
        made
    }

    /// Makes `NAME.pem` and `NAME.key` for these alternative names, such as `DNS:a.example.com,URI:spiffe://a`.
    pub fn issue(&self, name: &str, names: &str) {
        self.openssl(&format!(
            "{KEY} -keyout {name}.key -out {name}.pem -subj /CN={name} -CA ca.pem -CAkey ca.key -days 1 \
             -addext basicConstraints=CA:FALSE -addext subjectAltName={names}"
        ));
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let made = command.args(arguments.split_ascii_whitespace()).current_dir(&self.folder).output().unwrap();
        assert!(made.status.success(), "openssl {arguments}: {}", texts(&made).1);
    }
}

const KEY: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -batch";
