//! HTTP/2 by hand, as a server: frames in and out, one after the other.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const MAX_CONCURRENT_STREAMS: u8 = 3;

pub const NO_ERROR: u8 = 0;
pub const REFUSED_STREAM: u8 = 7;

/// The block of an answer's header.
pub fn status(status: &str) -> Vec<u8> {
    // `:status` by its index, and the value as a literal.
    [&[0x08, 3][..], status.as_bytes()].concat()
}

/// A field as a literal.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0x00, length(name)][..], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
    pub is_last: bool,
}

/// A connection that a client of HTTP/2 made.
pub struct Frames(pub TcpStream);

impl Frames {
    /// Reads what the client begins with.
    pub fn accept(mut stream: TcpStream) -> io::Result<Self> {
        // A server that closes with something unread loses what it has not sent by then.
        stream.set_nodelay(true)?;
        stream.read_exact(&mut [0; 24])?;
        Ok(Self(stream))
    }

    /// The first SETTINGS, with a bound of concurrent streams.
    pub fn settings(&mut self, streams: u8) {
        self.write(SETTINGS, 0, 0, &[0, MAX_CONCURRENT_STREAMS, 0, 0, 0, streams]);
    }

    /// The next frame that is no SETTINGS; those are acknowledged.
    pub fn next(&mut self) -> io::Result<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head)?;
            let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
            self.0.read_exact(&mut payload)?;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match kind {
                SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[]),
                DATA | HEADERS | RST_STREAM => {
                    let is_last = kind != RST_STREAM && flags & END_STREAM != 0;
                    return Ok(Frame { kind, stream, payload, is_last });
                }
                _ => {}
            }
        }
    }

    /// The next request: its stream, and whether more of it comes.
    pub fn request(&mut self) -> io::Result<(u32, bool)> {
        loop {
            let frame = self.next()?;
            if frame.kind == HEADERS {
                return Ok((frame.stream, !frame.is_last));
            }
        }
    }

    pub fn answer(&mut self, stream: u32, code: &str, body: &str) {
        let length = field("content-length", &body.len().to_string());
        self.write(HEADERS, END_HEADERS, stream, &[status(code), length].concat());
        self.write(DATA, END_STREAM, stream, body.as_bytes());
    }

    /// An answer without a body.
    pub fn answer_with(&mut self, stream: u32, block: &[u8]) {
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, block);
    }

    pub fn reset(&mut self, stream: u32, code: u8) {
        self.write(RST_STREAM, 0, stream, &[0, 0, 0, code]);
    }

    /// Says goodbye: nothing was done with streams after this one.
    pub fn goodbye(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), [0, 0, 0, NO_ERROR]].concat();
        self.write(GOAWAY, 0, 0, &payload);
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        // Whether the client still reads is what the test is about.
        _ = self.0.write_all(&[head, payload.to_vec()].concat());
    }
}
