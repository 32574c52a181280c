//! A step that may have to wait: it asks, the answer comes from elsewhere, then it takes the request with the answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Refused;

/// What is waited for. It holds nothing of the request, and goes on existing apart from it: whoever makes one decides
/// what becomes of the work when a caller leaves and the future is dropped.
pub type Later<A> = Pin<Box<dyn Future<Output = A> + Send>>;

/// What a step learns before it takes a request.
pub enum Ask<A> {
    /// There is nothing to wait for.
    Now(A),
    Later(Later<A>),
}

impl<A: 'static> Ask<A> {
    /// The same, made into something else once it is there.
    pub fn map<T>(self, make: impl FnOnce(A) -> T + Send + 'static) -> Ask<T> {
        match self {
            Self::Now(answer) => Ask::Now(make(answer)),
            Self::Later(answer) => Ask::Later(Box::pin(async { make(answer.await) })),
        }
    }
}

/// A step of the stack that waits for some requests.
pub trait WaitingStep<In> {
    type Out;
    type Answer;

    /// What has to be known before the request is taken. Called once for each request.
    fn ask(&self, input: &In) -> Ask<Self::Answer>;

    /// # Errors
    /// The refusal, with its route once there is one.
    fn take(&self, input: In, answer: Self::Answer) -> Result<Self::Out, Refused>;
}

/// Puts a step that may wait in front of a service that takes what the step gives.
#[derive(Clone, Copy, Debug)]
pub struct WaitLayer<P>(P);

impl<P> WaitLayer<P> {
    pub fn new(step: P) -> Self {
        Self(step)
    }
}

impl<P: Clone, S> Layer<S> for WaitLayer<P> {
    type Service = Waited<P, S>;

    fn layer(&self, inner: S) -> Waited<P, S> {
        Waited { step: self.0.clone(), inner }
    }
}

/// A step that may wait and what comes after it. Step and service are cloned for a request that waits, and for no other.
#[derive(Clone, Copy, Debug)]
pub struct Waited<P, S> {
    step: P,
    inner: S,
}

impl<In, P, S> Service<In> for Waited<P, S>
where
    P: WaitingStep<In> + Clone,
    S: Service<P::Out, Error = Refused> + Clone,
{
    type Response = S::Response;
    type Error = Refused;
    type Future = WaitedFuture<In, P, S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, input: In) -> Self::Future {
        match self.step.ask(&input) {
            Ask::Now(answer) => match self.step.take(input, answer) {
                Ok(output) => WaitedFuture::Inner { future: self.inner.call(output) },
                Err(refused) => WaitedFuture::Refused { refused: Some(refused) },
            },
            Ask::Later(answer) => {
                // The service that was found ready goes with the request; its clone has to be asked anew.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let waiting = Waiting { answer, input, step: self.step.clone(), inner };
                WaitedFuture::Waiting { waiting: Some(Box::new(waiting)) }
            }
        }
    }
}

/// A request that waits. Boxed, so that the future of one that does not is no bigger for it.
pub struct Waiting<In, P: WaitingStep<In>, S> {
    answer: Later<P::Answer>,
    input: In,
    step: P,
    inner: S,
}

