//! The report of an experiment: one page that works without a network, and tables for other programs.
//!
//! Everything here is a function of the plan, the inversions that are in and the pictures that were kept, so a report can be written at
//! any moment of an experiment and written again later.

mod chart;
mod comparisons;
mod controls;
mod cost;
mod definitions;
mod figure;
mod grid;
mod kept;
mod markdown;
mod outcome;
mod page;
mod paired;
mod paper;
mod sheets;
mod spreadsheets;
mod statistics;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::grid::Grid;
use self::outcome::Outcome;
use super::plan::{Plan, UnitKey};
use super::results::Unit;
use crate::whole_file;

/// The files of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// The page.
    pub(super) page: PathBuf,
    /// A row an inversion.
    pub(super) units: PathBuf,
    /// A row a picture.
    pub(super) pictures: PathBuf,
    /// The tables, a row a value.
    pub(super) table: PathBuf,
    /// The tables as Markdown.
    pub(super) markdown: PathBuf,
}

impl Written {
    /// The page first.
    pub(super) fn paths(&self) -> [&Path; 5] {
        [&self.page, &self.markdown, &self.table, &self.units, &self.pictures].map(PathBuf::as_path)
    }
}

/// Writes the report of what is in so far into `folder`, which also has the kept pictures: `pictures/c{cell}-p{person}-s0/{prompt}-{n}.png`
/// and `photos/p{person}/{n}.png`. Those that are missing are left out.
pub(super) fn write(folder: &Path, plan: &Plan, units: &BTreeMap<UnitKey, Unit>) -> anyhow::Result<Written> {
    let outcome = Outcome::new(plan, units);
    let grid = Grid::of(plan);
    let file = |name: &str, bytes: Vec<u8>| -> anyhow::Result<PathBuf> {
        let path = folder.join(name);
        whole_file::write(&path, &bytes)?;
        Ok(path)
    };
    Ok(Written {
        units: file("units.csv", spreadsheets::units(&outcome)?)?,
        pictures: file("pictures.csv", spreadsheets::pictures(&outcome)?)?,
        table: file("table.csv", spreadsheets::tables(&outcome, &grid)?)?,
        markdown: file("table.md", markdown::tables(&outcome, &grid).into_bytes())?,
        page: file("report.html", page::page(folder, &outcome, &grid).into_bytes())?,
    })
}
