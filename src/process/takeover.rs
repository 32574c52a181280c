//! From one process to the next without a refused connection. The next one gets the listening sockets from the one
//! before it, takes calls, and says so; then the one before takes no new ones, gives up its journal, and drains.

use std::io;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::listeners::Named;
use crate::net::{SocketFile, receive_sockets, send_sockets};

/// How long the other side may take for a message.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the next process may take to start.
const START: Duration = Duration::from_secs(600);
/// How many may start at the same time.
const AT_ONCE: usize = 16;
/// The next process takes calls.
const READY: u8 = b'r';
/// The journal is free.
const FREE: u8 = b'f';

/// The process before this one. It takes calls until it is relieved.
pub(super) struct Predecessor(UnixStream);

impl Predecessor {
    /// Asks for its sockets, if there is one.
    ///
    /// # Errors
    /// When there is one, and it hands nothing over.
    pub async fn find(path: &Path) -> io::Result<Option<(Self, Named)>> {
        let stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        check_peer(&stream)?;
        let (stream, sockets) = blocking(stream, receive_sockets).await?;
        Ok(Some((Self(stream), sockets)))
    }

    /// Tells that calls are taken here; then waits until the journal is free, or the process gone.
    pub async fn relieve(self, free: oneshot::Sender<()>) {
        let mut stream = self.0;
        let mut told = [0];
        if let Err(error) = stream.write_all(&[READY]).await {
            tracing::warn!(%error, "the process before this one is gone already");
        } else if !matches!(stream.read(&mut told).await, Ok(1)) || told != [FREE] {
            tracing::warn!("the process before this one ended without a word");
        }
        tracing::info!("took over");
        _ = free.send(());
    }
}

/// An offer to the process after this one.
pub(super) struct Offer {
    listener: UnixListener,
    sockets: Named,
    file: SocketFile,
}

impl Offer {
    /// In place of any that the process before made there.
    ///
    /// # Errors
    /// When the path can't be listened on.
    pub fn new(path: &Path, sockets: Named) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let made = Path::new(&name);
        let listener = UnixListener::bind(made)?;
        // Whoever gets the sockets gets the calls, with the credentials in them.
        std::fs::set_permissions(made, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        std::fs::rename(made, path)?;
        Ok(Self { listener, sockets, file: SocketFile::new(path) })
    }

    /// Waits for a process that takes calls in place of this one: of those that start, the first that does. One that
    /// hangs at its start keeps no other from it.
    pub async fn wait(&self) -> Successor {
        let mut starting = JoinSet::new();
        loop {
            let begun = tokio::select! {
                accepted = self.listener.accept(), if starting.len() < AT_ONCE => {
                    accepted.and_then(|(stream, _)| self.copies().map(|copies| (stream, copies)))
                }
                Some(ended) = starting.join_next() => match ended.unwrap_or_else(|e| Err(io::Error::other(e))) {
                    Ok(successor) => return successor,
                    Err(error) => Err(error),
                },
            };
            match begun {
                Ok((stream, copies)) => _ = starting.spawn(hand_over(stream, copies)),
                Err(error) => {
                    tracing::warn!(%error, "no other process took over");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn copies(&self) -> io::Result<Named> {
        self.sockets.iter().map(|(name, socket)| Ok((name.clone(), socket.try_clone()?))).collect()
    }

    /// Offers nothing any more.
    pub fn withdraw(self) {
        self.file.remove();
    }
}

async fn hand_over(stream: UnixStream, sockets: Named) -> io::Result<Successor> {
    check_peer(&stream)?;
    let (mut stream, ()) = blocking(stream, move |stream| send_sockets(stream, &sockets)).await?;
    let mut told = [0];
    timeout(START, stream.read_exact(&mut told)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if told == [READY] { Ok(Successor(stream)) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The process after this one, which takes calls.
pub struct Successor(UnixStream);

impl Successor {
    /// Lets it have the journal.
    pub(super) async fn release(mut self) {
        // If it is gone by now, nobody waits for the journal.
        _ = self.0.write_all(&[FREE]).await;
    }
}

/// Nobody gets sockets or offers them but a process of the same user, or the system's.
fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let ours = UnixStream::pair()?.0.peer_cred()?.uid();
    let theirs = stream.peer_cred()?.uid();
    if theirs == ours || theirs == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("a process of user {theirs} is at the other end")))
}

/// Does what waits with the stream, on a thread where it may.
async fn blocking<T: Send + 'static>(
    stream: UnixStream,
    work: impl FnOnce(&BlockingStream) -> io::Result<T> + Send + 'static,
) -> io::Result<(UnixStream, T)> {
    let stream = stream.into_std()?;
    let done = tokio::task::spawn_blocking(move || {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let done = work(&stream)?;
        stream.set_nonblocking(true)?;
        Ok::<_, io::Error>((stream, done))
    });
    let (stream, done) = done.await.map_err(io::Error::other)??;
    Ok((UnixStream::from_std(stream)?, done))
}
