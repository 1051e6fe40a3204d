//! Holds the records of a store against what must always hold (`store/invariants.rs`), and its indexes against the
//! records (`store/scrub/`): for operators after a failure, and for tests.
//!
//! Reads everything. Who has a place in the queue depends on the caps of the coordinators' configuration, so a check
//! needs the same. Coordinators on a Redis may go on meanwhile: what they change is not taken for a fault.

use std::collections::BTreeMap;

use crate::config::{ConfigError, CoordinatorConfig, StoreLocation};
use crate::coordinator::{StartError, open_store};
use crate::store::invariants::{self, Snapshot};
use crate::store::{Scrubbed, StoreError, TaskStore};

/// What is in a store, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Tasks by the protocol's name of their state.
    pub tasks: BTreeMap<&'static str, usize>,
    /// People.
    pub people: usize,
    /// Everything that is wrong with records; empty = nothing.
    pub wrong: Vec<String>,
    /// How the indexes differ from the records, and whether that was repaired.
    pub indexes: Scrubbed,
}

impl Checked {
    /// How many things are wrong and stay so.
    #[must_use]
    pub fn faults(&self) -> u64 {
        let differences = if self.indexes.repaired { 0 } else { self.indexes.found };
        differences.saturating_add(u64::try_from(self.wrong.len()).unwrap_or(u64::MAX))
    }
}

/// Reads the store that the configuration names, and repairs its indexes if asked to.
pub async fn check(config: &CoordinatorConfig, repair: bool) -> Result<Checked, StartError> {
    config.validate()?;
    if let StoreLocation::File(path) = &config.store
        && !path.is_file()
    {
        let problem = format!("is {}, and there is no such file", path.display());
        return Err(ConfigError::Option { option: "store", problem }.into());
    }
    let store = open_store(config).await?;
    let read = read(&*store, repair).await;
    store.close().await;
    let (indexes, snapshot) = read?;
    let mut tasks = BTreeMap::new();
    for task in snapshot.tasks.values() {
        *tasks.entry(task.state.wire().as_str_name()).or_default() += 1;
    }
    let wrong = invariants::of_records(&snapshot);
    Ok(Checked { tasks, people: snapshot.people.len(), wrong, indexes })
}

async fn read(store: &dyn TaskStore, repair: bool) -> Result<(Scrubbed, Snapshot), StoreError> {
    Ok((store.scrub(!repair).await?, store.snapshot().await?))
}
