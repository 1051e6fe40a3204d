//! `likeness task ls|get|watch|cancel`.

use clap::{Args, Subcommand, ValueEnum};
use likeness_shared::client::Client;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{ListTasksRequest, Task, TaskKind, TaskState, task};

use crate::arguments::Global;
use crate::commands::watch;
use crate::exit::Exit;
use crate::output::Voice;
use crate::views::{self, TaskView};

const PAGE: u32 = 100;

/// Subcommands of `task`.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List tasks, newest first.
    #[command(after_help = "Example:\n  likeness task ls --state running --state queued -o json")]
    Ls(ListArguments),
    /// Show one task.
    #[command(after_help = "Example:\n  likeness task get 01JD3W6F0ZQ4T8X6G2R5K9M1NB")]
    Get(TaskName),
    /// Follow a task until it ends. Exit code 5 where it failed or was cancelled.
    #[command(after_help = "Example:\n  likeness task watch 01JD3W6F0ZQ4T8X6G2R5K9M1NB")]
    Watch(TaskName),
    /// Stop a task at its next step.
    #[command(after_help = "Example:\n  likeness task cancel 01JD3W6F0ZQ4T8X6G2R5K9M1NB --wait")]
    Cancel(CancelArguments),
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

/// Options of `task cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArguments {
    /// The task's id.
    #[arg(value_name = "TASK")]
    id: TaskId,
    /// Return when the task has ended.
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Queued,
    Leased,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Quarantined,
}

impl From<State> for TaskState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Leased => Self::Leased,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
            State::Quarantined => Self::Quarantined,
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
        TaskCommand::Cancel(options) => cancel(&client, options, voice).await,
    }
}

async fn list(
    client: &Client,
    options: &ListArguments,
    global: &Global,
    voice: Voice,
) -> anyhow::Result<Exit> {
    let kind = match options.kind {
        Some(Kind::Inversion) => TaskKind::Inversion,
        Some(Kind::Generation) => TaskKind::Generation,
        None => TaskKind::Unspecified,
    };
    let mut request = ListTasksRequest {
        tenant: global.tenant.clone(),
        user: if options.all_users { String::new() } else { global.user.clone() },
        states: options.states.iter().map(|state| TaskState::from(*state).into()).collect(),
        kind: kind.into(),
        page_size: PAGE,
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
                shortened(&view.subject),
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

fn shortened(text: &str) -> String {
    const MOST: usize = 48;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

async fn watch_one(client: &Client, id: TaskId, voice: Voice) -> anyhow::Result<Exit> {
    let task = watch::follow(client, id, |task| {
        let view = TaskView::from(task);
        let progress = views::standing(task).to_string();
        voice.event(&view, format_args!("{} {} {progress}", view.id, view.state))?;
        Ok(())
    })
    .await?;
    watch::outcome(&task, voice)
}

async fn cancel(client: &Client, options: &CancelArguments, voice: Voice) -> anyhow::Result<Exit> {
    let mut task = client.cancel_task(options.id).await?;
    if options.wait {
        task = watch::follow(client, options.id, |_| Ok(())).await?;
    }
    show(&task, voice)?;
    Ok(Exit::Ok)
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
        ("worker", view.worker_id.clone()),
        ("attempts", attempts(&view)),
        ("created", view.create_time.clone().unwrap_or_default()),
        ("started", view.start_time.clone().unwrap_or_default()),
        ("ended", view.end_time.clone().unwrap_or_default()),
    ];
    match &task.outcome {
        Some(task::Outcome::InversionResult(result)) => {
            facts.push(("person id", result.person_id.clone()));
            facts.push(("artifact", result.artifact_digest.clone()));
            facts.push(("final loss", format!("{:.4}", result.final_loss)));
            facts.push(("norm ratio", format!("{:.3}", result.norm_ratio)));
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
