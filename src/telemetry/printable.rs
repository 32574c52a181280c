use std::io::{self, Write};

use crate::model::{printable_json, printable_lines};

/// Writes events, each of which comes in one piece, without characters that are not printable.
pub(super) struct Printable<W> {
    sink: W,
    is_json: bool,
}

impl<W> Printable<W> {
    pub fn text(sink: W) -> Self {
        Self { sink, is_json: false }
    }

    pub fn json(sink: W) -> Self {
        Self { sink, is_json: true }
    }
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let shown = if self.is_json { printable_json(&text) } else { printable_lines(&text) };
        self.sink.write_all(shown.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_event_moves_the_cursor_or_turns_the_text_of_a_terminal() {
        let odd = "a\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\u{2028}b";
        for is_json in [false, true] {
            let sink = Sink::default();
            let written = sink.clone();
            let builder = tracing_subscriber::fmt()
                .with_writer(move || Printable { sink: sink.clone(), is_json })
                .with_ansi(false);
            let log = || tracing::info!(path = odd, shown = %odd, "refused {odd}");
            if is_json {
                tracing::subscriber::with_default(builder.json().finish(), log);
            } else {
                tracing::subscriber::with_default(builder.finish(), log);
            }
            let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(written.contains("refused a"), "{written:?}");
            for hidden in ["\u{1b}", "\u{9b}", "\u{202e}", "\u{200b}", "\u{2028}"] {
                assert!(!written.contains(hidden), "{written:?}");
            }
        }
    }
}
