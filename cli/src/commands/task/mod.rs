//! `likeness task ls|get|explain|watch|cancel|hold|release|retry`. `bulk.rs` is what also works on many tasks at once.

mod bulk;
mod explain;

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use likeness_shared::client::Client;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{ListTasksRequest, Task, TaskKind, TaskState, task};

use crate::arguments::Global;
use crate::commands::photos::dropped;
use crate::commands::{timing, watch};
use crate::exit::Exit;
use crate::output::Voice;
use crate::views::{self, TaskView};

const PAGE: u32 = 100;

/// Subcommands of `task`.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List tasks, newest first.
    #[command(after_help = "Examples:\n  likeness task ls --state running --state queued -o json\n  \
                            likeness task ls --state failed --newer-than 1h --all-users")]
    Ls(ListArguments),
    /// Show one task.
    #[command(after_help = "Example:\n  likeness task get 01JD3W6F0ZQ4T8X6G2R5K9M1NB")]
    Get(TaskName),
    /// Say why a task waits, and when it is expected to start.
    #[command(after_help = "Example:\n  likeness task explain 01JD3W6F0ZQ4T8X6G2R5K9M1NB")]
    Explain(TaskName),
    /// Follow a task until it ends. Exit code 5 where it failed or was cancelled.
    #[command(after_help = "Example:\n  likeness task watch 01JD3W6F0ZQ4T8X6G2R5K9M1NB")]
    Watch(TaskName),
    /// Stop a task at its next step, or all that match.
    #[command(after_help = "Examples:\n  likeness task cancel 01JD3W6F0ZQ4T8X6G2R5K9M1NB --wait\n  \
                            likeness task cancel --all --state queued --kind generation")]
    Cancel(bulk::CancelArguments),
    /// Keep a task back until it is released; a running one is handed back by its worker first.
    #[command(
        after_help = "Example:\n  likeness task hold 01JD3W6F0ZQ4T8X6G2R5K9M1NB --reason \"look first\""
    )]
    Hold(HoldArguments),
    /// Let a held task go on, at its old place.
    #[command(after_help = "Example:\n  likeness task release 01JD3W6F0ZQ4T8X6G2R5K9M1NB")]
    Release(TaskName),
    /// Try a task again that failed, expired or was quarantined, or all that match (without --state: failed and
    /// quarantined ones).
    #[command(after_help = "Examples:\n  likeness task retry 01JD3W6F0ZQ4T8X6G2R5K9M1NB\n  \
                            likeness task retry --all --state failed --code device_lost")]
    Retry(bulk::RetryArguments),
}

/// Options of `task ls`.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only tasks in this state; may be repeated.
    #[arg(long = "state", value_enum, value_name = "STATE")]
    states: Vec<State>,
    /// Only tasks of this kind.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Tasks of every user of the tenant.
    #[arg(long)]
    all_users: bool,
    /// Only tasks submitted so long ago or longer, such as 90s, 15m, 2h or 7days.
    #[arg(long, value_parser = timing::span, value_name = "SPAN")]
    older_than: Option<Duration>,
    /// Only tasks submitted within the last so long.
    #[arg(long, value_parser = timing::span, value_name = "SPAN")]
    newer_than: Option<Duration>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

/// A task by its id.
#[derive(Debug, Args)]
pub(crate) struct TaskName {
    /// The task's id.
    #[arg(value_name = "TASK")]
    id: TaskId,
}

/// Options of `task hold`.
#[derive(Debug, Args)]
pub(crate) struct HoldArguments {
    /// The task's id.
    #[arg(value_name = "TASK")]
    id: TaskId,
    /// Why, for others.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Scheduled,
    Queued,
    Held,
    Leased,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Quarantined,
    Expired,
}

