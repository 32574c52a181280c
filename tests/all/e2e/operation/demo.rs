//! The demo: every call that it prints does what it says.

use std::process::Command;

use crate::e2e::harness::{Child, eventually};

const FOLDER: [&str; 4] = ["--listen", "127.0.0.1:0", "--telemetry-listen", "127.0.0.1:0"];

/// Starts the demo with its temporary folder inside ours.
fn start(folder: &std::path::Path, more: &[&str]) -> Child {
    let arguments = [&["demo"][..], &FOLDER, more].concat();
    let child = Child::spawn(folder, &arguments, &[("TMPDIR", folder.to_str().unwrap())]);
    eventually("the demo is ready", || child.out().iter().any(|l| l.contains("Ctrl-C ends the demo")).then_some(()));
    child
}

/// The status line and the headers and body of a printed call.
fn paste(line: &str) -> (u16, String) {
    let output = Command::new("bash").args(["-c", line]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.unwrap_or_else(|| panic!("{line}: {text} {}", String::from_utf8_lossy(&output.stderr))), text)
}

#[test]
fn every_call_that_the_demo_prints_gives_the_status_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), &[]);
    let lines = child.out();
    let calls: Vec<_> = lines.iter().filter(|line| line.starts_with("curl ")).collect();
    assert!(calls.len() >= 12, "{lines:?}");
    let mut refusals = 0;
    for line in calls {
        let (_, expected) = line.rsplit_once(" # ").unwrap();
        let (status, text) = paste(line);
        assert_eq!(status.to_string(), expected, "{line}");
        if status < 300 {
            let is_ours = ["/tokens/khorosapi", "/app", "/installation/"].iter().any(|path| line.contains(path));
            assert!(is_ours || text.contains("\"x-scopegate-app\": \""), "{text}");
            continue;
        }
        refusals += 1;
        // What is told then: the call, the reason's code, what was found, and a fix.
        let told = eventually("the refusal is told", || {
            let out = child.out();
            let told = out.split(|l| l.contains("Ctrl-C ends the demo")).nth(1).unwrap().to_vec();
            let blocks: Vec<Vec<String>> = told[1..].split(String::is_empty).map(<[String]>::to_vec).collect();
            blocks.get(refusals - 1).filter(|block| block.len() >= 3 && blocks.len() > refusals).cloned()
        });
        assert!(told[0].starts_with(&format!("{expected} ")), "{told:?}");
        let code = told[1].trim();
        assert!(code.contains('.') && code.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_' | b'.')), "{told:?}");
        assert!(told.iter().any(|line| line.starts_with("  fix: ")), "{told:?}");
        let public = text.lines().find_map(|l| l.strip_prefix("x-scopegate-reason: ")).map(str::trim);
        assert!(public.is_none_or(|public| public == code || public == "token.invalid"), "{text} {told:?}");
    }
    assert!(refusals >= 9, "{refusals}");

    let temporary = || std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(temporary(), 1, "the store is in a folder of its own");
    child.signal("INT");
    assert_eq!(child.wait().code(), Some(0));
    assert_eq!(temporary(), 0, "which goes with the process");
    assert_eq!(child.err(), Vec::<String>::new());
}

#[test]
fn the_demo_shows_what_explain_would() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path(), &[]);
    let lines = child.out();
    let about = lines.iter().position(|line| line.contains("appid instead of appId")).unwrap();
    paste(&lines[about + 1]);
    let told = eventually("the refusal is told", || {
        let out = child.out();
        let from = out.iter().position(|line| line == "  app.unknown")?;
        out[from..].iter().any(String::is_empty).then(|| out[from..].join("\n"))
    });
    assert!(told.contains("\"appid\": names are compared exactly"), "{told}");
    assert!(told.contains("fix: Name the app in the claim \"appId\", written exactly so."), "{told}");
}

#[test]
fn what_the_demo_keeps_stays_and_an_upstream_of_ones_own_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = crate::e2e::harness::Recorder::start();
    let kept = folder.path().join("kept");
    let url = upstream.url();
    let mut child = start(folder.path(), &["--keep", kept.to_str().unwrap(), "--upstream", &url]);
    let first = child.out().into_iter().find(|line| line.starts_with("curl ")).unwrap();
    assert!(paste(&first).1.ends_with("from the upstream"));
    assert_eq!(upstream.all().len(), 1);
    child.signal("TERM");
    assert_eq!(child.wait().code(), Some(0));
    assert!(kept.join("scopegate.db").exists());
    // It starts again on what it kept.
    let again = start(folder.path(), &["--keep", kept.to_str().unwrap(), "--upstream", &url]);
    let first = again.out().into_iter().find(|line| line.starts_with("curl ")).unwrap();
    assert_eq!(paste(&first).0, 200);
}
