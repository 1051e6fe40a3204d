//! A look at activations inside the UNet, for comparison with the reference library.

use std::collections::BTreeMap;

use burn::tensor::{FloatDType, Tensor, TensorData};

use crate::layers::channels_first;

/// Activations by the reference library's module name (`down_blocks.0.resnets.0`), in f32; pictures are
/// `[batch, channels, height, width]`.
#[derive(Debug, Default)]
pub struct Taps(Option<BTreeMap<String, TensorData>>);

impl Taps {
    /// Records nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Records every activation that has a name.
    pub fn recording() -> Self {
        Self(Some(BTreeMap::new()))
    }

    /// What was recorded.
    pub fn into_activations(self) -> BTreeMap<String, TensorData> {
        self.0.unwrap_or_default()
    }

    /// Runs `look` if this records: for what is computed only to be seen.
    pub(crate) fn look(&mut self, look: impl FnOnce(&mut Self)) {
        if self.0.is_some() {
            look(self);
        }
    }

    pub(crate) fn see<const D: usize>(&mut self, name: &str, activation: &Tensor<D>) {
        if let Some(recorded) = &mut self.0 {
            let activation = activation.clone().cast(FloatDType::F32).into_data();
            recorded.insert(name.to_owned(), activation);
        }
    }

    pub(crate) fn see_picture(&mut self, name: &str, activation: &Tensor<4>) {
        if self.0.is_some() {
            self.see(name, &channels_first(activation.clone()));
        }
    }
}
