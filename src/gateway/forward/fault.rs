//! What can go wrong between the gateway and an upstream, each with its own reason.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use super::HeaderBounds;
use crate::model::Reason;
use crate::net::ConnectError;

/// Why a call got no answer.
#[derive(Debug)]
pub(super) enum Fault {
    Connect(ConnectError),
    /// The connection ended before the answer began.
    Broken(hyper::Error),
    /// The server closed the connection before it said anything.
    Closed,
    Invalid(&'static str),
    /// The answer's header is larger than so many bytes.
    TooManyBytes(usize),
    /// The answer has more than so many fields.
    TooManyFields(usize),
    /// With HTTP/2, an answer that is malformed, or whose header is much larger than so many bytes.
    Malformed(usize),
    NoAnswer(Duration),
    /// Every one of so many addresses is out of service.
    OutOfService(usize),
    QueueFull(usize),
    QueuedTooLong(Duration),
}

impl Fault {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Connect(ConnectError::Exhausted(_)) => Reason::GatewayOverloaded,
            Self::Connect(ConnectError::Timeout(_)) => Reason::UpstreamConnectTimeout,
            Self::Connect(ConnectError::Unresolved(_)) => Reason::UpstreamUnresolved,
            Self::Connect(ConnectError::Io(_)) => Reason::UpstreamUnreachable,
            Self::Connect(ConnectError::Tls(_)) => Reason::UpstreamTlsFailed,
            Self::Broken(error) if is_nonsense(error) => Reason::UpstreamInvalid,
            Self::Broken(_) | Self::Closed => Reason::UpstreamReset,
            Self::Invalid(_) | Self::TooManyBytes(_) | Self::TooManyFields(_) | Self::Malformed(_) => {
                Reason::UpstreamInvalid
            }
            Self::NoAnswer(_) => Reason::UpstreamTimeout,
            Self::OutOfService(_) => Reason::UpstreamUnhealthy,
            Self::QueueFull(_) | Self::QueuedTooLong(_) => Reason::UpstreamOverloaded,
        }
    }

    /// How far the attempt came: of several, the one that came farthest says most about what to mend.
    pub fn progress(&self) -> u8 {
        match self {
            Self::OutOfService(_) | Self::QueueFull(_) | Self::QueuedTooLong(_) => 0,
            Self::Connect(ConnectError::Unresolved(_) | ConnectError::Exhausted(_)) => 1,
            Self::Connect(ConnectError::Io(_)) => 2,
            Self::Connect(ConnectError::Timeout(_)) => 3,
            Self::Connect(ConnectError::Tls(_)) => 4,
            Self::Closed => 5,
            Self::Broken(_)
            | Self::Invalid(_)
            | Self::TooManyBytes(_)
            | Self::TooManyFields(_)
            | Self::Malformed(_)
            | Self::NoAnswer(_) => 6,
        }
    }

    /// Whether it is between the gateway and the address alone: no call can bring it about.
    pub fn is_of_address(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Io(_) | ConnectError::Timeout(_) | ConnectError::Tls(_)) | Self::Closed => true,
            Self::Connect(ConnectError::Unresolved(_) | ConnectError::Exhausted(_))
            | Self::Broken(_)
            | Self::Invalid(_)
            | Self::TooManyBytes(_)
            | Self::TooManyFields(_)
            | Self::Malformed(_)
            | Self::NoAnswer(_)
            | Self::OutOfService(_)
            | Self::QueueFull(_)
            | Self::QueuedTooLong(_) => false,
        }
    }

    /// Whether it is how the address took this call, which may be the call's fault.
    pub fn is_of_call(&self) -> bool {
        matches!(self, Self::NoAnswer(_)) || self.is_break()
    }

    /// Whether the gateway itself lacks something: then no upstream is to blame, and no other address is of use.
    pub fn is_our_own(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::Exhausted(_)))
    }

    pub fn was_attempted(&self) -> bool {
        !matches!(self, Self::OutOfService(_) | Self::QueueFull(_) | Self::QueuedTooLong(_))
    }

    /// Whether what was sent may be sent again elsewhere, provided that it does no harm to do so.
    pub fn is_break(&self) -> bool {
        matches!(self, Self::Broken(error) if !is_nonsense(error))
    }

    /// Whether the server says that it did nothing with the request (RFC 9113 sections 6.8 and 8.7): it is beyond what its
    /// goodbye includes, or it was refused.
    pub fn is_refused(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        of_http2(error).is_some_and(|error| error.is_remote() && (error.is_go_away() || refuses_stream(error)))
    }

    /// Whether the server takes no more requests on this connection.
    pub fn is_goodbye(&self) -> bool {
        matches!(self, Self::Broken(error) if of_http2(error).is_none_or(|error| error.is_go_away() || error.is_io()))
    }

    /// For an exchange of HTTP/1.1 or HTTP/2 that failed within these bounds of the answer's header.
    pub fn of_exchange(error: hyper::Error, bounds: HeaderBounds, has_more_fields: impl FnOnce() -> bool) -> Self {
        match () {
            () if error.is_parse_too_large() && has_more_fields() => Self::TooManyFields(bounds.fields),
            () if error.is_parse_too_large() => Self::TooManyBytes(bounds.bytes),
            // The h2 crate refuses both in the same way.
            () if of_http2(&error).is_some_and(|error| error.is_library() && error.is_reset()) => {
                Self::Malformed(bounds.bytes)
            }
            () => Self::Broken(error),
        }
    }
}

fn of_http2(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}

fn refuses_stream(error: &h2::Error) -> bool {
    error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

/// Bytes came, and they were no HTTP.
fn is_nonsense(error: &hyper::Error) -> bool {
    // Of bytes that nobody asked for, hyper says no more than this.
    error.is_parse() || error.to_string().contains("unexpected message")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Broken(error) => match error.source() {
                Some(source) => write!(f, "{error}: {source}"),
                None => error.fmt(f),
            },
            Self::Closed => f.write_str("the server closed the connection at once"),
            Self::Invalid(why) => f.write_str(why),
            Self::TooManyBytes(most) => {
                write!(f, "the answer's header has more than {most} bytes (response_header_bytes)")
            }
            Self::TooManyFields(most) => write!(f, "the answer has more than {most} fields (response_header_fields)"),
            Self::Malformed(most) => {
                write!(
                    f,
                    "a malformed answer, or one with far more than {most} bytes of header (response_header_bytes)"
                )
            }
            Self::NoAnswer(limit) => write!(f, "no answer within {limit:?}"),
            Self::OutOfService(1) => f.write_str("its one address is out of service"),
            Self::OutOfService(count) => write!(f, "all of its {count} addresses are out of service"),
            Self::QueueFull(most) => write!(f, "{most} calls wait already"),
            Self::QueuedTooLong(limit) => write!(f, "no place within {limit:?}"),
        }
    }
}
