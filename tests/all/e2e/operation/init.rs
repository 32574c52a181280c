//! `init`: what it writes is good, and what it prints works as it stands.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::e2e::harness::{Recorder, binary, scopegate, texts};

/// A port that was free a moment ago.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A shell in a folder, which finds the program by its name.
pub fn shell(folder: &Path, script: &str) -> Output {
    let program = PathBuf::from(binary());
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    Command::new("bash").args(["-c", script]).current_dir(folder).env("PATH", path).output().unwrap()
}

struct Place {
    folder: TempDir,
    upstream: Recorder,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), upstream: Recorder::start() }
    }

    fn init(&self, more: &[&str]) -> Output {
        let (listen, telemetry, upstream) = (free().to_string(), free().to_string(), self.upstream.url());
        let own = ["init", "--upstream", &upstream, "--listen", &listen, "--telemetry-listen", &telemetry];
        scopegate(self.folder.path(), &[&own, more].concat(), &[])
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap()
    }
}

/// The lines to paste.
fn printed(output: &Output) -> Vec<String> {
    let (out, err) = texts(output);
    assert!(output.status.success() && err.is_empty(), "{out}{err}");
    let (_, steps) = out.split_once("Next, line by line:\n\n").unwrap();
    steps.split_once("\n\n").unwrap().0.lines().map(str::to_owned).collect()
}

/// Runs the lines as they stand; of each call, its status line.
fn paste(place: &Place, lines: &[String]) -> String {
    let script: String = lines
        .iter()
        .map(|line| if line.starts_with("curl ") { format!("{line}\necho; echo ---\n") } else { format!("{line}\n") })
        .collect();
    let output = shell(place.folder.path(), &format!("set -m\n{script}kill %1\nwait\n"));
    let (out, err) = texts(&output);
    assert!(out.contains("---"), "{script}{out}{err}");
    out
}

#[test]
fn whatever_it_prints_gives_what_stands_behind_it() {
    for more in
        [&[][..], &["--profile", "kore"], &["--profile", "khoros"], &["--profile", "icr"], &["--profile", "oauth"]]
    {
        let place = Place::new();
        // Where the id stands in paths it has no slash.
        let app = if more.contains(&"khoros") { "night reports" } else { "night reports/2" };
        let output = place.init(&[&["--dir", "first one", "--app", app], more].concat());
        let lines = printed(&output);
        assert_eq!(lines[0], "cd 'first one'");
        let answers = paste(&place, &lines);
        let calls: Vec<_> = lines.iter().filter(|line| line.starts_with("curl ")).collect();
        let answers: Vec<_> = answers.split("---\n").take(calls.len()).collect();
        assert!(calls.len() >= 2 && answers.len() == calls.len(), "{more:?}: {answers:?}");
        for (call, answer) in calls.iter().zip(answers) {
            let wanted = match call.rsplit_once("    # ").unwrap().1 {
                "the upstream's own answer" => "200",
                status => status.split(':').next().unwrap(),
            };
            let status = answer.lines().find_map(|line| line.strip_prefix("HTTP/1.1 ")).unwrap_or_default();
            assert!(status.starts_with(wanted), "{more:?}: {call}: {answer}");
        }
        let seen = place.upstream.all();
        assert_eq!(seen.len(), usize::from(!more.contains(&"icr")), "{more:?}: those that are good, and no others");
    }
}

#[test]
fn what_it_writes_passes_every_check_without_a_warning() {
    let combinations: [&[&str]; 4] = [
        &[],
        &["--profile", "kore", "--profile", "icr"],
        &["--profile", "kore", "--profile", "khoros", "--profile", "icr", "--profile", "oauth", "--profile", "kore"],
        &["--account", "default", "--app", "42"],
    ];
    for more in combinations {
        let place = Place::new();
        printed(&place.init(more));
        for (arguments, said) in [
            (&["check"][..], "config/scopegate.toml is good"),
            (&["apply", "-f", "config/registry.toml", "--prune"], "applied; the registry is at version"),
            (&["apply", "-f", "config/registry.toml", "--prune"], "nothing to change"),
            (&["check"], "config/scopegate.toml is good"),
        ] {
            let output = scopegate(place.folder.path(), arguments, &[]);
            let (out, err) = texts(&output);
            assert!(output.status.success() && err.is_empty() && out.contains(said), "{more:?}: {out}{err}");
        }
    }
}

