//! The client of a fleet's coordinators that the command line and the worker share: one connection for calls and
//! sessions, another for artifacts, every call with a deadline, and errors that say what to do. Where several
//! coordinators are named, the next one is asked when one cannot be reached.

mod config;
mod errors;
mod operations;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

pub use config::ClientConfig;
pub use errors::ClientError;
pub(crate) use errors::Peer;
pub(crate) use servers::{Lane, Servers};

use crate::artifacts::ArtifactsClient;
use crate::ids::{PersonId, TaskId};
use crate::proto;
use crate::watch::TaskWatch;

/// A connected client. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Client {
    servers: Arc<Servers>,
    artifacts: ArtifactsClient,
}

impl Client {
    /// Connects to `server` with the usual times.
    pub async fn connect(server: &str) -> Result<Self, ClientError> {
        Self::connect_with(ClientConfig::new(server)).await
    }

    /// Connects; fails where no coordinator answers within `connect_timeout`.
    pub async fn connect_with(config: ClientConfig) -> Result<Self, ClientError> {
        let servers = Arc::new(Servers::connect(&config).await?);
        let artifacts = ArtifactsClient::new(Arc::clone(&servers));
        Ok(Self { servers, artifacts })
    }

    /// The address of the coordinator that is asked, as `http://HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.servers.current().peer.address
    }

    /// How many coordinators there are to ask.
    pub(crate) fn server_count(&self) -> usize {
        self.servers.count()
    }

    /// The next coordinator is asked from here on, unless this is not the current one any more.
    pub(crate) fn move_on_from(&self, address: &str) {
        let lane = self.servers.current();
        if lane.peer.address == address {
            self.servers.move_on(lane);
        }
    }

    /// Uploads and downloads, over a connection of their own.
    #[must_use]
    pub fn artifacts(&self) -> &ArtifactsClient {
        &self.artifacts
    }

    /// Submits an inversion. Repeat it with the same request id where the answer was lost.
    pub async fn submit_inversion(
        &self,
        request: proto::SubmitInversionRequest,
    ) -> Result<proto::SubmitTaskResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.tasks().submit_inversion(request).await }).await
    }

    /// Submits a generation. Repeat it with the same request id where the answer was lost.
    pub async fn submit_generation(
        &self,
        request: proto::SubmitGenerationRequest,
    ) -> Result<proto::SubmitTaskResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.tasks().submit_generation(request).await }).await
    }

    /// The task as it is.
    pub async fn get_task(&self, id: TaskId) -> Result<proto::Task, ClientError> {
        let request = proto::GetTaskRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.tasks().get_task(request).await }).await
    }

    /// One page of tasks, newest first.
    pub async fn list_tasks(
        &self,
        request: proto::ListTasksRequest,
    ) -> Result<proto::ListTasksResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.tasks().list_tasks(request).await }).await
    }

    /// The task when it is terminal or `timeout` (at most 5 minutes) has passed.
    pub async fn wait_task(&self, id: TaskId, timeout: Duration) -> Result<proto::Task, ClientError> {
        let wait = prost_types::Duration::try_from(timeout).ok();
        let request = proto::WaitTaskRequest { id: id.to_string(), timeout: wait };
        self.ask_within(
            timeout,
            request,
            |lane, request| async move { lane.tasks().wait_task(request).await },
        )
        .await
    }

    /// Asks for cancellation. Repeatable.
    pub async fn cancel_task(&self, id: TaskId) -> Result<proto::Task, ClientError> {
        let request = proto::CancelTaskRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.tasks().cancel_task(request).await }).await
    }

    /// Why the task does not run, and when it is expected to start.
    pub async fn explain_task(&self, id: TaskId) -> Result<proto::ExplainTaskResponse, ClientError> {
        let request = proto::ExplainTaskRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.tasks().explain_task(request).await }).await
    }

    /// Asks a page of tasks to stop. Go on with the token of the answer.
    pub async fn cancel_tasks(
        &self,
        request: proto::CancelTasksRequest,
    ) -> Result<proto::CancelTasksResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.tasks().cancel_tasks(request).await }).await
    }

    /// Follows a task until it is terminal, over reconnects.
    #[must_use]
    pub fn watch_task(&self, id: TaskId, after_revision: u64) -> TaskWatch {
        TaskWatch::new(self.clone(), id, after_revision)
    }

    /// One connection's worth of changes; [`Client::watch_task`] reconnects by itself.
    pub async fn watch_task_once(
        &self,
        id: TaskId,
        after_revision: u64,
    ) -> Result<Streaming<proto::WatchTaskResponse>, ClientError> {
        let request = proto::WatchTaskRequest { id: id.to_string(), after_revision };
        let lane = self.servers.current();
        lane.answer(lane.tasks().watch_task(Request::new(request)).await)
    }

    /// One page of a user's people.
    pub async fn list_people(
        &self,
        request: proto::ListPeopleRequest,
    ) -> Result<proto::ListPeopleResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.people().list_people(request).await }).await
    }

    /// A person by id, or by tenant, user and name.
    pub async fn get_person(&self, request: proto::GetPersonRequest) -> Result<proto::Person, ClientError> {
        self.ask(request, |lane, request| async move { lane.people().get_person(request).await }).await
    }

    /// Registers an uploaded person file.
    pub async fn import_person(
        &self,
        request: proto::ImportPersonRequest,
    ) -> Result<proto::Person, ClientError> {
        self.ask(request, |lane, request| async move { lane.people().import_person(request).await }).await
    }

    /// Deletes a person.
    pub async fn delete_person(&self, id: PersonId) -> Result<(), ClientError> {
        let request = proto::DeletePersonRequest { id: id.to_string() };
        self.ask(request, |lane, request| async move { lane.people().delete_person(request).await })
            .await
            .map(|_| ())
    }

    /// Which uploaded photos a person can be learned from.
    pub async fn check_photos(
        &self,
        request: proto::CheckPhotosRequest,
    ) -> Result<proto::CheckPhotosResponse, ClientError> {
        self.ask(request, |lane, request| async move { lane.photos().check_photos(request).await }).await
    }

    /// Opens a worker's session: `outbound` begins with `Hello`, the answer with `Welcome`. No deadline: beats and
    /// pings tell when the peer is gone.
    pub async fn open_session<S>(
        &self,
        outbound: S,
    ) -> Result<Streaming<proto::CoordinatorMessage>, ClientError>
    where
        S: Stream<Item = proto::WorkerMessage> + Send + 'static,
    {
        let lane = self.servers.current();
        lane.answer(lane.sessions().session(Request::new(outbound)).await)
    }

    /// Ends an attempt. Repeatable; any coordinator of the fleet takes it.
    pub async fn settle(&self, request: proto::SettleRequest) -> Result<proto::SettleVerdict, ClientError> {
        let settled: proto::SettleResponse =
            self.ask(request, |lane, request| async move { lane.sessions().settle(request).await }).await?;
        Ok(settled.verdict())
    }

    /// The error that a status of one of this client's streams stands for.
    #[must_use]
    pub fn stream_error(&self, status: Status) -> ClientError {
        self.servers.current().peer.error(status)
    }

    /// The answer to a call that may be repeated.
    async fn ask<M, T, F>(&self, message: M, call: impl Fn(Lane, Request<M>) -> F) -> Result<T, ClientError>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.ask_within(Duration::ZERO, message, call).await
    }

    /// The same for a call that is answered only after `wait`.
    async fn ask_within<M, T, F>(
        &self,
        wait: Duration,
        message: M,
        call: impl Fn(Lane, Request<M>) -> F,
    ) -> Result<T, ClientError>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (message, call) = (&message, &call);
        let asked = self.servers.ask(|lane| async move {
            let request = lane.peer.request_after(wait, message.clone());
            lane.answer(call(lane.clone(), request).await)
        });
        asked.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unreachable_server_is_asked_about_by_its_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = Client::connect(&address.to_string()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && text.contains("is it running there?"), "{text}");
        assert!(error.is_transient());
    }

    #[tokio::test]
    async fn every_server_of_a_list_is_tried_and_the_last_one_is_named_where_none_answers() {
        let gone = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().to_string()
        };
        let (first, second) = (gone(), gone());
        let error = Client::connect(&format!("{first},{second}")).await.unwrap_err().to_string();
        assert!(error.contains(&second), "{error}");
    }
}
