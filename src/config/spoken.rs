//! What the reader of a file found, in the words of the file: no type of the program, and no index of a list.

use figment::error::{Actual, Kind};
use toml_edit::{Item, Value};

use super::diagnostic::nearest;

/// What is wrong, and what would be right.
pub(super) fn told(kind: &Kind) -> (String, Option<String>) {
    let message = match kind {
        Kind::UnknownField(name, known) => {
            let near = nearest(name, known.iter().copied()).map(|k| format!("did you mean {k:?}?"));
            let help = near.unwrap_or_else(|| format!("known keys: {}", known.join(", ")));
            return (format!("unknown key {name:?}"), Some(help));
        }
        Kind::UnknownVariant(name, known) => {
            let near = nearest(name, known.iter().copied()).map(|k| format!("did you mean {k:?}?"));
            let known: Vec<_> = known.iter().map(|one| format!("{one:?}")).collect();
            return (format!("{name:?} is not one of {}", known.join(", ")), near);
        }
        Kind::MissingField(name) => format!("the key {name:?} is missing"),
        Kind::DuplicateField(name) => format!("the key {name:?} stands there twice"),
        Kind::Message(text) => text.clone(),
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => refused(found, wanted),
        Kind::InvalidLength(length, wanted) => format!("{length} entries, where {} is wanted", in_words(wanted)),
        Kind::ISizeOutOfRange(number) => format!("the number {number} is out of range"),
        Kind::USizeOutOfRange(number) => format!("the number {number} is out of range"),
        Kind::Unsupported(found) => format!("{} can't stand here", seen(found)),
        Kind::UnsupportedKey(found, _) => format!("{} is no key: keys are words", seen(found)),
    };
    (message, None)
}

fn refused(found: &Actual, wanted: &str) -> String {
    let number = match found {
        Actual::Unsigned(number) => Some(number.to_string()),
        Actual::Signed(number) => Some(number.to_string()),
        _ => None,
    };
    match (number, bounds(wanted)) {
        (Some(number), Some((least, most))) => format!("{number} is out of range: {least} to {most}"),
        _ => format!("{} where {} is wanted", seen(found), in_words(wanted)),
    }
}

/// The bounds of a kind of whole number; TOML has none beyond 64 bits with a sign.
fn bounds(wanted: &str) -> Option<(i64, i64)> {
    Some(match wanted {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" | "u128" => (0, i64::MAX),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" | "i128" => (i64::MIN, i64::MAX),
        _ => return None,
    })
}

/// Texts are not shown: any may be a secret in the wrong place.
fn seen(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Seq | Actual::TupleVariant => "a list".to_owned(),
        Actual::Map | Actual::StructVariant | Actual::Enum => "a table".to_owned(),
        Actual::Unit | Actual::Option | Actual::UnitVariant => "nothing".to_owned(),
        Actual::Char(_) | Actual::Str(_) | Actual::Bytes(_) => "a text".to_owned(),
        Actual::NewtypeStruct | Actual::NewtypeVariant | Actual::Other(_) => "something else".to_owned(),
    }
}

/// What a deserializer wants; where it has no words of its own for it, it names a type.
fn in_words(wanted: &str) -> String {
    match wanted {
        "bool" | "a boolean" => "true or false".to_owned(),
        "a string" | "string" | "str" | "a borrowed string" => "a text in quotes".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" | "sequence" => "a list such as [\"…\"]".to_owned(),
        "a map" | "map" => "a table such as { … }".to_owned(),
        "unit" | "option" => "nothing".to_owned(),
        "socket address" => "an address and a port, such as \"127.0.0.1:8082\",".to_owned(),
        _ if wanted.starts_with("tuple") || wanted.starts_with("an array") => "a list".to_owned(),
        _ if wanted.starts_with("struct") => "a table such as { … }".to_owned(),
        _ if wanted.starts_with("enum") || wanted.starts_with("variant") => "one of the words for it".to_owned(),
        _ => match bounds(wanted) {
            Some((0, _)) => "a whole number from 0 on".to_owned(),
            Some(_) => "a whole number".to_owned(),
            None => wanted.to_owned(),
        },
    }
}

/// Where something stands, by names: `route get-log: methods`, and not the index of the route in its list.
pub(super) fn place(document: Option<&toml_edit::Table>, path: &[&str]) -> String {
    let mut here = document.map(Here::Table);
    let mut text = String::new();
    for (i, step) in path.iter().enumerate() {
        let number = step.parse::<usize>().ok().filter(|_| here.as_ref().is_none_or(Here::is_list));
        let next = here.as_ref().and_then(|here| here.step(step));
        match number {
            Some(number) if i == 1 => {
                let name = next.as_ref().and_then(|next| next.name(path[0]));
                let name = name.unwrap_or_else(|| format!("number {}", number + 1));
                text.push_str(&format!(" {name}"));
                text.push_str(if path.len() > 2 { ": " } else { "" });
            }
            Some(number) => text.push_str(&format!(" (entry {})", number + 1)),
            None if text.is_empty() || text.ends_with(": ") => text.push_str(step),
            None => text.push_str(&format!(".{step}")),
        }
        here = next;
    }
    text
}

enum Here<'d> {
    Table(&'d toml_edit::Table),
    Tables(&'d toml_edit::ArrayOfTables),
    Value(&'d Value),
}

impl Here<'_> {
    fn is_list(&self) -> bool {
        matches!(self, Self::Tables(_) | Self::Value(Value::Array(_)))
    }

    fn step(&self, key: &str) -> Option<Self> {
        match self {
            Self::Table(table) => match table.get(key)? {
                Item::Table(table) => Some(Self::Table(table)),
                Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
                Item::Value(value) => Some(Self::Value(value)),
                Item::None => None,
            },
            Self::Tables(tables) => tables.get(key.parse().ok()?).map(Self::Table),
            Self::Value(Value::Array(array)) => array.get(key.parse().ok()?).map(Self::Value),
            Self::Value(Value::InlineTable(table)) => table.get(key).map(Self::Value),
            Self::Value(_) => None,
        }
    }

    /// By what people know an entry of a list of tables.
    fn name(&self, list: &str) -> Option<String> {
        let keys: &[&str] = match list {
            "key" | "encryption_key" => &["app", "kid"],
            "grant" | "table_grant" => &["app"],
            "installation" => &["app", "id"],
            _ => &["id", "client_id", "name"],
        };
        let text = |key: &&str| {
            let value = match self {
                Self::Table(table) => table.get(key)?.as_value()?,
                Self::Value(Value::InlineTable(table)) => table.get(key)?,
                Self::Tables(_) | Self::Value(_) => return None,
            };
            let text = value.as_str().map(str::to_owned).or_else(|| value.as_integer().map(|n| n.to_string()))?;
            // Never a whole document, should a name be missing its end.
            (text.len() <= 256 && !text.chars().any(char::is_control)).then_some(text)
        };
        let names: Vec<_> = keys.iter().filter_map(text).collect();
        match list {
            "key" | "encryption_key" | "grant" | "table_grant" | "installation" => {
                (!names.is_empty()).then(|| format!("of app {}", names.join(" ")))
            }
            _ => names.into_iter().next(),
        }
    }
}
