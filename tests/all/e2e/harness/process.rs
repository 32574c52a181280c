//! The binary as a process: run to its end, or watched while it runs.

use std::io::{BufRead as _, BufReader, PipeWriter, Read, Write as _, empty, pipe};
use std::path::Path;
use std::process::{self, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{eventually, within};

/// The binary under test; `SCOPEGATE_BIN` names another, such as a release build.
pub fn binary() -> String {
    std::env::var("SCOPEGATE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_scopegate").into())
}

/// The command, with an environment that holds nothing of the caller's.
pub fn command(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder).env_clear().env("USER", "tester");
    command.envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn scopegate(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command(folder, arguments, environment).output().unwrap()
}

/// Runs a command to its end with this on its standard input.
pub fn scopegate_reading(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = command(folder, arguments, &[]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever has found what it looks for reads no further.
    _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// A process whose output is read line by line while it runs. Dropping it kills it; so does the end of this process,
/// where nothing is dropped that is static.
pub struct Child {
    process: process::Child,
    watch: process::Child,
    out: Lines,
    err: Lines,
}

impl Child {
    pub fn spawn(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (out, write) = pipe().unwrap();
        let mut child = Self::unread(folder, arguments, environment, write);
        child.out = Lines::read(out);
        child
    }

    /// With another file of hosts in place of the system's, in a mount namespace of its own.
    pub fn with_hosts(folder: &Path, arguments: &[&str], hosts: &Path) -> Self {
        let (out, write) = pipe().unwrap();
        let script = format!("mount --bind {} /etc/hosts && exec \"$0\" \"$@\"", hosts.display());
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, &binary()]).args(arguments).current_dir(folder).stdin(Stdio::null());
        let mut child = Self::run(command, folder, write);
        child.out = Lines::read(out);
        child
    }

    /// With this limit of open files, such as `-Sn 64` for the soft one.
    pub fn with_open_files(folder: &Path, arguments: &[&str], limit: &str) -> Self {
        let (out, write) = pipe().unwrap();
        let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, &binary()]).args(arguments).current_dir(folder).stdin(Stdio::null());
        let mut child = Self::run(command, folder, write);
        child.out = Lines::read(out);
        child
    }

    /// Its standard output goes into a pipe that is the caller's to read, or not.
    pub fn unread(folder: &Path, arguments: &[&str], environment: &[(&str, &str)], out: PipeWriter) -> Self {
        Self::run(command(folder, arguments, environment), folder, out)
    }

    fn run(mut command: Command, folder: &Path, out: PipeWriter) -> Self {
        let mut process = command.stdout(out).stderr(Stdio::piped()).spawn().unwrap();
        let err = process.stderr.take().unwrap();
        let watch = watch(process.id(), folder);
        Self { process, watch, out: Lines::read(empty()), err: Lines::read(err) }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn out(&self) -> Vec<String> {
        self.out.so_far()
    }

    pub fn err(&self) -> Vec<String> {
        self.err.so_far()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -s {name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = eventually("the process ends", || self.process.try_wait().unwrap());
        self.out.finish();
        self.err.finish();
        status
    }

    /// The first line of standard error that the question has an answer for.
    pub fn await_err<T>(&mut self, what: &str, ask: impl Fn(&str) -> Option<T>) -> T {
        let limit = std::time::Duration::from_secs(20);
        let found = within(limit, what, || {
            let lines = self.err.so_far();
            match lines.iter().find_map(|line| ask(line)) {
                Some(found) => Some(Ok(found)),
                None if self.is_running() => None,
                None => Some(Err(lines.join("\n"))),
            }
        });
        found.unwrap_or_else(|lines| panic!("it ended before {what}:\n{lines}"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.watch.stdin.take().map(|mut stdin| stdin.write_all(b"over\n"));
        _ = self.watch.wait();
        _ = self.process.wait();
    }
}

/// Waits for a line from this process; where this process ends without one, kills the other and removes its folder.
fn watch(id: u32, folder: &Path) -> process::Child {
    let script = "read _ || { kill -s KILL \"$0\"; rm -rf \"$1\"; }";
    let mut command = Command::new("sh");
    command.args(["-c", script, &id.to_string()]).arg(folder).stdin(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn read(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        let read = move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                into.lock().unwrap().push(line);
            }
        };
        Self { lines, reader: Some(std::thread::spawn(read)) }
    }

    fn so_far(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn finish(&mut self) {
        self.reader.take().map(JoinHandle::join);
    }
}
