//! An experiment: people, starts and parameterisations, run on the fleet and told in tables.
#![expect(dead_code, reason = "the command that runs experiments calls these")]

mod cell;
mod plan;
mod report;
mod results;
