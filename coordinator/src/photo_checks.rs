//! Judges photos on this machine's CPU, for clients that want to know before they submit.
//!
//! So many photos are looked at side by side (`photo_checks.at_once`), whoever sent them: requests take turns photo by photo, so
//! that one of many photos does not hold up one of few. Beyond so many requests (`photo_checks.waiting`) the next is sent away with a time
//! to come back. A request that nobody waits for any more costs no more than the photo that is being looked at.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use likeness_faces::FaceError;
use likeness_faces::check::{CheckLimits, CheckedPhoto, PhotoChecker};
use likeness_faces::config::{FacesConfig, FacesError};
use likeness_photo_report::photo_report;
use likeness_shared::errors::ServiceError;
use likeness_shared::ids::Digest;
use likeness_shared::proto::PhotoReport;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::artifact_store::ArtifactStore;
use crate::config::PhotoChecksConfig;

/// When a request that was sent away may come back.
const COME_BACK: Duration = Duration::from_secs(2);

/// Photos to judge, and what they must be like beyond what the configuration says.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The photos.
    pub(crate) photos: Vec<Digest>,
    /// Photos that must be usable; no fewer than configured.
    pub(crate) min_photos: usize,
    /// Sides of what the model draws, in pixels.
    pub(crate) portrait_side: u32,
}

/// Judges photos.
#[derive(Debug)]
pub(crate) struct PhotoChecks {
    checker: PhotoChecker,
    /// Requests that may be open.
    places: Semaphore,
    /// Photos that may be looked at side by side.
    at_once: Arc<Semaphore>,
    within: Duration,
}

impl PhotoChecks {
    /// Loads the networks; `None` where none are configured.
    pub(crate) fn load(faces: &FacesConfig, config: &PhotoChecksConfig) -> Result<Option<Self>, FacesError> {
        if !faces.can_check_photos() {
            return Ok(None);
        }
        Ok(Some(Self {
            checker: faces.photo_checker(CheckLimits::default().portrait_side)?,
            places: Semaphore::new(config.at_once.saturating_add(config.waiting)),
            at_once: Arc::new(Semaphore::new(config.at_once)),
            within: config.timeout,
        }))
    }

    /// Judges the photos as those of one person.
    pub(crate) async fn check(
        &self,
        artifacts: &ArtifactStore,
        asked: Asked,
    ) -> Result<PhotoReport, ServiceError> {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(ServiceError::ResourceExhausted {
                subject: "photo_checks",
                message: "too many photos wait to be judged here: try again, or another coordinator"
                    .to_owned(),
                retry_after: Some(COME_BACK),
            });
        };
        let checking = self.check_all(artifacts, asked);
        timeout(self.within, checking).await.unwrap_or_else(|_| {
            Err(ServiceError::Unavailable {
                message: format!(
                    "the photos could not be judged within {} s: send fewer, or try again",
                    self.within.as_secs_f64()
                ),
                retry_after: COME_BACK,
            })
        })
    }

    async fn check_all(&self, artifacts: &ArtifactStore, asked: Asked) -> Result<PhotoReport, ServiceError> {
        let Asked { photos, min_photos, portrait_side } = asked;
        let configured = self.checker.limits();
        let min_photos = configured.min_photos.max(min_photos);
        let limits = CheckLimits { portrait_side, min_photos, ..configured.clone() };
        let checker = self.checker.with_limits(limits).map_err(|error| broken(&error))?;
        let mut checked = Vec::with_capacity(photos.len());
        for digest in &photos {
            let size = artifacts.info(*digest).await?.size;
            let file = artifacts.read(*digest, 0, size).await?;
            checked.push(self.check_one(checker.clone(), file).await?);
        }
        let digests: Vec<String> = photos.iter().map(Digest::to_string).collect();
        Ok(photo_report(&checker.check_set(checked), &digests))
    }

    /// On a thread for blocking work, which keeps its turn until it is done, also where nobody waits any more.
    async fn check_one(&self, checker: PhotoChecker, file: Bytes) -> Result<CheckedPhoto, ServiceError> {
        let turn = Arc::clone(&self.at_once).acquire_owned().await;
        let turn = turn.map_err(|_| ServiceError::internal("photos are not judged any more"))?;
        let looking = tokio::task::spawn_blocking(move || {
            let checked = checker.check(&file);
            drop(turn);
            checked
        });
        let checked =
            looking.await.map_err(|error| ServiceError::internal(format!("judging a photo: {error}")))?;
        checked.map_err(|error| broken(&error))
    }
}

fn broken(error: &FaceError) -> ServiceError {
    ServiceError::internal(error.to_string())
}
