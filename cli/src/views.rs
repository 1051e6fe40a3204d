//! Tasks, people and workers as the program shows them: the JSON form of `-o json`, and the texts of tables.

mod photos;
mod quality;
mod worker;

use std::time::{Duration, SystemTime};

use likeness_shared::proto::{Person, Task, TaskKind, TaskState, task};
use prost_types::Timestamp;
use serde::Serialize;

pub(crate) use self::photos::{AdviceView, PhotosView, RefusalView};
pub(crate) use self::quality::{QualityAbsenceView, QualityView, facts as quality_facts};
pub(crate) use self::worker::WorkerView;
use crate::progress::Standing;

/// A task.
#[derive(Debug, Serialize)]
pub(crate) struct TaskView {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) state: String,
    pub(crate) tenant: String,
    pub(crate) user: String,
    /// The person learned, or the prompt drawn.
    pub(crate) subject: String,
    pub(crate) cancel_requested: bool,
    pub(crate) revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<ProgressView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inversion_result: Option<InversionResultView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation_result: Option<GenerationResultView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<FailureView>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) worker_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) hold_reason: String,
    pub(crate) attempts: AttemptsView,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) last_errors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schedule_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_deadline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) create_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProgressView {
    pub(crate) phase: String,
    pub(crate) step: u32,
    pub(crate) total_steps: u32,
    pub(crate) loss: f64,
    pub(crate) norm_ratio: f64,
    pub(crate) steps_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds_left: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase_step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase_steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preview: Option<PreviewView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) photos: Option<PhotosView>,
}

/// The newest look at a person who is being learned.
#[derive(Debug, Serialize)]
pub(crate) struct PreviewView {
    pub(crate) step: u32,
    pub(crate) artifact_digest: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct InversionResultView {
    pub(crate) person_id: String,
    pub(crate) artifact_digest: String,
    pub(crate) vectors: u32,
    pub(crate) final_loss: f64,
    pub(crate) norm_ratio: f64,
    pub(crate) steps: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept_step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) photos_used: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quality: Option<QualityView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quality_absent: Option<QualityAbsenceView>,
}

#[derive(Debug, Serialize)]
pub(crate) struct GenerationResultView {
    pub(crate) pictures: Vec<PictureView>,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PictureView {
    pub(crate) artifact_digest: String,
    pub(crate) seed: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct FailureView {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) worker_id: String,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct AttemptsView {
    pub(crate) started: u32,
    pub(crate) application_failures: u32,
    pub(crate) infrastructure_failures: u32,
    pub(crate) hand_backs: u32,
}

impl From<&Task> for TaskView {
    fn from(task: &Task) -> Self {
        let mut view = Self {
            id: task.id.clone(),
            kind: kind_name(kind(task)),
            state: state_name(task.state()),
            tenant: task.tenant.clone(),
            user: task.user.clone(),
            subject: subject(task),
            cancel_requested: task.cancel_requested,
            revision: task.revision,
            progress: task.progress.as_ref().map(|progress| ProgressView {
                phase: progress.phase.clone(),
                step: progress.step,
                total_steps: progress.total_steps,
                loss: progress.loss,
                norm_ratio: progress.norm_ratio,
                steps_per_second: progress.steps_per_second,
                seconds_left: progress.time_left.as_ref().map(|left| seconds(Some(left))),
                phase_step: (progress.phase_steps > 0).then_some(progress.phase_step),
                phase_steps: (progress.phase_steps > 0).then_some(progress.phase_steps),
                preview: progress.preview.as_ref().map(|preview| PreviewView {
                    step: preview.step,
                    artifact_digest: preview.artifact_digest.clone(),
                }),
                photos: progress.photos.as_deref().map(PhotosView::from),
            }),
            inversion_result: None,
            generation_result: None,
            failure: None,
            worker_id: task.worker_id.clone(),
            hold_reason: task.hold_reason.clone(),
            last_errors: task.last_errors.clone(),
            schedule_time: task.schedule_time.as_ref().map(time_text),
            start_deadline: task.start_deadline.as_ref().map(time_text),
            attempts: task.attempts.as_ref().map_or_else(AttemptsView::default, |attempts| AttemptsView {
                started: attempts.started,
                application_failures: attempts.application_failures,
                infrastructure_failures: attempts.infrastructure_failures,
                hand_backs: attempts.hand_backs,
            }),
            create_time: task.create_time.as_ref().map(time_text),
            start_time: task.start_time.as_ref().map(time_text),
            end_time: task.end_time.as_ref().map(time_text),
        };
        match &task.outcome {
            Some(task::Outcome::InversionResult(result)) => {
                view.inversion_result = Some(InversionResultView {
                    person_id: result.person_id.clone(),
                    artifact_digest: result.artifact_digest.clone(),
                    vectors: result.vectors,
                    final_loss: result.final_loss,
                    norm_ratio: result.norm_ratio,
                    steps: result.steps,
                    kept_step: (result.kept_step > 0).then_some(result.kept_step),
                    photos_used: (result.photos_used > 0).then_some(result.photos_used),
                    quality: result.quality.as_deref().map(QualityView::from),
                    quality_absent: result.quality_absent.as_ref().map(QualityAbsenceView::from),
                });
            }
            Some(task::Outcome::GenerationResult(result)) => {
                let pictures = result.pictures.iter().map(|picture| PictureView {
                    artifact_digest: picture.artifact_digest.clone(),
                    seed: picture.seed,
                    width: picture.width,
                    height: picture.height,
                });
                view.generation_result = Some(GenerationResultView {
                    pictures: pictures.collect(),
                    warnings: result.warnings.clone(),
                });
            }
            Some(task::Outcome::Failure(failure)) => {
                view.failure = Some(FailureView {
                    code: failure.code.clone(),
                    message: failure.message.clone(),
                    worker_id: failure.worker_id.clone(),
                });
            }
            None => {}
        }
        view
    }
}

/// A learned person.
#[derive(Debug, Serialize)]
pub(crate) struct PersonView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) placeholder: String,
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) vectors: u32,
    pub(crate) width: u32,
    pub(crate) model_digest: String,
    pub(crate) artifact_digest: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) task_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) create_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quality: Option<QualityView>,
}

