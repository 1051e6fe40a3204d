//! The CSV files: every inversion, every picture, and the table.

use anyhow::Context;
use serde::Serialize;

use super::figure::Figure;
use super::grid::Grid;
use super::outcome::Outcome;
use super::table::Table;

/// A row an inversion.
pub(super) fn units(outcome: &Outcome<'_>) -> anyhow::Result<Vec<u8>> {
    let mut file = csv::Writer::from_writer(Vec::new());
    let figures = Figure::ALL.map(Figure::key);
    file.write_record(
        ["cell", "role", "start", "parameterisation", "person", "seed"]
            .into_iter()
            .chain(figures)
            .chain([
                "id_where_found",
                "ceiling",
                "floor",
                "held_out_ceiling",
                "held_out_floor",
                "nearest_copy",
            ])
            .chain(["loss", "steps", "vectors", "inversion_seconds", "drawing_seconds"]),
    )?;
    for unit in &outcome.units {
        let (Some(cell), Some(person)) =
            (outcome.plan.cells.get(unit.key.cell), outcome.plan.people.get(unit.key.person))
        else {
            continue;
        };
        let role = serde_json::to_value(cell.role)?;
        let mut record = vec![
            unit.key.cell.to_string(),
            role.as_str().unwrap_or_default().to_owned(),
            cell.start.to_string(),
            cell.method.to_string(),
            person.name.clone(),
            unit.key.seed.to_string(),
        ];
        record.extend(Figure::ALL.map(|figure| number(figure.of(unit))));
        let told = &unit.evaluation;
        let held_out = told.held_out.as_ref();
        let others = [
            told.identity.id_where_found,
            told.identity.ceiling,
            told.identity.floor,
            held_out.and_then(|identity| identity.ceiling),
            held_out.and_then(|identity| identity.floor),
            told.nearest_copy,
            Some(unit.loss),
        ];
        record.extend(others.map(number));
        record.extend([unit.steps, unit.vectors].map(|count| count.to_string()));
        record.extend([unit.inversion_seconds, unit.drawing_seconds].map(|seconds| seconds.to_string()));
        file.write_record(record)?;
    }
    finished(file)
}

#[derive(Serialize)]
struct PictureRow<'a> {
    cell: usize,
    start: String,
    parameterisation: String,
    person: &'a str,
    seed: u32,
    prompt: usize,
    text: &'a str,
    picture: usize,
    face: bool,
    id: f64,
    clip: Option<f64>,
}

/// A row a picture.
pub(super) fn pictures(outcome: &Outcome<'_>) -> anyhow::Result<Vec<u8>> {
    let mut file = csv::Writer::from_writer(Vec::new());
    for unit in &outcome.units {
        let (Some(cell), Some(person)) =
            (outcome.plan.cells.get(unit.key.cell), outcome.plan.people.get(unit.key.person))
        else {
            continue;
        };
        let mut drawn = vec![0; outcome.plan.prompts.len()];
        for scored in &unit.evaluation.pictures {
            let (Some(text), Some(picture)) =
                (outcome.plan.prompts.get(scored.prompt), drawn.get_mut(scored.prompt))
            else {
                continue;
            };
            file.serialize(PictureRow {
                cell: unit.key.cell,
                start: cell.start.to_string(),
                parameterisation: cell.method.to_string(),
                person: &person.name,
                seed: unit.key.seed,
                prompt: scored.prompt,
                text,
                picture: *picture,
                face: scored.face,
                id: scored.id,
                clip: scored.clip,
            })?;
            *picture += 1;
        }
    }
    finished(file)
}

#[derive(Serialize)]
struct TableRow<'a> {
    figure: &'static str,
    parameterisation: &'a str,
    start: &'a str,
    mean: Option<f64>,
    deviation: Option<f64>,
    seeds: usize,
    inversions: usize,
    best: bool,
}

/// A row a value of the tables.
pub(super) fn tables(outcome: &Outcome<'_>, grid: &Grid) -> anyhow::Result<Vec<u8>> {
    let mut file = csv::Writer::from_writer(Vec::new());
    for figure in outcome.figures() {
        let table = Table::of(outcome, grid, figure);
        for (row, values) in grid.rows.iter().zip(&table.values) {
            for (start, value) in grid.columns.iter().zip(values) {
                file.serialize(TableRow {
                    figure: figure.key(),
                    parameterisation: &row.label,
                    start,
                    mean: value.map(|value| value.mean),
                    deviation: value.and_then(|value| value.deviation),
                    seeds: value.map_or(0, |value| value.seeds),
                    inversions: value.map_or(0, |value| value.inversions),
                    best: value.is_some_and(|value| table.is_best(&value)),
                })?;
            }
        }
    }
    finished(file)
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn finished(file: csv::Writer<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    file.into_inner().context("cannot finish a CSV file")
}
