//! The random numbers of torch's CPU generator, bit for bit (torch 2.8.0 on x86-64 with AVX2 or AVX-512).
//!
//! Follows `MT19937RNGEngine.h`, `DistributionsHelper.h` and `DistributionTemplates.h`. Only f32 is
//! covered: torch's half-precision normals are another sequence, so draw f32 and cast.

use super::mersenne::Mersenne;
use super::normal::{GROUP, box_muller_group};

/// 2^-24: the distance of two neighbouring f32 uniforms.
const F32_UNIT: f32 = 1.0 / 16_777_216.0;
/// 2^-53: the distance of two neighbouring f64 uniforms.
const F64_UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
/// From this range on, `randint` takes 64 random bits instead of 32.
const WIDE_RANGE: u64 = 1 << 28;

/// `torch.Generator('cpu').manual_seed(seed)`.
///
/// The state is 624 words; `clone` freezes it.
#[derive(Clone, Debug)]
pub struct TorchRng {
    engine: Mersenne,
    cached_normal: Option<f64>,
}

impl TorchRng {
    /// A generator as `manual_seed(seed)` leaves it. As in torch, only the low 32 bits of the seed count.
    pub fn new(seed: u64) -> Self {
        Self { engine: Mersenne::new(seed as u32), cached_normal: None }
    }

    /// `torch.rand(n)`: f32 uniforms of [0, 1) with 24 bits.
    pub fn rand(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.uniform()).collect()
    }

    /// `torch.randn(n)`: f32 standard normals.
    ///
    /// `n` is the element count of the whole tensor: torch uses one algorithm under sixteen elements and
    /// another from sixteen on, and treats a tail that does not fill sixteen by drawing again.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        if n < GROUP {
            return (0..n).map(|_| self.single_normal() as f32).collect();
        }
        let mut values = self.rand(n);
        for group in values.as_chunks_mut::<GROUP>().0 {
            box_muller_group(group);
        }
        if !n.is_multiple_of(GROUP) {
            let mut last: [f32; GROUP] = std::array::from_fn(|_| self.uniform());
            box_muller_group(&mut last);
            values.truncate(n - GROUP);
            values.extend_from_slice(&last);
        }
        values
    }

    /// `torch.randint(low, high, (n,))`: integers of `low..high`, by plain remainder.
    ///
    /// Where `high <= low` (an error in torch) every value is `low`.
    pub fn randint(&mut self, low: i64, high: i64, n: usize) -> Vec<i64> {
        let range = high.saturating_sub(low).max(1) as u64;
        (0..n)
            .map(|_| {
                let random =
                    if range >= WIDE_RANGE { self.next_u64() } else { u64::from(self.engine.next_u32()) };
                low.wrapping_add((random % range) as i64)
            })
            .collect()
    }

    /// `torch.randperm(n)`: a permutation of `0..n`.
    pub fn randperm(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for index in 0..n.saturating_sub(1) {
            let offset = self.engine.next_u32() as usize % (n - index);
            order.swap(index, index + offset);
        }
        order
    }

    fn uniform(&mut self) -> f32 {
        (self.engine.next_u32() & 0x00ff_ffff) as f32 * F32_UNIT
    }

    fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() & ((1 << 53) - 1)) as f64 * F64_UNIT
    }

    fn next_u64(&mut self) -> u64 {
        let high = self.engine.next_u32();
        u64::from(high) << 32 | u64::from(self.engine.next_u32())
    }

    /// The f64 Box-Muller of small tensors; its second value waits for the next call.
    fn single_normal(&mut self) -> f64 {
        if let Some(cached) = self.cached_normal.take() {
            return cached;
        }
        let u1 = self.uniform_f64();
        let u2 = self.uniform_f64();
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * u1).sin_cos();
        self.cached_normal = Some(radius * sin);
        radius * cos
    }
}
