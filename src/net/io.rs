//! A caller's connection below HTTP: which protocol it begins with, and a limit on how long a write may stand still.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::Stall;
use super::linger::Linger;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// How HTTP/2 begins (RFC 9113 section 3.4); no HTTP/1 method begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is clear which protocol the caller speaks: for HTTP/2 the whole preface, so that nobody holds a place
/// with a part of it. None where the caller leaves before that.
pub(super) async fn begin<I: AsyncRead + Unpin>(mut io: I, write_stall: Duration) -> Option<(Protocol, CallerIo<I>)> {
    let mut first = [0; PREFACE.len()];
    let mut seen = 0;
    while seen < PREFACE.len() && first[..seen] == PREFACE[..seen] {
        match io.read(&mut first[seen..]).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => seen += n,
        }
    }
    let protocol = if first[..seen] == *PREFACE { Protocol::Http2 } else { Protocol::Http1 };
    Some((protocol, CallerIo { protocol, io, first, unread: 0..seen, stall: Stall::new(write_stall), linger: None }))
}

/// Gives back what was read at the beginning, and breaks off when the caller reads nothing for too long.
pub(super) struct CallerIo<I> {
    protocol: Protocol,
    io: I,
    first: [u8; PREFACE.len()],
    unread: std::ops::Range<usize>,
    stall: Stall,
    linger: Option<Box<Linger>>,
}

impl<I> CallerIo<I> {
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall.progress();
            return written;
        }
        ready!(self.stall.poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller reads nothing")))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for CallerIo<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let end = self.unread.end.min(self.unread.start + buffer.remaining());
        buffer.put_slice(&self.first[self.unread.start..end]);
        self.unread.start = end;
        // The rest of it most likely is there as well.
        if self.unread.is_empty() && buffer.remaining() > 0 && self.protocol == Protocol::Http1 {
            return match Pin::new(&mut self.io).poll_read(cx, buffer) {
                Poll::Pending => Poll::Ready(Ok(())),
                read @ Poll::Ready(_) => read,
            };
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for CallerIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let shut = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.watch(cx, shut))?;
        }
        let this = &mut *self;
        this.linger.get_or_insert_default().poll(&mut this.io, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn read_all(bytes: &[&[u8]]) -> Option<(Protocol, Vec<u8>)> {
        let (mut caller, ours) = duplex(1024);
        let begun = tokio::spawn(begin(ours, LIMIT));
        for part in bytes {
            caller.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(caller);
        let (protocol, mut io) = begun.await.unwrap()?;
        let mut all = Vec::new();
        io.read_to_end(&mut all).await.unwrap();
        Some((protocol, all))
    }

    #[tokio::test]
    async fn the_protocol_is_known_by_its_first_bytes_and_none_is_lost() {
        let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nand a long body, longer than the preface";
        assert_eq!(read_all(&[get]).await, Some((Protocol::Http1, get.to_vec())));
        assert_eq!(read_all(&[b"P", b"OST / "]).await, Some((Protocol::Http1, b"POST / ".to_vec())));
        assert_eq!(read_all(&[b"PRI * HTTP/1.1\r\n"]).await, Some((Protocol::Http1, b"PRI * HTTP/1.1\r\n".to_vec())));
        assert_eq!(read_all(&[PREFACE, b"frames"]).await, Some((Protocol::Http2, [PREFACE, b"frames"].concat())));
        assert_eq!(read_all(&[b"PRI"]).await, None);
        assert_eq!(read_all(&[]).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_reads_nothing_is_left() {
        let (mut caller, ours) = duplex(64);
        caller.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let (_, mut io) = begin(ours, LIMIT).await.unwrap();
        let started = tokio::time::Instant::now();
        let error = io.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, LIMIT));
    }
}
