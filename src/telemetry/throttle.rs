//! Few log lines of a kind, however many events there are: a client that can cause an event could fill a disk with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::instant;

/// Lines of one place in the code that are written at once.
const BURST: u32 = 30;
/// Until one more is.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is told how many were left out.
const REPORT: Duration = Duration::from_secs(10);

/// Lets some lines of each place in the code through, and counts the rest. Levels that have to be turned on, `debug` and
/// `trace`, are let through whole.
#[derive(Clone, Default)]
pub struct LogThrottle {
    places: Arc<Mutex<HashMap<Identifier, Place>>>,
}

struct Place {
    left: u32,
    since: Instant,
    left_out: u64,
    message: String,
    told: Option<Instant>,
}

impl Place {
    fn new(now: Instant) -> Self {
        Self { left: BURST, since: now, left_out: 0, message: String::new(), told: None }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.duration_since(self.since).as_secs() / PAUSE.as_secs();
        if passed > 0 {
            self.left = u32::try_from(passed).map_or(BURST, |passed| self.left.saturating_add(passed).min(BURST));
            self.since = now;
        }
        let is_let = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_let
    }

    fn report(&mut self, now: Instant) -> Option<(u64, String)> {
        let is_due = self.told.is_none_or(|told| now.duration_since(told) >= REPORT);
        if self.left_out == 0 || !is_due {
            return None;
        }
        self.told = Some(now);
        Some((std::mem::take(&mut self.left_out), self.message.clone()))
    }
}

impl LogThrottle {
    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lets(&self, event: &Event<'_>, now: Instant) -> bool {
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let mut places = self.places();
        let place = places.entry(event.metadata().callsite()).or_insert_with(|| Place::new(now));
        if place.take(now) {
            return true;
        }
        if place.left_out == 0 {
            place.message.clear();
            event.record(&mut Message(&mut place.message));
        }
        place.left_out += 1;
        false
    }

    /// Tells what was left out since it was told last. To be called every second or so.
    pub fn report(&self) {
        let now = instant();
        let reports: Vec<_> = self.places().values_mut().filter_map(|place| place.report(now)).collect();
        for (left_out, like) in reports {
            tracing::warn!(left_out, like, "more lines of this kind were left out");
        }
    }
}

impl<S: Subscriber> Layer<S> for LogThrottle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.lets(event, instant())
    }
}

/// What an event says, without its fields.
struct Message<'m>(&'m mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        if field.name() == "message" {
            _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn take(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_flood_of_one_kind_is_a_few_lines_and_a_count() {
        let (throttle, lines) = (LogThrottle::default(), Lines::default());
        let format = tracing_subscriber::fmt::layer().with_writer(lines.clone()).without_time().with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(throttle.clone()).with(format);
        with_default(subscriber, || {
            for n in 0..1000 {
                tracing::warn!(n, "flooded");
            }
            tracing::error!("another kind");
            let written = lines.take();
            assert!(written.len() <= BURST as usize + 2, "{written:?}");
            assert!(written.last().unwrap().contains("another kind"), "{written:?}");
            let count = written.iter().filter(|line| line.contains("flooded")).count();
            throttle.report();
            let [report] = &lines.take()[..] else { panic!("not one") };
            let expected = format!("left_out={} like=\"flooded\"", 1000 - count);
            assert!(report.contains(&expected), "{report}");
            throttle.report();
            assert!(lines.take().is_empty(), "it is told once");
            for n in 0..100 {
                tracing::debug!(n, "asked for");
            }
            assert_eq!(lines.take().len(), 100);
        });
    }

    #[test]
    fn a_place_has_one_more_line_a_second_and_tells_of_the_others_every_ten() {
        let start = instant();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut place = Place::new(start);
        assert_eq!((0..100).filter(|_| place.take(start)).count(), 30);
        assert_eq!((0..100).filter(|_| place.take(at(2))).count(), 2);
        assert_eq!((0..100).filter(|_| place.take(at(3600))).count(), 30);
        place.left_out = 7;
        assert_eq!(place.report(at(1)).unwrap().0, 7);
        place.left_out = 8;
        assert_eq!(place.report(at(10)), None);
        assert_eq!(place.report(at(11)).unwrap().0, 8);
        assert_eq!(place.report(at(60)), None);
    }
}
