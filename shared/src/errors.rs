//! The one service error, and its mapping to `tonic::Status` with details that programs can read
//! (`google.rpc.BadRequest`, `ErrorInfo`, `RetryInfo`, `QuotaFailure`, `PreconditionFailure`).
//!
//! Also the way back: [`explain`] turns a status with details into text for people.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, QuotaViolation, StatusExt};

/// The `domain` of every `ErrorInfo`.
pub const ERROR_DOMAIN: &str = "likeness";

/// A field of a request that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field, such as `spec.photo_digests[2]`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

impl FieldViolation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// Something that must be so before the request can be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmetPrecondition {
    /// Stable kind, such as `ARTIFACT_MISSING`.
    pub kind: &'static str,
    /// What it is about, such as a digest.
    pub subject: String,
    /// What is wrong and what to do.
    pub description: String,
}

/// Everything a service can answer instead of a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The request itself is wrong; all offending fields at once.
    #[error("{}", list(.0.iter().map(|v| (v.field.as_str(), v.description.as_str()))))]
    InvalidArgument(Vec<FieldViolation>),
    /// There is no such thing.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// What was looked for, such as "task".
        kind: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The name or request id is taken by something else.
    #[error("{message}")]
    AlreadyExists {
        /// Stable code, such as `REQUEST_ID_REUSED`.
        reason: &'static str,
        /// What is taken and what to do.
        message: String,
    },
    /// The request is well formed, but something must happen first.
    #[error("{}", list(.0.iter().map(|v| (v.subject.as_str(), v.description.as_str()))))]
    FailedPrecondition(Vec<UnmetPrecondition>),
    /// A quota or a resource of the machine is used up.
    #[error("{message}")]
    ResourceExhausted {
        /// What is used up, such as `disk` or `staged_bytes`.
        subject: &'static str,
        /// What happened and what to do.
        message: String,
        /// When trying again may help.
        retry_after: Option<Duration>,
    },
    /// The service cannot answer at the moment.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Stored or sent bytes are not what they should be.
    #[error("{message}")]
    DataLoss {
        /// What is damaged.
        message: String,
    },
    /// A fault of ours.
    #[error("internal error: {message}")]
    Internal {
        /// What happened.
        message: String,
    },
}

fn list<'a>(items: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let parts: Vec<String> =
        items.map(|(subject, description)| format!("{subject}: {description}")).collect();
    parts.join("; ")
}

impl ServiceError {
    /// One offending field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::InvalidArgument(vec![FieldViolation::new(field, description)])
    }

    /// A fault of ours; say what was being done.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into() }
    }

    /// One condition that must hold first.
    pub fn unmet(kind: &'static str, subject: impl Into<String>, description: impl Into<String>) -> Self {
        Self::FailedPrecondition(vec![UnmetPrecondition {
            kind,
            subject: subject.into(),
            description: description.into(),
        }])
    }

    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::InvalidArgument(_) => Code::InvalidArgument,
            Self::NotFound { .. } => Code::NotFound,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::FailedPrecondition(_) => Code::FailedPrecondition,
            Self::ResourceExhausted { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::DataLoss { .. } => Code::DataLoss,
            Self::Internal { .. } => Code::Internal,
        }
    }

    fn details(&self) -> ErrorDetails {
        let mut details = ErrorDetails::new();
        let mut metadata = HashMap::new();
        let reason = match self {
            Self::InvalidArgument(violations) => {
                for violation in violations {
                    details.add_bad_request_violation(&violation.field, &violation.description);
                }
                "INVALID_ARGUMENT"
            }
            Self::NotFound { kind, id } => {
                metadata.insert("kind".to_owned(), (*kind).to_owned());
                metadata.insert("id".to_owned(), id.clone());
                "NOT_FOUND"
            }
            Self::AlreadyExists { reason, .. } => reason,
            Self::FailedPrecondition(violations) => {
                let violations: Vec<PreconditionViolation> = violations
                    .iter()
                    .map(|v| PreconditionViolation::new(v.kind, &v.subject, &v.description))
                    .collect();
                details.set_precondition_failure(violations);
                "FAILED_PRECONDITION"
            }
            Self::ResourceExhausted { subject, message, retry_after } => {
                details.set_quota_failure(vec![QuotaViolation::new(*subject, message)]);
                if retry_after.is_some() {
                    details.set_retry_info(*retry_after);
                }
                "RESOURCE_EXHAUSTED"
            }
            Self::Unavailable { retry_after, .. } => {
                details.set_retry_info(Some(*retry_after));
                "UNAVAILABLE"
            }
            Self::DataLoss { .. } => "DATA_LOSS",
            Self::Internal { .. } => "INTERNAL",
        };
        details.set_error_info(reason, ERROR_DOMAIN, metadata);
        details
    }
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        if matches!(error, ServiceError::Internal { .. } | ServiceError::DataLoss { .. }) {
            tracing::error!(%error, "request failed by a fault of the service");
        }
        Status::with_error_details(error.code(), error.to_string(), error.details())
    }
}

/// A status as text for people: its message and whatever the details add to it.
#[must_use]
pub fn explain(status: &Status) -> String {
    let details = status.get_error_details();
    let mut text = match details.bad_request() {
        Some(bad) if bad.field_violations.len() > 1 => {
            let lines = bad.field_violations.iter().map(|v| format!("\n  {}: {}", v.field, v.description));
            format!("the request has {} faults:{}", bad.field_violations.len(), lines.collect::<String>())
        }
        _ if status.message().is_empty() => format!("the coordinator answered {:?}", status.code()),
        _ => status.message().to_owned(),
    };
    if let Some(pause) = details.retry_info().and_then(|info| info.retry_delay) {
        text.push_str(&format!(" (worth trying again in {:.1} s)", pause.as_secs_f64()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_offending_fields_travel_in_the_details() {
        let error = ServiceError::InvalidArgument(vec![
            FieldViolation::new("spec.steps", "must be 1 to 1000, not 0"),
            FieldViolation::new("spec.sampler", "99 is not a sampler"),
        ]);
        let status = Status::from(error);
        assert_eq!(status.code(), Code::InvalidArgument);
        let bad = status.get_details_bad_request().unwrap();
        let fields: Vec<&str> = bad.field_violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["spec.steps", "spec.sampler"]);
        let text = explain(&status);
        assert!(text.contains("2 faults") && text.contains("spec.sampler: 99 is not a sampler"), "{text}");
    }

    #[test]
    fn unavailable_says_when_to_try_again() {
        let status = Status::from(ServiceError::Unavailable {
            message: "the store is away".to_owned(),
            retry_after: Duration::from_millis(1500),
        });
        let pause = status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(pause, Some(Duration::from_millis(1500)));
        assert_eq!(explain(&status), "the store is away (worth trying again in 1.5 s)");
    }

    #[test]
    fn missing_artifacts_are_named_in_a_precondition_failure() {
        let status = Status::from(ServiceError::unmet("ARTIFACT_MISSING", "ab", "upload it first"));
        assert_eq!(status.code(), Code::FailedPrecondition);
        let failure = status.get_details_precondition_failure().unwrap();
        assert_eq!(failure.violations.first().unwrap().subject, "ab");
        assert_eq!(status.get_details_error_info().unwrap().domain, ERROR_DOMAIN);
    }
}
