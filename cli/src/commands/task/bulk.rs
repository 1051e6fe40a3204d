//! Many tasks at once: cancel what a filter matches, try dead letters again. A page a call, until none is left.

use clap::Args;
use likeness_shared::client::Client;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{CancelTasksRequest, RetryTasksRequest};
use serde::Serialize;

use super::{Kind, State, kind_of, show, states_of};
use crate::arguments::Global;
use crate::commands::watch;
use crate::exit::Exit;
use crate::output::Voice;

/// Which tasks: one, or all that match. What an option requires is not asked for where that conflicts with something
/// given, so the options of `--all` conflict with a task themselves.
#[derive(Debug, Args)]
struct Which {
    /// The task's id.
    #[arg(value_name = "TASK", required_unless_present = "all")]
    id: Option<TaskId>,
    /// Every task that the options below match.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// With --all: only tasks in this state; may be repeated.
    #[arg(long = "state", value_enum, requires = "all", conflicts_with = "id", value_name = "STATE")]
    states: Vec<State>,
    /// With --all: only tasks of this kind.
    #[arg(long, value_enum, requires = "all", conflicts_with = "id")]
    kind: Option<Kind>,
    /// With --all: tasks of every user of the tenant.
    #[arg(long, requires = "all", conflicts_with = "id")]
    all_users: bool,
}

/// Options of `task cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArguments {
    #[command(flatten)]
    which: Which,
    /// Return when the task has ended.
    #[arg(long, conflicts_with = "all")]
    wait: bool,
}

/// Options of `task retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArguments {
    #[command(flatten)]
    which: Which,
    /// With --all: only failures with this code.
    #[arg(
        long,
        requires = "all",
        conflicts_with = "id",
        default_value = "",
        hide_default_value = true,
        value_name = "CODE"
    )]
    code: String,
}

/// What `cancel --all` prints.
#[derive(Debug, Serialize)]
struct Cancelled {
    cancelled: u64,
}

/// What `retry --all` prints.
#[derive(Debug, Serialize)]
struct Retried {
    retried: u64,
}

impl Which {
    fn user(&self, global: &Global) -> String {
        if self.all_users { String::new() } else { global.user.clone() }
    }
}

pub(super) async fn cancel(
    client: &Client,
    options: &CancelArguments,
    global: &Global,
    voice: Voice,
) -> anyhow::Result<Exit> {
    if let Some(id) = options.which.id {
        let mut task = client.cancel_task(id).await?;
        if options.wait {
            task = watch::follow(client, id, async |_| Ok(())).await?;
        }
        show(&task, voice)?;
        return Ok(Exit::Ok);
    }
    let mut request = CancelTasksRequest {
        tenant: global.tenant.clone(),
        user: options.which.user(global),
        states: states_of(&options.which.states),
        kind: kind_of(options.which.kind).into(),
        ..CancelTasksRequest::default()
    };
    let mut cancelled = 0;
    loop {
        let page = client.cancel_tasks(request.clone()).await?;
        cancelled += u64::from(page.cancelled);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    voice.facts(&Cancelled { cancelled }, &[("cancelled", cancelled.to_string())])?;
    Ok(Exit::Ok)
}

pub(super) async fn retry(
    client: &Client,
    options: &RetryArguments,
    global: &Global,
    voice: Voice,
) -> anyhow::Result<Exit> {
    if let Some(id) = options.which.id {
        show(&client.retry_task(id).await?, voice)?;
        return Ok(Exit::Ok);
    }
    let mut request = RetryTasksRequest {
        tenant: global.tenant.clone(),
        user: options.which.user(global),
        states: states_of(&options.which.states),
        kind: kind_of(options.which.kind).into(),
        code: options.code.clone(),
        ..RetryTasksRequest::default()
    };
    let mut retried = 0;
    loop {
        let page = client.retry_tasks(request.clone()).await?;
        retried += u64::from(page.retried);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    voice.facts(&Retried { retried }, &[("retried", retried.to_string())])?;
    Ok(Exit::Ok)
}
