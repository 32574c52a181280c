//! The PROXY protocol, versions 1 and 2: how a proxy tells whom it speaks for, before anything else.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Address;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2: the signature, version and command, family, and the length of the rest.
const FIXED: usize = 16;
/// The longest header of version 1.
const LINE: usize = 107;
/// Addresses of Unix sockets and some extensions; nobody sends as much.
const LONGEST: usize = 4096;

/// Reads a header and nothing after it: who is behind the proxy, or none where it speaks for itself. Whoever it can't tell,
/// or tells in no terms of the internet, is unknown, and has none of the proxy's rights.
///
/// # Errors
/// When it is no header, is longer than any has to be, or the connection breaks off.
pub(super) async fn read<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<Option<Address>> {
    let mut begin = [0; FIXED];
    // No header of version 1 is that short: `PROXY UNKNOWN` and its line break have 15 bytes, and the next is the caller's.
    let (first, last) = begin.split_at_mut(FIXED - 1);
    io.read_exact(first).await?;
    if !first.starts_with(SIGNATURE) {
        return read_line(io, first).await;
    }
    io.read_exact(last).await?;
    let length = usize::from(u16::from_be_bytes([begin[14], begin[15]]));
    if length > LONGEST {
        return Err(malformed("its length"));
    }
    let mut rest = vec![0; length];
    io.read_exact(&mut rest).await?;
    binary(begin[12], begin[13], &rest).map_err(malformed)
}

async fn read_line<I: AsyncRead + Unpin>(io: &mut I, begin: &[u8]) -> io::Result<Option<Address>> {
    if !begin.starts_with(b"PROXY ") {
        return Err(malformed("its beginning"));
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE || line.contains(&b'\n') {
            return Err(malformed("its end"));
        }
        // Byte by byte: what follows the line belongs to TLS or HTTP.
        line.push(io.read_u8().await?);
    }
    text(&line[..line.len() - 2]).map_err(malformed)
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no PROXY header by {what}"))
}

/// Version 1, without its line break.
fn text(line: &[u8]) -> Result<Option<Address>, &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "its text")?;
    let mut words = line.split(' ');
    let (_proxy, family) = (words.next(), words.next().ok_or("its family")?);
    if family == "UNKNOWN" {
        return Ok(Some(Address::Unknown));
    }
    let [Some(source), Some(_), Some(port), Some(_), None] = [(); 5].map(|()| words.next()) else {
        return Err("the number of its words");
    };
    let is_plain = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|_| is_plain).ok_or("its port")?;
    let source = match family {
        "TCP4" => source.parse::<Ipv4Addr>().map(|ip| SocketAddr::from((ip, port))).map_err(|_| "its address")?,
        "TCP6" => source.parse::<Ipv6Addr>().map(|ip| SocketAddr::from((ip, port))).map_err(|_| "its address")?,
        _ => return Err("its family"),
    };
    Ok(Some(Address::Internet(source)))
}

/// Version 2, after its fixed part. What follows the addresses are extensions, which tell nothing that is needed.
fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Result<Option<Address>, &'static str> {
    match version_and_command {
        // LOCAL: the proxy itself, as for a health check.
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err("its version or command"),
    }
    let port = |at: usize| rest.get(at..at + 2).map(|port| u16::from_be_bytes([port[0], port[1]]));
    match family {
        // TCP over IPv4: source, destination, their ports.
        0x11 => {
            let (source, port) =
                rest.first_chunk::<4>().zip(port(8)).filter(|_| rest.len() >= 12).ok_or("its length")?;
            Ok(Some(SocketAddr::from((*source, port)).into()))
        }
        0x21 => {
            let (source, port) =
                rest.first_chunk::<16>().zip(port(32)).filter(|_| rest.len() >= 36).ok_or("its length")?;
            Ok(Some(SocketAddr::from((*source, port)).into()))
        }
        0x31 => {
            if rest.len() >= 216 {
                // A socket of the proxy's machine, not of ours.
                Ok(Some(Address::Unknown))
            } else {
                Err("its length")
            }
        }
        // Unspecified.
        0x00 => Ok(Some(Address::Unknown)),
        _ => Err("its family"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::runtime::Builder;

    use super::*;

    /// What is told, and what is left to read.
    fn told(mut bytes: &[u8]) -> io::Result<(Option<String>, Vec<u8>)> {
        let runtime = Builder::new_current_thread().build().unwrap();
        let told = runtime.block_on(read(&mut bytes))?;
        Ok((told.map(|address| address.to_string()), bytes.to_vec()))
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, family][..], &length, rest, b"GET /"].concat()
    }

    #[test]
    fn both_versions_tell_the_source_and_leave_what_follows() {
        let seen = |bytes: &[u8], address: Option<&str>| {
            let (told, left) = told(bytes).unwrap();
            assert_eq!((told.as_deref(), left.as_slice()), (address, &b"GET /"[..]), "{bytes:?}");
        };
        seen(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\nGET /", Some("192.0.2.7:4711"));
        seen(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\nGET /", Some("[2001:db8::7]:4711"));
        seen(b"PROXY UNKNOWN\r\nGET /", Some("unknown"));
        seen(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nGET /", Some("unknown"));
        let (v4, ports) = ([192, 0, 2, 7, 10, 0, 0, 1], [0x12, 0x67, 1, 0xbb]);
        let extension = [0x04, 0, 3, 1, 2, 3];
        seen(&version_2(1, 0x11, &[&v4[..], &ports, &extension].concat()), Some("192.0.2.7:4711"));
        let v6 = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        seen(&version_2(1, 0x21, &[&v6[..], &v6, &ports].concat()), Some("[2001:db8::7]:4711"));
        seen(&version_2(1, 0x31, &[0; 216]), Some("unknown"));
        seen(&version_2(1, 0x00, &[]), Some("unknown"));
        seen(&version_2(0, 0x11, &[&v4[..], &ports].concat()), None);
        seen(&version_2(0, 0x00, &[]), None);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        let texts = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443 1\r\n",
            "PROXY TCP4 2001:db8::7 10.0.0.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 +4711 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
            "PROXY UDP4 192.0.2.7 10.0.0.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\n.",
            "PROXY",
            &long,
        ];
        for text in texts {
            assert!(told(text.as_bytes()).is_err(), "{text:?}");
        }
        for bytes in [
            version_2(2, 0x11, &[0; 12]),
            version_2(1, 0x12, &[0; 12]),
            version_2(1, 0x11, &[0; 11]),
            version_2(1, 0x21, &[0; 35]),
            version_2(1, 0x31, &[0; 215]),
            version_2(1, 0x11, &[0; LONGEST + 1]),
        ] {
            assert!(told(&bytes).is_err(), "{:?}", &bytes[..FIXED]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_read(prefix in 0usize..3, bytes: Vec<u8>) {
            let begin: &[u8] = [&b""[..], b"PROXY TCP4 ", SIGNATURE][prefix];
            _ = told(&[begin, &bytes].concat());
        }

        #[test]
        fn an_address_is_told_as_it_was_written(ip: u32, port: u16) {
            let source = SocketAddr::from((Ipv4Addr::from_bits(ip), port));
            let line = format!("PROXY TCP4 {} 10.0.0.1 {} 443\r\n", source.ip(), source.port());
            prop_assert_eq!(told(line.as_bytes()).unwrap().0, Some(source.to_string()));
        }
    }
}
