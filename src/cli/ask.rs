//! Answers of a person, or of a pipe in a person's place.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use super::Failure;

/// The longest answer: a path or an identifier.
const MAX_ANSWER: usize = 4096;

/// Asks on standard error and reads a line of standard input, so that standard output holds the result alone. None
/// where nobody answers.
pub(super) fn ask(question: &str, is_quiet: bool) -> Result<Option<String>, Failure> {
    let stdin = io::stdin();
    let is_terminal = stdin.is_terminal();
    if is_terminal || !is_quiet {
        eprint!("{question}: ");
        // A prompt that can't be seen is no reason to stop.
        _ = io::stderr().flush();
    }
    let answer = line(&mut stdin.lock())?;
    if !is_terminal && !is_quiet {
        eprintln!();
    }
    Ok(answer)
}

/// The same, where a person is there to ask; a pipe is not read.
pub(super) fn ask_person(question: &str) -> Result<Option<String>, Failure> {
    if io::stdin().is_terminal() { ask(question, false) } else { Ok(None) }
}

fn line(from: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let mut limited = io::Read::take(from, MAX_ANSWER as u64 + 1);
    limited.read_until(b'\n', &mut line)?;
    if line.len() > MAX_ANSWER {
        return Err(Failure::new(format!("an answer has at most {MAX_ANSWER} bytes in one line")));
    }
    let line = String::from_utf8(line).map_err(|_| Failure::new("the answer is not UTF-8"))?;
    let line = line.trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_line_without_the_spaces_around_it() {
        let mut from = &b"keys/app.pem\r\n 123 \nlast"[..];
        let mut next = || line(&mut from).unwrap();
        assert_eq!(next().as_deref(), Some("keys/app.pem"));
        assert_eq!(next().as_deref(), Some("123"));
        assert_eq!(next().as_deref(), Some("last"));
        assert_eq!(next(), None);
        assert!(line(&mut &[b'x'; 5000][..]).is_err());
        assert!(line(&mut &b"\xff\n"[..]).is_err());
    }
}
