//! Damage that is the same in every run: files cut short, and bits turned over at places that a seed picks.

/// Numbers that look random and follow from their seed (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}

/// The first `part` of `of` equal parts.
pub fn cut(bytes: &[u8], part: usize, of: usize) -> Vec<u8> {
    bytes[..bytes.len() * part / of].to_vec()
}

/// With so many bits turned over behind the first `keep` bytes.
pub fn flipped(bytes: &[u8], keep: usize, bits: usize, seed: u64) -> Vec<u8> {
    let (mut bytes, mut dice) = (bytes.to_vec(), Dice::new(seed));
    for _ in 0..bits {
        let place = keep + dice.below(bytes.len() - keep);
        bytes[place] ^= 1 << dice.below(8);
    }
    bytes
}

/// With `new` in the place of the first `old`, which must be there.
pub fn patched(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let place = bytes.windows(old.len()).position(|window| window == old).expect("what is patched is there");
    [&bytes[..place], new, &bytes[place + old.len()..]].concat()
}

/// With `new` laid over what stands at `place`.
pub fn overlaid(bytes: &[u8], place: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place..place + new.len()].copy_from_slice(new);
    bytes
}
