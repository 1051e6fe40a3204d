//! Workers as the program shows them.

use likeness_shared::proto::{Worker, WorkerState};
use serde::Serialize;

use super::time_text;

/// A worker.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerView {
    pub(crate) id: String,
    pub(crate) state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    pub(crate) tasks: u32,
    pub(crate) slots: u32,
    pub(crate) device: String,
    pub(crate) device_memory_bytes: u64,
    pub(crate) models: Vec<ModelView>,
    pub(crate) build: String,
    pub(crate) protocol: u32,
    pub(crate) incarnation: String,
    pub(crate) settled: u64,
    pub(crate) failures_in_a_row: u32,
    pub(crate) device_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) join_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_seen_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ModelView {
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) is_default: bool,
}

impl From<&Worker> for WorkerView {
    fn from(worker: &Worker) -> Self {
        let device = worker.device.clone().unwrap_or_default();
        let device_time =
            worker.device_time.and_then(|time| std::time::Duration::try_from(time).ok()).unwrap_or_default();
        let models = worker.models.iter().map(|model| ModelView {
            name: model.name.clone(),
            digest: model.digest.clone(),
            is_default: model.is_default,
        });
        Self {
            id: worker.id.clone(),
            state: state_name(worker.state()),
            reason: worker.reason.clone(),
            tasks: worker.tasks,
            slots: worker.slots,
            device: device.name,
            device_memory_bytes: device.memory_bytes,
            models: models.collect(),
            build: worker.build.clone(),
            protocol: worker.protocol,
            incarnation: worker.incarnation.clone(),
            settled: worker.settled,
            failures_in_a_row: worker.failures_in_a_row,
            device_seconds: device_time.as_secs_f64(),
            join_time: worker.join_time.as_ref().map(time_text),
            last_seen_time: worker.last_seen_time.as_ref().map(time_text),
        }
    }
}

/// "active", "draining", ...
fn state_name(state: WorkerState) -> String {
    state.as_str_name().trim_start_matches("WORKER_STATE_").to_lowercase()
}
