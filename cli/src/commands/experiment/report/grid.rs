//! Where the cells of an experiment stand in its table: parameterisations below each other, starts side by side.

use super::super::cell::Role;
use super::super::plan::Plan;

/// The layout of all tables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// The starts.
    pub(super) columns: Vec<String>,
    /// The parameterisations.
    pub(super) rows: Vec<Row>,
}

/// A parameterisation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) label: String,
    /// The cell with each column's start.
    pub(super) cells: Vec<Option<usize>>,
}

impl Grid {
    /// Of the cells that are no controls, in the plan's order.
    pub(super) fn of(plan: &Plan) -> Self {
        let in_table = || plan.cells.iter().enumerate().filter(|(_, cell)| cell.role == Role::Table);
        let (mut starts, mut methods) = (Vec::new(), Vec::new());
        for (_, cell) in in_table() {
            if !starts.contains(&&cell.start) {
                starts.push(&cell.start);
            }
            if !methods.contains(&(cell.method, cell.steps)) {
                methods.push((cell.method, cell.steps));
            }
        }
        let differ_in_steps =
            methods.iter().any(|(_, steps)| methods.first().is_some_and(|first| first.1 != *steps));
        let rows = methods.iter().map(|(method, steps)| Row {
            label: if differ_in_steps { format!("{method}, {steps} steps") } else { method.to_string() },
            cells: starts
                .iter()
                .map(|start| {
                    let is_here = |cell: &super::super::cell::Cell| {
                        (&cell.start, cell.method, cell.steps) == (*start, *method, *steps)
                    };
                    in_table().find(|(_, cell)| is_here(cell)).map(|(index, _)| index)
                })
                .collect(),
        });
        let rows = rows.collect();
        Self { columns: starts.iter().map(ToString::to_string).collect(), rows }
    }

    /// Row and column of a cell; nothing for a control.
    pub(super) fn place(&self, cell: usize) -> Option<(usize, usize)> {
        self.rows.iter().enumerate().find_map(|(row, told)| {
            let column = told.cells.iter().position(|here| *here == Some(cell))?;
            Some((row, column))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::tests::plan;
    use super::*;

    #[test]
    fn starts_are_columns_and_controls_are_elsewhere() {
        let grid = Grid::of(&plan());
        assert_eq!(grid.columns, ["face", "id"]);
        let rows: Vec<_> = grid.rows.iter().map(|row| (row.label.as_str(), row.cells.as_slice())).collect();
        assert_eq!(rows, [("none", &[Some(0), Some(2)][..]), ("log_norm:2.71", &[Some(1), Some(3)])]);
        assert_eq!((grid.place(3), grid.place(4)), (Some((1, 1)), None));
    }

    #[test]
    fn steps_are_named_where_they_differ() {
        let mut plan = plan();
        plan.cells[3].steps = 800;
        let grid = Grid::of(&plan);
        let labels: Vec<_> = grid.rows.iter().map(|row| row.label.as_str()).collect();
        assert_eq!(labels, ["none, 400 steps", "log_norm:2.71, 400 steps", "log_norm:2.71, 800 steps"]);
        assert_eq!(grid.rows[1].cells, [Some(1), None]);
    }
}
