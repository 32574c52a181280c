//! The leaf for routes that lead to an answer of our own; all others go on to the leaf behind it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use pin_project_lite::pin_project;
use tower::Service;

use super::refuse::http_date;
use super::{Answered, Call, Destination, Inbound, Outbound, Refused, Visit};
use crate::model::{Reason, Refusal};

/// The time to say what is asked of us, which is short.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A call to an endpoint, with its whole body.
pub struct Asked {
    pub request: Request<Bytes>,
    pub call: Call,
    pub visit: Visit,
}

/// An answer in the making.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Refusal>> + Send>>;

/// Makes our own answers. Called on a worker, which has other calls: whatever waits is waited for elsewhere.
pub trait OwnAnswers: Send + Sync {
    /// # Errors
    /// The refusal, which is told in the format of the route.
    fn answer(&self, asked: Asked) -> Answering;

    /// How many bytes the body of such a request may have, before any of them is read.
    ///
    /// # Errors
    /// The refusal of a request whose body need not be read.
    fn expect_body(&self, head: &Parts, visit: &Visit) -> Result<usize, Refusal>;
}

/// Our own answers in front of another leaf.
#[derive(Clone)]
pub struct Own<L> {
    answers: Arc<dyn OwnAnswers>,
    leaf: L,
}

impl<L> Own<L> {
    pub fn new(answers: Arc<dyn OwnAnswers>, leaf: L) -> Self {
        Self { answers, leaf }
    }
}

impl<B, L, R> Service<Outbound<B>> for Own<L>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
    L: Service<Outbound<B>, Response = Response<R>, Error = Refused>,
{
    type Response = Response<Answered<R>>;
    type Error = Refused;
    type Future = OwnFuture<L::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.leaf.poll_ready(cx)
    }

    fn call(&mut self, outbound: Outbound<B>) -> Self::Future {
        if matches!(outbound.destination(), Destination::Upstream(_)) {
            return OwnFuture::Leaf { future: self.leaf.call(outbound) };
        }
        let answers = Arc::clone(&self.answers);
        OwnFuture::Own { future: Box::pin(answer(answers, outbound)) }
    }
}

async fn answer<B>(answers: Arc<dyn OwnAnswers>, outbound: Outbound<B>) -> Result<Response<Full<Bytes>>, Refused>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let (request, call, destination) = outbound.into_parts();
    let Destination::Own(visit) = destination else { return Err(call.refused(Reason::GatewayInternal)) };
    let (head, body) = request.into_parts();
    let limit = answers.expect_body(&head, &visit).map_err(|refusal| call.refused(refusal))?;
    let body = gather(body, limit, &call).await?;
    let asked = Asked { request: Request::from_parts(head, body), call: call.clone(), visit: *visit };
    let mut response = answers.answer(asked).await.map_err(|refusal| call.refused(refusal))?;
    let headers = response.headers_mut();
    headers.insert(header::DATE, http_date(call.now));
    // Tokens are in most of them.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The whole body, which has to be short and to come soon.
async fn gather<B>(body: Inbound<B>, limit: usize, call: &Call) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let too_large =
        || Err(call.refused(Refusal::new(Reason::RequestBodyTooLarge).expected(format!("at most {limit} bytes"))));
    if body.size_hint().lower() > limit as u64 {
        return too_large();
    }
    let gathered = tokio::time::timeout(BODY_TIME, copied(Limited::new(body, limit))).await;
    match gathered {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_large(),
        Ok(Err(error)) => {
            let reason = call.ledger.body_fault.get().copied().unwrap_or(Reason::RequestInvalid);
            Err(call.refused(Refusal::new(reason).found(error.to_string())))
        }
        Err(_) => Err(call.refused(Refusal::new(Reason::RequestTimeout).expected(format!("all within {BODY_TIME:?}")))),
    }
}

/// All of it in one piece. A few bytes that were read alone hold on to the whole buffer that they were read into, so
/// that a body which comes byte by byte would take thousands of times its length.
async fn copied<B: Body<Data = Bytes>>(body: B) -> Result<Bytes, B::Error> {
    let (mut body, mut all) = (pin!(body), BytesMut::new());
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            all.extend_from_slice(data);
        }
    }
    Ok(all.freeze())
}

pin_project! {
    /// The other leaf at work, or an answer of our own in the making.
    #[project = Projected]
    pub enum OwnFuture<F> {
        Leaf { #[pin] future: F },
        Own { future: Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Refused>> + Send>> },
    }
}

impl<F, R> Future for OwnFuture<F>
where
    F: Future<Output = Result<Response<R>, Refused>>,
{
    type Output = Result<Response<Answered<R>>, Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project() {
            Projected::Leaf { future } => ready!(future.poll(cx)).map(|r| r.map(|body| Answered::Upstream { body })),
            Projected::Own { future } => ready!(future.as_mut().poll(cx)).map(|r| r.map(|body| Answered::Own { body })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_gathered_holds_on_to_no_buffer() {
        let buffer = Bytes::from(vec![7; 8 << 10]);
        let gathered = copied(Full::new(buffer.slice(..1))).await.unwrap();
        assert_eq!(gathered, buffer[..1]);
        assert!(buffer.is_unique());
    }
}
