//! Where a chunked body ends (RFC 9112 section 7.1).

/// Follows the chunks of a body in their strict form, which nothing reads in another way. Blanks behind a size, which some
/// clients pad it with, are one too (RFC 9112 section 7.1.1).
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    left: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// Before the first digit, or after some.
    Size {
        is_begun: bool,
    },
    SizeBlanks,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    /// Before a trailer or the last line.
    Line,
    Trailer,
    TrailerEnd,
    LastEnd,
    Over,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Followed {
    /// All of the bytes are of the body.
    Inside,
    /// The body ends after so many bytes.
    End(usize),
    /// It is not in the strict form: where it ends is not known.
    Lost,
}

impl Chunks {
    pub fn new() -> Self {
        Self { at: At::Size { is_begun: false }, left: 0 }
    }

    pub fn follow(&mut self, bytes: &[u8]) -> Followed {
        let mut i = 0;
        while i < bytes.len() {
            if self.at == At::Data {
                let there = u64::try_from(bytes.len() - i).unwrap_or(u64::MAX).min(self.left);
                self.left -= there;
                i += usize::try_from(there).unwrap_or(usize::MAX);
                if self.left == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            let Some(next) = self.step(bytes[i]) else { return Followed::Lost };
            i += 1;
            self.at = next;
            if next == At::Over {
                return Followed::End(i);
            }
        }
        Followed::Inside
    }

    /// Where a byte leads; nowhere if it may not stand there.
    fn step(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size { .. }, digit) if digit.is_ascii_hexdigit() => {
                let digit = char::from(digit).to_digit(16)?;
                self.left = self.left.checked_mul(16)?.checked_add(u64::from(digit))?;
                At::Size { is_begun: true }
            }
            (At::Size { is_begun: true } | At::SizeBlanks, b' ' | b'\t') => At::SizeBlanks,
            (At::Size { is_begun: true } | At::SizeBlanks, b';') => At::Extension,
            (At::Size { is_begun: true } | At::SizeBlanks | At::Extension, b'\r') => At::SizeEnd,
            (At::Extension, byte) if byte != b'\n' => At::Extension,
            (At::SizeEnd, b'\n') if self.left == 0 => At::Line,
            (At::SizeEnd, b'\n') => At::Data,
            (At::DataReturn, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => At::Size { is_begun: false },
            (At::Line, b'\r') => At::LastEnd,
            (At::Line | At::Trailer, byte) if !matches!(byte, b'\r' | b'\n') => At::Trailer,
            (At::Trailer, b'\r') => At::TrailerEnd,
            (At::TrailerEnd, b'\n') => At::Line,
            (At::LastEnd, b'\n') => At::Over,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_chunked_body_is_found_however_it_is_cut() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "3 \t\r\nabc\r\n0 ;x\r\n\r\n",
            "A;x=\"y\"\r\n0\r\n\r\n12345\r\n00\r\na: b\r\nc: d\r\n\r\n",
        ] {
            let all = [body, "GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(Chunks::new().follow(all.as_bytes()), Followed::End(body.len()), "{body:?}");
            for cut in 1..body.len() {
                let mut chunks = Chunks::new();
                assert_eq!(chunks.follow(&all.as_bytes()[..cut]), Followed::Inside, "{body:?} {cut}");
                assert_eq!(chunks.follow(&all.as_bytes()[cut..]), Followed::End(body.len() - cut), "{body:?} {cut}");
            }
        }
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_not_followed() {
        for body in [
            "\r\n",
            "g\r\n",
            "3\nabc",
            "3 3\r\nabc",
            "3 \nabc",
            " \r\n",
            " 3\r\n",
            "3\r\nabcd",
            "3\r\nabc\n",
            "0\r\n\n",
            "0\r\na\n",
            "1;\n",
            "10000000000000000\r\n",
        ] {
            assert_eq!(Chunks::new().follow(body.as_bytes()), Followed::Lost, "{body:?}");
        }
    }
}
