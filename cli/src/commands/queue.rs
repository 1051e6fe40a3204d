//! `likeness queue`: who waits, with which share of the GPU time.

use clap::Args;
use likeness_shared::client::Client;
use likeness_shared::proto::{GetQueueRequest, QueueLane, QueueShare};
use serde::Serialize;

use crate::arguments::Global;
use crate::exit::Exit;
use crate::output::Voice;
use crate::views;

/// Options of `queue`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  likeness queue\n  likeness queue --only-tenant -o json")]
pub(crate) struct QueueArguments {
    /// Only the tenant given by --tenant.
    #[arg(long)]
    only_tenant: bool,
    /// Users shown for each model and kind of task.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// Tasks of one kind for one model.
#[derive(Debug, Serialize)]
struct LaneView {
    /// Empty = the fleet's default model.
    model: String,
    kind: &'static str,
    waiting: u64,
    /// GPU time of the tasks that wait, as estimated.
    device_seconds_waiting: f64,
    shares: Vec<ShareView>,
}

#[derive(Debug, Serialize)]
struct ShareView {
    tenant: String,
    user: String,
    weight: f64,
    virtual_seconds: f64,
    waiting: u64,
    in_flight: u64,
    eligible: bool,
}

pub(crate) async fn run(options: &QueueArguments, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    let client = Client::connect(&global.server).await?;
    let tenant = if options.only_tenant { global.tenant.clone() } else { String::new() };
    let queue = client.get_queue(GetQueueRequest { tenant, page_size: options.limit }).await?;
    let lanes: Vec<LaneView> = queue.lanes.into_iter().map(LaneView::from).collect();
    if lanes.is_empty() {
        voice.say("nothing waits");
    }
    let rows: Vec<Vec<String>> = lanes.iter().flat_map(rows).collect();
    let headings = ["MODEL", "KIND", "TENANT/USER", "WEIGHT", "SHARE", "WAITING", "IN FLIGHT", ""];
    voice.rows(&lanes, &headings, rows)?;
    Ok(Exit::Ok)
}

fn rows(lane: &LaneView) -> Vec<Vec<String>> {
    let model = if lane.model.is_empty() { "(default)" } else { &lane.model };
    let all = vec![
        model.to_owned(),
        lane.kind.to_owned(),
        "all".to_owned(),
        String::new(),
        String::new(),
        format!("{} ({:.0} s)", lane.waiting, lane.device_seconds_waiting),
        String::new(),
        String::new(),
    ];
    let shares = lane.shares.iter().map(|share| {
        vec![
            String::new(),
            String::new(),
            format!("{}/{}", share.tenant, share.user),
            format!("{:.2}", share.weight),
            format!("{:.1} s", share.virtual_seconds),
            share.waiting.to_string(),
            share.in_flight.to_string(),
            if share.eligible { "" } else { "at its cap" }.to_owned(),
        ]
    });
    [all].into_iter().chain(shares).collect()
}

impl From<QueueLane> for LaneView {
    fn from(lane: QueueLane) -> Self {
        let kind = views::kind_name(lane.kind());
        Self {
            kind,
            waiting: lane.waiting,
            device_seconds_waiting: views::seconds(lane.device_time_waiting.as_ref()),
            model: lane.model,
            shares: lane.shares.into_iter().map(ShareView::from).collect(),
        }
    }
}

impl From<QueueShare> for ShareView {
    fn from(share: QueueShare) -> Self {
        Self {
            virtual_seconds: views::seconds(share.virtual_time.as_ref()),
            tenant: share.tenant,
            user: share.user,
            weight: share.weight,
            waiting: share.waiting,
            in_flight: share.in_flight,
            eligible: share.eligible,
        }
    }
}
