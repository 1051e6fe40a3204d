//! `likeness parity DIR`: holds the model of a folder against reference values, group by group.
//!
//! The folder has `model/` (diffusers layout), `ref/` (expected values) and `manifest.json`; every size, prompt,
//! seed, step count and guidance is read from it. Promises to fail where a value is further from the reference
//! than its group's limit, and where something is absent that the manifest lists. `docs/parity.md` explains.

mod arithmetic;
mod groups;
mod limits;
mod manifest;
mod reference;
mod report;
mod subject;
mod values;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use burn::tensor::Device;
use clap::Args;
use likeness_worker::device::{DeviceChoice, kernel_cache};

use crate::exit::Exit;
use crate::output::Voice;
use arithmetic::{Arithmetic, Dtype};
use reference::Reference;
use report::Report;
use subject::Subject;

/// What `likeness parity` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ParityArguments {
    /// A folder with model/, ref/ and manifest.json.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where to compute: cpu, cuda:0, or auto for a card if there is one.
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// The type that the model runs in.
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Dtype::F32)]
    dtype: Dtype,
    /// Compare only these groups, such as text,unet.
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    only: Vec<String>,
    /// Print only what falls short.
    #[arg(long)]
    failures: bool,
}

/// Compares, prints the table, and tells by the exit code whether all of it is near enough.
pub(crate) fn run(arguments: &ParityArguments, voice: Voice) -> anyhow::Result<Exit> {
    let known = groups::ALL.map(|(name, _)| name);
    if let Some(unknown) = arguments.only.iter().find(|only| !known.contains(&only.as_str())) {
        bail!("there is no group {unknown:?}; the groups are {}", known.join(", "));
    }
    let unusable = "the device cannot be used";
    kernel_cache::prepare(arguments.device, kernel_cache::folder(None).as_deref()).context(unusable)?;
    let (device, _) = arguments.device.open().context(unusable)?;
    let reference = Reference::open(&arguments.folder)?;
    let mut report = compare(&reference, arguments, device, voice);
    if report.ok && report.made() == 0 {
        report.failed("everything", "nothing was compared");
    }
    let short: Vec<String> =
        report.fallen_short().map(|row| format!("{}: {} {}", row.group, row.compared, row.note)).collect();
    if arguments.failures {
        report.rows.retain(|row| !row.ok);
    }
    let rows = report.rows.iter().map(report::Row::cells);
    voice.rows(&report, &["group", "compared", "error", "limit", "ok", "note"], rows)?;
    if report.ok {
        let (made, Report { device, arithmetic, .. }) = (report.made(), &report);
        voice.say(format!(
            "{made} comparisons, computed in {arithmetic} on {device}, all within their limits"
        ));
        return Ok(Exit::Ok);
    }
    voice.error(format!("{} comparisons fall short:\n  {}", short.len(), short.join("\n  ")));
    Ok(Exit::Failed)
}

fn compare(reference: &Reference, arguments: &ParityArguments, device: Device, voice: Voice) -> Report {
    let ParityArguments { dtype, only, .. } = arguments;
    let arithmetic = Arithmetic::new(*dtype, arguments.device);
    let name = arguments.device.settled().to_string();
    let mut report = Report::new(&reference.manifest, &name, arithmetic);
    report.begin("model");
    let subject = match Subject::load(reference, device, dtype.of_model()) {
        Ok(subject) => subject,
        Err(error) => {
            report.failed("model/", format!("{error:#}"));
            return report;
        }
    };
    for (name, check) in groups::ALL {
        if !only.is_empty() && !only.iter().any(|chosen| chosen == name) {
            continue;
        }
        let start = Instant::now();
        report.begin(name);
        if let Err(error) = check(reference, &subject, &mut report) {
            report.failed("everything", format!("{error:#}"));
        }
        voice.say(format!("{name}: {:.1} s", start.elapsed().as_secs_f64()));
    }
    report
}
