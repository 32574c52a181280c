//! Columns for a person.

use std::fmt::Write as _;

use crate::model::is_printable;

/// Rows under a heading, each column as wide as its widest entry. No terminal obeys what stands in them.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> =
        rows.iter().map(|row| row.each_ref().map(|cell| cell.replace(|c| !is_printable(c), "\u{fffd}"))).collect();
    let mut widths = heading.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: [&str; N]| {
        let mut written = String::new();
        for (cell, width) in cells.into_iter().zip(widths) {
            _ = write!(written, "{cell:width$}  ");
        }
        text.push_str(written.trim_end());
        text.push('\n');
    };
    line(heading);
    for row in &rows {
        line(row.each_ref().map(String::as_str));
    }
    text
}
