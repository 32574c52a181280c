//! A client's connection as hyper reads it over HTTP/1.1: header by header.
//!
//! Each header is judged before hyper sees it. What hyper would refuse without a word is replaced by a request that
//! stands for it, so that the service refuses and logs it; characters that a query may not have are encoded. No byte
//! after a header or a body is handed on before hyper has said, by calling the service, how that body goes on: both
//! always see requests begin at the same byte, or the connection ends.

mod chunks;
mod head;
mod malformed;
mod turn;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Stall;
use super::calls::Calls;
use chunks::{Chunks, Followed};
use head::Head;
pub(super) use head::encode_query;
pub use malformed::Malformed;
use turn::Framing;
pub use turn::Turn;

/// The longest header.
const LONGEST: usize = 64 << 10;
/// A client that ends its side so soon after its request still wants the response; one that does later has left.
const HALF_CLOSE: Duration = Duration::from_secs(1);
/// How long nothing may be written to a client that ended its side, once its response has begun.
const HALF_CLOSED_IDLE: Duration = Duration::from_secs(5);

/// Where in the stream of requests the reader is.
enum At {
    Head,
    /// The header was handed on, and hyper has not called the service yet.
    Given,
    Length(u64),
    Chunks(Chunks),
    /// In a body whose end is not known: no more is read, so that nothing behind it is taken for a request.
    Lost,
}

