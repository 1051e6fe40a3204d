//! Whether a card has room for the models, known before they are loaded: a card that fills up half-way says so late and badly.

use std::path::PathBuf;

use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::parameters::ParameterCounts;

use super::choice::DeviceError;
use super::cuda;
use super::{DeviceChoice, LoadError};

/// Bytes of a weight on a card: bf16.
const WEIGHT_BYTES: u64 = 2;
/// What the least pass needs, at most: a row of a training step at 512 x 512, and kernels.
const MOST_WORK: u64 = 1 << 30;

/// Refuses models that the free memory of the card cannot hold.
pub(super) fn check(number: u32, models: &[(String, PathBuf)]) -> Result<(), LoadError> {
    let mut weights = 0;
    for (name, folder) in models {
        let counted = ModelFolder::open(folder).and_then(|folder| ParameterCounts::of(&folder));
        weights += counted.map_err(|error| LoadError::model(name, folder, &error))?.total();
    }
    let card = cuda::facts(number).map_err(|trouble| DeviceError::Cuda { number, trouble })?;
    fits(DeviceChoice::Cuda(number), weights * WEIGHT_BYTES, card.free, card.memory)?;
    Ok(())
}

fn fits(device: DeviceChoice, models: u64, free: u64, memory: u64) -> Result<(), DeviceError> {
    // a small model works in little
    let work = models.min(MOST_WORK);
    if models + work > free {
        return Err(DeviceError::NoRoom { device: device.to_string(), models, work, free, memory });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_do_not_fit_are_refused_with_numbers() {
        let gib = |n: u64| n << 30;
        let card = DeviceChoice::Cuda(1);
        assert_eq!(fits(card, gib(3), gib(4), gib(8)), Ok(()));
        let refused = fits(card, gib(3), gib(4) - 1, gib(8)).unwrap_err().to_string();
        for part in [
            "3.0 GiB of memory and 1.0 GiB to work in",
            "\"cuda:1\" has 4.0 GiB of 8.0 GiB free",
            "nvidia-smi",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        assert_eq!(fits(card, 10 << 20, 20 << 20, gib(8)), Ok(()));
    }
}
