//! `likeness task explain`: why a task waits, and when it is expected to start.

use likeness_shared::client::Client;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::BindingConstraint;
use serde::Serialize;

use crate::output::Voice;
use crate::views;

#[derive(Debug, Serialize)]
struct ExplanationView {
    task: String,
    state: String,
    /// Such as `queue`, `user_cap`, `no_worker`; `none` = it runs, or has ended.
    constraint: String,
    explanation: String,
    ahead_of_own: u32,
    device_seconds_ahead: f64,
    fitting_workers: u32,
    /// Absent where nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_seconds_p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_seconds_p90: Option<f64>,
}

pub(super) async fn explain(client: &Client, id: TaskId, voice: Voice) -> anyhow::Result<()> {
    let answer = client.explain_task(id).await?;
    // what waits for its time or for an operator has nobody before it
    let waits = !matches!(
        answer.constraint(),
        BindingConstraint::None | BindingConstraint::Scheduled | BindingConstraint::Held
    );
    let view = ExplanationView {
        task: id.to_string(),
        state: answer.task.as_ref().map(|task| views::state_name(task.state())).unwrap_or_default(),
        constraint: constraint(answer.constraint()),
        ahead_of_own: answer.ahead_of_own,
        device_seconds_ahead: views::seconds(answer.device_time_ahead.as_ref()),
        fitting_workers: answer.fitting_workers,
        start_seconds_p50: answer.start_p50.as_ref().map(|span| views::seconds(Some(span))),
        start_seconds_p90: answer.start_p90.as_ref().map(|span| views::seconds(Some(span))),
        explanation: answer.explanation,
    };
    let start = match (view.start_seconds_p50, view.start_seconds_p90) {
        (Some(p50), Some(p90)) if waits => {
            format!("in {p50:.0} s as likely as not, in {p90:.0} s in 9 cases of 10")
        }
        _ => String::new(),
    };
    let mut facts =
        vec![("task", view.task.clone()), ("state", view.state.clone()), ("why", view.explanation.clone())];
    if waits {
        facts.extend([
            ("own tasks ahead", view.ahead_of_own.to_string()),
            ("GPU time ahead", format!("{:.1} s", view.device_seconds_ahead)),
            ("fitting workers", view.fitting_workers.to_string()),
            ("starts", start),
        ]);
    }
    voice.facts(&view, &facts)?;
    Ok(())
}

/// BINDING_CONSTRAINT_USER_CAP as `user_cap`.
fn constraint(constraint: BindingConstraint) -> String {
    let name = constraint.as_str_name();
    name.strip_prefix("BINDING_CONSTRAINT_").unwrap_or(name).to_lowercase()
}
