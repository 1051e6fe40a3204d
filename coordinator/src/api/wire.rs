//! Records as protocol messages, and request fields as ids.

use std::time::Duration;

use likeness_shared::errors::ServiceError;
use likeness_shared::limits::Checks;
use likeness_shared::proto::{self, task};
use prost_types::Timestamp;

use crate::store::record::{Failure, Outcome, Owner, PersonRecord, Spec, State, StoreTime, TaskRecord};

/// A task as clients see it.
pub(super) fn task(record: TaskRecord) -> proto::Task {
    let state = record.state.wire();
    let mut hold_reason = record.hold_requested.unwrap_or_default();
    let outcome = match record.state {
        State::Succeeded(Outcome::Inversion(result)) => Some(task::Outcome::InversionResult(result)),
        State::Succeeded(Outcome::Generation(result)) => Some(task::Outcome::GenerationResult(result)),
        State::Failed(failure) | State::Quarantined(failure) | State::Expired(failure) => {
            Some(task::Outcome::Failure(self::failure(failure)))
        }
        State::Held { reason } => {
            hold_reason = reason;
            None
        }
        State::Scheduled | State::Queued | State::Leased(_) | State::Running(_) | State::Cancelled => None,
    };
    proto::Task {
        id: record.id.to_string(),
        tenant: record.owner.tenant.to_string(),
        user: record.owner.user.to_string(),
        state: state.into(),
        spec: Some(match record.spec {
            Spec::Inversion(spec) => task::Spec::Inversion(spec),
            Spec::Generation(spec) => task::Spec::Generation(spec),
        }),
        progress: record.progress,
        outcome,
        cancel_requested: record.cancel_requested,
        attempts: Some(record.attempts.into()),
        worker_id: record.last_worker,
        revision: record.revision,
        create_time: Some(timestamp(record.created)),
        start_time: record.started.map(timestamp),
        end_time: record.ended.map(timestamp),
        schedule_time: record.not_before.map(timestamp),
        start_deadline: record.start_deadline.map(timestamp),
        device_time: Some(microseconds(record.device_time_us)),
        last_errors: record.last_errors,
        hold_reason,
    }
}

/// A person as clients see it.
pub(super) fn person(record: PersonRecord) -> proto::Person {
    proto::Person {
        id: record.id.to_string(),
        tenant: record.owner.tenant.to_string(),
        user: record.owner.user.to_string(),
        name: record.name.to_string(),
        placeholder: record.placeholder,
        model_digest: record.model_digest,
        artifact_digest: record.artifact.to_string(),
        vectors: record.vectors,
        width: record.width,
        task_id: record.task.map(|task| task.to_string()).unwrap_or_default(),
        create_time: Some(timestamp(record.created)),
        quality: record.quality,
    }
}

fn failure(failure: Failure) -> proto::TaskFailure {
    proto::TaskFailure { code: failure.code, message: failure.message, worker_id: failure.worker }
}

/// A moment of the store's clock.
pub(super) fn timestamp(time: StoreTime) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(time.0 / 1_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.0 % 1_000_000 * 1000).unwrap_or(0),
    }
}

/// A span of microseconds.
pub(super) fn microseconds(span: u64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span / 1_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(span % 1_000_000 * 1000).unwrap_or(0),
    }
}

/// A span as microseconds; none, or a negative one = 0.
pub(super) fn to_microseconds(span: Option<prost_types::Duration>) -> u64 {
    let span = span.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default();
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Tenant and user of a request.
pub(super) fn owner(tenant: &str, user: &str, checks: &mut Checks) -> Option<Owner> {
    let tenant = checks.parse("tenant", tenant);
    let user = checks.parse("user", user);
    Some(Owner { tenant: tenant?, user: user? })
}

/// One id of a request.
pub(super) fn id<T>(field: &str, text: &str) -> Result<T, ServiceError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let mut checks = Checks::new();
    let id = checks.parse(field, text);
    checks.finish()?;
    id.ok_or_else(|| ServiceError::internal("a checked id is missing"))
}

/// What a checked request must hold by then.
pub(super) fn checked<T>(value: Option<T>) -> Result<T, ServiceError> {
    value.ok_or_else(|| ServiceError::internal("a checked field is missing"))
}

/// 1 to 1000; 0 = 50.
pub(super) fn page_size(asked: u32, checks: &mut Checks) -> usize {
    checks.require(asked <= 1000, "page_size", || format!("must be at most 1000, not {asked}"));
    if asked == 0 { 50 } else { usize::try_from(asked).unwrap_or(50) }
}
