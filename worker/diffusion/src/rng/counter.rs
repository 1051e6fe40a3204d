//! Random numbers as a function of (task, iteration, row, purpose).
//!
//! The algorithm, fixed for good (a change needs a new [`DOMAIN`], because resumed tasks rely on it):
//! 1. seed = SHA-256(`DOMAIN` ‖ u64 length of the task key ‖ task key ‖ u64 iteration ‖ u32 row ‖ u32
//!    purpose), integers little-endian;
//! 2. words = the ChaCha20 key stream of that 32-byte key, nonce 0, block counter from 0, read as
//!    little-endian u32 (RFC 8439's block function; crate `chacha20`);
//! 3. uniform: the upper 24 bits of a word times 2^-24;
//! 4. normals: groups of sixteen uniforms by the f32 Box-Muller of [`super::normal`]; a call that asks for
//!    n normals uses ceil(n / 16) whole groups and drops the rest, so a shorter call is a prefix of a longer;
//! 5. below(n): Lemire's multiplication with rejection, unbiased.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::normal::{GROUP, box_muller_group};

const DOMAIN: &[u8] = b"likeness counter rng 1";

/// What a stream is drawn for. Two purposes never share numbers. The discriminants are part of the
/// algorithm: new purposes get new numbers, old ones keep theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// The noise that is added to latents in training.
    Noise = 1,
    /// The timestep of a training row.
    Timestep = 2,
    /// The sample of the VAE's latent distribution.
    LatentSample = 3,
    /// Whether a photo is mirrored.
    Flip = 4,
    /// Which caption template a row uses.
    Template = 5,
    /// The order in which photos are visited.
    PhotoOrder = 6,
    /// Where vectors begin (random starts).
    Start = 7,
    /// The fixed batch on which progress is judged.
    Evaluation = 8,
    /// Whether a caption is dropped.
    Dropout = 9,
}

/// All random numbers of one task.
#[derive(Clone, Debug)]
pub struct CounterRng {
    keyed: Sha256,
}

impl CounterRng {
    /// The numbers of the task with this key (an id, a seed: any bytes).
    pub fn new(task_key: &[u8]) -> Self {
        let keyed = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update((task_key.len() as u64).to_le_bytes())
            .chain_update(task_key);
        Self { keyed }
    }

    /// The numbers of a task known by a number: the key is its eight little-endian bytes.
    pub fn from_seed(seed: u64) -> Self {
        Self::new(&seed.to_le_bytes())
    }

    /// The stream of one row of one iteration for one purpose, from its beginning.
    pub fn stream(&self, iteration: u64, row: u32, purpose: Purpose) -> CounterStream {
        let seed = self
            .keyed
            .clone()
            .chain_update(iteration.to_le_bytes())
            .chain_update(row.to_le_bytes())
            .chain_update((purpose as u32).to_le_bytes())
            .finalize();
        CounterStream { words: ChaCha20Rng::from_seed(seed.into()) }
    }
}

/// One independent sequence of random numbers.
#[derive(Debug)]
pub struct CounterStream {
    words: ChaCha20Rng,
}

impl CounterStream {
    /// A uniform f32 of [0, 1) with 24 bits.
    pub fn uniform(&mut self) -> f32 {
        (self.words.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// `n` standard normals.
    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(n.next_multiple_of(GROUP));
        while values.len() < n {
            let mut group: [f32; GROUP] = std::array::from_fn(|_| self.uniform());
            box_muller_group(&mut group);
            values.extend_from_slice(&group);
        }
        values.truncate(n);
        values
    }

    /// A uniform integer of `0..n` (0 for `n == 0`), without bias.
    pub fn below(&mut self, n: u32) -> u32 {
        let mut product = u64::from(self.words.next_u32()) * u64::from(n);
        if (product as u32) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u32) < threshold {
                product = u64::from(self.words.next_u32()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.uniform() < probability
    }

    /// A random order of `0..n` (Fisher-Yates from the front).
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).collect();
        for index in 0..n.saturating_sub(1) {
            let other = index + self.below(n - index);
            order.swap(index as usize, other as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These values are a promise: tasks resumed under a newer release draw the same numbers. They were
    /// computed by an independent program from the description at the head of this file.
    #[test]
    fn values_never_change() {
        let rng = CounterRng::new(b"task-1");
        let mut stream = rng.stream(7, 3, Purpose::Noise);
        let uniforms: Vec<u32> = (0..4).map(|_| (stream.uniform() * 16_777_216.0) as u32).collect();
        let normals: Vec<u32> =
            rng.stream(7, 3, Purpose::Noise).normals(4).iter().map(|v| v.to_bits()).collect();
        let below: Vec<u32> = {
            let mut stream = rng.stream(0, 0, Purpose::Timestep);
            (0..6).map(|_| stream.below(1000)).collect()
        };
        let order = rng.stream(0, 0, Purpose::PhotoOrder).permutation(8);
        assert_eq!(uniforms, GOLDEN_UNIFORMS);
        assert_eq!(normals, GOLDEN_NORMALS);
        assert_eq!(below, GOLDEN_BELOW);
        assert_eq!(order, GOLDEN_ORDER);
    }

    const GOLDEN_UNIFORMS: [u32; 4] = [1_649_947, 8_275_088, 14_601_070, 16_258_432];
    const GOLDEN_NORMALS: [u32; 4] = [3_190_203_991, 1_065_710_141, 1_069_855_771, 3_222_621_229];
    const GOLDEN_BELOW: [u32; 6] = [446, 637, 810, 811, 996, 872];
    const GOLDEN_ORDER: [u32; 8] = [7, 5, 0, 2, 6, 3, 1, 4];

    #[test]
    fn every_part_of_the_key_matters() {
        let base = CounterRng::new(b"a").stream(1, 1, Purpose::Noise).normals(4);
        for other in [
            CounterRng::new(b"b").stream(1, 1, Purpose::Noise).normals(4),
            CounterRng::new(b"a\0").stream(1, 1, Purpose::Noise).normals(4),
            CounterRng::new(b"a").stream(2, 1, Purpose::Noise).normals(4),
            CounterRng::new(b"a").stream(1, 2, Purpose::Noise).normals(4),
            CounterRng::new(b"a").stream(1, 1, Purpose::Flip).normals(4),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_shorter_draw_is_a_prefix_of_a_longer_one() {
        let rng = CounterRng::from_seed(5);
        let long = rng.stream(0, 0, Purpose::Noise).normals(100);
        for n in [0, 1, 15, 16, 17, 99] {
            assert_eq!(rng.stream(0, 0, Purpose::Noise).normals(n), long[..n]);
        }
    }

    #[test]
    fn normals_have_the_moments_of_the_normal_distribution() {
        let values = CounterRng::from_seed(1).stream(0, 0, Purpose::Noise).normals(200_000);
        let count = values.len() as f64;
        let moment = |power: i32| values.iter().map(|v| f64::from(*v).powi(power)).sum::<f64>() / count;
        assert!(moment(1).abs() < 0.01, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.015, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.1, "fourth moment {}", moment(4));
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut stream = CounterRng::from_seed(2).stream(0, 0, Purpose::Timestep);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = CounterRng::from_seed(3).stream(0, 0, Purpose::PhotoOrder).permutation(50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
