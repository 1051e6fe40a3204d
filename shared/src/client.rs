//! The client of a coordinator that the command line and the worker share: one connection for calls and sessions,
//! another for artifacts, every call with a deadline, and errors that say what to do.

mod errors;
mod operations;

use std::time::Duration;

use futures::Stream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

pub use self::errors::ClientError;
pub(crate) use self::errors::Peer;
use self::errors::innermost;
use crate::artifacts::ArtifactsClient;
use crate::ids::{PersonId, TaskId};
use crate::limits::MAX_MESSAGE_BYTES;
use crate::proto;
use crate::proto::operations_client::OperationsClient;
use crate::proto::people_client::PeopleClient;
use crate::proto::tasks_client::TasksClient;
use crate::proto::worker_sessions_client::WorkerSessionsClient;
use crate::watch::TaskWatch;

/// Where the coordinator is and how long to wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Such as `http://127.0.0.1:7878`; `http://` may be left out.
    pub server: String,
    /// For the connection to stand.
    pub connect_timeout: Duration,
    /// For the answer to one call.
    pub request_timeout: Duration,
    /// Between pings on a quiet connection.
    pub keepalive_interval: Duration,
    /// For the answer to a ping; then the connection counts as dead.
    pub keepalive_timeout: Duration,
}

impl ClientConfig {
    /// The usual times, for the coordinator at `server`.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(3),
        }
    }
}

/// A connected client. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Client {
    peer: Peer,
    tasks: TasksClient<Channel>,
    people: PeopleClient<Channel>,
    sessions: WorkerSessionsClient<Channel>,
    operations: OperationsClient<Channel>,
    artifacts: ArtifactsClient,
}

impl Client {
    /// Connects to `server` with the usual times.
    pub async fn connect(server: &str) -> Result<Self, ClientError> {
        Self::connect_with(ClientConfig::new(server)).await
    }

    /// Connects; fails where nobody answers within `connect_timeout`.
    pub async fn connect_with(config: ClientConfig) -> Result<Self, ClientError> {
        let address = normalise(&config.server)?;
        let endpoint = endpoint(&address, &config)?;
        let unreachable = |reason: String| ClientError::Unreachable { address: address.clone(), reason };
        let connecting = tokio::time::timeout(config.connect_timeout, endpoint.connect());
        let channel = match connecting.await {
            Ok(connected) => connected.map_err(|error| unreachable(innermost(&error)))?,
            Err(_) => return Err(unreachable(format!("no answer in {:?}", config.connect_timeout))),
        };
        let peer = Peer { address: address.clone(), request_timeout: config.request_timeout };
        Ok(Self {
            tasks: TasksClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            people: PeopleClient::new(channel.clone()),
            operations: OperationsClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            sessions: WorkerSessionsClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            artifacts: ArtifactsClient::new(endpoint.connect_lazy(), peer.clone()),
            peer,
        })
    }

