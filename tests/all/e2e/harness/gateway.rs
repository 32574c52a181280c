//! A gateway: a folder with a configuration and a registry, and the process that serves them.

use std::fs;
use std::io::PipeWriter;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{Call, Child, Registry, Reply, eventually, scopegate, scopegate_reading, within};

/// Ports that are free, a store in the folder, and one worker.
const LISTENERS: &str = r#"
[proxy]
listen = "127.0.0.1:0"
workers = 1
[telemetry]
listen = "127.0.0.1:0"
[store]
url = "sqlite://scopegate.db"
[replay]
url = "sqlite://replay.db"
"#;

const SERVE: [&str; 3] = ["serve", "-c", "scopegate.toml"];

/// A folder with a configuration and a registry; every command is run inside it.
pub struct Setup {
    folder: TempDir,
}

impl Setup {
    /// `top` are the keys before any section, and `sections` the ones besides the listeners and the store.
    pub fn new(top: &str, sections: &str) -> Self {
        Self::whole(&format!("{top}\n{LISTENERS}\n{sections}"))
    }

    /// The kore profile in front of an upstream, without its quotas: tests call more often than they let through.
    pub fn kore(upstream: &str, sections: &str) -> Self {
        Self::kore_with("quotas = false", upstream, sections)
    }

    /// The kore profile, used as these lines say.
    pub fn kore_with(profile: &str, upstream: &str, sections: &str) -> Self {
        let sections = format!("[profile.kore]\n{profile}\n[upstream.bots]\nurls = [{upstream:?}]\n{sections}");
        Self::new("profiles = [\"kore\"]", &sections)
    }

    /// A route behind a bearer token in front of an upstream.
    pub fn bearer(upstream: &str, sections: &str) -> Self {
        Self::bearer_to(&[upstream.to_owned()], sections)
    }

    /// The same in front of an upstream with several addresses.
    pub fn bearer_to(urls: &[String], sections: &str) -> Self {
        let sections = format!(
            "[upstream.bots]\nurls = {urls:?}\n{sections}\n\
             [authenticator.bearer]\nkind = \"jwt\"\nalgorithms = [\"HS256\", \"RS256\", \"ES256\", \"EdDSA\"]\n\
             [[route]]\nid = \"any\"\nmethods = [\"GET\", \"HEAD\", \"POST\", \"PUT\"]\npath = \"/any/{{*rest}}\"\n\
             authenticator = \"bearer\"\nscope = \"any\"\n"
        );
        Self::new("", &sections)
    }

    /// A configuration as it is.
    pub fn whole(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scopegate.toml"), configuration).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap()
    }

    /// Changes the configuration file.
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.read("scopegate.toml");
        assert!(text.contains(from), "{from:?} is not in {text}");
        self.write("scopegate.toml", &text.replace(from, to));
    }

    /// Runs a command on this configuration, such as `["apply", "-f", "registry.toml"]`.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        scopegate(self.path(), &[arguments, &["-c", "scopegate.toml"]].concat(), environment)
    }

    /// Runs a command on a text that it may read.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Output {
        scopegate_reading(self.path(), &[arguments, &["-c", "scopegate.toml"]].concat(), input.as_bytes())
    }

    /// Runs a command that has to be refused; returns why.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{arguments:?}: {err}");
        err
    }

    /// Runs a command whose last argument is a text of any kind.
    pub fn run_before(&self, arguments: &[&str]) -> Output {
        scopegate(self.path(), &[&arguments[..2], &["-c", "scopegate.toml"], &arguments[2..]].concat(), &[])
    }

    /// Runs a command that has to succeed; returns its output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeed(arguments)).unwrap()
    }

    pub fn apply(&self, registry: &Registry) -> String {
        self.write("registry.toml", registry.as_str());
        self.succeed(&["apply", "-f", "registry.toml"])
    }

    /// What `jwt explain` says of a token on a call: whether it goes on, and the text.
    pub fn explain(&self, token: &str, method: &str, path: &str, more: &[&str]) -> (bool, String) {
        let arguments = [&["jwt", "explain", token, "--method", method, "--path", path][..], more].concat();
        let output = self.run(&arguments);
        let (out, err) = texts(&output);
        assert_eq!(err, "");
        (output.status.success(), out)
    }
}

