//! Floods of cheap frames over HTTP/2: frames that cost a client nothing and make the server work. hyper tells nothing of
//! them, so they are counted below it, in the bytes of the connection.
//!
//! A connection has a credit. A frame that asks for nothing costs one; time gives some back, and so does what we send: who
//! gets answers has reasons to update windows, to ping, and to cancel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The credit of a new connection, which is also the most.
const CREDIT: u32 = 1000;
/// What a second gives back.
const PER_SECOND: u32 = 50;
/// What a frame with a part of an answer gives back, and how many bytes give one more.
const PER_FRAME: u32 = 10;
const BYTES: u32 = 512;

const PREFACE: u32 = 24;
const HEADER: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;
/// The longest padding with the byte that tells its length.
const PADDING: u32 = 256;

/// A connection of HTTP/2 whose client is cut off when it floods.
pub(super) struct FloodGuard<I> {
    io: I,
    incoming: Frames,
    outgoing: Frames,
    credit: Credit,
    /// The newest stream of the client.
    newest: u32,
}

impl<I> FloodGuard<I> {
    /// From the preface on.
    pub fn new(io: I) -> Self {
        Self { io, incoming: Frames::after(PREFACE), outgoing: Frames::after(0), credit: Credit::new(), newest: 0 }
    }

    /// Whether the client has gone too far with these bytes.
    fn read(&mut self, bytes: &[u8]) -> bool {
        let Self { incoming, credit, newest, .. } = self;
        let mut is_flood = false;
        incoming.advance(bytes, |frame| {
            if frame.kind == HEADERS {
                *newest = (*newest).max(frame.stream);
            }
            is_flood |= frame.is_cheap() && !credit.spend();
        });
        is_flood
    }

    fn wrote(&mut self, bytes: &[u8]) {
        let Self { outgoing, credit, .. } = self;
        outgoing.advance(bytes, |frame| {
            if matches!(frame.kind, DATA | HEADERS) {
                credit.earn(PER_FRAME + frame.length / BYTES);
            }
        });
    }
}

impl<I: AsyncWrite + Unpin> FloodGuard<I> {
    /// Says why, if that can be said at once, and gives the connection up.
    fn cut(&mut self, cx: &mut Context<'_>) -> io::Error {
        metrics::counter!("scopegate_http2_floods_total").increment(1);
        tracing::warn!("a client flooded its connection of HTTP/2 with frames that ask for nothing; it was closed");
        if self.outgoing.is_at_boundary() {
            _ = Pin::new(&mut self.io).poll_write(cx, &goaway(self.newest));
            _ = Pin::new(&mut self.io).poll_flush(cx);
        }
        io::Error::other("a flood of HTTP/2 frames")
    }
}

