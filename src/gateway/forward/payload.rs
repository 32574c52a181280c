//! What is sent as a request's body: the client's, that of one whose beginning is kept in case it has to be sent again, or
//! none.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub enum Payload<B> {
    Callers { body: B },
    Replayed(Replay<B>),
    Empty,
}

impl<B: Body> Payload<B> {
    pub(super) fn of(body: B) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Callers { body } }
    }

    /// Keeps what is sent of it from now on, up to a bound. None of an empty one, which needs no keeping.
    pub(super) fn keep(&mut self) -> Option<Kept<B>> {
        let replay = match std::mem::replace(self, Self::Empty) {
            Self::Callers { body } => {
                let state = State { body: Some(body), frames: Vec::new(), bytes: 0, is_whole: true, turn: 0, next: 0 };
                Replay { state: Arc::new(Mutex::new(state)), turn: 0 }
            }
            Self::Replayed(replay) => replay,
            Self::Empty => return None,
        };
        let kept = Kept(Arc::clone(&replay.state));
        *self = Self::Replayed(replay);
        Some(kept)
    }
}

/// More than this is not kept: such a request is not sent again.
const MOST: usize = 64 << 10;
/// A frame counts for so much at least: each takes memory of its own.
const LEAST: usize = 256;
/// Smaller frames are copied. A few bytes that were read alone hold on to the whole buffer that they were read into.
const COPIED: usize = 4 << 10;

/// A body that can be sent from its beginning again, as long as all that was sent of it is kept.
pub(super) struct Kept<B>(Arc<Mutex<State<B>>>);

/// One sending of such a body. The last one that began has the body; those before it have no more of it.
pub struct Replay<B> {
    state: Arc<Mutex<State<B>>>,
    turn: u32,
}

struct State<B> {
    /// None once it ended.
    body: Option<B>,
    frames: Vec<Bytes>,
    bytes: usize,
    /// Whether the frames are all that was read of it.
    is_whole: bool,
    /// The sending that began last.
    turn: u32,
    /// The frame that it sends next.
    next: usize,
}

fn lock<B>(state: &Mutex<State<B>>) -> MutexGuard<'_, State<B>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Kept<B> {
    /// The body from its beginning, unless some of it is gone.
    pub fn again(self) -> Option<Payload<B>> {
        // Under one lock: the sending that was given up may still read of the body until another begins.
        let turn = lock(&self.0).begin()?;
        Some(Payload::Replayed(Replay { state: self.0, turn }))
    }

    /// It will not be sent again.
    pub fn forget(&self) {
        lock(&self.0).forget();
    }
}

impl<B> State<B> {
    /// Another sending of all of it.
    fn begin(&mut self) -> Option<u32> {
        if !self.is_whole {
            return None;
        }
        self.turn += 1;
        self.next = 0;
        Some(self.turn)
    }

    /// What was sent is kept no longer; what is still to be sent by the sending that goes on stays.
    fn forget(&mut self) {
        self.is_whole = false;
        self.frames = self.frames.split_off(self.next);
        self.next = 0;
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        match frame.data_ref() {
            Some(data) if self.is_whole && self.bytes + data.len().max(LEAST) <= MOST => {
                self.bytes += data.len().max(LEAST);
                self.frames.push(if data.len() < COPIED { Bytes::copy_from_slice(data) } else { data.clone() });
            }
            // Trailers, too, are sent once.
            _ => self.forget(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Replay<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let state = &mut *lock(&self.state);
        if state.turn != self.turn {
            return Poll::Pending;
        }
        if let Some(frame) = state.frames.get(state.next) {
            state.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(frame.clone()))));
        }
        let Some(body) = &mut state.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match &frame {
            None => state.body = None,
            Some(Ok(frame)) => {
                state.keep(frame);
                state.next = state.frames.len();
            }
            Some(Err(_)) => state.forget(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        state.next >= state.frames.len() && state.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.state);
        let ahead: usize = state.frames.iter().skip(state.next).map(Bytes::len).sum();
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        let rest = state.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ahead));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Payload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            Self::Callers { body } => Pin::new(body).poll_frame(cx),
            Self::Replayed(replay) => replay.poll(cx),
            Self::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Callers { body } => body.is_end_stream(),
            Self::Replayed(replay) => replay.is_end_stream(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Callers { body } => body.size_hint(),
            Self::Replayed(replay) => replay.size_hint(),
            Self::Empty => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, Full};

    use super::*;

    /// The last one first.
    struct Texts(Vec<&'static str>);

    impl Body for Texts {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop().map(|text| Ok(Frame::data(text.into()))))
        }
    }

    fn payload(bytes: &'static [u8]) -> Payload<Full<Bytes>> {
        Payload::of(Full::new(Bytes::from_static(bytes)))
    }

    #[tokio::test]
    async fn what_was_sent_is_sent_again() {
        let mut first = payload(b"data");
        let kept = first.keep().unwrap();
        assert_eq!(first.size_hint().exact(), Some(4));
        let frame = first.frame().await.unwrap().unwrap();
        assert_eq!(frame.data_ref().unwrap(), &"data");
        let again = kept.again().unwrap();
        assert_eq!((again.size_hint().exact(), again.is_end_stream()), (Some(4), false));
        assert_eq!(again.collect().await.unwrap().to_bytes(), "data");
    }

    #[tokio::test]
    async fn an_answer_that_begins_while_it_is_sent_again_leaves_no_hole_in_it() {
        let mut first = Payload::of(Texts(["three", "two ", "one "].into()));
        let kept = first.keep().unwrap();
        for _ in 0..2 {
            first.frame().await.unwrap().unwrap();
        }
        let mut again = kept.again().unwrap();
        let kept = again.keep().unwrap();
        assert_eq!(again.frame().await.unwrap().unwrap().into_data().unwrap(), "one ");
        kept.forget();
        assert_eq!(again.collect().await.unwrap().to_bytes(), "two three");
    }

    #[tokio::test]
    async fn small_frames_hold_on_to_no_buffer_and_only_so_many_are_kept() {
        let buffer = Bytes::from(vec![7; 8 << 10]);
        let mut first = Payload::of(Full::new(buffer.slice(..1)));
        let kept = first.keep().unwrap();
        first.frame().await.unwrap().unwrap();
        assert!(buffer.is_unique());
        assert_eq!(kept.again().unwrap().collect().await.unwrap().to_bytes(), buffer[..1]);
        for (count, is_kept) in [(MOST / LEAST, true), (MOST / LEAST + 1, false)] {
            let mut first = Payload::of(Texts(vec!["."; count]));
            let kept = first.keep().unwrap();
            assert_eq!(first.collect().await.unwrap().to_bytes().len(), count);
            assert_eq!(kept.again().is_some(), is_kept, "{count}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_or_forgotten_is_sent_once() {
        static LARGE: [u8; MOST + 1] = [0; MOST + 1];
        let mut first = payload(&LARGE);
        let kept = first.keep().unwrap();
        assert_eq!(first.collect().await.unwrap().to_bytes().len(), LARGE.len());
        assert!(kept.again().is_none());
        let mut first = payload(b"data");
        let kept = first.keep().unwrap();
        kept.forget();
        assert_eq!(first.collect().await.unwrap().to_bytes(), "data");
        assert!(kept.again().is_none());
        assert!(payload(b"").keep().is_none());
    }
}
