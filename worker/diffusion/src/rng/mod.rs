//! Random numbers, of two kinds.
//!
//! [`TorchRng`] gives, bit for bit, what `torch.Generator('cpu').manual_seed(seed)` gives: pictures of a
//! seed are the reference library's pictures. [`CounterRng`] is for training: every draw is a function of
//! (task, iteration, row, purpose), so a result depends neither on the neighbours in a batch nor on being
//! moved to another worker half-way.
//!
//! Neither uses the platform's mathematical library: sine, cosine and logarithm of the normal numbers are
//! polynomials with explicitly fused multiplications, so the values are the same on every target.

mod counter;
mod mersenne;
mod normal;
#[cfg(test)]
mod tests;
mod torch;

pub use counter::{CounterRng, CounterStream, Purpose};
pub use torch::TorchRng;
