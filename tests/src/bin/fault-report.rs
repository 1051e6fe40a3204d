//! Prints the recovery times of a report of fault tests (`LIKENESS_FAULT_REPORT`): how often, p50, p99 and bound of
//! each row, as the lines of a table.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is what is asked for")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use likeness_tests::campaign::percentile;
use serde_json::Value;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("fault-report: name the report");
        return ExitCode::from(2);
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fault-report: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) {
    let mut rows: BTreeMap<String, (Duration, Vec<Duration>)> = BTreeMap::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let time = |name: &str| Duration::from_millis(line[name].as_u64().unwrap_or_default());
        let name = line["row"].as_str().unwrap_or_default().to_owned();
        let row = rows.entry(name).or_insert_with(|| (time("bound_ms"), Vec::new()));
        row.1.push(time("measured_ms"));
    }
    println!("| row | bound | times | p50 | p99 |\n|---|---|---|---|---|");
    for (name, (bound, mut times)) in rows {
        let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
        println!("| {name} | {bound:?} | {} | {p50:?} | {p99:?} |", times.len());
    }
}
