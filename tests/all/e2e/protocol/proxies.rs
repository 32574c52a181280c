//! nginx and HAProxy in front.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::tls::make_certificates;
use super::{app, registry};
use crate::e2e::harness::{Gateway, Recorder, Setup, eventually, texts};

/// A proxy that runs until it is dropped.
struct Front {
    address: SocketAddr,
    process: Child,
}

impl Drop for Front {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn run(mut command: Command, address: SocketAddr) -> Front {
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut front = Front { address, process: process.unwrap_or_else(|error| panic!("{command:?}: {error}")) };
    eventually("the proxy listens", || {
        assert!(front.process.try_wait().unwrap().is_none(), "the proxy ended");
        std::net::TcpStream::connect(address).is_ok().then_some(())
    });
    front
}

/// nginx with these lines in its one server.
fn nginx(folder: &Path, server: &str) -> Front {
    let (address, at) = (free_port(), folder.display());
    let names = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = names.map(|name| format!("{name}_temp_path {at}/{name};\n")).concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nevents {{}}\nhttp {{\n{temporary}access_log off;\n\
         server {{\nlisten {address};\n{server}\n}}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-e", "error.log", "-c"]).arg(folder.join("nginx.conf")).arg("-p").arg(folder);
    run(command, address)
}

fn haproxy(folder: &Path, mode: &str, front: &str, server: &str) -> Front {
    let address = free_port();
    let text = format!(
        "defaults\n mode {mode}\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n\
         frontend front\n bind {address}\n {front}\n default_backend back\nbackend back\n server gateway {server}\n"
    );
    fs::write(folder.join("haproxy.cfg"), text).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
    run(command, address)
}

fn gateway(keys: &str) -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    make_certificates(setup.path());
    setup.edit("listen = \"127.0.0.1:0\"\nworkers = 1", &format!("{keys}\nworkers = 1"));
    (Gateway::start(setup, &registry()), upstream)
}

/// A call by curl from this address of the machine: its status and its request id.
fn call_from(source: &str, url: &str, more: &[&str]) -> (String, String) {
    let authorization = format!("Authorization: Bearer {}", app().token());
    let mut command = Command::new("curl");
    command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code} %header{x-request-id}", "--interface", source]);
    let output = command.args(["-H", &authorization]).args(more).arg(url).output().unwrap();
    let (out, err) = texts(&output);
    let (status, id) = out.split_once(' ').unwrap_or_else(|| panic!("{out}{err}"));
    (format!("{status}{err}"), id.to_owned())
}

#[test]
fn nginx_says_who_calls_and_keeps_its_request_id() {
    let keys = "listen = [\"127.0.0.1:0\", \"unix:proxy.sock\"]\ntrusted_proxies = [\"unix\"]\nforwarded = \"both\"";
    let (gateway, upstream) = gateway(keys);
    let server = format!(
        "location / {{\nproxy_pass http://unix:{}/proxy.sock:;\nproxy_http_version 1.1;\nproxy_set_header Host bots.test;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\nproxy_set_header X-Forwarded-Proto https;\n\
         proxy_set_header X-Request-Id $request_id;\n}}",
        gateway.setup.path().display()
    );
    let front = nginx(gateway.setup.path(), &server);
    // nginx appends; what the caller claims stands before it, and is nobody's word.
    let url = format!("http://{}/any/thing", front.address);
    let (status, id) = call_from("127.0.0.9", &url, &["-H", "X-Forwarded-For: 198.51.100.1"]);
    assert_eq!((status.as_str(), id.len()), ("200", 32));
    let seen = upstream.all().pop().unwrap();
    assert_eq!((seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")), (Some("127.0.0.9"), Some("https")));
    assert_eq!(seen.header("forwarded"), Some("for=127.0.0.9;proto=https, for=unknown;host=\"bots.test\""));
    assert_eq!(seen.header("x-request-id"), Some(id.as_str()));
    let line = gateway.logged(&id);
    assert_eq!((&line["peer"], &line["client"]), (&"unix".into(), &"127.0.0.9".into()));
}

#[test]
fn haproxy_speaks_both_versions_of_the_proxy_protocol_also_before_tls() {
    let keys = "listen = \"127.0.0.1:0\"\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]";
    let tls = "\ntls = { cert = \"certs/server.pem\", key = \"certs/server.key\" }";
    for (word, tls) in [("send-proxy", ""), ("send-proxy-v2", ""), ("send-proxy", tls), ("send-proxy-v2", tls)] {
        let (gateway, upstream) = gateway(&format!("{keys}{tls}"));
        let front = haproxy(gateway.setup.path(), "tcp", "", &format!("{} {word}", gateway.proxy));
        let scheme = if tls.is_empty() { "http" } else { "https" };
        let url = format!("{scheme}://localhost:{}/any/thing", front.address.port());
        let ca = gateway.setup.path().join("certs/ca.pem");
        let to = format!("localhost:{}:127.0.0.1", front.address.port());
        let (status, id) = call_from("127.0.0.9", &url, &["--cacert", ca.to_str().unwrap(), "--resolve", &to]);
        assert_eq!(status, "200", "{word} {scheme}");
        let line = gateway.logged(&id);
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.9:"), "{line}");
        let seen = upstream.all().pop().unwrap();
        assert_eq!(
            (seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")),
            (Some("127.0.0.9"), Some(scheme))
        );
    }
}

#[test]
fn haproxy_says_who_calls_in_either_kind_of_field() {
    let front = [
        ("x-forwarded", "option forwardfor\n http-request set-header X-Forwarded-Proto https"),
        ("rfc7239", "http-request set-header Forwarded for=%[src];proto=https"),
    ];
    for (kind, lines) in front {
        let keys = format!("listen = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]\ntrusted_headers = {kind:?}");
        let (gateway, upstream) = gateway(&keys);
        let front = haproxy(gateway.setup.path(), "http", lines, &gateway.proxy.to_string());
        let url = format!("http://{}/any/thing", front.address);
        let (status, id) = call_from("127.0.0.9", &url, &["-H", "X-Real-Ip: 198.51.100.1"]);
        assert_eq!(status, "200", "{kind}");
        assert_eq!(gateway.logged(&id)["client"], "127.0.0.9");
        let seen = upstream.all().pop().unwrap();
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.9, 127.0.0.1"), "{kind}");
        assert_eq!(seen.header("x-forwarded-proto"), Some("https"), "{kind}");
    }
}

#[test]
fn nginx_and_haproxy_as_their_documents_set_them_up_tell_the_client_and_its_scheme() {
    let keys = "listen = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\"]";
    let (of_nginx, upstream_of_nginx) = gateway(keys);
    let server = format!(
        "location / {{\nproxy_pass http://{};\nproxy_http_version 1.1;\nproxy_set_header Host $host:$server_port;\n\
         proxy_set_header X-Real-IP $remote_addr;\nproxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme;\nproxy_set_header X-Forwarded-Host $http_host;\n\
         proxy_set_header X-Forwarded-Port $server_port;\nproxy_set_header X-SSL-Client-Cert \"its own\";\n}}",
        of_nginx.proxy
    );
    let nginx = nginx(of_nginx.setup.path(), &server);
    let (of_haproxy, upstream_of_haproxy) = gateway(keys);
    let lines = "option forwardfor\n http-request set-header X-Forwarded-Proto wss\n \
                 http-request set-header X-Forwarded-Port %[dst_port]\n http-request set-header X-SSL-Client-Cert \"its own\"";
    let haproxy = haproxy(of_haproxy.setup.path(), "http", lines, &of_haproxy.proxy.to_string());
    for (front, gateway, upstream, scheme) in
        [(&nginx, &of_nginx, &upstream_of_nginx, "http"), (&haproxy, &of_haproxy, &upstream_of_haproxy, "https")]
    {
        let url = format!("http://{}/any/thing", front.address);
        let forged = [
            "-H",
            "X-Forwarded-For: 198.51.100.1",
            "-H",
            "X-Forwarded-Proto: gopher",
            "-H",
            "X~SSL~Client~Cert: forged",
        ];
        let (status, id) = call_from("127.0.0.9", &url, &forged);
        assert_eq!((status.as_str(), &gateway.logged(&id)["client"]), ("200", &"127.0.0.9".into()));
        let seen = upstream.all().pop().unwrap();
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.9, 127.0.0.1"));
        assert_eq!(seen.header("x-forwarded-proto"), Some(scheme));
        assert_eq!(seen.header("x-ssl-client-cert"), Some("its own"), "the proxy's word about certificates goes on");
    }
}
