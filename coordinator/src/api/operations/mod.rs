//! The `Operations` service, for operators: workers, the queue, tasks that need a hand, and the store's
//! indexes.

mod dead_letters;
mod queue;
mod scrub;
mod tasks;
mod workers;

use likeness_shared::proto::operations_server::Operations;
use likeness_shared::proto::{
    DrainWorkerRequest, GetQueueRequest, GetQueueResponse, GetWorkerRequest, HoldTaskRequest,
    ListWorkersRequest, ListWorkersResponse, ReleaseTaskRequest, RetryTaskRequest, RetryTasksRequest,
    RetryTasksResponse, ScrubStoreRequest, ScrubStoreResponse, Task, UndrainWorkerRequest, Worker,
};
use tonic::{Request, Response, Status};

use super::Shared;
pub(super) use workers::away_since;

#[derive(Debug)]
pub(super) struct OperationsService {
    shared: Shared,
}

impl OperationsService {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl Operations for OperationsService {
    async fn list_workers(
        &self,
        request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        Ok(Response::new(workers::list(&self.shared, request.into_inner()).await?))
    }

    async fn get_worker(&self, request: Request<GetWorkerRequest>) -> Result<Response<Worker>, Status> {
        Ok(Response::new(workers::get(&self.shared, &request.into_inner().id).await?))
    }

    async fn drain_worker(&self, request: Request<DrainWorkerRequest>) -> Result<Response<Worker>, Status> {
        Ok(Response::new(workers::drain(&self.shared, request.into_inner()).await?))
    }

    async fn undrain_worker(
        &self,
        request: Request<UndrainWorkerRequest>,
    ) -> Result<Response<Worker>, Status> {
        Ok(Response::new(workers::undrain(&self.shared, &request.into_inner().id).await?))
    }

    async fn hold_task(&self, request: Request<HoldTaskRequest>) -> Result<Response<Task>, Status> {
        Ok(Response::new(tasks::hold(&self.shared, request.into_inner()).await?))
    }

    async fn release_task(&self, request: Request<ReleaseTaskRequest>) -> Result<Response<Task>, Status> {
        Ok(Response::new(tasks::release(&self.shared, &request.into_inner().id).await?))
    }

    async fn retry_task(&self, request: Request<RetryTaskRequest>) -> Result<Response<Task>, Status> {
        Ok(Response::new(tasks::retry(&self.shared, &request.into_inner().id).await?))
    }

    async fn retry_tasks(
        &self,
        request: Request<RetryTasksRequest>,
    ) -> Result<Response<RetryTasksResponse>, Status> {
        Ok(Response::new(dead_letters::retry(&self.shared, request.into_inner()).await?))
    }

    async fn get_queue(
        &self,
        request: Request<GetQueueRequest>,
    ) -> Result<Response<GetQueueResponse>, Status> {
        Ok(Response::new(queue::get_queue(&self.shared, request.into_inner()).await?))
    }

    async fn scrub_store(
        &self,
        request: Request<ScrubStoreRequest>,
    ) -> Result<Response<ScrubStoreResponse>, Status> {
        Ok(Response::new(scrub::scrub(&self.shared, request.into_inner()).await?))
    }
}
