//! Output of many lines.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};

use super::Failure;

const BUFFER: usize = 1 << 16;

/// On standard output, through one buffer. A reader that has left, such as `head`, is no failure: the command goes on.
pub(super) fn print_lines<T: Display>(lines: impl IntoIterator<Item = T>) -> Result<(), Failure> {
    write_lines(io::stdout().lock(), lines)
        .map_err(|error| Failure::new(format!("standard output can't be written: {error}")))
}

fn write_lines<T: Display>(out: impl Write, lines: impl IntoIterator<Item = T>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let mut lines = lines.into_iter();
    let written = lines.try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails so, where it fails, and counts how often it is written to.
    struct Out<'a>(Option<ErrorKind>, &'a mut usize);

    impl Write for Out<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *self.1 += 1;
            self.0.map_or(Ok(bytes.len()), |kind| Err(kind.into()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn many_lines_are_written_a_buffer_at_a_time() {
        let mut writes = 0;
        write_lines(Out(None, &mut writes), vec!["line"; 100_000]).unwrap();
        assert!(writes <= 500_000_usize.div_ceil(BUFFER) + 1, "{writes}");
    }

    #[test]
    fn a_reader_that_has_left_is_no_failure_and_a_full_disk_is_one() {
        let mut writes = 0;
        write_lines(Out(Some(ErrorKind::BrokenPipe), &mut writes), vec!["line"; 100_000]).unwrap();
        let full = write_lines(Out(Some(ErrorKind::StorageFull), &mut writes), ["line"]);
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
