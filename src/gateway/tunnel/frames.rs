//! Where the frames of a WebSocket begin and end (RFC 6455 section 5.2), so that a word of ours never stands within one.

/// Two bytes, eight of an extended length, four of a mask.
const LONGEST_HEADER: usize = 14;
const CLOSE: u8 = 0x8;

/// Follows one direction of a WebSocket. Whatever bytes come, it keeps count, and judges nothing else about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    header: [u8; LONGEST_HEADER],
    /// How much of the header is there; none between two frames.
    known: usize,
    /// What is left of the payload.
    left: u64,
    is_closed: bool,
    is_over: bool,
}

impl Frames {
    /// Whether the next byte begins a frame.
    pub fn is_at_boundary(&self) -> bool {
        self.known == 0 && self.left == 0
    }

    /// Whether a Close frame has begun: nothing may follow it (RFC 6455 section 5.5.1).
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether the whole Close frame is there.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    pub fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.advance_to_boundary(bytes)..];
        }
    }

    /// Goes on to the end of the frame in hand, or of the next one, as far as the bytes reach; how many of them that took.
    pub fn advance_to_boundary(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            if self.left > 0 {
                let rest = bytes.len() - taken;
                let some = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                self.left -= some as u64;
                taken += some;
            } else {
                self.header[self.known] = bytes[taken];
                self.known += 1;
                taken += 1;
                self.end_header();
            }
            if self.is_at_boundary() {
                self.is_over |= self.is_closed;
                break;
            }
        }
        taken
    }

    /// Once the header is whole, its place is taken by the payload's length.
    fn end_header(&mut self) {
        let [first, second, ..] = self.header;
        let extended = match second & 0x7f {
            _ if self.known < 2 => return,
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.known < 2 + extended + mask {
            return;
        }
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        self.left = if extended == 0 { u64::from(second & 0x7f) } else { big_endian(&self.header[2..2 + extended]) };
        self.known = 0;
        self.is_closed |= first & 0x0f == CLOSE;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(opcode: u8, is_masked: bool, length: usize) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut bytes = vec![0x80 | opcode];
        let told = u64::try_from(length).unwrap().to_be_bytes();
        let (code, extended) = match length {
            0..126 => (told[7], &told[8..]),
            126..0x1_0000 => (0x7e, &told[6..]),
            _ => (0x7f, &told[..]),
        };
        bytes.push(mask | code);
        bytes.extend(extended);
        bytes.extend(std::iter::repeat_n(0x88, length + usize::from(is_masked) * 4));
        bytes
    }

    fn boundaries(bytes: &[u8], chunks: &[usize]) -> Vec<usize> {
        let (mut frames, mut found, mut at) = (Frames::default(), Vec::new(), 0);
        let mut chunks = chunks.iter().cycle();
        while at < bytes.len() {
            let end = bytes.len().min(at + chunks.next().unwrap());
            while at < end {
                at += frames.advance_to_boundary(&bytes[at..end]);
                if frames.is_at_boundary() {
                    found.push(at);
                }
            }
        }
        found
    }

    #[test]
    fn a_close_is_known_by_its_first_byte_once_its_header_is_whole() {
        let mut frames = Frames::default();
        frames.advance(&frame(0x1, true, 5));
        frames.advance(&[0x88]);
        assert!(!frames.is_closed() && !frames.is_at_boundary());
        frames.advance(&[2]);
        assert!(frames.is_closed() && !frames.is_at_boundary() && !frames.is_over());
        frames.advance(&[3, 232]);
        assert!(frames.is_at_boundary() && frames.is_over());
        frames.advance(&[0x81]);
        assert!(frames.is_over(), "whatever follows");
    }

    #[test]
    fn the_longest_length_that_can_be_told_is_counted_down() {
        let mut frames = Frames::default();
        frames.advance(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
        assert_eq!((frames.left, frames.is_at_boundary()), (u64::MAX - 1, false));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_boundaries(
            shapes in prop::collection::vec(
                (0_u8..16, any::<bool>(), prop_oneof![0_usize..300, 65_530_usize..65_545]), 1..6,
            ),
            chunks in prop::collection::vec(1_usize..40_000, 1..8),
        ) {
            let frames: Vec<_> = shapes.iter().map(|(opcode, masked, length)| frame(*opcode, *masked, *length)).collect();
            let ends = frames.iter().scan(0, |at, frame| { *at += frame.len(); Some(*at) }).collect::<Vec<_>>();
            prop_assert_eq!(boundaries(&frames.concat(), &chunks), ends);
        }

        #[test]
        fn whatever_comes_is_followed_alike_in_any_chunks(
            bytes in prop::collection::vec(any::<u8>(), 0..600), chunks in prop::collection::vec(1_usize..40, 1..8),
        ) {
            prop_assert_eq!(boundaries(&bytes, &chunks), boundaries(&bytes, &[1]));
        }
    }
}
