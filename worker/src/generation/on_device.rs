//! Waiting for a device that works behind the host's back.

use burn::tensor::{FloatDType, Tensor};
use likeness_diffusion::stable_diffusion::StableDiffusion;

use crate::panics::device_failed;

/// Waits until `tensor` is worked out, where the device only queues what it is told: elsewhere than on the CPU.
///
/// A card remembers a piece of work that failed, such as for want of memory, with the memory that was not written, and tells
/// it to whoever reads that; a bare synchronisation does not hear of it. So one number is read. Without this the failure
/// would show in a later pass, when what it spoiled has become part of a task, and a pass would seem to take no time.
///
/// # Panics
/// With what the device said, where it could not work `tensor` out.
pub(super) fn wait_for<const D: usize>(model: &StableDiffusion, tensor: &Tensor<D>) {
    if model.is_on_cpu() || tensor.dims().contains(&0) {
        return;
    }
    let first = tensor.clone().slice(std::array::from_fn::<_, D, _>(|_| 0..1));
    let read = first.cast(FloatDType::F32).try_into_data().map_err(|error| error.to_string());
    // the number comes when it is looked at
    let seen = read.and_then(|data| data.try_to_vec::<f32>().map_err(|error| format!("{error:?}")));
    if let Err(said) = seen {
        device_failed(said);
    }
}
