//! The first five minutes of the README, pasted.

use std::fs;
use std::path::Path;

use super::init::{free, shell};
use crate::e2e::harness::texts;

/// The console blocks from one heading to another, as (command, what is shown of its output).
fn commands(readme: &str, from: &str, to: &str) -> Vec<(String, Vec<String>)> {
    let (_, part) = readme.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    let (part, _) = part.split_once(to).unwrap_or_else(|| panic!("no {to}"));
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    let blocks = part.split("```console\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), Vec::new())),
            None => commands.last_mut().unwrap().1.push(line.to_owned()),
        }
    }
    commands
}

/// Whether a line is as it is shown, where `…` stands for anything.
fn is_as_shown(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = if parts.peek().is_none() { rest.rfind(part) } else { rest.find(part) };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[test]
fn a_line_is_as_it_is_shown_where_it_differs_in_what_is_left_out_alone() {
    for (shown, line, wanted) in [
        ("a … c", "a b c", true),
        ("a … c", "a c", false),
        ("… INFO x", "2026 INFO x", true),
        ("a", "a b", false),
        ("exp …", "exp 2026", true),
        ("… b", "a b c", false),
    ] {
        assert_eq!(is_as_shown(shown, line), wanted, "{shown} {line}");
    }
}

#[test]
fn the_first_five_minutes_of_the_readme_go_as_they_are_shown() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let commands = commands(&readme, "### Your own upstream, your own app", "## How a refusal is answered");
    let commands: Vec<_> =
        commands.into_iter().filter(|(line, _)| !line.contains("cargo") && !line.contains("export PATH")).collect();
    assert!(commands.len() > 8, "{commands:?}");
    // Other tests run beside this one, and so may a gateway of the machine's owner.
    let ports = [("8080", free().port()), ("8082", free().port()), ("9000", free().port())];
    let own = |text: &str| {
        ports.iter().fold(text.to_owned(), |text, (port, free)| text.replace(&format!(":{port}"), &format!(":{free}")))
    };
    let listen = format!(" --listen 127.0.0.1:{} --telemetry-listen 127.0.0.1:{}", ports[0].1, ports[1].1);
    let mut script = "set -m\n".to_owned();
    for (n, (line, _)) in commands.iter().enumerate() {
        let line = own(line).replace("http.server 9000", &format!("http.server {}", ports[2].1));
        let line = if line.starts_with("scopegate init") { line + &listen } else { line };
        script.push_str(&format!("echo \"=== {n}\"\n{line}\n"));
        if line.contains("scopegate serve") {
            // A person is slower.
            script.push_str("until scopegate check --live > /dev/null 2>&1; do sleep 0.1; done\nsleep 0.2\n");
        }
        if line.contains("scope grant") {
            script.push_str("sleep 1.2\n");
        }
    }
    script.push_str("echo \"=== end\"\nkill %1 %2\nwait\n");
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = texts(&shell(folder.path(), &format!("exec 2>&1\n{script}")));
    for (n, (command, shown)) in commands.iter().enumerate() {
        let (_, output) = out.split_once(&format!("=== {n}\n")).unwrap_or_else(|| panic!("no {n}: {out}{err}"));
        let output = output.split_once("=== ").map_or(output, |(own, _)| own);
        // Lines that are not shown stand where there is a line of …
        let mut lines = output.lines().map(str::trim_end);
        // A terminal gets events as lines for people, and a file as JSON.
        for shown in shown.iter().filter(|shown| *shown != "…" && !shown.starts_with("… INFO")) {
            let shown = own(shown);
            assert!(lines.any(|line| is_as_shown(&shown, line)), "{command}: {shown:?} is not in {output}");
        }
    }
}