impl From<&Person> for PersonView {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id.clone(),
            name: person.name.clone(),
            placeholder: person.placeholder.clone(),
            tenant: person.tenant.clone(),
            user: person.user.clone(),
            vectors: person.vectors,
            width: person.width,
            model_digest: person.model_digest.clone(),
            artifact_digest: person.artifact_digest.clone(),
            task_id: person.task_id.clone(),
            create_time: person.create_time.as_ref().map(time_text),
            quality: person.quality.as_deref().map(QualityView::from),
        }
    }
}

/// Lines on the quality report of an inversion, or on why there is none.
pub(crate) fn quality_of(task: &Task) -> Vec<(&'static str, String)> {
    let Some(task::Outcome::InversionResult(result)) = &task.outcome else { return Vec::new() };
    match (&result.quality, &result.quality_absent) {
        (Some(report), _) => quality_facts(report),
        (None, Some(absence)) => vec![("quality", format!("none: {} ({})", absence.message, absence.code))],
        (None, None) => Vec::new(),
    }
}

/// How far a task is, for the meter.
pub(crate) fn standing(task: &Task) -> Standing {
    let waiting = matches!(
        task.state(),
        TaskState::Scheduled | TaskState::Queued | TaskState::Held | TaskState::Leased
    );
    match &task.progress {
        Some(progress) if !waiting && progress.phase_steps > 0 => Standing {
            phase: progress.phase.clone(),
            step: progress.phase_step.into(),
            total: progress.phase_steps.into(),
            ..Standing::default()
        },
        Some(progress) if !waiting => Standing {
            phase: progress.phase.clone(),
            step: progress.step.into(),
            total: progress.total_steps.into(),
            rate: progress.steps_per_second,
            remark: if progress.loss > 0.0 { format!("loss {:.4}", progress.loss) } else { String::new() },
        },
        _ => Standing { phase: state_name(task.state()), ..Standing::default() },
    }
}

/// "queued", "running", ...
/// A span in seconds; none = 0.
pub(crate) fn seconds(span: Option<&prost_types::Duration>) -> f64 {
    let span = span.and_then(|span| Duration::try_from(*span).ok()).unwrap_or_default();
    span.as_secs_f64()
}

pub(crate) fn state_name(state: TaskState) -> String {
    state.as_str_name().trim_start_matches("TASK_STATE_").to_lowercase()
}

/// "inversion" or "generation".
pub(crate) fn kind_name(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Inversion => "inversion",
        TaskKind::Generation => "generation",
        TaskKind::Unspecified => "unknown",
    }
}

fn kind(task: &Task) -> TaskKind {
    match &task.spec {
        Some(task::Spec::Inversion(_)) => TaskKind::Inversion,
        Some(task::Spec::Generation(_)) => TaskKind::Generation,
        None => TaskKind::Unspecified,
    }
}

fn subject(task: &Task) -> String {
    match &task.spec {
        Some(task::Spec::Inversion(spec)) => spec.person_name.clone(),
        Some(task::Spec::Generation(spec)) => spec.prompt.clone(),
        None => String::new(),
    }
}

/// A text cut to what fits into a column.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 48;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

/// RFC 3339 in UTC, to the second.
fn time_text(time: &Timestamp) -> String {
    humantime::format_rfc3339_seconds(system_time(time)).to_string()
}

fn system_time(time: &Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(time.seconds).unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(seconds).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// "3 minutes" and the like since `time`, coarse.
pub(crate) fn age(time: Option<&Timestamp>) -> String {
    let Some(past) = time.and_then(|time| SystemTime::now().duration_since(system_time(time)).ok()) else {
        return String::new();
    };
    match past.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use likeness_shared::proto::{GenerationSpec, Progress};

    use super::*;

    #[test]
    fn a_running_task_shows_its_progress_and_a_waiting_one_its_state() {
        let mut task = Task {
            state: TaskState::Running.into(),
            spec: Some(task::Spec::Generation(GenerationSpec {
                prompt: "a face".into(),
                ..Default::default()
            })),
            progress: Some(Progress {
                step: 3,
                total_steps: 20,
                phase: "sample".into(),
                ..Default::default()
            }),
            create_time: Some(Timestamp { seconds: 0, nanos: 0 }),
            ..Task::default()
        };
        assert_eq!((standing(&task).phase.as_str(), standing(&task).step), ("sample", 3));
        let view = TaskView::from(&task);
        assert_eq!(
            (view.kind, view.state.as_str(), view.subject.as_str()),
            ("generation", "running", "a face")
        );
        assert_eq!(view.create_time.as_deref(), Some("1970-01-01T00:00:00Z"));
        task.progress = Some(Progress {
            step: 400,
            total_steps: 400,
            phase: "quality".into(),
            phase_step: 3,
            phase_steps: 90,
            ..Default::default()
        });
        assert_eq!(standing(&task).to_string(), "quality 3/90");
        task.state = TaskState::Queued.into();
        assert_eq!(standing(&task).phase, "queued");
    }
}
