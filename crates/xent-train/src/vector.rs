//! Eight numbers at a time in registers, for the two products that training spends its time in.
//!
//! The compiler does not reliably keep blocks of accumulators written as arrays in vector registers, so they are
//! written with the processor's own instructions here. All forms do the same operations in the same order: the bits
//! do not depend on the form. This is the only module of the crate with `unsafe`: instructions that
//! [`leveled`](xent::leveled) has made sure of, and loads and stores through references.

use crate::kernel::{Lanes, sum};

/// A register, or a few, of eight numbers.
pub(crate) trait Vector: Copy {
    fn load(x: &Lanes) -> Self;
    fn splat(x: f64) -> Self;
    /// a b + self, rounded once.
    fn fma(self, a: Self, b: Self) -> Self;
    /// self - a.
    fn minus(self, a: Self) -> Self;
    fn store(self, out: &mut Lanes);
    /// Of each of eight registers the sum, added as [`sum`] does.
    #[inline(always)]
    fn sums(rows: &[Lanes; 8]) -> Lanes {
        std::array::from_fn(|r| sum(&rows[r]))
    }
}

/// For every machine.
#[derive(Clone, Copy)]
pub(crate) struct Plain(Lanes);

impl Vector for Plain {
    #[inline(always)]
    fn load(x: &Lanes) -> Self {
        Self(*x)
    }
    #[inline(always)]
    fn splat(x: f64) -> Self {
        Self([x; 8])
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|l| a.0[l].mul_add(b.0[l], self.0[l])))
    }
    #[inline(always)]
    fn minus(self, a: Self) -> Self {
        Self(std::array::from_fn(|l| self.0[l] - a.0[l]))
    }
    #[inline(always)]
    fn store(self, out: &mut Lanes) {
        *out = self.0;
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::{
        __m256d, __m512d, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_set1_pd, _mm256_storeu_pd,
        _mm256_sub_pd, _mm512_add_pd, _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_set1_pd,
        _mm512_shuffle_f64x2, _mm512_storeu_pd, _mm512_sub_pd, _mm512_unpackhi_pd,
        _mm512_unpacklo_pd,
    };

    use super::{Lanes, Vector};

    /// Only used within functions compiled for AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512d);

    impl Vector for Avx512 {
        #[inline(always)]
        fn load(x: &Lanes) -> Self {
            // SAFETY: eight numbers behind a reference; the caller's level has the instruction.
            Self(unsafe { _mm512_loadu_pd(x.as_ptr()) })
        }
        #[inline(always)]
        fn splat(x: f64) -> Self {
            // SAFETY: the caller's level has the instruction.
            Self(unsafe { _mm512_set1_pd(x) })
        }
        #[inline(always)]
        fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's level has the instruction.
            Self(unsafe { _mm512_fmadd_pd(a.0, b.0, self.0) })
        }
        #[inline(always)]
        fn minus(self, a: Self) -> Self {
            // SAFETY: the caller's level has the instruction.
            Self(unsafe { _mm512_sub_pd(self.0, a.0) })
        }
        #[inline(always)]
        fn store(self, out: &mut Lanes) {
            // SAFETY: eight numbers behind a reference; the caller's level has the instruction.
            unsafe { _mm512_storeu_pd(out.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn sums(rows: &[Lanes; 8]) -> Lanes {
            let row = |r: usize| Self::load(&rows[r]).0;
            // SAFETY: the caller's level has the instructions.
            unsafe {
                // Upper half to lower half, of two rows at a time; then pairs of lanes, of four.
                let halves = |a, b| {
                    let lower = _mm512_shuffle_f64x2::<0b01_00_01_00>(a, b);
                    _mm512_add_pd(lower, _mm512_shuffle_f64x2::<0b11_10_11_10>(a, b))
                };
                let quarters = |a, b| {
                    let lower = _mm512_shuffle_f64x2::<0b10_00_10_00>(a, b);
                    _mm512_add_pd(lower, _mm512_shuffle_f64x2::<0b11_01_11_01>(a, b))
                };
                let even = quarters(halves(row(0), row(2)), halves(row(4), row(6)));
                let odd = quarters(halves(row(1), row(3)), halves(row(5), row(7)));
                let first = _mm512_unpacklo_pd(even, odd);
                let mut out = [0.0; 8];
                Self(_mm512_add_pd(first, _mm512_unpackhi_pd(even, odd))).store(&mut out);
                out
            }
        }
    }

    /// Only used within functions compiled for AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256d, __m256d);

    impl Vector for Avx2 {
        #[inline(always)]
        fn load(x: &Lanes) -> Self {
            // SAFETY: twice four numbers behind a reference; the caller's level has the instruction.
            unsafe { Self(_mm256_loadu_pd(x.as_ptr()), _mm256_loadu_pd(x[4..].as_ptr())) }
        }
        #[inline(always)]
        fn splat(x: f64) -> Self {
            // SAFETY: the caller's level has the instruction.
            let x = unsafe { _mm256_set1_pd(x) };
            Self(x, x)
        }
        #[inline(always)]
        fn fma(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's level has the instruction.
            unsafe { Self(_mm256_fmadd_pd(a.0, b.0, self.0), _mm256_fmadd_pd(a.1, b.1, self.1)) }
        }
        #[inline(always)]
        fn minus(self, a: Self) -> Self {
            // SAFETY: the caller's level has the instruction.
            unsafe { Self(_mm256_sub_pd(self.0, a.0), _mm256_sub_pd(self.1, a.1)) }
        }
        #[inline(always)]
        fn store(self, out: &mut Lanes) {
            // SAFETY: twice four numbers behind a reference; the caller's level has the instruction.
            unsafe {
                _mm256_storeu_pd(out.as_mut_ptr(), self.0);
                _mm256_storeu_pd(out[4..].as_mut_ptr(), self.1);
            }
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};
