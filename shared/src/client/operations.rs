//! Calls of operators: workers, and tasks that need a hand.

use super::{Client, ClientError};
use crate::ids::{TaskId, WorkerId};
use crate::proto;

impl Client {
    /// One page of workers, by name.
    pub async fn list_workers(
        &self,
        request: proto::ListWorkersRequest,
    ) -> Result<proto::ListWorkersResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.operations().list_workers(request).await }).await
    }

    /// The worker as it is.
    pub async fn get_worker(&self, id: &WorkerId) -> Result<proto::Worker, ClientError> {
        let request = proto::GetWorkerRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.operations().get_worker(request).await }).await
    }

    /// No new work for a worker; it hands back what it holds, or finishes it where so asked. Repeatable.
    pub async fn drain_worker(
        &self,
        id: &WorkerId,
        reason: &str,
        finish_running: bool,
    ) -> Result<proto::Worker, ClientError> {
        let request =
            proto::DrainWorkerRequest { id: id.to_string(), reason: reason.to_owned(), finish_running };
        self.ask(request, |lane, request| async move { lane.operations().drain_worker(request).await }).await
    }

    /// Ends a worker's drain and quarantine. Repeatable.
    pub async fn undrain_worker(&self, id: &WorkerId) -> Result<proto::Worker, ClientError> {
        let request = proto::UndrainWorkerRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.operations().undrain_worker(request).await })
            .await
    }

    /// Keeps a task back. Repeatable.
    pub async fn hold_task(&self, id: TaskId, reason: &str) -> Result<proto::Task, ClientError> {
        let request = proto::HoldTaskRequest { id: id.to_string(), reason: reason.to_owned() };
        self.ask(request, |lane, request| async move { lane.operations().hold_task(request).await }).await
    }

    /// Who waits, with which share, those who are next first.
    pub async fn get_queue(
        &self,
        request: proto::GetQueueRequest,
    ) -> Result<proto::GetQueueResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.operations().get_queue(request).await }).await
    }

    /// Lets a held task go on. Repeatable.
    pub async fn release_task(&self, id: TaskId) -> Result<proto::Task, ClientError> {
        let request = proto::ReleaseTaskRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.operations().release_task(request).await }).await
    }

    /// Tries a task again that ended without a result. Repeatable while it waits.
    pub async fn retry_task(&self, id: TaskId) -> Result<proto::Task, ClientError> {
        let request = proto::RetryTaskRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.operations().retry_task(request).await }).await
    }

    /// The same for a page of dead letters. Go on with the token of the answer.
    pub async fn retry_tasks(
        &self,
        request: proto::RetryTasksRequest,
    ) -> Result<proto::RetryTasksResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.operations().retry_tasks(request).await }).await
    }

    /// Holds the store's indexes against its records and, unless it is a dry run, repairs what differs. Reads the whole
    /// store. Repeatable.
    pub async fn scrub_store(&self, dry_run: bool) -> Result<proto::ScrubStoreResponse, ClientError> {
        let request = proto::ScrubStoreRequest { dry_run };
        self.ask(request, |lane, request| async move { lane.operations().scrub_store(request).await }).await
    }
}