pin_project! {
    /// The rest of the stack at work, the wait before it, or the refusal that keeps the request from it.
    #[project = Projected]
    pub enum WaitedFuture<In, P, S>
    where
        P: WaitingStep<In>,
        S: Service<P::Out>,
    {
        Inner { #[pin] future: S::Future },
        Waiting { waiting: Option<Box<Waiting<In, P, S>>> },
        Refused { refused: Option<Refused> },
    }
}

impl<In, P, S> Future for WaitedFuture<In, P, S>
where
    P: WaitingStep<In>,
    S: Service<P::Out, Error = Refused>,
{
    type Output = Result<S::Response, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                Projected::Inner { future } => return future.poll(cx),
                Projected::Refused { refused } => match refused.take() {
                    Some(refused) => return Poll::Ready(Err(refused)),
                    None => return Poll::Pending,
                },
                Projected::Waiting { waiting } => {
                    let Some(wait) = waiting else { return Poll::Pending };
                    let answer = ready!(wait.answer.as_mut().poll(cx));
                    let Some(wait) = waiting.take() else { return Poll::Pending };
                    let Waiting { input, step, mut inner, .. } = *wait;
                    match step.take(input, answer) {
                        Ok(output) => Self::Inner { future: inner.call(output) },
                        Err(refused) => Self::Refused { refused: Some(refused) },
                    }
                }
            };
            self.set(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use tokio::sync::oneshot;
    use tower::ServiceExt as _;

    use super::*;
    use crate::model::Reason;

    /// Lets a number pass, at once or when the sender says so; refuses it when the sender is gone.
    #[derive(Clone)]
    struct Gatekeeper;

    /// A number, and the answer to wait for.
    type Request = (usize, Option<Arc<Mutex<Option<oneshot::Receiver<usize>>>>>);

    impl WaitingStep<Request> for Gatekeeper {
        type Out = usize;
        type Answer = Option<usize>;

        fn ask(&self, (number, wait): &Request) -> Ask<Option<usize>> {
            match wait {
                None => Ask::Now((*number != 0).then_some(0)),
                Some(wait) => {
                    let answer = wait.lock().unwrap().take().unwrap();
                    Ask::Later(Box::pin(async { answer.await.ok() }))
                }
            }
        }

        fn take(&self, (number, _): Request, answer: Option<usize>) -> Result<usize, Refused> {
            answer.map(|more| number + more).ok_or_else(|| Refused::new(Reason::ReplayFull))
        }
    }

    /// Doubles; counts its clones, and fails where it is called before it was found ready.
    struct Doubler {
        is_ready: bool,
        clones: Arc<AtomicUsize>,
    }

    impl Clone for Doubler {
        fn clone(&self) -> Self {
            self.clones.fetch_add(1, Ordering::Relaxed);
            Self { is_ready: false, clones: Arc::clone(&self.clones) }
        }
    }

    impl Service<usize> for Doubler {
        type Response = usize;
        type Error = Refused;
        type Future = Ready<Result<usize, Refused>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
            self.is_ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, number: usize) -> Self::Future {
            assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
            ready(Ok(2 * number))
        }
    }

    fn service() -> (Waited<Gatekeeper, Doubler>, Arc<AtomicUsize>) {
        let clones = Arc::<AtomicUsize>::default();
        let inner = Doubler { is_ready: false, clones: Arc::clone(&clones) };
        (WaitLayer::new(Gatekeeper).layer(inner), clones)
    }

    fn waiting(number: usize) -> (Request, oneshot::Sender<usize>) {
        let (sender, receiver) = oneshot::channel();
        ((number, Some(Arc::new(Mutex::new(Some(receiver))))), sender)
    }

    #[tokio::test]
    async fn a_request_that_need_not_wait_costs_no_clone() {
        let (mut service, clones) = service();
        assert_eq!(service.ready().await.unwrap().call((7, None)).await.unwrap(), 14);
        let refused = service.ready().await.unwrap().call((0, None)).await.unwrap_err();
        assert_eq!(refused.refusal().reason, Reason::ReplayFull);
        assert_eq!(clones.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn requests_wait_apart_and_each_goes_on_with_its_own_answer() {
        let (mut service, _) = service();
        let ((first, first_answer), (second, second_answer)) = (waiting(7), waiting(8));
        let mut first = Box::pin(service.ready().await.unwrap().call(first));
        let second = service.ready().await.unwrap().call(second);
        assert!(poll_once(&mut first).is_pending());
        second_answer.send(100).unwrap();
        assert_eq!(second.await.unwrap(), 216);
        assert_eq!(service.ready().await.unwrap().call((1, None)).await.unwrap(), 2);
        first_answer.send(1).unwrap();
        assert_eq!(first.await.unwrap(), 16);
    }

    #[tokio::test]
    async fn an_answer_may_refuse() {
        let (mut service, _) = service();
        let (request, answer) = waiting(7);
        drop(answer);
        let refused = service.ready().await.unwrap().call(request).await.unwrap_err();
        assert_eq!(refused.refusal().reason, Reason::ReplayFull);
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_while_it_waits_lets_go_of_what_it_waited_for() {
        let (mut service, _) = service();
        let (request, answer) = waiting(7);
        drop(service.ready().await.unwrap().call(request));
        assert!(answer.is_closed());
    }

    fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}
