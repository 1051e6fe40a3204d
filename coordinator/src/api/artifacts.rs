//! The `Artifacts` service: bytes by digest, in pieces, resumable both ways.

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, stream};
use likeness_shared::errors::ServiceError;
use likeness_shared::ids::Digest;
use likeness_shared::limits::{CHUNK_BYTES, Checks, MAX_CHUNK_BYTES, MAX_MEDIA_TYPE_BYTES};
use likeness_shared::proto::artifacts_server::Artifacts;
use likeness_shared::proto::{
    DownloadHeader, DownloadRequest, DownloadResponse, GetUploadRequest, GetUploadResponse, UploadHeader,
    UploadRequest, UploadResponse, download_response, upload_request,
};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

use super::{Shared, wire};
use crate::artifact_store::{Upload, UploadStatus};

#[derive(Debug)]
pub(super) struct ArtifactsService {
    shared: Shared,
}

impl ArtifactsService {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    async fn upload_all(&self, mut pieces: Streaming<UploadRequest>) -> Result<UploadResponse, Status> {
        let first = self.next_part(&mut pieces).await?;
        let Some(upload_request::Part::Header(header)) = first else {
            return Err(ServiceError::invalid("part", "the first message must be the header").into());
        };
        let digest = check_header(&header)?;
        let begun = self.shared.artifacts.begin(digest, header.size_bytes, header.offset).await?;
        let created = begun.is_some();
        if let Some(upload) = begun {
            self.receive(upload, pieces, &header.media_type).await?;
            tracing::debug!(%digest, bytes = header.size_bytes, "artifact stored");
        }
        Ok(UploadResponse { digest: digest.to_string(), created })
    }

    async fn receive(
        &self,
        mut upload: Upload<'_>,
        mut pieces: Streaming<UploadRequest>,
        media_type: &str,
    ) -> Result<(), Status> {
        loop {
            match self.next_part(&mut pieces).await {
                Ok(None) => break,
                Ok(Some(upload_request::Part::Chunk(chunk))) => {
                    if chunk.len() > MAX_CHUNK_BYTES {
                        let description =
                            format!("must be at most {MAX_CHUNK_BYTES} bytes, not {}", chunk.len());
                        return Err(ServiceError::invalid("chunk", description).into());
                    }
                    upload.append(&chunk).await?;
                }
                Ok(Some(upload_request::Part::Header(_))) => {
                    return Err(ServiceError::invalid("header", "must come once, first").into());
                }
                Err(status) => {
                    // what has arrived is kept, so that the client can go on from there
                    upload.pause().await;
                    return Err(status);
                }
            }
        }
        Ok(self.shared.artifacts.finish(upload, media_type).await?)
    }

    /// The next part, `None` at the end; an error where the client has fallen silent.
    async fn next_part(
        &self,
        pieces: &mut Streaming<UploadRequest>,
    ) -> Result<Option<upload_request::Part>, Status> {
        let limit = self.shared.config.uploads.piece_timeout;
        let message = tokio::select! {
            () = self.shared.stop.cancelled() => return Err(Status::unavailable("the coordinator is going away")),
            message = timeout(limit, pieces.message()) => message,
        };
        let message = message.map_err(|_| {
            Status::deadline_exceeded(format!("no piece has come for {} s", limit.as_secs_f64()))
        })??;
        let Some(message) = message else { return Ok(None) };
        let part =
            message.part.ok_or_else(|| ServiceError::invalid("part", "must be a header or a chunk"))?;
        Ok(Some(part))
    }
}

fn check_header(header: &UploadHeader) -> Result<Digest, ServiceError> {
    let mut checks = Checks::new();
    let digest = checks.parse("header.digest", &header.digest);
    let media_type = &header.media_type;
    let acceptable = media_type.len() <= MAX_MEDIA_TYPE_BYTES
        && media_type.contains('/')
        && media_type.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    checks.require(acceptable, "header.media_type", || {
        format!(
            "must be a media type such as image/jpeg, not {:?}",
            media_type.chars().take(80).collect::<String>()
        )
    });
    checks.finish()?;
    wire::checked(digest)
}

/// A download under way.
struct Download {
    shared: Shared,
    digest: Digest,
    header: Option<DownloadHeader>,
    offset: u64,
    size: u64,
}

impl Download {
    async fn next(&mut self) -> Result<Option<DownloadResponse>, ServiceError> {
        if let Some(header) = self.header.take() {
            return Ok(Some(DownloadResponse { part: Some(download_response::Part::Header(header)) }));
        }
        if self.offset >= self.size {
            return Ok(None);
        }
        let end = self.size.min(self.offset.saturating_add(CHUNK_BYTES as u64));
        let chunk: Bytes = self.shared.artifacts.read(self.digest, self.offset, end).await?;
        self.offset = end;
        Ok(Some(DownloadResponse { part: Some(download_response::Part::Chunk(chunk)) }))
    }
}

type DownloadStream = Pin<Box<dyn Stream<Item = Result<DownloadResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Artifacts for ArtifactsService {
    type DownloadStream = DownloadStream;

    async fn get_upload(
        &self,
        request: Request<GetUploadRequest>,
    ) -> Result<Response<GetUploadResponse>, Status> {
        let digest = wire::id("digest", &request.get_ref().digest)?;
        let status = self.shared.artifacts.status(digest).await?;
        Ok(Response::new(match status {
            UploadStatus::Complete => GetUploadResponse { complete: true, received_bytes: 0 },
            UploadStatus::Received(received_bytes) => GetUploadResponse { complete: false, received_bytes },
        }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        self.upload_all(request.into_inner()).await.map(Response::new)
    }

    async fn download(&self, request: Request<DownloadRequest>) -> Result<Response<DownloadStream>, Status> {
        let DownloadRequest { digest, offset } = request.into_inner();
        let digest: Digest = wire::id("digest", &digest)?;
        let info = self.shared.artifacts.info(digest).await?;
        if offset > info.size {
            let description = format!("is {offset}, and the artifact has {} bytes", info.size);
            return Err(ServiceError::invalid("offset", description).into());
        }
        let header = DownloadHeader { size_bytes: info.size, media_type: info.media_type };
        let download =
            Download { shared: self.shared.clone(), digest, header: Some(header), offset, size: info.size };
        let parts = stream::try_unfold(download, async |mut download| {
            let next = download.next().await.map_err(Status::from)?;
            Ok(next.map(|part| (part, download)))
        });
        Ok(Response::new(Box::pin(parts)))
    }
}
