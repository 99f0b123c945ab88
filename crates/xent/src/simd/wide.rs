//! Sixteen numbers in f32 in registers.
//!
//! Whether the compiler holds blocks of accumulators written as arrays of numbers in vector registers changes with code that has
//! nothing to do with them, and costs a factor of ten; so they are written with the processor's own instructions. All forms do the
//! same operations: the bits do not depend on the form.

use crate::elementary::{NATIVE_FMA, fma32};

/// Sixteen numbers.
pub type Wide = [f32; WIDE];
/// How many these are.
pub const WIDE: usize = 16;

/// A register, or a few, of sixteen numbers. Forms of a level are for functions compiled for that level only, as
/// [`leveled`](crate::leveled) makes them.
pub trait WideVector: Copy {
    /// The numbers.
    fn load(x: &Wide) -> Self;
    /// A number, sixteen times.
    fn splat(x: f32) -> Self;
    /// a b + self, rounded once.
    #[must_use]
    fn fma(self, a: Self, b: Self) -> Self;
    /// The numbers.
    fn store(self) -> Wide;
}

/// For every machine.
#[derive(Clone, Copy, Debug)]
pub struct WidePlain(Wide);

impl WideVector for WidePlain {
    #[inline(always)]
    fn load(x: &Wide) -> Self {
        Self(*x)
    }
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; WIDE])
    }
    #[inline(always)]
    fn fma(mut self, a: Self, b: Self) -> Self {
        for l in 0..WIDE {
            self.0[l] = fma32::<NATIVE_FMA>(a.0[l], b.0[l], self.0[l]);
        }
        self
    }
    #[inline(always)]
    fn store(self) -> Wide {
        self.0
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{WIDE, Wide, WideVector};

    /// Of functions compiled for AVX-512.
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
        fn store(self) -> Wide {
            let mut out = [0.0; WIDE];
            // SAFETY: sixteen numbers behind a reference; the caller's level has the instruction.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
            out
        }
    }

    /// Of functions compiled for AVX2 and FMA.
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
        fn store(self) -> Wide {
            let mut out = [0.0; WIDE];
            // SAFETY: twice eight numbers behind a reference; the caller's level has the instruction.
            unsafe {
                _mm256_storeu_ps(out.as_mut_ptr(), self.0);
                _mm256_storeu_ps(out[8..].as_mut_ptr(), self.1);
            }
            out
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub use x86::{WideAvx2, WideAvx512};
