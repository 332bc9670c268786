//! What goes to stdout: lines, tables and JSON, and how figures are written.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Stdout. Its errors are returned, so that a reader that went away ends the program quietly.
#[derive(Clone, Copy, Default)]
pub(crate) struct Output;

impl Output {
    /// One line.
    pub(crate) fn line(&self, line: impl AsRef<str>) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", line.as_ref())
    }

    /// A piece of a model's text, shown at once.
    pub(crate) fn piece(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() {
            stdout.write_all(harmless(text).as_bytes())?;
        } else {
            stdout.write_all(text.as_bytes())?;
        }
        stdout.flush()
    }

    /// One JSON document over several lines.
    pub(crate) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        Ok(self.line(serde_json::to_string_pretty(value)?)?)
    }

    /// Rows under a heading, in columns.
    pub(crate) fn table(&self, table: &Table) -> io::Result<()> {
        io::stdout().lock().write_all(table.to_string().as_bytes())
    }
}

/// What a model writes must not move a terminal's cursor, set its title or fill its clipboard: control characters but
/// line ends and tabs become U+FFFD.
fn harmless(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(acts) {
        text.replace(acts, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// A name that somebody else chose, for a table or a message: one line that moves no cursor.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Where a column's text stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Text in columns, each as wide as its widest entry.
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a heading.
    pub(crate) fn new(heading: &[(&str, Align)]) -> Self {
        Self {
            columns: heading.iter().map(|&(_, align)| align).collect(),
            rows: vec![heading.iter().map(|&(name, _)| name.to_owned()).collect()],
        }
    }

    /// A table of names and what they stand for, without a heading.
    pub(crate) fn facts() -> Self {
        Self {
            columns: vec![Align::Left, Align::Left],
            rows: Vec::new(),
        }
    }

    /// Adds a row; it has as many entries as there are columns.
    pub(crate) fn row<S: Into<String>>(&mut self, entries: impl IntoIterator<Item = S>) {
        self.rows
            .push(entries.into_iter().map(Into::into).collect());
    }

    fn width(&self, column: usize) -> usize {
        self.rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| self.width(column))
            .collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((text, &align), &width) in row.iter().zip(&self.columns).zip(&widths) {
                match align {
                    Align::Left => line.push_str(&format!("{text:<width$}  ")),
                    Align::Right => line.push_str(&format!("{text:>width$}  ")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number of bytes as people read it: `98.4 MB`, decimal units as disks and downloads have them.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A duration in seconds with as many digits as matter.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{} min {:02} s", (s / 60.0) as u64, (s % 60.0) as u64),
    }
}

/// "1 model", "2 models".
pub(crate) fn count(n: usize, thing: &str) -> String {
    if n == 1 {
        format!("1 {thing}")
    } else {
        format!("{n} {thing}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(harmless("a\tb\n\u{e9}"), "a\tb\n\u{e9}");
        assert_eq!(
            harmless("\u{1b}]0;x\u{7}\u{9b}1m\r"),
            "\u{fffd}]0;x\u{fffd}\u{fffd}1m\u{fffd}"
        );
    }

    #[test]
    fn names_of_others_keep_to_their_line() {
        assert_eq!(plain("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
    }

    #[test]
    fn bytes_have_the_unit_they_fit() {
        let check = |count, text| assert_eq!(bytes(count), text);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(98_362_432, "98.4 MB");
        check(999_960_000, "1.0 GB");
        check(u64::MAX, "18446.7 PB");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_entry() {
        let mut table = Table::new(&[("name", Align::Left), ("size", Align::Right)]);
        table.row(["smollm2-135m", "9 B"]);
        table.row(["x", "98.4 MB"]);
        assert_eq!(
            table.to_string(),
            "name             size\nsmollm2-135m      9 B\nx             98.4 MB\n"
        );
    }
}
