//! A text with its lines: from a key's path to the line where it stands.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Toml};
use serde::de::DeserializeOwned;
use toml_edit::{ImDocument, Item, Value};

use super::environment::{self, PREFIX as ENVIRONMENT};
use super::spoken;
use super::{ConfigError, Diagnostic};
use crate::files;

/// A file, or a profile in the binary.
#[derive(Debug)]
pub(super) struct Source {
    pub name: String,
    text: String,
    document: Option<ImDocument<String>>,
    /// Where lines end; a file with many mistakes is asked for many lines.
    line_ends: OnceLock<Vec<usize>>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let document = ImDocument::parse(text.clone()).ok();
        Self { name: name.into(), text, document, line_ends: OnceLock::new() }
    }

    pub fn file(path: &Path) -> Result<Self, Diagnostic> {
        let name = path.display().to_string();
        match files::read_text(path) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => Err(Diagnostic { place: name, line: None, message: unreadable(&error), help: None }),
        }
    }

    /// Reads the whole text as a section tree; `with_environment` lays variables over it.
    pub fn read<T: DeserializeOwned>(&self, with_environment: bool) -> Result<T, ConfigError> {
        if let Err(error) = ImDocument::parse(self.text.as_str()) {
            let line = error.span().map(|span| self.line_at(span.start));
            let message = error.message().trim_end().to_owned();
            return Err(ConfigError(vec![Diagnostic { place: self.name.clone(), line, message, help: None }]));
        }
        let mut figment = Figment::new().merge(Toml::string(&self.text));
        if with_environment {
            figment = figment.merge(Env::prefixed(ENVIRONMENT).split("__"));
        }
        figment.extract().map_err(|errors| ConfigError(errors.into_iter().map(|e| self.diagnose(&e)).collect()))
    }

    fn diagnose(&self, error: &figment::Error) -> Diagnostic {
        let mut path: Vec<&str> = error.path.iter().map(String::as_str).collect();
        if let Kind::UnknownField(name, _) = &error.kind
            && path.last() != Some(&name.as_str())
        {
            path.push(name);
        }
        let is_listed = matches!(&error.kind, Kind::Message(text) if text.starts_with("data did not match"));
        let (message, help) = spoken::told(&error.kind);
        let message = if is_listed { "this is in none of the forms that it may have".to_owned() } else { message };
        let message = match path.as_slice() {
            [] => message,
            path => format!("{}: {message}", spoken::place(self.document.as_ref().map(ImDocument::as_table), path)),
        };
        let is_variable = error.metadata.as_ref().is_some_and(|m| m.name.contains("environment"));
        if is_variable {
            let help = match &error.kind {
                Kind::UnknownField(..) => {
                    environment::corrected(&path).map_or(help, |name| Some(format!("did you mean {name}?")))
                }
                _ => help,
            };
            let place = format!("environment variable {ENVIRONMENT}{}", path.join("__").to_uppercase());
            return Diagnostic { place, line: None, message, help };
        }
        Diagnostic { place: self.name.clone(), line: self.line(&path), message, help }
    }

    /// The line of a key, or of the nearest table around it that is there.
    pub fn line(&self, path: &[&str]) -> Option<usize> {
        let table = self.document.as_ref()?.as_table();
        let mut offset = None;
        let mut here = Node::Table(table);
        for step in path {
            let Some((at, next)) = here.step(step) else { break };
            offset = at.or(offset);
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        offset.map(|offset| self.line_at(offset))
    }

    fn line_at(&self, offset: usize) -> usize {
        let ends = || self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        1 + self.line_ends.get_or_init(ends).partition_point(|end| *end < offset)
    }
}

/// Why a file can't be read.
pub(super) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            "it is not UTF-8: convert it, for example with iconv -f UTF-16 -t UTF-8 FILE".to_owned()
        }
        io::ErrorKind::IsADirectory => "it is a directory: name the file in it".to_owned(),
        _ => error.to_string(),
    }
}

/// Where a walk through a document stands.
enum Node<'d> {
    Table(&'d toml_edit::Table),
    Tables(&'d toml_edit::ArrayOfTables),
    Value(&'d Value),
}

impl<'d> Node<'d> {
    fn of(item: &'d Item) -> Option<Self> {
        match item {
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
            Item::Value(value) => Some(Self::Value(value)),
            Item::None => None,
        }
    }

    /// The byte at which the next part of the path begins, and the part itself.
    fn step(&self, key: &str) -> Option<(Option<usize>, Option<Self>)> {
        let start = |span: Option<std::ops::Range<usize>>| span.map(|s| s.start);
        match self {
            Self::Table(table) => {
                let (found, item) = table.get_key_value(key)?;
                Some((start(found.span()).or_else(|| start(item.span())), Self::of(item)))
            }
            Self::Tables(tables) => {
                let table = tables.get(key.parse().ok()?)?;
                Some((start(table.span()), Some(Self::Table(table))))
            }
            Self::Value(Value::Array(array)) => {
                let value = array.get(key.parse().ok()?)?;
                Some((start(value.span()), Some(Self::Value(value))))
            }
            Self::Value(Value::InlineTable(table)) => {
                let value = table.get(key)?;
                Some((start(value.span()), Some(Self::Value(value))))
            }
            Self::Value(_) => None,
        }
    }
}