impl From<State> for TaskState {
    fn from(state: State) -> Self {
        match state {
            State::Scheduled => Self::Scheduled,
            State::Queued => Self::Queued,
            State::Held => Self::Held,
            State::Leased => Self::Leased,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
            State::Quarantined => Self::Quarantined,
            State::Expired => Self::Expired,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Inversion,
    Generation,
}

pub(crate) async fn run(command: &TaskCommand, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    let client = Client::connect(&global.server).await?;
    match command {
        TaskCommand::Ls(options) => list(&client, options, global, voice).await,
        TaskCommand::Get(task) => {
            let task = client.get_task(task.id).await?;
            show(&task, voice)?;
            Ok(Exit::Ok)
        }
        TaskCommand::Watch(task) => watch_one(&client, task.id, voice).await,
        TaskCommand::Cancel(options) => bulk::cancel(&client, options, global, voice).await,
        TaskCommand::Retry(options) => bulk::retry(&client, options, global, voice).await,
        TaskCommand::Hold(options) => {
            show(&client.hold_task(options.id, &options.reason).await?, voice)?;
            Ok(Exit::Ok)
        }
        TaskCommand::Explain(task) => {
            explain::explain(&client, task.id, voice).await?;
            Ok(Exit::Ok)
        }
        TaskCommand::Release(task) => {
            show(&client.release_task(task.id).await?, voice)?;
            Ok(Exit::Ok)
        }
    }
}

fn states_of(states: &[State]) -> Vec<i32> {
    states.iter().map(|state| TaskState::from(*state).into()).collect()
}

fn kind_of(kind: Option<Kind>) -> TaskKind {
    match kind {
        Some(Kind::Inversion) => TaskKind::Inversion,
        Some(Kind::Generation) => TaskKind::Generation,
        None => TaskKind::Unspecified,
    }
}

async fn list(
    client: &Client,
    options: &ListArguments,
    global: &Global,
    voice: Voice,
) -> anyhow::Result<Exit> {
    let mut request = ListTasksRequest {
        tenant: global.tenant.clone(),
        user: if options.all_users { String::new() } else { global.user.clone() },
        states: states_of(&options.states),
        kind: kind_of(options.kind).into(),
        page_size: PAGE,
        min_age: options.older_than.and_then(timing::wire),
        max_age: options.newer_than.and_then(timing::wire),
        ..ListTasksRequest::default()
    };
    let mut tasks: Vec<Task> = Vec::new();
    while tasks.len() < options.limit {
        let page = client.list_tasks(request.clone()).await?;
        tasks.extend(page.tasks);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    tasks.truncate(options.limit);
    let views: Vec<TaskView> = tasks.iter().map(TaskView::from).collect();
    voice.rows(
        &views,
        &["TASK", "KIND", "STATE", "PROGRESS", "AGE", "USER", "SUBJECT"],
        tasks.iter().zip(&views).map(|(task, view)| {
            vec![
                view.id.clone(),
                view.kind.to_owned(),
                view.state.clone(),
                steps(view),
                views::age(task.create_time.as_ref()),
                view.user.clone(),
                views::shortened(&view.subject),
            ]
        }),
    )?;
    Ok(Exit::Ok)
}

fn steps(view: &TaskView) -> String {
    view.progress
        .as_ref()
        .map_or_else(String::new, |progress| format!("{}/{}", progress.step, progress.total_steps))
}

async fn watch_one(client: &Client, id: TaskId, voice: Voice) -> anyhow::Result<Exit> {
    let task = watch::follow(client, id, async |task| {
        let view = TaskView::from(task);
        let progress = views::standing(task).to_string();
        voice.event(&view, format_args!("{} {} {progress}", view.id, view.state))?;
        Ok(())
    })
    .await?;
    watch::outcome(&task, voice)
}

fn show(task: &Task, voice: Voice) -> anyhow::Result<()> {
    let view = TaskView::from(task);
    let mut facts = vec![
        ("task", view.id.clone()),
        ("kind", view.kind.to_owned()),
        ("state", view.state.clone()),
        ("user", format!("{}/{}", view.tenant, view.user)),
        (if view.kind == "inversion" { "person" } else { "prompt" }, view.subject.clone()),
        ("progress", views::standing(task).to_string()),
        ("held", view.hold_reason.clone()),
        ("worker", view.worker_id.clone()),
        ("attempts", attempts(&view)),
        ("created", view.create_time.clone().unwrap_or_default()),
        ("not before", view.schedule_time.clone().unwrap_or_default()),
        ("start deadline", view.start_deadline.clone().unwrap_or_default()),
        ("started", view.start_time.clone().unwrap_or_default()),
        ("ended", view.end_time.clone().unwrap_or_default()),
    ];
    facts.extend(dropped::facts(task));
    facts.extend(view.last_errors.iter().map(|error| ("error", error.clone())));
    match &task.outcome {
        Some(task::Outcome::InversionResult(result)) => {
            facts.push(("person id", result.person_id.clone()));
            facts.push(("artifact", result.artifact_digest.clone()));
            facts.push(("final loss", format!("{:.4}", result.final_loss)));
            facts.push(("norm ratio", format!("{:.3}", result.norm_ratio)));
            if result.steps > 0 {
                facts.push(("steps made", result.steps.to_string()));
            }
            if result.kept_step > 0 {
                facts.push(("vectors of step", result.kept_step.to_string()));
            }
            facts.extend(views::quality_of(task));
        }
        Some(task::Outcome::GenerationResult(result)) => {
            facts.extend(
                result.pictures.iter().map(|picture| {
                    ("picture", format!("{} (seed {})", picture.artifact_digest, picture.seed))
                }),
            );
            facts.extend(result.warnings.iter().map(|warning| ("warning", warning.clone())));
        }
        Some(task::Outcome::Failure(failure)) => {
            facts.push(("failure", format!("{} ({})", failure.message, failure.code)));
        }
        None => {}
    }
    voice.facts(&view, &facts)?;
    Ok(())
}

fn attempts(view: &TaskView) -> String {
    let counts = &view.attempts;
    let parts = [
        (counts.started, "started"),
        (counts.application_failures, "failed"),
        (counts.infrastructure_failures, "lost"),
        (counts.hand_backs, "handed back"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    said.join(", ")
}
