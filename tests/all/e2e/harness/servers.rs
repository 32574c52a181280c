//! Servers of others, as upstreams: nginx and HAProxy, each a process with a configuration of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually;

/// A server that runs until it is killed, or until this is dropped.
pub struct Server {
    pub address: SocketAddr,
    program: &'static str,
    arguments: Vec<String>,
    process: Child,
    _folder: TempDir,
}

/// nginx that says `from nginx` to everything, with HTTP/1.1 and, at the other address, HTTP/2.
pub struct Nginx {
    server: Server,
    pub http2: SocketAddr,
}

impl Nginx {
    pub fn start() -> Self {
        let (address, http2) = (free(), free());
        let server = Server::start("nginx", address, |base| {
            format!(
                "daemon off; master_process off; pid {base}/pid; error_log {base}/error.log;\n\
                 events {{ worker_connections 512; }}\n\
                 http {{ access_log off; client_body_temp_path {base}/1; proxy_temp_path {base}/2; fastcgi_temp_path {base}/3;\n\
                 uwsgi_temp_path {base}/4; scgi_temp_path {base}/5; keepalive_requests 100000;\n\
                 server {{ listen {address}; listen {http2} http2; location / {{ return 200 'from nginx'; }} }} }}\n"
            )
        });
        Self { server, http2 }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn signal(&self, name: &str) {
        self.server.signal(name);
    }

    pub fn kill(&mut self) {
        self.server.kill();
    }

    pub fn restart(&mut self) {
        self.server.restart();
    }
}

/// HAProxy that says `from haproxy` to everything, with HTTP/1.1, and over TLS with whatever is chosen.
pub struct Haproxy {
    server: Server,
    pub tls: SocketAddr,
}

impl Haproxy {
    /// The file holds a certificate and its key.
    pub fn start(certificate: &std::path::Path) -> Self {
        let (address, tls) = (free(), free());
        let certificate = certificate.display();
        let server = Server::start("haproxy", address, |_| {
            format!(
                "defaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n\
                 frontend all\n bind {address}\n bind {tls} ssl crt {certificate} alpn h2,http/1.1\n\
                 http-request return status 200 content-type text/plain lf-string 'from haproxy by %HV'\n"
            )
        });
        Self { server, tls }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    fn start(program: &'static str, address: SocketAddr, configuration: impl Fn(&str) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().display().to_string();
        let file = format!("{base}/configuration");
        std::fs::write(&file, configuration(&base)).unwrap();
        let arguments = match program {
            "nginx" => vec!["-p".to_owned(), base, "-c".to_owned(), file],
            _ => vec!["-db".to_owned(), "-f".to_owned(), file],
        };
        let process = spawn(program, &arguments);
        let server = Self { address, program, arguments, process, _folder: folder };
        server.await_listening();
        server
    }

    fn await_listening(&self) {
        eventually(self.program, || TcpStream::connect(self.address).ok());
    }

    fn signal(&self, name: &str) {
        let (name, id) = (format!("-{name}"), self.process.id().to_string());
        assert!(Command::new("kill").args([name, id]).status().unwrap().success());
    }

    fn kill(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }

    fn restart(&mut self) {
        self.process = spawn(self.program, &self.arguments);
        self.await_listening();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(program: &str, arguments: &[String]) -> Child {
    // Debian keeps servers where only root looks for programs.
    let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
