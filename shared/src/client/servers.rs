//! The coordinators that a client may ask, and which of them it asks: one until it cannot be reached, then the next.
//! All clones of a client, and their watches and transfers, move on together.

use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::config::endpoint;
use super::errors::innermost;
use super::{ClientConfig, ClientError, Peer};
use crate::limits::MAX_MESSAGE_BYTES;
use crate::proto::artifacts_client::ArtifactsClient;
use crate::proto::operations_client::OperationsClient;
use crate::proto::people_client::PeopleClient;
use crate::proto::photos_client::PhotosClient;
use crate::proto::tasks_client::TasksClient;
use crate::proto::worker_sessions_client::WorkerSessionsClient;

/// The connections to one coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    place: usize,
    pub(crate) peer: Peer,
    /// For calls, watches and sessions.
    calls: Channel,
    /// For artifacts, whose bytes would otherwise hold up beats and cancellations.
    bulk: Channel,
}

impl Lane {
    pub(crate) fn tasks(&self) -> TasksClient<Channel> {
        TasksClient::new(self.calls.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn people(&self) -> PeopleClient<Channel> {
        PeopleClient::new(self.calls.clone())
    }

    pub(crate) fn photos(&self) -> PhotosClient<Channel> {
        PhotosClient::new(self.calls.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn operations(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.calls.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn sessions(&self) -> WorkerSessionsClient<Channel> {
        WorkerSessionsClient::new(self.calls.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn artifacts(&self) -> ArtifactsClient<Channel> {
        ArtifactsClient::new(self.bulk.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The answer, or the error that its status stands for.
    pub(crate) fn answer<T>(&self, result: Result<Response<T>, Status>) -> Result<T, ClientError> {
        result.map(Response::into_inner).map_err(|status| self.peer.error(status))
    }
}

/// Every coordinator, and the one that is asked.
#[derive(Debug)]
pub(crate) struct Servers {
    lanes: Vec<Lane>,
    current: AtomicUsize,
}

impl Servers {
    /// Connects to the first coordinator of the list that answers within `connect_timeout`; the others are dialled
    /// when they are needed.
    pub(super) async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let mut lanes = Vec::new();
        let mut answering = None;
        let mut last_error = None;
        for (place, address) in config.addresses()?.into_iter().enumerate() {
            let endpoint = endpoint(&address, config)?;
            let mut calls = endpoint.connect_lazy();
            if answering.is_none() {
                match connect(&address, &endpoint, config).await {
                    Ok(channel) => {
                        calls = channel;
                        answering = Some(place);
                    }
                    Err(error) => last_error = Some(error),
                }
            }
            let peer = Peer { address, request_timeout: config.request_timeout };
            lanes.push(Lane { place, peer, calls, bulk: endpoint.connect_lazy() });
        }
        match (answering, last_error) {
            (Some(place), _) => Ok(Self { lanes, current: AtomicUsize::new(place) }),
            (None, Some(error)) => Err(error),
            (None, None) => Err(ClientError::Incomplete("an address")),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lanes.len()
    }

    /// The one that is asked.
    pub(crate) fn current(&self) -> &Lane {
        let current = self.current.load(Ordering::Relaxed);
        // connect() keeps the place within the list, and next() too
        &self.lanes[current % self.lanes.len()]
    }

    /// Asks the next one from here on, unless somebody has moved on from `left` already.
    pub(crate) fn move_on(&self, left: &Lane) {
        let next = (left.place + 1) % self.lanes.len();
        let moved = self.current.compare_exchange(left.place, next, Ordering::Relaxed, Ordering::Relaxed);
        if moved.is_ok() && self.lanes.len() > 1 {
            let (from, to) = (&left.peer.address, &self.lanes[next].peer.address);
            tracing::info!(from, to, "coordinator cannot be reached, the next one is asked");
        }
    }

    /// The answer of the first coordinator that can be reached, beginning with the current one. For calls that may be
    /// repeated: a broken connection leaves it open whether the first one has done its part.
    pub(crate) async fn ask<T, F>(&self, call: impl Fn(Lane) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut tries = 1;
        loop {
            let lane = self.current();
            let result = call(lane.clone()).await;
            match result {
                Err(error) if leaves(&error) && tries < self.lanes.len() => {
                    tries += 1;
                    self.move_on(lane);
                }
                result => return result,
            }
        }
    }
}

/// Whether another coordinator may do better: this one is not there, or going away.
fn leaves(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable { .. }) || error.code() == Some(Code::Unavailable)
}

async fn connect(
    address: &str,
    endpoint: &tonic::transport::Endpoint,
    config: &ClientConfig,
) -> Result<Channel, ClientError> {
    let unreachable = |reason: String| ClientError::Unreachable { address: address.to_owned(), reason };
    match tokio::time::timeout(config.connect_timeout, endpoint.connect()).await {
        Ok(connected) => connected.map_err(|error| unreachable(innermost(&error))),
        Err(_) => Err(unreachable(format!("no answer in {:?}", config.connect_timeout))),
    }
}
