//! Sixteen numbers of f32 in registers, for loops that hold many sums at once.
//!
//! The compiler does not reliably keep blocks of accumulators written as arrays in vector registers: a change elsewhere in the
//! crate may send them to memory, ten times slower. So they are written with the processor's own instructions here. All
//! forms do the same operations in the same order: the bits do not depend on the form.

use crate::elementary::{NATIVE_FMA, fma32};

/// Sixteen numbers.
pub type Wide = [f32; 16];

/// A register, or a few, of sixteen numbers.
pub trait WideVector: Copy {
    /// These numbers.
    fn load(x: &Wide) -> Self;
    /// One number in all places.
    fn splat(x: f32) -> Self;
    /// a b + self, rounded once.
    #[must_use]
    fn fma(self, a: Self, b: Self) -> Self;
    /// The numbers.
    fn store(self, out: &mut Wide);
    /// Sixteen rows as sixteen columns.
    #[must_use]
    fn transposed(rows: [Self; 16]) -> [Self; 16];
}

/// For every machine.
impl WideVector for Wide {
    #[inline(always)]
    fn load(x: &Wide) -> Self {
        *x
    }
    #[inline(always)]
    fn splat(x: f32) -> Self {
        [x; 16]
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|l| fma32::<NATIVE_FMA>(a[l], b[l], self[l]))
    }
    #[inline(always)]
    fn store(self, out: &mut Wide) {
        *out = self;
    }
    #[inline(always)]
    fn transposed(rows: [Self; 16]) -> [Self; 16] {
        std::array::from_fn(|k| std::array::from_fn(|r| rows[r][k]))
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_set1_ps,
        _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_permutex2var_ps, _mm512_set1_ps, _mm512_setr_epi32, _mm512_storeu_ps,
    };

    use super::{Wide, WideVector};

    /// Transposes by the numbers of two registers in turns, `a0 b0 a1 b1 ...`: with rows i and i + 8
    /// that moves the highest bit of a number's row to the lowest of its place in the row, and the
    /// highest of its place to the lowest of its row. After four times, row and place are exchanged.
    macro_rules! transposed {
        ($rows:expr) => {{
            let mut rows = $rows;
            for _ in 0..4 {
                let before = rows;
                for i in 0..8 {
                    (rows[2 * i], rows[2 * i + 1]) = Self::in_turns(before[i], before[i + 8]);
                }
            }
            rows
        }};
    }

    /// Only used within functions compiled for AVX-512.
    #[derive(Clone, Copy, Debug)]
    pub struct WideAvx512(__m512);

    impl WideVector for WideAvx512 {
        #[inline(always)]
        fn load(x: &Wide) -> Self {
            // SAFETY: sixteen numbers behind a reference; the caller's level has the instruction.
            Self(unsafe { _mm512_loadu_ps(x.as_ptr()) })
        }
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: the caller's level has the instruction.
            Self(unsafe { _mm512_set1_ps(x) })
        }
        #[inline(always)]
        fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's level has the instruction.
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }
        #[inline(always)]
        fn store(self, out: &mut Wide) {
            // SAFETY: sixteen numbers behind a reference; the caller's level has the instruction.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
        }
        #[inline(always)]
        fn transposed(rows: [Self; 16]) -> [Self; 16] {
            transposed!(rows)
        }
    }

    impl WideAvx512 {
        #[inline(always)]
        fn in_turns(a: Self, b: Self) -> (Self, Self) {
            // SAFETY: the caller's level has the instructions.
            unsafe {
                let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                let high =
                    _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
                let low = _mm512_permutex2var_ps(a.0, low, b.0);
                (Self(low), Self(_mm512_permutex2var_ps(a.0, high, b.0)))
            }
        }
    }

    /// Only used within functions compiled for AVX2 and FMA.
    #[derive(Clone, Copy, Debug)]
    pub struct WideAvx2(__m256, __m256);

    impl WideVector for WideAvx2 {
        #[inline(always)]
        fn load(x: &Wide) -> Self {
            // SAFETY: twice eight numbers behind a reference; the caller's level has the instruction.
            unsafe { Self(_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x[8..].as_ptr())) }
        }
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: the caller's level has the instruction.
            let x = unsafe { _mm256_set1_ps(x) };
            Self(x, x)
        }
        #[inline(always)]
        fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's level has the instruction.
            unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
        }
        #[inline(always)]
        fn store(self, out: &mut Wide) {
            // SAFETY: twice eight numbers behind a reference; the caller's level has the instruction.
            unsafe {
                _mm256_storeu_ps(out.as_mut_ptr(), self.0);
                _mm256_storeu_ps(out[8..].as_mut_ptr(), self.1);
            }
        }
        #[inline(always)]
        fn transposed(rows: [Self; 16]) -> [Self; 16] {
            transposed!(rows)
        }
    }

    impl WideAvx2 {
        #[inline(always)]
        fn in_turns(a: Self, b: Self) -> (Self, Self) {
            (Self::halves(a.0, b.0), Self::halves(a.1, b.1))
        }

        #[inline(always)]
        fn halves(a: __m256, b: __m256) -> Self {
            // SAFETY: the caller's level has the instructions.
            unsafe {
                let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                Self(
                    _mm256_permute2f128_ps::<0x20>(low, high),
                    _mm256_permute2f128_ps::<0x31>(low, high),
                )
            }
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub use x86::{WideAvx2, WideAvx512};
