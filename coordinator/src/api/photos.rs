//! The `Photos` service: which photos a person can be learned from.

use likeness_shared::errors::ServiceError;
use likeness_shared::ids::Digest;
use likeness_shared::limits::{Checks, MAX_PHOTOS, MIN_PHOTOS};
use likeness_shared::proto::photos_server::Photos;
use likeness_shared::proto::{CheckPhotosRequest, CheckPhotosResponse};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Shared, listing, wire};
use crate::photo_checks::Asked;

/// What models of the usual size draw, in pixels of a side.
const USUAL_SIDE: u32 = 512;

#[derive(Debug)]
pub(super) struct PhotosService {
    shared: Shared,
}

impl PhotosService {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    async fn check(&self, request: CheckPhotosRequest) -> Result<CheckPhotosResponse, ServiceError> {
        let begun = Instant::now();
        let Some(photo_checks) = &self.shared.photo_checks else {
            return Err(ServiceError::unmet(
                "FACES_NOT_CONFIGURED",
                "faces",
                "this coordinator has no networks for faces: configure faces.detector and faces.recogniser there, or check photos \
                 with the networks on your machine",
            ));
        };
        let asked = asked(&request)?;
        listing::require_artifacts(&self.shared, &asked.photos).await?;
        let report = photo_checks.check(&self.shared.artifacts, asked).await?;
        let taken = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(CheckPhotosResponse { report: Some(report), time: Some(wire::microseconds(taken)) })
    }
}

fn asked(request: &CheckPhotosRequest) -> Result<Asked, ServiceError> {
    let mut checks = Checks::new();
    let digests = &request.photo_digests;
    checks.require((1..=MAX_PHOTOS).contains(&digests.len()), "photo_digests", || {
        format!("must be 1 to {MAX_PHOTOS} photos, not {}", digests.len())
    });
    let named = digests.iter().enumerate().take(MAX_PHOTOS);
    let photos: Vec<Digest> = named
        .filter_map(|(index, digest)| checks.parse(&format!("photo_digests[{index}]"), digest))
        .collect();
    let least = request.min_photos.map(|least| least as usize);
    if let Some(least) = least {
        checks.require((MIN_PHOTOS..=MAX_PHOTOS).contains(&least), "min_photos", || {
            format!("must be {MIN_PHOTOS} to {MAX_PHOTOS}, not {least}")
        });
    }
    let portrait_side = request.portrait_side.unwrap_or(USUAL_SIDE);
    checks.whole("portrait_side", portrait_side, 8..=2048);
    checks.finish()?;
    Ok(Asked { photos, min_photos: least.unwrap_or(MIN_PHOTOS), portrait_side })
}

#[tonic::async_trait]
impl Photos for PhotosService {
    async fn check_photos(
        &self,
        request: Request<CheckPhotosRequest>,
    ) -> Result<Response<CheckPhotosResponse>, Status> {
        Ok(Response::new(self.check(request.into_inner()).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_request_is_named_at_once() {
        let request = CheckPhotosRequest {
            photo_digests: vec!["xyz".to_owned(); 2],
            min_photos: Some(2),
            portrait_side: Some(7),
        };
        let said = asked(&request).unwrap_err().to_string();
        for field in ["photo_digests[0]", "photo_digests[1]", "min_photos", "portrait_side"] {
            assert!(said.contains(field), "{said}");
        }
        let said = asked(&CheckPhotosRequest::default()).unwrap_err().to_string();
        assert!(said.contains("1 to 64 photos, not 0"), "{said}");
    }

    #[test]
    fn what_is_not_said_is_usual() {
        let photo_digests = vec![Digest::of(b"a").to_string()];
        let asked = asked(&CheckPhotosRequest { photo_digests, ..CheckPhotosRequest::default() }).unwrap();
        assert_eq!((asked.photos, asked.min_photos, asked.portrait_side), (vec![Digest::of(b"a")], 3, 512));
    }
}
