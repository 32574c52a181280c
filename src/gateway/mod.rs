//! The tower stack: one file a step, in the order of a request.
//!
//! ```text
//! record        outermost: one access-log line and the metrics of a call, at the end of its body, also after a drop or a panic
//! refuse        every refusal -> status, challenge, headers, body in the route's error format
//! limits        load shed, body and header limits            Received      -> Bounded
//! matched       host, method, path -> route and account      Bounded       -> Located
//! cors          what browsers ask for a page: answered       Located       -> Matched
//! authenticate  the credential, then verify                  Matched       -> Authenticated
//! authorize     account, bot, scope, table                   Authenticated -> Authorized
//! quota         calls left, per app and route class          Authorized    -> Metered
//! admit         first use of the jti: the last check         Metered       -> Admitted
//! outbound      hygiene and identity                         Admitted      -> Outbound
//! watch         an answer that lasts ends with its token     Outbound      -> response
//! forward       the upstream, or whatever is put there       Outbound      -> response
//! ```
//!
//! Each layer's inner service takes the next request type, and each type is made by its own step alone, so a stack with
//! a step left out or swapped does not compile. A step that may wait (`authenticate` and `admit`) comes in a layer of its own kind, and
//! clones the rest of the stack for a request that waits. This stack compiles:
//!
//! ```
//! # use scopegate::gateway::*;
//! # fn stack<B, L>(gate: Gate, leaf: L) -> impl tower::Service<http::Request<B>>
//! # where B: http_body::Body<Data = bytes::Bytes>, B::Error: std::fmt::Display,
//! #       L: tower::Service<Outbound<B>, Response = http::Response<http_body_util::Empty<bytes::Bytes>>, Error = Refused> + Clone,
//! # {
//! tower::ServiceBuilder::new()
//!     .layer(RecordLayer::new(&gate))
//!     .layer(RefuseLayer::new(&gate))
//!     .layer(LimitsLayer::new(&gate))
//!     .layer(StepLayer::new(Match::new(&gate)))
//!     .layer(PreflightLayer)
//!     .layer(WaitLayer::new(Authenticate::new(&gate)))
//!     .layer(StepLayer::new(Authorize::new(&gate)))
//!     .layer(StepLayer::new(Meter::new(&gate)))
//!     .layer(WaitLayer::new(Admit::new(&gate)))
//!     .layer(StepLayer::new(Clean::new(&gate)))
//!     .layer(WatchLayer::new(&gate))
//!     .service(leaf)
//! # }
//! ```
//!
//! Without `Authorize` it is refused by the compiler:
//!
//! ```compile_fail
//! # use scopegate::gateway::*;
//! # fn stack<B, L>(gate: Gate, leaf: L) -> impl tower::Service<http::Request<B>>
//! # where B: http_body::Body<Data = bytes::Bytes>, B::Error: std::fmt::Display,
//! #       L: tower::Service<Outbound<B>, Response = http::Response<http_body_util::Empty<bytes::Bytes>>, Error = Refused> + Clone,
//! # {
//! tower::ServiceBuilder::new()
//!     .layer(RecordLayer::new(&gate))
//!     .layer(RefuseLayer::new(&gate))
//!     .layer(LimitsLayer::new(&gate))
//!     .layer(StepLayer::new(Match::new(&gate)))
//!     .layer(PreflightLayer)
//!     .layer(WaitLayer::new(Authenticate::new(&gate)))
//!     .layer(StepLayer::new(Meter::new(&gate)))
//!     .layer(WaitLayer::new(Admit::new(&gate)))
//!     .layer(StepLayer::new(Clean::new(&gate)))
//!     .layer(WatchLayer::new(&gate))
//!     .service(leaf)
//! # }
//! ```
//!
//! And so is one that admits, which uses up a jti, before it authorizes:
//!
//! ```compile_fail
//! # use scopegate::gateway::*;
//! # fn stack<B, L>(gate: Gate, leaf: L) -> impl tower::Service<http::Request<B>>
//! # where B: http_body::Body<Data = bytes::Bytes>, B::Error: std::fmt::Display,
//! #       L: tower::Service<Outbound<B>, Response = http::Response<http_body_util::Empty<bytes::Bytes>>, Error = Refused> + Clone,
//! # {
//! tower::ServiceBuilder::new()
//!     .layer(RecordLayer::new(&gate))
//!     .layer(RefuseLayer::new(&gate))
//!     .layer(LimitsLayer::new(&gate))
//!     .layer(StepLayer::new(Match::new(&gate)))
//!     .layer(PreflightLayer)
//!     .layer(WaitLayer::new(Authenticate::new(&gate)))
//!     .layer(WaitLayer::new(Admit::new(&gate)))
//!     .layer(StepLayer::new(Authorize::new(&gate)))
//!     .layer(StepLayer::new(Meter::new(&gate)))
//!     .layer(StepLayer::new(Clean::new(&gate)))
//!     .layer(WatchLayer::new(&gate))
//!     .service(leaf)
//! # }
//! ```
//!
//! And so are one that counts no calls against their quotas,
//!
//! ```compile_fail
//! # use scopegate::gateway::*;
//! # fn stack<B, L>(gate: Gate, leaf: L) -> impl tower::Service<http::Request<B>>
//! # where B: http_body::Body<Data = bytes::Bytes>, B::Error: std::fmt::Display,
//! #       L: tower::Service<Outbound<B>, Response = http::Response<http_body_util::Empty<bytes::Bytes>>, Error = Refused> + Clone,
//! # {
//! tower::ServiceBuilder::new()
//!     .layer(RecordLayer::new(&gate))
//!     .layer(RefuseLayer::new(&gate))
//!     .layer(LimitsLayer::new(&gate))
//!     .layer(StepLayer::new(Match::new(&gate)))
//!     .layer(PreflightLayer)
//!     .layer(WaitLayer::new(Authenticate::new(&gate)))
//!     .layer(StepLayer::new(Authorize::new(&gate)))
//!     .layer(WaitLayer::new(Admit::new(&gate)))
//!     .layer(StepLayer::new(Clean::new(&gate)))
//!     .layer(WatchLayer::new(&gate))
//!     .service(leaf)
//! # }
//! ```
//!
//! and one that counts them before it knows whether they may be made:
//!
//! ```compile_fail
//! # use scopegate::gateway::*;
//! # fn stack<B, L>(gate: Gate, leaf: L) -> impl tower::Service<http::Request<B>>
//! # where B: http_body::Body<Data = bytes::Bytes>, B::Error: std::fmt::Display,
//! #       L: tower::Service<Outbound<B>, Response = http::Response<http_body_util::Empty<bytes::Bytes>>, Error = Refused> + Clone,
//! # {
//! tower::ServiceBuilder::new()
//!     .layer(RecordLayer::new(&gate))
//!     .layer(RefuseLayer::new(&gate))
//!     .layer(LimitsLayer::new(&gate))
//!     .layer(StepLayer::new(Match::new(&gate)))
//!     .layer(PreflightLayer)
//!     .layer(WaitLayer::new(Authenticate::new(&gate)))
//!     .layer(StepLayer::new(Meter::new(&gate)))
//!     .layer(StepLayer::new(Authorize::new(&gate)))
//!     .layer(WaitLayer::new(Admit::new(&gate)))
//!     .layer(StepLayer::new(Clean::new(&gate)))
//!     .layer(WatchLayer::new(&gate))
//!     .service(leaf)
//! # }
//! ```

