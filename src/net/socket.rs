//! Sockets of either kind: those of the internet, and Unix ones.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Address;

/// A listening socket that nobody polls yet. Copies share the connections that wait.
#[derive(Debug)]
pub enum Socket {
    Internet(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Socket {
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Internet(socket) => Self::Internet(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }
}

/// A listening socket of this runtime.
#[derive(Debug)]
pub enum Listener {
    Internet(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// # Errors
    /// When the runtime can't poll it.
    pub fn new(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Internet(socket) => {
                socket.set_nonblocking(true)?;
                Self::Internet(TcpListener::from_std(socket)?)
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Self::Unix(UnixListener::from_std(socket)?)
            }
        })
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, Address)> {
        match self {
            Self::Internet(listener) => {
                let (stream, address) = listener.accept().await?;
                _ = stream.set_nodelay(true);
                Ok((Stream::Internet(stream), Address::Internet(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Address::Unix))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Internet(listener)
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Stream {
    Internet(TcpStream),
    Unix(UnixStream),
}

/// Asks the stream of whichever kind.
macro_rules! ask {
    ($stream:expr, $inner:ident => $question:expr) => {
        match $stream.get_mut() {
            Self::Internet($inner) => $question,
            Self::Unix($inner) => $question,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ask!(self, inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ask!(self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ask!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ask!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ask!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
