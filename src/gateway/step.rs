//! A step that needs no waiting: takes one request type, gives the next, or refuses.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Refused;

/// One step of the stack.
pub trait Step<In> {
    type Out;

    /// # Errors
    /// The refusal, with its route once there is one.
    fn take(&self, input: In) -> Result<Self::Out, Refused>;
}

/// Puts a step in front of a service that takes what the step gives.
#[derive(Clone, Copy, Debug)]
pub struct StepLayer<P>(P);

impl<P> StepLayer<P> {
    pub fn new(step: P) -> Self {
        Self(step)
    }
}

impl<P: Clone, S> Layer<S> for StepLayer<P> {
    type Service = Stepped<P, S>;

    fn layer(&self, inner: S) -> Stepped<P, S> {
        Stepped { step: self.0.clone(), inner }
    }
}

/// A step and what comes after it.
#[derive(Clone, Copy, Debug)]
pub struct Stepped<P, S> {
    step: P,
    inner: S,
}

impl<In, P, S> Service<In> for Stepped<P, S>
where
    P: Step<In>,
    S: Service<P::Out, Error = Refused>,
{
    type Response = S::Response;
    type Error = Refused;
    type Future = SteppedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, input: In) -> Self::Future {
        match self.step.take(input) {
            Ok(output) => SteppedFuture::Inner { future: self.inner.call(output) },
            Err(refused) => SteppedFuture::Refused { refused: Some(refused) },
        }
    }
}

pin_project! {
    /// The rest of the stack at work, or the refusal that keeps the request from it.
    #[project = Projected]
    pub enum SteppedFuture<F> {
        Inner { #[pin] future: F },
        Refused { refused: Option<Refused> },
    }
}

impl<F, T> Future for SteppedFuture<F>
where
    F: Future<Output = Result<T, Refused>>,
{
    type Output = Result<T, Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Inner { future } => future.poll(cx),
            Projected::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(Err(refused)),
                None => Poll::Pending,
            },
        }
    }
}
