//! Submits as clients send them.

use likeness_shared::client::Client;
use likeness_shared::ids::{RequestId, TaskId};
use likeness_shared::proto::{GenerationSpec, SubmitGenerationRequest};

use anyhow::Context;

pub(crate) const TENANT: &str = "bench";

pub(crate) fn generation(user: usize) -> SubmitGenerationRequest {
    SubmitGenerationRequest {
        request_id: RequestId::generate().to_string(),
        tenant: TENANT.to_owned(),
        user: format!("user-{user}"),
        spec: Some(GenerationSpec { prompt: "a castle by the sea".to_owned(), ..GenerationSpec::default() }),
        timing: None,
    }
}

/// Submits a drawing and gives back its id.
pub(crate) async fn submit(client: &Client, user: usize) -> anyhow::Result<TaskId> {
    let answer = client.submit_generation(generation(user)).await?;
    Ok(answer.task.context("the answer holds no task")?.id.parse()?)
}
