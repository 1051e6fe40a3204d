//! Holds the whole content of a store against what must always hold (`store/invariants.rs`): for operators after a
//! failure, and for tests.
//!
//! Reads everything, one key after another. Coordinators that change the store meanwhile make it look wrong where it
//! is not: stop them first, or see whether a second check finds the same.

use std::collections::BTreeMap;

use crate::config::{ConfigError, CoordinatorConfig, StoreLocation};
use crate::coordinator::{StartError, open_store};
use crate::store::invariants;

/// What is in a store, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Tasks by the name of their state.
    pub tasks: BTreeMap<&'static str, usize>,
    /// People.
    pub people: usize,
    /// Everything that is wrong; empty = nothing.
    pub wrong: Vec<String>,
}

/// Reads the store that the configuration names.
pub async fn check(config: &CoordinatorConfig) -> Result<Checked, StartError> {
    config.validate()?;
    if let StoreLocation::File(path) = &config.store
        && !path.is_file()
    {
        let problem = format!("is {}, and there is no such file", path.display());
        return Err(ConfigError::Option { option: "store", problem }.into());
    }
    let store = open_store(config).await?;
    let snapshot = store.snapshot().await;
    store.close().await;
    let snapshot = snapshot?;
    let mut tasks = BTreeMap::new();
    for task in snapshot.tasks.values() {
        *tasks.entry(task.state.wire().as_str_name()).or_default() += 1;
    }
    Ok(Checked { tasks, people: snapshot.people.len(), wrong: invariants::of_snapshot(&snapshot) })
}
