//! The end of a connection whose client still sends: what comes is read and dropped for a while. A socket that is closed with
//! something unread resets the connection, and the client may lose the answer that it was sent before.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::Stall;

/// How long a client may take to send something, or to close its side, after we have closed ours.
const FIRST: Duration = Duration::from_millis(500);

/// The longest pause of one that does send.
const PAUSE: Duration = Duration::from_secs(5);

const ALL: Duration = Duration::from_secs(30);

pub(super) struct Linger {
    stall: Stall,
    has_begun: bool,
    end: Pin<Box<Sleep>>,
}

impl Default for Linger {
    fn default() -> Self {
        Self { stall: Stall::new(FIRST), has_begun: false, end: Box::pin(sleep(ALL)) }
    }
}

impl Linger {
    /// Ready when nothing more comes, or not soon.
    pub fn poll<I: AsyncRead + Unpin>(&mut self, io: &mut I, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [MaybeUninit::uninit(); 8 << 10];
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // No longer at once than other connections can wait.
        for _ in 0..32 {
            let mut buffer = ReadBuf::uninit(&mut buffer);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    if !std::mem::replace(&mut self.has_begun, true) {
                        self.stall = Stall::new(PAUSE);
                    }
                    self.stall.progress();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    ready!(self.stall.poll(cx));
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    async fn lingers(mut io: impl AsyncRead + Unpin) -> Duration {
        let (begun, mut linger) = (Instant::now(), Linger::default());
        poll_fn(|cx| linger.poll(&mut io, cx)).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_holds_it_for_a_moment() {
        let (_client, ours) = duplex(64);
        assert_eq!(lingers(ours).await, FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_still_sends_is_heard_until_it_ends() {
        let (mut client, ours) = duplex(64);
        let sending = async move {
            for _ in 0..3 {
                client.write_all(&[0; 1000]).await.unwrap();
                sleep(Duration::from_secs(4)).await;
            }
        };
        assert_eq!(tokio::join!(lingers(ours), sending).0, Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_is_heard_for_ever() {
        let (mut client, ours) = duplex(64);
        let sending = async move {
            while client.write_all(&[0; 10]).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        assert_eq!(tokio::join!(lingers(ours), sending).0, ALL);
        let (mut client, ours) = duplex(64);
        client.write_all(b"more").await.unwrap();
        assert_eq!(lingers(ours).await, PAUSE);
    }
}
