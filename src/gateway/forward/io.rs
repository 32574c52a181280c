//! The socket of a connection to an upstream, and what an exchange has to know of it: what was written, whether anything
//! came back, and whether a write failed. A failed write is not the end: the upstream may have answered before it closed.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Connected;

/// Of one exchange at a time; HTTP/2 has many at once, and uses only what concerns the whole connection.
#[derive(Debug, Default)]
pub(super) struct IoState {
    /// Whether the next write is a request that is kept in case it has to be sent again.
    records: AtomicBool,
    /// Its header as it was written. The buffer stays with the connection.
    request: Mutex<Vec<u8>>,
    received: AtomicUsize,
    /// Lines among the first bytes, up to the bound of a response's header.
    lines: AtomicUsize,
    counts_lines_of: usize,
    /// How often the end of what comes is put off, so that what came before it is dealt with first: the h2 crate
    /// takes a response that is complete for one that broke off if its connection breaks while the request still goes.
    puts_off_end: u8,
    is_broken: AtomicBool,
    /// Wakes the driver of an HTTP/2 connection while it waits for the first SETTINGS.
    driver: Mutex<Option<Waker>>,
    has_driver: AtomicBool,
}

/// A buffer that one large header left behind is not kept.
const KEPT_BUFFER: usize = 8 << 10;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IoState {
    pub fn of_http1(header_bytes: usize) -> Arc<Self> {
        Arc::new(Self { counts_lines_of: header_bytes, ..Self::default() })
    }

    pub fn of_http2() -> Arc<Self> {
        Arc::new(Self { puts_off_end: 2, ..Self::default() })
    }

    /// Another exchange begins. `records`: its request has no body, and may be sent again.
    pub fn begin(&self, records: bool) {
        self.received.store(0, Ordering::Relaxed);
        self.lines.store(0, Ordering::Relaxed);
        self.records.store(records, Ordering::Release);
    }

    /// Bytes that came since the exchange began.
    pub fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether the header bytes that came are more lines than a status and so many fields.
    pub fn has_more_fields_than(&self, fields: usize) -> bool {
        self.lines.load(Ordering::Relaxed) > fields.saturating_add(1)
    }

    /// A write failed: the connection takes no more requests, but what came before that is read.
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    /// The fields of the request of this exchange, if it was written whole. Where nothing was, the buffer still holds that of
    /// another exchange, which may be another client's.
    pub fn take_fields(&self) -> Option<HeaderMap> {
        let is_written = !self.records.swap(false, Ordering::AcqRel);
        let mut request = lock(&self.request);
        let fields = if is_written { read_fields(&request) } else { None };
        request.clear();
        request.shrink_to(KEPT_BUFFER);
        fields
    }

    pub fn wake_on_read(&self, waker: &Waker) {
        *lock(&self.driver) = Some(waker.clone());
        self.has_driver.store(true, Ordering::Release);
    }

    fn wake(&self) {
        if self.has_driver.swap(false, Ordering::AcqRel)
            && let Some(driver) = lock(&self.driver).take()
        {
            driver.wake();
        }
    }

    fn came(&self, bytes: &[u8]) {
        let before = self.received.fetch_add(bytes.len(), Ordering::Relaxed);
        let counted = self.counts_lines_of.saturating_sub(before).min(bytes.len());
        if counted > 0 {
            // Without a check for overflow this takes many bytes at a time.
            let lines = bytes[..counted].iter().fold(0_usize, |n, byte| n.wrapping_add(usize::from(*byte == b'\n')));
            self.lines.fetch_add(lines, Ordering::Relaxed);
        }
    }

    fn goes(&self, slices: &[io::IoSlice<'_>]) {
        if self.records.load(Ordering::Acquire) {
            self.records.store(false, Ordering::Relaxed);
            let mut request = lock(&self.request);
            request.clear();
            request.shrink_to(KEPT_BUFFER);
            for slice in slices {
                request.extend_from_slice(slice);
            }
        }
    }

    /// What was written is lost where the upstream reads no more, and what it sent before that is what counts.
    fn written<T>(&self, result: Poll<io::Result<T>>, lost: impl FnOnce() -> T) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a write to an upstream failed");
                self.is_broken.store(true, Ordering::Release);
                Poll::Ready(Ok(lost()))
            }
            other => other,
        }
    }
}

