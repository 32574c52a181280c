//! Reads Rust source as text: just enough to find paths and measure functions.

/// One source file, with everything blanked out that is no code, line for line.
pub struct Source {
    /// Relative to the crate's root, such as `src/gateway/record.rs`.
    pub path: String,
    pub raw_lines: usize,
    /// Without comments and the contents of literals.
    pub code: String,
    /// The same without what is compiled for tests alone.
    pub product: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = without_comments_and_literals(text);
        let product = without_tests(&code);
        Self { path: path.to_owned(), raw_lines: text.lines().count(), code, product }
    }

    /// The modules that lead to the file: `src/gateway/forward/mod.rs` is `gateway::forward`.
    pub fn module(&self) -> Vec<&str> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        let mut names: Vec<&str> = inner.split('/').collect();
        if names.last() == Some(&"mod") {
            names.pop();
        }
        names
    }
}

/// The line, counted from 1, of a place in a text.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Blanks comments and the insides of string and character literals; line breaks stay where they are.
pub fn without_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped_to(bytes, at);
        if end > at {
            out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at = end;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none does.
fn skipped_to(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let starts_word = at == 0 || !is_ident(bytes[at - 1]);
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment(rest);
    }
    let prefix = if starts_word { rest.iter().take_while(|b| matches!(b, b'b' | b'c' | b'r')).count() } else { 0 };
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    let is_raw = rest[..prefix].contains(&b'r');
    match rest.get(prefix + hashes) {
        Some(b'"') if is_raw => at + raw_string(rest, prefix + hashes + 1, hashes),
        Some(b'"') if hashes == 0 => at + quoted(rest, prefix + 1, b'"'),
        Some(b'\'') if hashes == 0 && is_character(&rest[prefix..]) => at + quoted(rest, prefix + 1, b'\''),
        _ => at,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn raw_string(rest: &[u8], from: usize, hashes: usize) -> usize {
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let length = rest[from..].windows(end.len()).position(|w| w == end);
    length.map_or(rest.len(), |n| from + n + end.len())
}

fn quoted(rest: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn is_character(rest: &[u8]) -> bool {
    match rest {
        [b'\'', b'\\', ..] => true,
        [b'\'', tail @ ..] => {
            let first = std::str::from_utf8(&tail[..tail.len().min(4)]).map_or_else(|e| e.valid_up_to(), str::len);
            let text = std::str::from_utf8(&tail[..first]).unwrap_or_default();
            text.chars().next().is_some_and(|c| tail.get(c.len_utf8()) == Some(&b'\''))
        }
        _ => false,
    }
}

/// Blanks each item that stands behind `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.to_owned();
    while let Some(start) = out.find(MARK) {
        let after = start + MARK.len();
        let body = out[after..].find(['{', ';']).map_or(out.len(), |n| after + n);
        let end = if out[body..].starts_with('{') { closing(&out, body) } else { (body + 1).min(out.len()) };
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// Where the block that opens at `open` is closed.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// A function with a body: its name, the line it begins at, and how many lines it has.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub length: usize,
}

pub fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if at > 0 && is_ident(code.as_bytes()[at - 1]) {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(open) = body_of(code, at) {
            let (first, last) = (line_of(code, at), line_of(code, closing(code, open) - 1));
            found.push(Function { name, line: first, length: last - first + 1 });
        }
    }
    found
}

/// The brace that opens the body of the function at `at`; none for a declaration.
fn body_of(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(i),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// A path that is named: its segments and the line; `*` for a glob.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
}

/// Every path that begins with `root`, groups in braces unfolded.
pub fn paths(code: &str, root: &str) -> Vec<Named> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].trim_end().as_bytes();
        let stands_alone = at == 0 || !is_ident(code.as_bytes()[at - 1]);
        let after = &code[at + root.len()..];
        if stands_alone && !before.ends_with(b"::") && after.trim_start().starts_with("::") {
            for segments in unfold(&code[at..]) {
                found.push(Named { segments, line: line_of(code, at) });
            }
        }
    }
    found
}

/// The paths of `a::{b, c::{d, *}}` as lists of segments.
fn unfold(text: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    unfold_into(text, &[], &mut out);
    out
}

/// Reads one path tree; returns how much of the text it took.
fn unfold_into(text: &str, prefix: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            while !text[at..].trim_start().is_empty() && !text[at..].trim_start().starts_with('}') {
                let took = unfold_into(&text[at..], &path, out);
                at += took;
                at += text[at..].find([',', '}']).unwrap_or(text.len() - at);
                at += usize::from(text[at..].starts_with(','));
            }
            return at + text[at..].find('}').map_or(0, |n| n + 1);
        }
        let length = text[at..].bytes().take_while(|b| is_ident(*b) || *b == b'*').count();
        if length > 0 {
            path.push(text[at..at + length].to_owned());
        }
        at += length;
        let gap = text[at..].len() - text[at..].trim_start().len();
        if length == 0 || !text[at + gap..].starts_with("::") {
            out.push(path);
            return at;
        }
        at += gap + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a /* { /* } */ { */ b // crate::x\n\"{ \\\" crate::y\" 'x' '{' b\"}\" r#\"\"{\"# 'static c";
        let code = without_comments_and_literals(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "'static", "c"]);
        assert_eq!(code.matches('\n').count(), 1);
        assert_eq!(without_comments_and_literals("for i in raw {}"), "for i in raw {}");
        let code = without_comments_and_literals("f('é', '\\'', \"é\") }");
        assert_eq!(code.split_whitespace().collect::<String>(), "f(,,)}");
    }

    #[test]
    fn what_is_compiled_for_tests_alone_is_left_out() {
        let code = "a\n#[cfg(test)]\nmod tests { fn f() { crate::x } }\nb\n#[cfg(test)]\nuse crate::y;\nc";
        let product = without_tests(code);
        assert_eq!(product.split_whitespace().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(line_of(&product, product.find('c').unwrap()), 7);
    }

    #[test]
    fn functions_are_measured_from_their_first_line_to_their_last() {
        let code =
            "fn a() {}\ntrait T { fn b(&self); }\npub fn c<F>(f: F) -> [u8; 2]\nwhere\n    F: Fn(),\n{\n    {}\n}\n";
        let found = functions(code);
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.length)).collect();
        assert_eq!(found, [("a", 1, 1), ("c", 3, 6)]);
        assert!(functions("let x: fn (u8) = often ; my_fn (1) {}").is_empty());
    }

    #[test]
    fn paths_are_unfolded() {
        let code = "use crate::{a, b::{C, d::*}};\nlet x = crate::e::f(); mycrate::g; x::crate::h;";
        let found: Vec<_> = paths(code, "crate").into_iter().map(|n| (n.segments.join("::"), n.line)).collect();
        let found: Vec<_> = found.iter().map(|(path, line)| (path.as_str(), *line)).collect();
        assert_eq!(found, [("crate::a", 1), ("crate::b::C", 1), ("crate::b::d::*", 1), ("crate::e::f", 2)]);
    }

    #[test]
    fn a_file_knows_its_module() {
        assert_eq!(Source::new("src/gateway/forward/mod.rs", "").module(), ["gateway", "forward"]);
        assert_eq!(Source::new("src/clock.rs", "").module(), ["clock"]);
    }
}
