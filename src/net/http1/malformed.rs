//! Requests that are none.

/// What is wrong with a request that can't be taken as one. Stands in the extensions of the request that is served in
/// its place, so that it is refused and logged like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Malformed {
    RequestLine = 1,
    Target,
    Version,
    Field,
    Length,
    TransferCoding,
    /// A length and chunks: two ways to read one request.
    TwoFramings,
    TooManyFields,
    TooLarge,
    /// The rest of its header did not come.
    Timeout,
    /// The client ended the connection within it.
    Incomplete,
}

impl Malformed {
    const ALL: [Self; 11] = [
        Self::RequestLine,
        Self::Target,
        Self::Version,
        Self::Field,
        Self::Length,
        Self::TransferCoding,
        Self::TwoFramings,
        Self::TooManyFields,
        Self::TooLarge,
        Self::Timeout,
        Self::Incomplete,
    ];

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// For the operator.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestLine => "no valid request line",
            Self::Target => "a character in the request target that can't stand there",
            Self::Version => "no version that is spoken here",
            Self::Field => "no valid header field",
            Self::Length => "no single valid Content-Length",
            Self::TransferCoding => "a transfer coding other than one chunked, in HTTP/1.1",
            Self::TwoFramings => "Content-Length beside Transfer-Encoding",
            Self::TooManyFields => "too many header fields",
            Self::TooLarge => "a header of more than 64 KiB",
            Self::Timeout => "a header that was not complete in time",
            Self::Incomplete => "the end of the connection within the header",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_variants() {
        assert!(Malformed::ALL.iter().all(|one| Malformed::from_code(*one as u8) == Some(*one)));
        assert_eq!((Malformed::from_code(0), Malformed::from_code(12)), (None, None));
    }
}