#[test]
fn what_stands_behind_a_hash_in_what_it_writes_is_good_too() {
    for (file, command) in [
        ("config/scopegate.toml", &["check"][..]),
        ("config/registry.toml", &["apply", "-f", "config/registry.toml", "--dry-run"]),
    ] {
        let place = Place::new();
        printed(&place.init(&[]));
        let is_key = |rest: &str| {
            rest.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        };
        let mut shown = 0;
        let text: String = place
            .read(file)
            .lines()
            // There is neither a certificate nor a second value for what has one.
            .map(|line| {
                match line
                    .strip_prefix("# ")
                    .filter(|rest| is_key(rest) && !rest.contains("certs/") && !rest.starts_with("scopes"))
                {
                    Some(rest) => {
                        shown += 1;
                        format!("{rest}\n")
                    }
                    None => format!("{line}\n"),
                }
            })
            .collect();
        assert!(shown > 0, "{file}");
        fs::write(place.folder.path().join(file), text).unwrap();
        let output = scopegate(place.folder.path(), command, &[]);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{file}: {:?}", texts(&output));
    }
}

#[test]
fn a_secret_is_in_a_file_for_its_owner_alone_and_nowhere_else() {
    let place = Place::new();
    let output = place.init(&["--profile", "oauth", "--profile", "khoros", "--profile", "icr"]);
    let names = ["first-app.secret", "care.password", "first-app-icr.pem"];
    let folder = place.folder.path().join("config/secrets");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for name in names {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let secret = place.read(&format!("config/secrets/{name}"));
        let line = secret.lines().nth(usize::from(name.ends_with("pem"))).unwrap();
        assert!(line.len() >= 24, "{name}");
        for text in [texts(&output).0, place.read("config/scopegate.toml"), place.read("config/registry.toml")] {
            assert!(!text.contains(line), "{name}");
        }
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), names.len());
}

#[test]
fn nothing_is_written_over_unless_that_is_meant() {
    let place = Place::new();
    printed(&place.init(&[]));
    let before = ["config/scopegate.toml", "config/registry.toml", "config/secrets/first-app.secret"];
    let read = || before.map(|file| place.read(file));
    let first = read();
    let refused = place.init(&[]);
    let (out, err) = texts(&refused);
    assert_eq!((refused.status.code(), out.as_str()), (Some(1), ""));
    assert!(err.contains("config/scopegate.toml, ./config/registry.toml") && err.contains("--force"), "{err}");
    assert_eq!(read(), first);
    // One file that is there is enough, and then none of the others is written.
    fs::remove_file(place.folder.path().join("config/scopegate.toml")).unwrap();
    assert_eq!(place.init(&[]).status.code(), Some(1));
    assert!(!place.folder.path().join("config/scopegate.toml").exists());
    printed(&place.init(&["--force"]));
    assert_ne!(read(), first, "another port, and another secret");
    let mode = fs::metadata(place.folder.path().join(before[2])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(place.folder.path().join("config")).unwrap().count(), 3, "and nothing beside them");
}

#[test]
fn what_can_not_be_served_is_refused_with_its_reason_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = ["--upstream", "http://127.0.0.1:9000"];
    for (arguments, why) in [
        (&["--upstream", "127.0.0.1:9000"][..], "--upstream: \"127.0.0.1:9000\""),
        (&["--upstream", "ftp://bots"], "neither http nor https"),
        (&["--upstream", "http://ana:hunter2@bots"], "holds a user name"),
        (&["--upstream", "http://bots/api"], "has a path"),
        (&["--upstream", "http://bots\n[x]"], "--upstream: "),
        (&[], "say where good calls go: --upstream"),
        (&[upstream[0], upstream[1], "--listen", "127.0.0.1:0"], "port 0"),
        (&[upstream[0], upstream[1], "--listen", "127.0.0.1:8082"], "can't both be at 127.0.0.1:8082"),
        (&[upstream[0], upstream[1], "--profile", "khoros", "--listen", "0.0.0.0:8080"], "takes passwords"),
        (&[upstream[0], upstream[1], "--profile", "khoros", "--app", "a/b"], "has the app's id in paths"),
        (&[upstream[0], upstream[1], "--dir", "/proc/none"], "/proc/none/config"),
    ] {
        let output = scopegate(folder.path(), &[&["init"], arguments].concat(), &[]);
        let (out, err) = texts(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{arguments:?}: {err}");
        assert!(err.contains(why), "{arguments:?}: {err}");
    }
    let output = scopegate(folder.path(), &["init", upstream[0], upstream[1], "--app", ""], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn on_a_terminal_it_asks_for_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let command = format!("{} init --account globex", binary());
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"http://127.0.0.1:9000\nnightly\n\n").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let out = texts(&output).0;
    assert!(output.status.success(), "{out}");
    for question in ["Where good calls go", "The first app's client id [first-app]", "Where the gateway takes calls"] {
        assert!(out.contains(question), "{out}");
    }
    assert!(!out.contains("The account that it belongs to"), "{out}");
    let registry = fs::read_to_string(folder.path().join("config/registry.toml")).unwrap();
    assert!(registry.contains("client_id = \"nightly\"") && registry.contains("account = \"globex\""), "{registry}");
    let configuration = fs::read_to_string(folder.path().join("config/scopegate.toml")).unwrap();
    assert!(configuration.contains("listen = \"127.0.0.1:8080\""), "{configuration}");
}
