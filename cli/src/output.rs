//! Where words go: stdout is data (a table or JSON), stderr is talk.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

/// The form of data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// One JSON document (`task watch`: one a line).
    Json,
}

/// How the program speaks. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice {
    format: Format,
    quiet: bool,
}

impl Voice {
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether progress may redraw a line in place.
    pub(crate) fn is_interactive(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// A remark for people; silent with `--quiet`. A closed stderr is no reason to stop.
    pub(crate) fn say(self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Something that went otherwise than asked; said even with `--quiet`.
    pub(crate) fn warn(self, text: impl Display) {
        let _ = writeln!(io::stderr().lock(), "warning: {text}");
    }

    /// Why the program ends without having done what was asked.
    pub(crate) fn error(self, text: impl Display) {
        let _ = writeln!(io::stderr().lock(), "error: {text}");
    }

    /// Prints rows under headings, or the value as JSON.
    pub(crate) fn rows<T: Serialize>(
        self,
        value: &T,
        headings: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(value),
            Format::Table => {
                let mut table = Table::new();
                table.load_style(presets::NOTHING).set_header(headings.to_vec());
                for row in rows {
                    table.add_row(row);
                }
                writeln!(io::stdout().lock(), "{}", table.trim_fmt())
            }
        }
    }

    /// Prints `name  value` lines, or the value as JSON.
    pub(crate) fn facts<T: Serialize>(self, value: &T, facts: &[(&str, String)]) -> io::Result<()> {
        if self.format == Format::Json {
            return self.json(value);
        }
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut out = io::stdout().lock();
        for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
            writeln!(out, "{name:<width$}  {fact}")?;
        }
        Ok(())
    }

    /// Prints lines such as paths, or the value as JSON.
    pub(crate) fn lines<T: Serialize>(self, value: &T, lines: &[String]) -> io::Result<()> {
        if self.format == Format::Json {
            return self.json(value);
        }
        let mut out = io::stdout().lock();
        for line in lines {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn json<T: Serialize>(self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        writeln!(io::stdout().lock(), "{text}")
    }

    /// One line of JSON or of text, for streams of changes.
    pub(crate) fn event<T: Serialize>(self, value: &T, line: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string(value).map_err(io::Error::other)?),
            Format::Table => writeln!(out, "{line}"),
        }
    }
}