/// Reads back what hyper wrote: a request line, `name: value` lines, an empty line.
fn read_fields(request: &[u8]) -> Option<HeaderMap> {
    let head = request.strip_suffix(b"\r\n\r\n")?;
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    lines
        .map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
            Some((HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(value).ok()?))
        })
        .collect()
}

pub(super) struct UpstreamIo {
    inner: Connected,
    state: Arc<IoState>,
    /// How it ended, and how often that is still put off.
    end: Option<(io::Result<()>, u8)>,
}

impl UpstreamIo {
    pub fn new(inner: Connected, state: Arc<IoState>) -> Self {
        Self { inner, state, end: None }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.end {
            Some((_, left @ 1..)) => {
                *left -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(self.end.take().map_or(Ok(()), |(end, _)| end)),
        }
    }
}

impl Drop for UpstreamIo {
    fn drop(&mut self) {
        self.state.wake();
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A reader that goes on has dealt with what was read before.
        self.state.wake();
        if self.end.is_some() {
            return self.poll_end(cx);
        }
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        let came = &buffer.filled()[before..];
        if read.is_err() || came.is_empty() {
            self.end = Some((read, self.state.puts_off_end));
            return self.poll_end(cx);
        }
        self.state.came(came);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.state.is_broken() {
            return Poll::Ready(Ok(bytes.len()));
        }
        self.state.goes(&[io::IoSlice::new(bytes)]);
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.state.written(written, || bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = || slices.iter().map(|slice| slice.len()).sum();
        if self.state.is_broken() {
            return Poll::Ready(Ok(length()));
        }
        self.state.goes(slices);
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.state.written(written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.is_broken() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.state.written(flushed, || ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.is_broken() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_back_as_they_were_written() {
        let request = b"GET /a?b HTTP/1.1\r\nhost: a\r\nx-one: 1\r\nx-one: : 2\r\nx-none: \r\nx-raw: \xe4 b\r\n\r\n";
        let fields = read_fields(request).unwrap();
        let all: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 5] =
            [("host", b"a"), ("x-one", b"1"), ("x-one", b": 2"), ("x-none", b""), ("x-raw", b"\xe4 b")];
        assert_eq!(all, expected);
        assert_eq!(read_fields(b"GET / HTTP/1.1\r\n\r\n"), Some(HeaderMap::new()));
    }

    #[test]
    fn of_a_request_that_was_not_written_whole_there_is_nothing_to_send_again() {
        assert_eq!(read_fields(b""), None);
        assert_eq!(read_fields(b"GET / HTTP/1.1\r\nhost: a\r\n"), None);
    }

    #[test]
    fn fields_of_another_exchange_are_not_sent_again() {
        let state = IoState::of_http1(1024);
        state.begin(true);
        state.goes(&[io::IoSlice::new(b"GET / HTTP/1.1\r\nx-one: 1\r\n\r\n")]);
        state.begin(true);
        assert_eq!(state.take_fields(), None, "nothing was written yet");
        state.begin(true);
        state.goes(&[io::IoSlice::new(b"GET / HTTP/1.1\r\nx-two: 2\r\n\r\n")]);
        assert_eq!(state.take_fields().unwrap()["x-two"], "2");
    }

    #[test]
    fn lines_are_counted_up_to_the_bound_and_from_the_beginning_of_each_exchange() {
        let state = IoState::of_http1(20);
        for _ in 0..2 {
            state.begin(false);
            state.came(b"HTTP/1.1 200 OK\r\n");
            assert!(!state.has_more_fields_than(0));
            state.came(b"\n\n\n\n\n\n");
            assert_eq!((state.received(), state.lines.load(Ordering::Relaxed)), (23, 4));
            assert!(state.has_more_fields_than(2) && !state.has_more_fields_than(3));
        }
    }
}
