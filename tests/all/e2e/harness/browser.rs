//! A real browser, headless, told what to do over WebDriver.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Call, Recorder};

const SWITCHES: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Chromium with a profile of its own. Dropping it ends it.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // It takes a free port of IPv4 and exits where another process has the same one of IPv6.
        let (driver, port) = (0..10).find_map(|_| driver(&profile)).unwrap();
        let mut browser = Self { driver, address: ([127, 0, 0, 1], port).into(), session: String::new(), profile };
        let folder = format!("--user-data-dir={}", browser.profile.path().join("profile").display());
        let switches = SWITCHES.iter().map(|s| (*s).to_owned()).chain([folder]).collect::<Vec<_>>();
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": switches },
            "timeouts": { "script": 20_000 },
        });
        let made = browser.ask("/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        browser
    }

    /// Opens a page.
    pub fn go(&self, url: &str) {
        self.ask(&format!("{}/url", self.session), &json!({ "url": url }));
    }

    /// Runs a script on the page, which says what it came to by calling the last of its arguments.
    pub fn run(&self, script: &str, arguments: &Value) -> Value {
        self.ask(&format!("{}/execute/async", self.session), &json!({ "script": script, "args": arguments }))
    }

    fn ask(&self, path: &str, what: &Value) -> Value {
        let call = Call::post(path, what.to_string()).host(&self.address.to_string());
        let reply = call.header("Content-Type", "application/json").to(self.address);
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            Call::new("DELETE", &*self.session).host(&self.address.to_string()).to(self.address);
        }
        // With it ends the browser that it started.
        _ = self.driver.kill();
        _ = self.driver.wait();
    }
}

/// A driver and its port, or `None` if it exits before it listens.
fn driver(profile: &TempDir) -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .env("HOME", profile.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("chromedriver: {error}; tests/run installs it"));
    let mut said = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = |line: String| line.rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse().ok();
    let port = said.find_map(port);
    if port.is_none() {
        _ = driver.wait();
    }
    Some((driver, port?))
}

/// A page to run scripts on.
pub fn page() -> Recorder {
    Recorder::answering(|_| {
        let page = http::Response::builder().header("content-type", "text/html");
        super::Answer::new(page.body("<!doctype html><title>A page</title>").unwrap())
    })
}
