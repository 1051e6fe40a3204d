//! `--profile`: which kernels a training step and a sampler step launch, how often, and how long they run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use likeness_worker::launches::{self, Kernel};
use serde::Serialize;

use super::BenchArguments;
use super::figures::{sample_step, train::train_step};
use super::kernel_classes::class_of;
use super::session::Session;
use super::timing::{WARM_UPS, guarded};
use crate::whole_file;

/// The version of this form.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
struct Profile {
    schema: u32,
    steps: Vec<Step>,
}

/// One step, all of whose kernels had been compiled and tuned.
#[derive(Debug, Serialize)]
struct Step {
    what: &'static str,
    batch: usize,
    /// Of the whole step while its launches are watched, which makes it slower.
    watched_ms: f64,
    launches: u64,
    /// What the kernels ran, together.
    milliseconds: f64,
    classes: Vec<Share>,
    kernels: Vec<Share>,
}

/// Launches of one kernel, or of one class of them; the longest first.
#[derive(Debug, Serialize)]
struct Share {
    name: String,
    class: &'static str,
    launches: u64,
    /// Launches whose time is known.
    timed: u64,
    milliseconds: f64,
}

/// Whether nothing is launched on this device.
pub(super) fn has_no_kernels(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// Makes the two steps and writes their kernels to `path`.
pub(super) fn write(session: &Session<'_>, options: &BenchArguments, path: &Path) -> anyhow::Result<()> {
    let (subject, batch) = (session.subject, options.batches.first().copied().unwrap_or(1));
    let device = subject.model.device();
    let steps = guarded(|| {
        Ok(vec![
            watched("train", batch, device, train_step(subject, batch)?)?,
            watched("sample", batch, device, sample_step(subject, batch, WARM_UPS + 1)?)?,
        ])
    })?;
    for step in &steps {
        let Step { what, launches, milliseconds, .. } = step;
        let said = format!("{what} of {batch}: {launches} launches, {milliseconds:.2} ms of kernels");
        session.voice.say(said);
    }
    let mut text = serde_json::to_vec_pretty(&Profile { schema: SCHEMA, steps })?;
    text.push(b'\n');
    whole_file::write(path, &text)?;
    Ok(())
}

fn watched(
    what: &'static str,
    batch: usize,
    device: &Device,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Step> {
    for _ in 0..WARM_UPS {
        work()?;
    }
    device.sync()?;
    let before = Instant::now();
    let (done, kernels) = launches::watch(|| work().and_then(|()| Ok(device.sync()?)));
    done?;
    Ok(Step::of(what, batch, before.elapsed(), kernels))
}

impl Step {
    fn of(what: &'static str, batch: usize, watched: Duration, kernels: Vec<Kernel>) -> Self {
        let mut classes: BTreeMap<&'static str, Share> = BTreeMap::new();
        let mut shares = Vec::with_capacity(kernels.len());
        for kernel in kernels {
            let class = class_of(&kernel.name);
            let share = Share {
                name: kernel.name,
                class,
                launches: kernel.launches,
                timed: kernel.timed,
                milliseconds: kernel.time.as_secs_f64() * 1e3,
            };
            classes.entry(class).or_insert_with(|| Share::empty(class)).add(&share);
            shares.push(share);
        }
        let longest_first = |one: &Share, other: &Share| other.milliseconds.total_cmp(&one.milliseconds);
        let mut classes: Vec<Share> = classes.into_values().collect();
        classes.sort_by(longest_first);
        shares.sort_by(longest_first);
        Self {
            what,
            batch,
            watched_ms: watched.as_secs_f64() * 1e3,
            launches: shares.iter().map(|share| share.launches).sum(),
            milliseconds: shares.iter().map(|share| share.milliseconds).sum(),
            classes,
            kernels: shares,
        }
    }
}

impl Share {
    fn empty(class: &'static str) -> Self {
        Self { name: class.to_owned(), class, launches: 0, timed: 0, milliseconds: 0.0 }
    }

    fn add(&mut self, other: &Self) {
        self.launches += other.launches;
        self.timed += other.timed;
        self.milliseconds += other.milliseconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_added_up_by_class_the_longest_first() {
        let kernel = |name: &str, launches, millis| Kernel {
            name: name.to_owned(),
            launches,
            timed: launches,
            time: Duration::from_millis(millis),
        };
        let kernels = vec![kernel("a::Matmul<1>", 3, 5), kernel("b::Unary", 40, 6), kernel("c::Gemm", 1, 2)];
        let step = Step::of("train", 8, Duration::from_millis(50), kernels);
        assert_eq!((step.launches, step.milliseconds), (44, 13.0));
        let classes: Vec<_> =
            step.classes.iter().map(|share| (share.class, share.launches, share.milliseconds)).collect();
        assert_eq!(classes, [("matmul", 4, 7.0), ("elementwise", 40, 6.0)]);
        assert_eq!(step.kernels[0].name, "b::Unary");
    }
}
