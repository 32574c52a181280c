//! What can go wrong between the gateway and an upstream, each with its own reason.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use crate::model::Reason;
use crate::net::ConnectError;

/// Why a call got no answer.
#[derive(Debug)]
pub(super) enum Fault {
    Connect(ConnectError),
    /// The connection ended before the answer began.
    Broken(hyper::Error),
    Invalid(&'static str),
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
            Self::Broken(_) => Reason::UpstreamReset,
            Self::Invalid(_) => Reason::UpstreamInvalid,
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
            Self::Broken(_) | Self::Invalid(_) | Self::NoAnswer(_) => 5,
        }
    }

    /// Whether it is between the gateway and the address alone: no call can bring it about.
    pub fn is_of_address(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Io(_) | ConnectError::Timeout(_) | ConnectError::Tls(_)) => true,
            Self::Connect(ConnectError::Unresolved(_) | ConnectError::Exhausted(_))
            | Self::Broken(_)
            | Self::Invalid(_)
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
            Self::Invalid(why) => f.write_str(why),
            Self::NoAnswer(limit) => write!(f, "no answer within {limit:?}"),
            Self::OutOfService(1) => f.write_str("its one address is out of service"),
            Self::OutOfService(count) => write!(f, "all of its {count} addresses are out of service"),
            Self::QueueFull(most) => write!(f, "{most} calls wait already"),
            Self::QueuedTooLong(limit) => write!(f, "no place within {limit:?}"),
        }
    }
}
