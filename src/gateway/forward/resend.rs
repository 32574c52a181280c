//! A request that was handed to a connection, had again to be sent once more: since the upstream provably did nothing with
//! it, or since doing it twice is as good as once.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body::Body;

use super::connection::Connection;
use super::fault::Fault;
use super::payload::{Kept, Payload};
use super::retry::is_idempotent;
use super::wire::ClientHost;

/// What is kept of a request until its answer begins. With HTTP/1.1 that is only what needs no copy: the connection keeps
/// what it writes, and fields are read back from there. HTTP/2 compresses what it writes, and needs a copy of the fields.
pub(super) struct Spare<B> {
    method: Method,
    uri: Uri,
    host: Option<ClientHost>,
    fields: Option<HeaderMap>,
    body: SpareBody<B>,
}

enum SpareBody<B> {
    None,
    Kept(Kept<B>),
}

impl<B: Body<Data = Bytes> + Unpin> Spare<B> {
    /// `may_repeat`: whether configuration lets it be sent again.
    pub fn of(
        request: &mut Request<Payload<B>>,
        connection: &Connection<Payload<B>>,
        may_repeat: bool,
    ) -> Option<Self> {
        let is_empty = matches!(request.body(), Payload::Empty);
        match connection {
            Connection::Exclusive(connection) => {
                let is_kept = may_repeat && is_empty && is_idempotent(request.method());
                connection.io.begin(is_kept);
                is_kept.then(|| Self::new(request, None))
            }
            Connection::Multiplexed { .. } => Some(Self::new(request, Some(request.headers().clone()))),
        }
    }

    fn new(request: &mut Request<Payload<B>>, fields: Option<HeaderMap>) -> Self {
        let body = request.body_mut().keep().map_or(SpareBody::None, SpareBody::Kept);
        let host = request.extensions().get().cloned();
        Self { method: request.method().clone(), uri: request.uri().clone(), host, fields, body }
    }

    /// An answer came.
    pub fn forget(self) {
        if let SpareBody::Kept(kept) = self.body {
            kept.forget();
        }
    }

    /// Whether doing it twice is as good as once.
    fn is_repeatable(&self) -> bool {
        is_idempotent(&self.method) && matches!(self.body, SpareBody::None)
    }

    fn into_request(self, connection: &Connection<Payload<B>>) -> Option<Request<Payload<B>>> {
        let body = match self.body {
            SpareBody::None => Payload::Empty,
            SpareBody::Kept(kept) => kept.again()?,
        };
        let fields = match (self.fields, connection) {
            (Some(fields), _) => fields,
            (None, Connection::Exclusive(connection)) => connection.io.take_fields()?,
            (None, Connection::Multiplexed { .. }) => return None,
        };
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (self.method, self.uri, fields);
        if let Some(host) = self.host {
            request.extensions_mut().insert(host);
        }
        Some(request)
    }
}

/// A request that may be sent again.
pub(super) enum Again<B> {
    /// The upstream has not seen it.
    Unsent(Request<Payload<B>>),
    /// The upstream says that it did nothing with it.
    Refused(Request<Payload<B>>),
    /// It may have been done, and doing it again does no harm.
    Repeat(Request<Payload<B>>),
}

impl<B: Body<Data = Bytes> + Unpin> Again<B> {
    pub fn of(
        unsent: Option<Request<Payload<B>>>,
        spare: Option<Spare<B>>,
        connection: &Connection<Payload<B>>,
        fault: &Fault,
        may_repeat: bool,
    ) -> Option<Self> {
        if let Some(unsent) = unsent {
            return Some(Self::Unsent(unsent));
        }
        let spare = spare?;
        if fault.is_refused() {
            return spare.into_request(connection).map(Self::Refused);
        }
        let has_answered = matches!(connection, Connection::Exclusive(connection) if connection.io.received() > 0);
        if !may_repeat || has_answered || !fault.is_break() || !spare.is_repeatable() {
            return None;
        }
        spare.into_request(connection).map(Self::Repeat)
    }

    pub fn into_request(self) -> Request<Payload<B>> {
        match self {
            Self::Unsent(request) | Self::Refused(request) | Self::Repeat(request) => request,
        }
    }
}
