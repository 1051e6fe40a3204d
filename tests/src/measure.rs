//! Recovery times: held against their bounds, printed, and kept for the table of docs/faults.md.
//!
//! `LIKENESS_FAULT_STRICT` holds them against the bounds themselves. Without it they may take three times as long: the
//! other tests of the suite run beside them on the same cores.
//! `LIKENESS_FAULT_REPORT=FILE` adds a line of JSON for each to a file.

use std::io::Write;
use std::time::Duration;

/// How much longer recovery may take where the machine has other things to do.
const BUSY: u32 = 3;

/// One recovery of a row of the faults table.
///
/// # Panics
/// Where it took longer than it may.
pub fn recovered(row: &str, bound: Duration, measured: Duration) {
    println!("recovery: {row}: {measured:.2?} of {bound:.2?}");
    note(row, bound, measured);
    let limit = if std::env::var_os("LIKENESS_FAULT_STRICT").is_some() { bound } else { bound * BUSY };
    assert!(measured <= limit, "{row}: took {measured:?}, and may take {limit:?}");
}

/// Adds a recovery time to the report, where there is one.
///
/// # Panics
/// Where the report cannot be written.
pub fn note(row: &str, bound: Duration, measured: Duration) {
    let line = serde_json::json!({
        "row": row,
        "bound_ms": bound.as_millis() as u64,
        "measured_ms": measured.as_millis() as u64,
    });
    if let Some(path) = std::env::var_os("LIKENESS_FAULT_REPORT") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.unwrap_or_else(|error| panic!("the report cannot be written: {error}"));
    }
}