    /// The coordinator's address, as `http://HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.peer.address
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
        self.answer(self.tasks.clone().submit_inversion(self.peer.request(request)).await)
    }

    /// Submits a generation. Repeat it with the same request id where the answer was lost.
    pub async fn submit_generation(
        &self,
        request: proto::SubmitGenerationRequest,
    ) -> Result<proto::SubmitTaskResponse, ClientError> {
        self.answer(self.tasks.clone().submit_generation(self.peer.request(request)).await)
    }

    /// The task as it is.
    pub async fn get_task(&self, id: TaskId) -> Result<proto::Task, ClientError> {
        let request = proto::GetTaskRequest { id: id.to_string() };
        self.answer(self.tasks.clone().get_task(self.peer.request(request)).await)
    }

    /// One page of tasks, newest first.
    pub async fn list_tasks(
        &self,
        request: proto::ListTasksRequest,
    ) -> Result<proto::ListTasksResponse, ClientError> {
        self.answer(self.tasks.clone().list_tasks(self.peer.request(request)).await)
    }

    /// The task when it is terminal or `timeout` (at most 5 minutes) has passed.
    pub async fn wait_task(&self, id: TaskId, timeout: Duration) -> Result<proto::Task, ClientError> {
        let wait = prost_types::Duration::try_from(timeout).ok();
        let request = proto::WaitTaskRequest { id: id.to_string(), timeout: wait };
        let deadline = timeout.saturating_add(self.peer.request_timeout);
        self.answer(self.tasks.clone().wait_task(self.peer.request_within(request, deadline)).await)
    }

    /// Asks for cancellation. Repeatable.
    pub async fn cancel_task(&self, id: TaskId) -> Result<proto::Task, ClientError> {
        let request = proto::CancelTaskRequest { id: id.to_string() };
        self.answer(self.tasks.clone().cancel_task(self.peer.request(request)).await)
    }

    /// Why the task does not run, and when it is expected to start.
    pub async fn explain_task(&self, id: TaskId) -> Result<proto::ExplainTaskResponse, ClientError> {
        let request = proto::ExplainTaskRequest { id: id.to_string() };
        self.answer(self.tasks.clone().explain_task(self.peer.request(request)).await)
    }

    /// Asks a page of tasks to stop. Go on with the token of the answer.
    pub async fn cancel_tasks(
        &self,
        request: proto::CancelTasksRequest,
    ) -> Result<proto::CancelTasksResponse, ClientError> {
        self.answer(self.tasks.clone().cancel_tasks(self.peer.request(request)).await)
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
        self.answer(self.tasks.clone().watch_task(Request::new(request)).await)
    }

    /// One page of a user's people.
    pub async fn list_people(
        &self,
        request: proto::ListPeopleRequest,
    ) -> Result<proto::ListPeopleResponse, ClientError> {
        self.answer(self.people.clone().list_people(self.peer.request(request)).await)
    }

    /// A person by id, or by tenant, user and name.
    pub async fn get_person(&self, request: proto::GetPersonRequest) -> Result<proto::Person, ClientError> {
        self.answer(self.people.clone().get_person(self.peer.request(request)).await)
    }

    /// Registers an uploaded person file.
    pub async fn import_person(
        &self,
        request: proto::ImportPersonRequest,
    ) -> Result<proto::Person, ClientError> {
        self.answer(self.people.clone().import_person(self.peer.request(request)).await)
    }

    /// Deletes a person.
    pub async fn delete_person(&self, id: PersonId) -> Result<(), ClientError> {
        let request = proto::DeletePersonRequest { id: id.to_string() };
        self.answer(self.people.clone().delete_person(self.peer.request(request)).await).map(|_| ())
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
        self.answer(self.sessions.clone().session(Request::new(outbound)).await)
    }

    /// Ends an attempt. Repeatable; any coordinator of the fleet takes it.
    pub async fn settle(&self, request: proto::SettleRequest) -> Result<proto::SettleVerdict, ClientError> {
        let answer = self.sessions.clone().settle(self.peer.request(request)).await;
        self.answer(answer).map(|response| response.verdict())
    }

    /// The error that a status of one of this client's streams stands for.
    #[must_use]
    pub fn stream_error(&self, status: Status) -> ClientError {
        self.peer.error(status)
    }

    fn answer<T>(&self, result: Result<Response<T>, Status>) -> Result<T, ClientError> {
        result.map(Response::into_inner).map_err(|status| self.peer.error(status))
    }
}

/// The address with its scheme, checked.
fn normalise(server: &str) -> Result<String, ClientError> {
    let with_scheme = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let refuse = |reason: String| ClientError::Address { address: server.to_owned(), reason };
    let url = url::Url::parse(&with_scheme).map_err(|error| refuse(error.to_string()))?;
    if url.scheme() != "http" {
        return Err(refuse(format!("the scheme {:?} is not known here", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("there is no host in it".to_owned()));
    }
    if url.port().is_none() && !with_scheme.trim_end_matches('/').ends_with(":80") {
        return Err(refuse("there is no port in it".to_owned()));
    }
    Ok(with_scheme.trim_end_matches('/').to_owned())
}

fn endpoint(address: &str, config: &ClientConfig) -> Result<Endpoint, ClientError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| ClientError::Address { address: address.to_owned(), reason: error.to_string() })?;
    Ok(endpoint
        .connect_timeout(config.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(config.keepalive_interval)
        .keep_alive_timeout(config.keepalive_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_dialled() {
        assert_eq!(normalise("127.0.0.1:7878").unwrap(), "http://127.0.0.1:7878");
        assert_eq!(normalise("http://[::1]:7878/").unwrap(), "http://[::1]:7878");
        for bad in ["", "localhost", "ftp://localhost:1", "http://:80", "http://a b:1"] {
            let error = normalise(bad).unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT"), "{bad:?}: {error}");
        }
    }

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
}
