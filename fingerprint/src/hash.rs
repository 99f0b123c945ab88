//! FNV-1a of 64 bits.

use std::fmt::Debug;

/// A running hash of results.
pub struct Hash(u64);

impl Hash {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub fn value(&self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// A number, every NaN alike: IEEE 754 leaves sign and payload of a NaN to the machine.
    pub fn f64(&mut self, x: f64) {
        let x = if x.is_nan() { f64::NAN } else { x };
        self.bytes(&x.to_bits().to_le_bytes());
    }

    pub fn f32(&mut self, x: f32) {
        self.f64(x.into());
    }

    pub fn all(&mut self, values: &[f64]) {
        values.iter().for_each(|&x| self.f64(x));
    }

    /// A result with many fields, by its debug text: digits that read back as the same bits.
    pub fn debug(&mut self, result: &impl Debug) {
        self.bytes(format!("{result:?}").as_bytes());
    }
}
