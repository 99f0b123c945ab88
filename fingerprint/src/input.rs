//! Inputs that are the same on every machine: integers, and IEEE operations on them.

/// Splitmix64 (Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// In [0, n).
    pub fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    /// A sign, a significand and an exponent from `2^low` to below `2^high`, all at random.
    pub fn spread(&mut self, low: i32, high: i32) -> f64 {
        let bits = self.bits();
        let exponent = low + self.below((high - low) as usize) as i32;
        let magnitude = (bits & 0x800f_ffff_ffff_ffff) | (((exponent + 1023) as u64) << 52);
        f64::from_bits(magnitude)
    }

    /// A bell of standard deviation 1 from -3.5 to 3.5 (the sum of twelve would reach to 6).
    pub fn bell(&mut self) -> f64 {
        let four: f64 = (0..4).map(|_| self.uniform()).fold(0.0, |sum, u| sum + u);
        (four - 2.0) * 1.732_050_807_568_877_2
    }

    /// A distribution over `classes`, some of its numbers tiny, now and then a zero.
    pub fn distribution(&mut self, classes: usize) -> Vec<f64> {
        let mut row: Vec<f64> = (0..classes)
            .map(|_| {
                let u = self.uniform();
                if u < 0.01 { 0.0 } else { u * u * u * u * u * u }
            })
            .collect();
        row[0] += 1e-9;
        let sum = row.iter().fold(0.0, |sum, p| sum + p);
        row.iter_mut().for_each(|p| *p /= sum);
        row
    }

    pub fn rows(&mut self, rows: usize, classes: usize) -> Vec<f64> {
        (0..rows).flat_map(|_| self.distribution(classes)).collect()
    }

    pub fn labels(&mut self, rows: usize, classes: usize) -> Vec<u32> {
        (0..rows).map(|_| self.below(classes) as u32).collect()
    }
}