/// Standard output and standard error.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A gateway that takes calls. Dropping it kills it.
pub struct Gateway {
    pub setup: Setup,
    pub proxy: SocketAddr,
    pub telemetry: SocketAddr,
    child: Child,
}

impl Gateway {
    /// Applies the registry and starts the gateway.
    pub fn start(setup: Setup, registry: &Registry) -> Self {
        setup.apply(registry);
        Self::serve(setup, &[])
    }

    /// Starts the gateway on whatever the folder holds.
    pub fn serve(setup: Setup, environment: &[(&str, &str)]) -> Self {
        let child = Child::spawn(setup.path(), &SERVE, environment);
        Self::await_calls(setup, child)
    }

    /// Applies the registry and starts the gateway with a file of hosts of its own.
    pub fn with_hosts(setup: Setup, registry: &Registry, hosts: &Path) -> Self {
        setup.apply(registry);
        let child = Child::with_hosts(setup.path(), &SERVE, hosts);
        Self::await_calls(setup, child)
    }

    /// Applies the registry and starts the gateway with this limit of open files.
    pub fn with_open_files(setup: Setup, registry: &Registry, limit: &str) -> Self {
        setup.apply(registry);
        let child = Child::with_open_files(setup.path(), &SERVE, limit);
        Self::await_calls(setup, child)
    }

    /// Standard error so far.
    pub fn events(&self) -> Vec<String> {
        self.child.err()
    }

    /// Applies the registry and starts the gateway with an access log that goes into a pipe.
    pub fn logging_to(setup: Setup, registry: &Registry, out: PipeWriter) -> Self {
        setup.apply(registry);
        let child = Child::unread(setup.path(), &SERVE, &[], out);
        Self::await_calls(setup, child)
    }

    fn await_calls(setup: Setup, mut child: Child) -> Self {
        let (proxy, telemetry) = child.await_err("it takes calls", |line| {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            let address = |name: &str| event[name].as_str()?.split(", ").next()?.parse().ok();
            (event["message"] == "taking calls").then(|| (address("proxy"), address("telemetry")))
        });
        let gateway = Self { setup, proxy: proxy.unwrap(), telemetry: telemetry.unwrap(), child };
        eventually("/readyz says so", || (Call::get("/readyz").to(gateway.telemetry).status == 200).then_some(()));
        gateway
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn call(&self, call: &Call) -> Reply {
        call.to(self.proxy)
    }

    pub fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    /// The access log so far.
    pub fn log(&self) -> Vec<Value> {
        self.child.out().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The access log's line of a call; it is written a moment after the call.
    pub fn logged(&self, request_id: &str) -> Value {
        eventually("the call is in the access log", || {
            let lines = self.child.out();
            let line = lines.iter().rev().find(|line| line.contains(request_id))?;
            Some(serde_json::from_str(line).unwrap())
        })
    }

    /// The true reason of a call that was refused.
    pub fn reason(&self, reply: &Reply) -> String {
        self.logged(reply.request_id())["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Applies a registry while calls are taken, and waits until this call shows it.
    pub fn apply_until(&self, registry: &Registry, what: &str, shown: impl Fn() -> bool) {
        self.setup.apply(registry);
        within(std::time::Duration::from_secs(1), what, || shown().then_some(()));
    }

    /// Waits for an event on standard error that holds this text.
    pub fn await_event(&mut self, text: &str) -> String {
        self.child.await_err(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// Kills it, if it still runs; the folder stays as it then is.
    pub fn kill(self) -> Setup {
        self.setup
    }

    pub fn is_running(&mut self) -> bool {
        self.child.is_running()
    }

    /// Waits until it ends; what it wrote to standard output and standard error comes with it.
    pub fn wait(&mut self) -> (ExitStatus, String, String) {
        let status = self.child.wait();
        (status, self.child.out().join("\n"), self.child.err().join("\n"))
    }
}
