//! The Mersenne Twister mt19937 (Matsumoto and Nishimura, 1998), seeded by `init_genrand(u32)` as torch and
//! C++ `std::mt19937` do.

const WORDS: usize = 624;
const SHIFT: usize = 397;
const UPPER_BIT: u32 = 0x8000_0000;
const LOWER_BITS: u32 = 0x7fff_ffff;
const TWIST: u32 = 0x9908_b0df;

/// The generator's 624 words and its place among them.
#[derive(Clone, Debug)]
pub(super) struct Mersenne {
    words: Box<[u32; WORDS]>,
    next: usize,
}

impl Mersenne {
    pub(super) fn new(seed: u32) -> Self {
        let mut words = Box::new([0u32; WORDS]);
        let mut previous = seed;
        for (index, word) in words.iter_mut().enumerate() {
            if index > 0 {
                previous =
                    1_812_433_253u32.wrapping_mul(previous ^ (previous >> 30)).wrapping_add(index as u32);
            }
            *word = previous;
        }
        Self { words, next: WORDS }
    }

    pub(super) fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.refill();
        }
        let mut value = self.words[self.next];
        self.next += 1;
        value ^= value >> 11;
        value ^= (value << 7) & 0x9d2c_5680;
        value ^= (value << 15) & 0xefc6_0000;
        value ^ (value >> 18)
    }

    fn refill(&mut self) {
        let words = &mut self.words;
        for index in 0..WORDS {
            let joined = (words[index] & UPPER_BIT) | (words[(index + 1) % WORDS] & LOWER_BITS);
            let twist = if joined & 1 == 1 { TWIST } else { 0 };
            words[index] = words[(index + SHIFT) % WORDS] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C++11 requires the 10000th output of a default-seeded `std::mt19937` (seed 5489) to be 4123659995.
    #[test]
    fn the_ten_thousandth_output_is_the_one_the_cpp_standard_names() {
        let mut engine = Mersenne::new(5489);
        let last = (0..10_000).map(|_| engine.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
