//! The tables as Markdown, to be pasted into a document.

use super::grid::Grid;
use super::outcome::{Outcome, Value};
use super::table::Table;

/// All tables, the leading one first.
pub(super) fn tables(outcome: &Outcome<'_>, grid: &Grid) -> String {
    let tables = outcome.figures().into_iter().map(|figure| table(&Table::of(outcome, grid, figure)));
    let mut text = tables.collect::<Vec<_>>().join("\n");
    let (done, planned) = (outcome.units.len(), outcome.planned);
    if done < planned {
        text.push_str(&format!("\n{done} of {planned} inversions are in.\n"));
    }
    text
}

fn table(table: &Table<'_>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let columns = &table.grid.columns;
    let mut text = line(std::iter::once(table.figure.to_string()).chain(columns.iter().cloned()).collect());
    text.push_str(&format!("|---{}|\n", "|--:".repeat(columns.len())));
    for (row, values) in table.grid.rows.iter().zip(&table.values) {
        let values =
            values.iter().map(|value| value.map_or_else(|| "–".to_owned(), |value| shown(table, &value)));
        text.push_str(&line(std::iter::once(row.label.clone()).chain(values).collect()));
    }
    text
}

fn shown(table: &Table<'_>, value: &Value) -> String {
    let mean = if table.is_best(value) { format!("**{}**", value.shown()) } else { value.shown() };
    let deviation = value.shown_deviation().map(|deviation| format!(" ± {deviation}")).unwrap_or_default();
    let missing = if value.is_partial() {
        format!(" ({} of {})", value.inversions, value.planned)
    } else {
        String::new()
    };
    format!("{mean}{deviation}{missing}")
}
