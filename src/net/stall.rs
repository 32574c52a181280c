use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Notices that a stream stands still. Costs nothing while it flows: the timer runs only while one waits. A limit of zero
/// is none.
pub struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Stall {
    pub fn new(limit: Duration) -> Self {
        Self { limit, timer: None, is_running: false }
    }

    /// Something came.
    pub fn progress(&mut self) {
        self.is_running = false;
    }

    /// To be asked whenever nothing came: ready when that has been so for the whole limit.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        if limit.is_zero() {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_running {
            self.is_running = true;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(cx)
    }
}
