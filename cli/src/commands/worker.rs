//! `likeness worker ls|describe|drain|undrain`.

use clap::{Args, Subcommand};
use likeness_shared::client::Client;
use likeness_shared::ids::WorkerId;
use likeness_shared::proto::{ListWorkersRequest, Worker};

use crate::arguments::Global;
use crate::exit::Exit;
use crate::output::Voice;
use crate::views::{self, WorkerView};

const PAGE: u32 = 100;

/// Subcommands of `worker`.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List the workers by name.
    #[command(after_help = "Example:\n  likeness worker ls --away -o json")]
    Ls(ListArguments),
    /// Show one worker.
    #[command(after_help = "Example:\n  likeness worker describe gpu-7")]
    Describe(WorkerName),
    /// Give a worker no new work, and have it hand back what it holds.
    #[command(after_help = "Examples:\n  likeness worker drain gpu-7 --reason \"new driver\"\n  \
                            likeness worker drain gpu-7 --finish")]
    Drain(DrainArguments),
    /// Let a worker work again: ends a drain and a quarantine alike.
    #[command(after_help = "Example:\n  likeness worker undrain gpu-7")]
    Undrain(WorkerName),
}

/// Options of `worker ls`.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Also those that have been away for long.
    #[arg(long)]
    away: bool,
}

/// A worker by its name.
#[derive(Debug, Args)]
pub(crate) struct WorkerName {
    /// The worker's name.
    #[arg(value_name = "WORKER")]
    id: WorkerId,
}

/// Options of `worker drain`.
#[derive(Debug, Args)]
pub(crate) struct DrainArguments {
    /// The worker's name.
    #[arg(value_name = "WORKER")]
    id: WorkerId,
    /// Why, for the log and for others.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    /// Let it finish what it holds.
    #[arg(long)]
    finish: bool,
}

pub(crate) async fn run(command: &WorkerCommand, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    let client = Client::connect(&global.server).await?;
    match command {
        WorkerCommand::Ls(options) => list(&client, options, voice).await?,
        WorkerCommand::Describe(worker) => show(&client.get_worker(&worker.id).await?, voice)?,
        WorkerCommand::Drain(options) => {
            let worker = client.drain_worker(&options.id, &options.reason, options.finish).await?;
            show(&worker, voice)?;
        }
        WorkerCommand::Undrain(worker) => show(&client.undrain_worker(&worker.id).await?, voice)?,
    }
    Ok(Exit::Ok)
}

async fn list(client: &Client, options: &ListArguments, voice: Voice) -> anyhow::Result<()> {
    let mut request =
        ListWorkersRequest { page_size: PAGE, include_away: options.away, ..ListWorkersRequest::default() };
    let mut workers: Vec<Worker> = Vec::new();
    loop {
        let page = client.list_workers(request.clone()).await?;
        workers.extend(page.workers);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let shown: Vec<WorkerView> = workers.iter().map(WorkerView::from).collect();
    voice.rows(
        &shown,
        &["WORKER", "STATE", "TASKS", "SETTLED", "SEEN", "DEVICE", "MODELS", "REASON"],
        workers.iter().zip(&shown).map(|(worker, view)| {
            vec![
                view.id.clone(),
                view.state.clone(),
                format!("{}/{}", view.tasks, view.slots),
                view.settled.to_string(),
                views::age(worker.last_seen_time.as_ref()),
                view.device.clone(),
                models(view),
                views::shortened(&view.reason),
            ]
        }),
    )?;
    Ok(())
}

fn models(worker: &WorkerView) -> String {
    worker.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn show(worker: &Worker, voice: Voice) -> anyhow::Result<()> {
    let view = WorkerView::from(worker);
    let mut facts = vec![
        ("worker", view.id.clone()),
        ("state", view.state.clone()),
        ("reason", view.reason.clone()),
        ("tasks", format!("{} of {}", view.tasks, view.slots)),
        ("settled", view.settled.to_string()),
        ("failures in a row", view.failures_in_a_row.to_string()),
        ("device time", format!("{:.1} s", view.device_seconds)),
        ("device", view.device.clone()),
    ];
    if view.device_memory_bytes > 0 {
        facts.push(("device memory", format!("{} MiB", view.device_memory_bytes / (1024 * 1024))));
    }
    facts.extend(view.models.iter().map(|model| {
        let remark = if model.is_default { " (default)" } else { "" };
        ("model", format!("{}{remark} {}", model.name, model.digest).trim_end().to_owned())
    }));
    facts.extend([
        ("build", view.build.clone()),
        ("protocol", view.protocol.to_string()),
        ("process", view.incarnation.clone()),
        ("joined", view.join_time.clone().unwrap_or_default()),
        ("last seen", view.last_seen_time.clone().unwrap_or_default()),
    ]);
    voice.facts(&view, &facts)?;
    Ok(())
}
