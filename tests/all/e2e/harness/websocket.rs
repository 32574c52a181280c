//! WebSockets on both sides of the gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, Request};
use tungstenite::handshake::server::{ErrorResponse, Request as Asked, Response};
use tungstenite::{Error, HandshakeError, Message, WebSocket, accept_hdr, client};

use super::Call;

const LIMIT: Duration = Duration::from_secs(20);

/// A server of WebSockets; each connection has a thread. It speaks the subprotocol "chat" with whoever offers it.
pub struct Sockets {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    closed: Arc<Mutex<Vec<Option<u16>>>>,
}

impl Sockets {
    /// Says back whatever it hears, until the other side closes.
    pub fn echo() -> Self {
        Self::start(|socket| {
            loop {
                match socket.read() {
                    Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
                    Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        })
    }

    /// Runs a script, which returns the code that the other side closed with.
    #[expect(clippy::result_large_err, reason = "as the handshake wants it")]
    pub fn start(script: impl Fn(&mut WebSocket<TcpStream>) -> Option<u16> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, closed) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (script, record, closes) = (Arc::new(script), Arc::clone(&seen), Arc::clone(&closed));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, record, closes) = (Arc::clone(&script), Arc::clone(&record), Arc::clone(&closes));
                thread::spawn(move || {
                    stream.set_read_timeout(Some(LIMIT)).unwrap();
                    let Ok(mut socket) = accept_hdr(stream, |asked: &Asked, response| agree(asked, response, &record))
                    else {
                        return;
                    };
                    let code = script(&mut socket);
                    closes.lock().unwrap().push(code);
                    // What the other side is told by our Close.
                    while socket.read().is_ok() {}
                });
            }
        });
        Self { address, seen, closed }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The headers of all that were opened.
    pub fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().unwrap().clone()
    }

    /// The codes of those that were closed, none where one broke off.
    pub fn closed(&self) -> Vec<Option<u16>> {
        self.closed.lock().unwrap().clone()
    }
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "as the handshake wants it")]
fn agree(asked: &Asked, mut response: Response, seen: &Mutex<Vec<HeaderMap>>) -> Result<Response, ErrorResponse> {
    let offers = asked.headers().get("sec-websocket-protocol").and_then(|offers| offers.to_str().ok());
    if offers.is_some_and(|offers| offers.split(',').any(|offer| offer.trim() == "chat")) {
        response.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
    }
    seen.lock().unwrap().push(asked.headers().clone());
    Ok(response)
}

/// A caller's WebSocket.
pub struct Socket<S = TcpStream>(WebSocket<S>);

/// What comes over it.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Text(String),
    Closed(u16, String),
    /// The connection ended without a Close.
    Broken,
}

impl Socket {
    /// Sends the call as one for a WebSocket; whatever other answer comes is given back with its body.
    pub fn open(address: SocketAddr, call: &Call) -> Result<Self, (u16, String)> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self::over(stream, call)
    }

    /// The connection below, to break rules on.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }
}

impl<S: Read + Write> Socket<S> {
    /// The same over a connection that is there already.
    pub fn over(stream: S, call: &Call) -> Result<Self, (u16, String)> {
        let mut request = Request::builder().uri(format!("ws://{}{}", call.host, call.target));
        for (name, value) in [
            ("host", call.host.as_str()),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            request = request.header(name, value);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        match client(request.body(()).unwrap(), stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(answer))) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    pub fn ping(&mut self) {
        self.0.send(Message::Ping(Vec::new().into())).unwrap();
    }

    /// Says good-bye and waits for the answer to it.
    pub fn close(mut self) -> Heard {
        self.0.close(None).unwrap();
        self.hear()
    }

    /// The next message, or the end.
    pub fn hear(&mut self) -> Heard {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Heard::Text(text.to_string()),
                Ok(Message::Close(frame)) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                    // Our own Close goes out, and their end comes.
                    while self.0.read().is_ok() {}
                    return Heard::Closed(code, reason);
                }
                Ok(_) => {}
                Err(_) => return Heard::Broken,
            }
        }
    }
}
