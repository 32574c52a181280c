//! One direction of a tunnel.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::farewell::Farewell;
use super::frames::Frames;
use super::{CLOSING, Side};

/// Half of what a tunnel needs while it is quiet; most are, most of the time.
const BUFFER: usize = 8 << 10;

/// How a direction came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// In order: after a Close, or, where nothing is known of the protocol, at the end of what was sent.
    Closed,
    /// This side went without a word.
    Broken(Side),
    /// It was told to.
    Told,
}

/// What goes from one side to the other.
pub(super) struct Pump<'t, R, W> {
    /// Who is read.
    pub from: Side,
    pub reader: R,
    pub writer: W,
    /// Where it is a WebSocket.
    pub frames: Option<Frames>,
    pub count: &'t AtomicU64,
    pub quiet: &'t Quiet,
    /// Told when the side that is read has begun a Close.
    pub closes: watch::Sender<bool>,
    /// Whether the side that is written to has.
    pub other_closes: watch::Receiver<bool>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<'_, R, W> {
    /// Until one side is done, or there is something to say to the side that is written to.
    pub async fn run(&mut self, mut told: watch::Receiver<Option<Farewell>>) -> Finish {
        let mut buffer = vec![0; BUFFER];
        loop {
            // Nothing may follow a Close, and whether the side's connection ends soon is its own affair.
            if self.frames.as_ref().is_some_and(Frames::is_over) {
                return Finish::Closed;
            }
            let read = tokio::select! {
                biased;
                word = word(&mut told) => {
                    _ = self.leave(word, &mut buffer).await;
                    return Finish::Told;
                }
                read = self.reader.read(&mut buffer) => read,
            };
            match read {
                Ok(0) => return self.end().await,
                Err(_) => {
                    _ = self.end().await;
                    return Finish::Broken(self.from);
                }
                Ok(length) => {
                    if self.pass(&buffer[..length]).await.is_err() {
                        if self.from == Side::Caller {
                            _ = timeout(CLOSING, self.hear_out(length, &mut buffer)).await;
                        }
                        return Finish::Broken(self.from.other());
                    }
                }
            }
        }
    }

    async fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.quiet.disturb();
        self.writer.write_all(bytes).await?;
        // TLS may hold back what it was given.
        self.writer.flush().await?;
        self.count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(frames) = &mut self.frames {
            frames.advance(bytes);
            if frames.is_closed() {
                self.closes.send_replace(true);
            }
        }
        Ok(())
    }

    /// Reads a WebSocket up to its Close, for a side that gets nothing any more: who is told of that closes, too, and is
    /// not to find its connection broken before it has read why.
    async fn hear_out(&mut self, mut length: usize, buffer: &mut [u8]) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        loop {
            frames.advance(&buffer[..length]);
            if length == 0 || frames.is_over() {
                return Ok(());
            }
            length = self.reader.read(buffer).await?;
        }
    }

    /// Nothing more comes.
    async fn end(&mut self) -> Finish {
        match &self.frames {
            Some(frames) if !frames.is_closed() => {
                if self.from == Side::Upstream && frames.is_at_boundary() {
                    _ = self.say(Farewell::CUT).await;
                } else {
                    _ = self.writer.shutdown().await;
                }
                Finish::Broken(self.from)
            }
            _ => {
                _ = self.writer.shutdown().await;
                Finish::Closed
            }
        }
    }

    /// Ends a WebSocket at the next boundary between frames, then waits for the side that is read to close. Of another
    /// protocol we know no last word.
    async fn leave(&mut self, word: Farewell, buffer: &mut [u8]) -> io::Result<()> {
        let Some(mut frames) = self.frames.take() else { return Ok(()) };
        let (mut is_said, mut is_shut) = (frames.is_closed(), false);
        if frames.is_at_boundary() && !is_said {
            self.say(word).await?;
            is_said = true;
        }
        while !frames.is_closed() {
            let length = tokio::select! {
                biased;
                // The other side has both words: its connection ends, however long this side takes.
                () = closes(&mut self.other_closes), if is_said && !is_shut => {
                    is_shut = true;
                    self.writer.shutdown().await?;
                    continue;
                }
                read = self.reader.read(buffer) => read?,
            };
            if length == 0 {
                return Ok(());
            }
            let end = if is_said { 0 } else { frames.advance_to_boundary(&buffer[..length]) };
            self.pass(&buffer[..end]).await?;
            if frames.is_at_boundary() && !frames.is_closed() && !is_said {
                self.say(word).await?;
                is_said = true;
            }
            frames.advance(&buffer[end..length]);
        }
        self.closes.send_replace(true);
        Ok(())
    }

    async fn say(&mut self, word: Farewell) -> io::Result<()> {
        let mask = (self.from == Side::Caller).then(mask);
        self.writer.write_all(&word.frame(mask)).await?;
        self.writer.flush().await
    }
}

/// Waits until there is something to say.
async fn word(told: &mut watch::Receiver<Option<Farewell>>) -> Farewell {
    match told.wait_for(|word| word.is_some()).await.ok().and_then(|word| *word) {
        Some(word) => word,
        // Whoever could say something is gone, and so is the tunnel.
        None => std::future::pending().await,
    }
}

/// Waits until a side has begun a Close.
async fn closes(side: &mut watch::Receiver<bool>) {
    _ = side.wait_for(|closes| *closes).await;
}

/// Section 5.3: a key that nobody foresees, for bytes that everybody knows.
fn mask() -> [u8; 4] {
    let mut key = [0; 4];
    _ = aws_lc_rs::rand::fill(&mut key);
    key
}

/// For how long nothing went through a tunnel.
pub(super) struct Quiet {
    start: Instant,
    /// In milliseconds after the start.
    last: AtomicU64,
}

impl Quiet {
    pub fn new() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }

    fn disturb(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Waits until it has been quiet for the whole limit; for ever where that is zero.
    pub async fn lasts(&self, limit: Duration) {
        if limit.is_zero() {
            return std::future::pending().await;
        }
        loop {
            let quiet = self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)));
            if quiet >= limit {
                return;
            }
            sleep(limit.saturating_sub(quiet)).await;
        }
    }
}
