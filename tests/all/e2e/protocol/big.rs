//! Bodies far larger than the memory that the gateway may take.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::{app, gateway};
use crate::e2e::harness::{Connection, Gateway, Scripted, read_head};

const MIB: u64 = 1 << 20;
/// What the process may have held at its peak.
const LIMIT: u64 = 64 * MIB;

const SIZE: u64 = 1024 * MIB;

/// The most memory that the process ever held.
pub(super) fn peak(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn write(stream: &mut impl FnMut(&[u8]), mut left: u64) {
    let block = vec![b'x'; 256 << 10];
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        stream(&block[..part]);
        left -= part as u64;
    }
}

fn drain(stream: &mut TcpStream, length: u64) -> u64 {
    let (mut block, mut seen) = (vec![0; 256 << 10], 0);
    while seen < length {
        match stream.read(&mut block).unwrap() {
            0 => break,
            n => seen += n as u64,
        }
    }
    seen
}

#[test]
fn a_huge_upload_is_never_held_in_memory() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let upstream = Scripted::start(move |mut stream, _| {
        let head = read_head(&mut stream).to_ascii_lowercase();
        assert!(head.contains(&format!("content-length: {SIZE}")), "{head}");
        tell.lock().unwrap().send(drain(&mut stream, SIZE)).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    let token = app().token();
    let head = format!(
        "POST /any/huge HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {SIZE}\r\n\r\n"
    );
    connection.send(head.as_bytes());
    write(&mut |block| connection.send(block), SIZE);
    assert_eq!(connection.read(false).unwrap().status, 200);
    assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap(), SIZE);
    assert!(peak(&gateway) < LIMIT, "{} MiB", peak(&gateway) / MIB);
}

#[test]
fn a_huge_download_is_never_held_in_memory() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).unwrap();
        write(&mut |block| stream.write_all(block).unwrap(), SIZE);
    });
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&super::good("GET").bytes());
    assert_eq!(connection.read_head().unwrap().0, 200);
    // A caller that begins late holds the upstream back, and not the gateway's memory.
    crate::e2e::harness::rest(Duration::from_millis(300));
    let (mut block, mut seen) = (vec![0; 256 << 10], 0);
    while seen < SIZE {
        seen += match connection.read_some(&mut block).unwrap() {
            0 => panic!("cut after {seen} bytes"),
            n => n as u64,
        };
    }
    assert_eq!(seen, SIZE);
    assert!(peak(&gateway) < LIMIT, "{} MiB", peak(&gateway) / MIB);
}