pub(super) struct Http1Io<I> {
    io: I,
    calls: Arc<Calls>,
    at: At,
    /// Read, and not handed on yet.
    ahead: BytesMut,
    /// Handed on before anything else.
    out: BytesMut,
    /// How much of `ahead` was judged to be part of a header.
    judged: usize,
    /// Whether no request is in flight, so that the next may be read.
    is_idle: bool,
    /// Whether the client has ended its side.
    is_ended: bool,
    /// Whether the last request was malformed.
    is_refused: bool,
    /// Whether the response has begun.
    is_answered: bool,
    /// When the request in flight had arrived.
    arrived: Instant,
    header: Stall,
    half_closed: Stall,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Http1Io<I> {
    pub fn new(io: I, calls: Arc<Calls>, header_timeout: Duration) -> Self {
        Self {
            io,
            calls,
            at: At::Head,
            ahead: BytesMut::new(),
            out: BytesMut::new(),
            judged: 0,
            is_idle: true,
            is_ended: false,
            is_refused: false,
            is_answered: false,
            arrived: Instant::now(),
            header: Stall::new(header_timeout),
            half_closed: Stall::new(HALF_CLOSED_IDLE),
        }
    }

    /// Reads behind what is kept. Nothing read is the client's end.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; 4096];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        self.ahead.extend_from_slice(buffer.filled());
        self.is_ended = buffer.filled().is_empty();
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Where hyper says that the request goes on.
    fn follow_turn(&mut self) {
        if matches!(self.at, At::Given)
            && let Some(framing) = self.calls.turn.take_framing()
        {
            match framing {
                Framing::Length(0) => self.arrive(At::Head),
                Framing::Length(length) => self.at = At::Length(length),
                Framing::Chunked => self.at = At::Chunks(Chunks::new()),
            }
        }
    }

    fn arrive(&mut self, at: At) {
        self.at = at;
        self.arrived = Instant::now();
    }

    fn give(&mut self) {
        self.at = At::Given;
        self.is_idle = false;
        self.is_answered = false;
        self.header.progress();
    }

    fn refuse(&mut self, malformed: Malformed) {
        metrics::counter!("scopegate_bad_requests_total").increment(1);
        self.out = head::stand_in(&self.ahead).as_bytes().into();
        self.ahead.clear();
        self.is_refused = true;
        self.calls.turn.refuse(malformed);
        self.give();
    }

    /// The next header, once the response before it is written.
    fn read_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_refused || matches!(self.at, At::Lost) {
            return Poll::Ready(Ok(()));
        }
        if self.ahead.is_empty() && !self.is_ended {
            let before = buffer.filled().len();
            if Pin::new(&mut self.io).poll_read(cx, buffer)?.is_pending() {
                return self.await_head(cx, buffer);
            }
            let read = &buffer.filled()[before..];
            self.is_ended = read.is_empty();
            if let Head::Whole(length, None) = head::judge(read) {
                // Straight to hyper, as nearly every request goes.
                self.ahead.extend_from_slice(&read[length..]);
                buffer.set_filled(before + length);
                self.give();
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(read);
            buffer.set_filled(before);
            self.judged = 0;
        }
        loop {
            if self.find_head() {
                return self.hand_on(buffer);
            }
            if self.ahead.len() >= LONGEST {
                self.refuse(Malformed::TooLarge);
                return self.hand_on(buffer);
            }
            if self.is_ended {
                if !self.has_begun() {
                    return Poll::Ready(Ok(()));
                }
                self.refuse(Malformed::Incomplete);
                return self.hand_on(buffer);
            }
            if self.read_ahead(cx)?.is_pending() {
                return self.await_head(cx, buffer);
            }
        }
    }

    fn await_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.header.poll(cx));
        if self.has_begun() {
            self.refuse(Malformed::Timeout);
            return self.hand_on(buffer);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether there is anything of a request but the line breaks that may stand before it.
    fn has_begun(&self) -> bool {
        !self.ahead.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// Moves the next header, or what stands for it, to what is handed on. Judged at first and at its end, so that one
    /// that comes byte by byte costs no more than another.
    fn find_head(&mut self) -> bool {
        let (judged, all) = (self.judged, &self.ahead);
        self.judged = all.len();
        if all.is_empty() || (judged > 0 && !has_end(&all[judged.saturating_sub(3)..])) {
            return false;
        }
        match head::judge(all) {
            Head::Partial => return false,
            Head::Malformed(malformed) => {
                self.refuse(malformed);
                return true;
            }
            Head::Whole(length, None) => self.out = self.ahead.split_to(length),
            Head::Whole(length, Some(target)) => {
                let head = self.ahead.split_to(length);
                let encoded = head::encoded(&String::from_utf8_lossy(&head[target.clone()]));
                self.out = [&head[..target.start], encoded.as_bytes(), &head[target.end..]].concat()[..].into();
            }
        }
        self.give();
        true
    }

    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.out.len().min(buffer.remaining());
        buffer.put_slice(&self.out[..length]);
        self.out.advance(length);
        self.judged = 0;
        Poll::Ready(Ok(()))
    }

    /// While a request is in flight: whether the client leaves.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() && !self.is_ended {
            let read = ready!(self.read_ahead(cx))?;
            self.judged = 0;
            if read > 0 {
                return Poll::Pending;
            }
            let is_late = self.arrived.elapsed() > HALF_CLOSE;
            if is_late || self.calls.turn.may_upgrade() {
                return Poll::Ready(Ok(()));
            }
        }
        if !self.is_ended || !self.is_answered {
            return Poll::Pending;
        }
        self.half_closed.poll(cx).map(Ok)
    }

    /// A body, and nothing beyond it.
    fn read_body(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.ahead.is_empty() {
            ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        } else {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(length));
        }
        let read = &buffer.filled()[before..];
        let end = match &mut self.at {
            At::Length(left) => {
                let there = u64::try_from(read.len()).unwrap_or(u64::MAX);
                if *left > there {
                    *left -= there;
                    return Poll::Ready(Ok(()));
                }
                usize::try_from(*left).unwrap_or(usize::MAX)
            }
            At::Chunks(chunks) => match chunks.follow(read) {
                Followed::Inside => return Poll::Ready(Ok(())),
                Followed::End(end) => end,
                Followed::Lost => {
                    buffer.set_filled(before);
                    self.at = At::Lost;
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            },
            At::Head | At::Given | At::Lost => return Poll::Ready(Ok(())),
        };
        let beyond = BytesMut::from(&read[end..]);
        if !beyond.is_empty() {
            let rest = std::mem::replace(&mut self.ahead, beyond);
            self.ahead.extend_from_slice(&rest);
        }
        buffer.set_filled(before + end);
        self.judged = 0;
        self.arrive(At::Head);
        Poll::Ready(Ok(()))
    }

    /// What is written is out. The next header may be read if it was the last of the response.
    fn flushed(&mut self, cx: &mut Context<'_>) {
        self.follow_turn();
        if self.is_idle || self.calls.in_flight() > 0 || !matches!(self.at, At::Head | At::Lost) {
            return;
        }
        self.is_idle = true;
        if !self.ahead.is_empty() || self.is_ended || self.is_refused || matches!(self.at, At::Lost) {
            cx.waker().wake_by_ref();
        } else {
            // hyper reads again only when there is something to read.
            _ = self.header.poll(cx);
        }
    }

    fn wrote(&mut self, cx: &mut Context<'_>) {
        self.is_answered = true;
        self.half_closed.progress();
        if self.is_ended {
            cx.waker().wake_by_ref();
        }
    }
}

/// Whether there may be an empty line.
fn has_end(bytes: &[u8]) -> bool {
    let mut line_ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    line_ends.any(|(i, _)| matches!(&bytes[i + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Http1Io<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.out.is_empty() {
            return this.hand_on(buffer);
        }
        this.follow_turn();
        if this.calls.turn.is_tunnel() && matches!(this.at, At::Head) {
            if this.ahead.is_empty() {
                return Pin::new(&mut this.io).poll_read(cx, buffer);
            }
            let length = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match this.at {
            At::Head if this.is_idle => this.read_head(cx, buffer),
            At::Head => this.watch(cx),
            At::Lost if this.is_idle => Poll::Ready(Ok(())),
            At::Length(_) | At::Chunks(_) => this.read_body(cx, buffer),
            // hyper takes for a part what is whole here: no more of it can be trusted to be read alike.
            At::Given | At::Lost => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Http1Io<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.wrote(cx);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.wrote(cx);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.flushed(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