/// ENHANCE_YOUR_CALM (RFC 9113 sections 6.8 and 7).
fn goaway(newest: u32) -> [u8; 17] {
    let [a, b, c, d] = newest.to_be_bytes();
    [0, 0, 8, 7, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0xb]
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for FloodGuard<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if self.read(&buffer.filled()[before..]) {
            buffer.set_filled(before);
            return Poll::Ready(Err(self.cut(cx)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for FloodGuard<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.wrote(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        let mut left = length;
        for slice in slices {
            let part = left.min(slice.len());
            self.wrote(&slice[..part]);
            left -= part;
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What a frame may still cost.
struct Credit {
    left: u32,
    since: Instant,
}

impl Credit {
    fn new() -> Self {
        Self { left: CREDIT, since: Instant::now() }
    }

    fn spend(&mut self) -> bool {
        if self.left == 0 {
            self.refill();
        }
        let is_there = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_there
    }

    fn earn(&mut self, credit: u32) {
        self.left = self.left.saturating_add(credit).min(CREDIT);
    }

    /// The clock is asked only when nothing is left.
    fn refill(&mut self) {
        let elapsed = self.since.elapsed().min(Duration::from_secs(60)).as_millis();
        let earned = u32::try_from(elapsed * u128::from(PER_SECOND) / 1000).unwrap_or(CREDIT);
        if earned > 0 {
            self.since = Instant::now();
            self.earn(earned);
        }
    }
}

/// The header of a frame (RFC 9113 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    fn of(header: [u8; HEADER]) -> Self {
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        let stream = big_endian(&header[5..]) & 0x7fff_ffff;
        Self { length: big_endian(&header[..3]), kind: header[3], flags: header[4], stream }
    }

    /// Whether it begins no request and carries nothing of one. Padding carries nothing.
    fn is_cheap(self) -> bool {
        match self.kind {
            HEADERS => false,
            DATA if self.flags & END_STREAM != 0 => false,
            DATA => self.length == 0 || self.flags & PADDED != 0 && self.length <= PADDING,
            _ => true,
        }
    }
}

/// Where frames begin and end.
struct Frames {
    header: [u8; HEADER],
    known: usize,
    /// What is left of the payload, or of what comes before the first frame.
    left: u32,
}

impl Frames {
    fn after(left: u32) -> Self {
        Self { header: [0; HEADER], known: 0, left }
    }

    fn is_at_boundary(&self) -> bool {
        self.known == 0 && self.left == 0
    }

    fn advance(&mut self, mut bytes: &[u8], mut begins: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let some = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.left -= u32::try_from(some).unwrap_or(self.left);
                bytes = &bytes[some..];
                continue;
            }
            let some = (HEADER - self.known).min(bytes.len());
            self.header[self.known..self.known + some].copy_from_slice(&bytes[..some]);
            self.known += some;
            bytes = &bytes[some..];
            if self.known == HEADER {
                let frame = Frame::of(self.header);
                (self.known, self.left) = (0, frame.length);
                begins(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    const PRIORITY: u8 = 2;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;
    const CONTINUATION: u8 = 9;
    const UNKNOWN: u8 = 0xfa;

    /// A guard that has read the preface, and the client's end.
    async fn guarded() -> (DuplexStream, FloodGuard<DuplexStream>) {
        let (mut client, ours) = duplex(1 << 20);
        client.write_all(&[0; PREFACE as usize]).await.unwrap();
        let mut guard = FloodGuard::new(ours);
        guard.read_exact(&mut [0; PREFACE as usize]).await.unwrap();
        (client, guard)
    }

    /// How many frames of this kind are let through.
    async fn count(client: &mut DuplexStream, guard: &mut FloodGuard<DuplexStream>, bytes: &[u8]) -> u32 {
        for n in 0..2 * CREDIT {
            client.write_all(bytes).await.unwrap();
            if guard.read_exact(&mut vec![0; bytes.len()]).await.is_err() {
                return n;
            }
        }
        u32::MAX
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_ask_for_nothing_are_counted_and_a_flood_of_them_is_cut() {
        for (kind, payload) in [
            (PRIORITY, &[0; 5][..]),
            (RESET, &[0; 4]),
            (SETTINGS, &[]),
            (PING, &[0; 8]),
            (WINDOW_UPDATE, &[0, 0, 0, 1]),
            (CONTINUATION, &[]),
            (UNKNOWN, b"grease"),
            (DATA, &[]),
        ] {
            let (mut client, mut guard) = guarded().await;
            client.write_all(&frame(HEADERS, 5, 7, b"header")).await.unwrap();
            guard.read_exact(&mut [0; 15]).await.unwrap();
            assert_eq!(count(&mut client, &mut guard, &frame(kind, 0, 7, payload)).await, CREDIT, "{kind}");
            let mut said = [0; 17];
            client.read_exact(&mut said).await.unwrap();
            assert_eq!(said.to_vec(), frame(7, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0xb]));
        }
        let (mut client, mut guard) = guarded().await;
        let padded = frame(DATA, PADDED, 1, &[9; 10]);
        assert_eq!(count(&mut client, &mut guard, &padded).await, CREDIT);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_their_bodies_cost_nothing() {
        for bytes in [frame(HEADERS, 5, 1, b"header"), frame(DATA, 0, 1, b"x"), frame(DATA, END_STREAM, 1, &[])] {
            let (mut client, mut guard) = guarded().await;
            assert_eq!(count(&mut client, &mut guard, &bytes).await, u32::MAX);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_and_time_give_credit_back() {
        let (mut client, mut guard) = guarded().await;
        let ping = frame(PING, 0, 0, &[0; 8]);
        for _ in 0..CREDIT {
            client.write_all(&ping).await.unwrap();
            guard.read_exact(&mut [0; 17]).await.unwrap();
            // What answers a ping gives nothing.
            guard.write_all(&frame(PING, 1, 0, &[0; 8])).await.unwrap();
        }
        guard.write_all(&frame(DATA, 0, 1, &[0; 5120])).await.unwrap();
        let earned = PER_FRAME + 5120 / BYTES;
        for _ in 0..earned {
            client.write_all(&ping).await.unwrap();
            guard.read_exact(&mut [0; 17]).await.unwrap();
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(count(&mut client, &mut guard, &ping).await, 2 * PER_SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_said_within_a_frame() {
        let (mut client, mut guard) = guarded().await;
        guard.write_all(&frame(DATA, 0, 1, b"answer")[..12]).await.unwrap();
        let most = CREDIT - 1 + PER_FRAME;
        assert!(count(&mut client, &mut guard, &frame(SETTINGS, 0, 0, &[])).await <= most);
        drop(guard);
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said.len(), 12);
    }

    proptest! {
        #[test]
        fn any_chunking_finds_the_same_frames(
            shapes in prop::collection::vec((any::<u8>(), any::<u8>(), 0_usize..300), 1..8),
            chunks in prop::collection::vec(1_usize..70, 1..8),
        ) {
            let frames: Vec<_> = shapes.iter().map(|(kind, flags, length)| frame(*kind, *flags, 3, &vec![0xff; *length])).collect();
            let (bytes, mut found, mut at) = (frames.concat(), Vec::new(), 0);
            let (mut chunks, mut follower) = (chunks.iter().cycle(), Frames::after(0));
            while at < bytes.len() {
                let end = bytes.len().min(at + chunks.next().unwrap());
                follower.advance(&bytes[at..end], |frame| found.push((frame.kind, frame.flags, frame.length as usize)));
                at = end;
            }
            prop_assert_eq!(found, shapes);
            prop_assert_eq!(follower.is_at_boundary(), true);
        }
    }
}
