//! What a call becomes when the upstream goes on with another protocol: bytes both ways, until one side is done, the
//! caller's token is good no longer, nothing was said for too long, or the gateway stops.
//!
//! A WebSocket is followed frame by frame, so that both sides can be told why it ends. Of other protocols nothing is
//! known; they break off.

mod agree;
mod farewell;
mod frames;
mod pump;

pub(super) use agree::{agree, ask};

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use self::farewell::Farewell;
use self::frames::Frames;
use self::pump::{Finish, Pump, Quiet};
use super::Outcome;
use super::forward::Ticket;
use super::ledger::Ledger;
use super::record::Pending;
use super::watch::Review;
use crate::model::{Reason, Refusal};
use crate::net::Stay;
use crate::policy::WEBSOCKET;

/// How long both sides may take to become a tunnel, once the answer is made.
const OPENING: Duration = Duration::from_secs(10);
/// How long both sides may take to close, once one of them has or was told to; and a frame to come to its end before.
const CLOSING: Duration = Duration::from_secs(5);

/// An upgrade that a call asked for and its route lets pass: what is needed of the caller's side.
pub(super) struct Asked {
    pub protocol: Box<str>,
    pub caller: OnUpgrade,
    pub stay: Option<Stay>,
    /// How long nothing may be said.
    pub idle: Duration,
}

/// A tunnel that is not open yet. Dropped before, it closes what there is of it.
pub(super) struct Tunnel {
    asked: Asked,
    /// Counts it among the upstream's calls.
    _ticket: Ticket,
    upstream: OnUpgrade,
    /// Ends it with the caller's token.
    pub review: Option<Review>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Caller,
    Upstream,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Upstream,
            Self::Upstream => Self::Caller,
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tunnel({})", self.asked.protocol)
    }
}

type Io = TokioIo<Upgraded>;

impl Tunnel {
    pub fn new(asked: Asked, upstream: OnUpgrade, ticket: Ticket) -> Self {
        Self { asked, _ticket: ticket, upstream, review: None }
    }

    /// Opens it as soon as the answer is with the caller. It takes the call's record over, to be written at its end.
    pub fn begin(self, pending: Pending) {
        tokio::spawn(self.run(pending));
    }

    async fn run(mut self, pending: Pending) {
        metrics::gauge!("scopegate_tunnels").increment(1);
        let _open = Open;
        let both = async { tokio::try_join!(&mut self.asked.caller, &mut self.upstream) };
        if let Ok(Ok((caller, upstream))) = timeout(OPENING, both).await {
            let outcome = self.relay(caller, upstream, pending.ledger()).await;
            pending.ends(outcome);
        }
    }

    async fn relay(&mut self, caller: Upgraded, upstream: Upgraded, ledger: &Ledger) -> Outcome {
        let (caller_reader, caller_writer) = split(TokioIo::new(caller));
        let (upstream_reader, upstream_writer) = split(TokioIo::new(upstream));
        let quiet = Quiet::new();
        let ((caller_closes, caller_closed), (upstream_closes, upstream_closed)) =
            (watch::channel(false), watch::channel(false));
        let frames = || (*self.asked.protocol == *WEBSOCKET).then(Frames::default);
        let mut up = Pump {
            from: Side::Caller,
            reader: caller_reader,
            writer: upstream_writer,
            frames: frames(),
            count: &ledger.bytes_in,
            quiet: &quiet,
            closes: caller_closes,
            other_closes: upstream_closed,
        };
        let mut down = Pump {
            from: Side::Upstream,
            reader: upstream_reader,
            writer: caller_writer,
            frames: frames(),
            count: &ledger.bytes_out,
            quiet: &quiet,
            closes: upstream_closes,
            other_closes: caller_closed,
        };
        let outcome = self.join(&mut up, &mut down, &quiet, ledger).await;
        // Whoever reads no more is not waited for long.
        _ = timeout(CLOSING, async { tokio::join!(up.writer.shutdown(), down.writer.shutdown()) }).await;
        outcome
    }

    /// Runs both directions until both are done, or until one is and the other takes too long.
    async fn join(
        &mut self,
        up: &mut Pump<'_, ReadHalf<Io>, WriteHalf<Io>>,
        down: &mut Pump<'_, ReadHalf<Io>, WriteHalf<Io>>,
        quiet: &Quiet,
        ledger: &Ledger,
    ) -> Outcome {
        let is_websocket = up.frames.is_some();
        let (to_upstream, told_up) = watch::channel(None);
        let (to_caller, told_down) = watch::channel(None);
        let (mut up, mut down) = (pin!(up.run(told_up)), pin!(down.run(told_down)));
        let (mut is_up, mut is_down) = (true, true);
        let (mut outcome, mut limit) = (None, None);
        let mut ended = pin!(self.ended(quiet));
        let mut is_ended = false;
        while is_up || is_down {
            let finish = tokio::select! {
                biased;
                refusal = &mut ended, if !is_ended => {
                    is_ended = true;
                    outcome = Some(Outcome::Ended);
                    _ = (to_caller.send(Some(Farewell::saying(refusal.reason))), to_upstream.send(Some(Farewell::LEAVING)));
                    ledger.end(refusal);
                    limit.get_or_insert(Instant::now() + CLOSING);
                    continue;
                }
                finish = &mut up, if is_up => {
                    is_up = false;
                    finish
                }
                finish = &mut down, if is_down => {
                    is_down = false;
                    finish
                }
                () = until(limit) => break,
            };
            outcome = outcome.or(outcome_of(finish));
            if is_websocket || matches!(finish, Finish::Broken(_)) {
                limit.get_or_insert(Instant::now() + CLOSING);
            }
        }
        outcome.unwrap_or(Outcome::Complete)
    }

    /// Waits for what ends a tunnel that both sides would go on with.
    async fn ended(&mut self, quiet: &Quiet) -> Refusal {
        let Asked { idle, stay, .. } = &self.asked;
        let review = &mut self.review;
        let expired = async {
            match review {
                Some(review) => review.ended().await,
                None => std::future::pending().await,
            }
        };
        let stopping = async {
            match stay {
                Some(stay) => stay.told_to_stop().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            refusal = expired => refusal,
            () = stopping => Refusal::new(Reason::GatewayStopping),
            () = quiet.lasts(*idle) => Refusal::new(Reason::TunnelIdle).expected(format!("something within {idle:?}")),
        }
    }
}

/// As the first of the two directions ended, so did the tunnel.
fn outcome_of(finish: Finish) -> Option<Outcome> {
    match finish {
        Finish::Closed => Some(Outcome::Complete),
        Finish::Broken(Side::Caller) => Some(Outcome::Abandoned),
        Finish::Broken(Side::Upstream) => Some(Outcome::Cut),
        Finish::Told => None,
    }
}

async fn until(limit: Option<Instant>) {
    match limit {
        Some(limit) => sleep_until(limit).await,
        None => std::future::pending().await,
    }
}

/// One of the open tunnels.
struct Open;

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("scopegate_tunnels").decrement(1);
    }
}
