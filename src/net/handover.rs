//! Listening sockets from one process to another, over a Unix socket (SCM_RIGHTS). None of them is closed on the way, so
//! whoever connects meanwhile waits and is not refused.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::Socket;

/// Of one message; the kernel takes at most 253.
const AT_ONCE: usize = 100;
/// More is no list of sockets.
const LONGEST: usize = 1 << 20;
const END: &[u8] = b"end\n";

/// Sends copies of named sockets. A name is one line.
///
/// # Errors
/// When the other side is gone.
pub fn send_sockets(stream: &UnixStream, sockets: &[(String, Socket)]) -> io::Result<()> {
    let mut chunks = sockets.chunks(AT_ONCE).peekable();
    loop {
        let chunk = chunks.next().unwrap_or_default();
        let mut text: Vec<u8> = chunk.iter().flat_map(|(name, socket)| line(name, socket)).collect();
        let is_last = chunks.peek().is_none();
        if is_last {
            text.extend(END);
        }
        let descriptors: Vec<BorrowedFd<'_>> = chunk.iter().map(|(_, socket)| descriptor(socket)).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("too many sockets at once"));
        }
        let sent = sendmsg(stream, &[IoSlice::new(&text)], &mut control, SendFlags::empty())?;
        // The sockets went with the first byte.
        io::Write::write_all(&mut &*stream, &text[sent..])?;
        if is_last {
            return Ok(());
        }
    }
}

fn line(name: &str, socket: &Socket) -> Vec<u8> {
    let kind = match socket {
        Socket::Internet(_) => "internet",
        Socket::Unix(_) => "unix",
    };
    format!("{kind} {name}\n").into_bytes()
}

fn descriptor(socket: &Socket) -> BorrowedFd<'_> {
    match socket {
        Socket::Internet(socket) => socket.as_fd(),
        Socket::Unix(socket) => socket.as_fd(),
    }
}

/// Receives what [`send_sockets`] sends.
///
/// # Errors
/// When the other side is gone, or sends something else.
pub fn receive_sockets(stream: &UnixStream) -> io::Result<Vec<(String, Socket)>> {
    let (mut text, mut descriptors) = (Vec::new(), Vec::new());
    while text != END && !text.ends_with(b"\nend\n") {
        let mut buffer = [0; 16 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(stream, &mut [IoSliceMut::new(&mut buffer)], &mut control, FLAGS)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                descriptors.extend(more);
            }
        }
        if received.bytes == 0 || text.len() > LONGEST {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.extend_from_slice(&buffer[..received.bytes]);
    }
    named(&text, descriptors).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is no list of sockets"))
}

#[cfg(target_os = "linux")]
const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const FLAGS: RecvFlags = RecvFlags::empty();

fn named(text: &[u8], descriptors: Vec<OwnedFd>) -> Option<Vec<(String, Socket)>> {
    let lines: Vec<_> = std::str::from_utf8(text).ok()?.lines().filter(|line| *line != "end").collect();
    if lines.len() != descriptors.len() {
        return None;
    }
    let sockets = lines.iter().zip(descriptors).map(|(line, descriptor)| {
        let (kind, name) = line.split_once(' ')?;
        let socket = match kind {
            "internet" => Socket::Internet(descriptor.into()),
            "unix" => Socket::Unix(descriptor.into()),
            _ => return None,
        };
        Some((name.to_owned(), socket))
    });
    sockets.collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_arrive_with_their_names_and_still_listen() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // More than one message takes.
        let copies = (0..250).map(|n| (format!("proxy {n}"), Socket::Internet(listener.try_clone().unwrap())));
        let copies: Vec<_> = copies.collect();
        drop(listener);
        let sending = std::thread::spawn(move || send_sockets(&ours, &copies).unwrap());
        let received = receive_sockets(&theirs).unwrap();
        sending.join().unwrap();
        assert_eq!(received.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().len(), 250);
        assert_eq!((received[0].0.as_str(), received[249].0.as_str()), ("proxy 0", "proxy 249"));
        let mut caller = TcpStream::connect(address).unwrap();
        let Socket::Internet(listener) = &received[249].1 else { panic!("it was none of Unix") };
        listener.accept().unwrap().0.write_all(b"served").unwrap();
        let mut text = String::new();
        caller.read_to_string(&mut text).unwrap();
        assert_eq!(text, "served");
    }

    #[test]
    fn none_at_all_is_a_list_too_and_something_else_is_not() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send_sockets(&ours, &[]).unwrap();
        assert!(receive_sockets(&theirs).unwrap().is_empty());
        for text in [&b"internet proxy\nend\n"[..], b"HTTP/1.1 400\r\n", b""] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(text).unwrap();
            drop(ours);
            assert!(receive_sockets(&theirs).is_err(), "{text:?}");
        }
    }
}