mod admit;
mod answer;
mod authenticate;
mod authorize;
mod blocking;
mod body;
mod call;
mod client;
mod cors;
mod embed;
pub mod forward;
mod forwarded;
mod gate;
mod hygiene;
mod identity;
mod identity_value;
mod ledger;
mod limits;
mod matched;
mod meters;
mod outbound;
mod own;
mod pace;
mod quota;
mod record;
mod refuse;
mod sign_in;
mod step;
mod tunnel;
mod wait;
mod watch;

pub use admit::{Admit, Admitted};
pub use answer::told;
pub use authenticate::{Authenticate, Authenticated, Caller};
pub use authorize::{Authorize, Authorized};
pub use blocking::{Blocking, ClientNetwork, Owner, Turn};
pub use body::{Inbound, InboundError};
pub use call::{Call, Received, RequestId};
pub use client::{Believed, Client, Forwarding, Told};
pub use cors::{Located, Permission, PreflightLayer};
pub use embed::{Embedded, ScopegateLayer};
pub use gate::{AccessLog, Entry, Gate, GateSettings, Limits, Outcome};
pub use identity::IdentityTokens;
pub use limits::{Bounded, LimitsLayer};
pub use matched::{Match, Matched};
pub use outbound::{Clean, Destination, Outbound, Visit};
pub use own::{Answering, Asked, Own, OwnAnswers};
pub use quota::{Meter, Metered, Quotas};
pub use record::{RecordLayer, Recorded};
pub use refuse::{Answered, RefuseLayer, Refused};
pub use sign_in::SignIns;
pub use step::{Step, StepLayer};
pub use wait::{Ask, Later, WaitLayer, WaitingStep};
pub use watch::{Watch, WatchLayer, Watched, WatchedError};

use cors::Preflighted;
use limits::Limited;
use record::Record;
use refuse::Refuse;
use step::Stepped;
use wait::Waited;

/// The whole stack over its leaf.
pub type Stack<L> = Record<
    Refuse<
        Limited<
            Stepped<
                Match,
                Preflighted<
                    Waited<Authenticate, Stepped<Authorize, Stepped<Meter, Waited<Admit, Stepped<Clean, Watch<L>>>>>>,
                >,
            >,
        >,
    >,
>;

/// Builds the stack over a leaf that answers outbound requests.
pub fn stack<L>(gate: &Gate, leaf: L) -> Stack<L> {
    recorded_stack(RecordLayer::new(gate), gate, leaf)
}

/// Stacks that share a record share its request ids and its meters.
fn recorded_stack<L>(record: RecordLayer, gate: &Gate, leaf: L) -> Stack<L> {
    tower::ServiceBuilder::new()
        .layer(record)
        .layer(RefuseLayer::new(gate))
        .layer(LimitsLayer::new(gate))
        .layer(StepLayer::new(Match::new(gate)))
        .layer(PreflightLayer)
        .layer(WaitLayer::new(Authenticate::new(gate)))
        .layer(StepLayer::new(Authorize::new(gate)))
        .layer(StepLayer::new(Meter::new(gate)))
        .layer(WaitLayer::new(Admit::new(gate)))
        .layer(StepLayer::new(Clean::new(gate)))
        .layer(WatchLayer::new(gate))
        .service(leaf)
}
