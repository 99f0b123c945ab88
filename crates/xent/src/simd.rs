//! Instruction levels: the same body compiled for AVX-512, AVX2 and the baseline.
//!
//! The bodies are plain Rust over fixed lanes with IEEE operations only, a fused
//! multiply-add only where its result is exact, so every level gives the same bits; the level is chosen once, at run time. This
//! is the only module of the library with `unsafe`: calling a function compiled for instructions
//! that were detected a line above, asking for memory ahead of its use, and, in [`wide`], such instructions by name.

#[doc(hidden)]
pub mod wide;

use crate::exact::{ExactSum, add_products_body, add_slice_body};

/// An instruction level that bodies are compiled for.
///
/// Ordered: a machine that has a level has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the target guarantees (SSE2 on x86-64, NEON on aarch64, SIMD128 on wasm32).
    Baseline,
    /// AVX2 and FMA, 256 bits.
    Avx2,
    /// AVX-512 (F, DQ, BW, VL), 512 bits.
    Avx512,
}

/// The level in use on this machine.
///
/// `XENT_SIMD=baseline|avx2` lowers it, for tests that the bits are the same at every level.
pub fn level() -> Level {
    use std::sync::OnceLock;
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = std::env::var("XENT_SIMD").unwrap_or_default();
        let best = detect();
        match wanted.as_str() {
            "baseline" => Level::Baseline,
            "avx2" if best == Level::Avx512 => Level::Avx2,
            _ => best,
        }
    })
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    use std::arch::is_x86_feature_detected as has;
    let fma = has!("fma") && has!("avx2");
    if fma && has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl") {
        Level::Avx512
    } else if fma {
        Level::Avx2
    } else {
        Level::Baseline
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Baseline
}

/// Asks for the memory `ahead` numbers after the start of a slice, which need not be in it: only a
/// wish, without effect on any result.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(values: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(ahead).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, ahead);
}

/// The same, but only into the second-level cache.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn prefetch_second<T>(values: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().wrapping_add(ahead).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, ahead);
}

/// As [`prefetch`], for all lines of `n` numbers, the first of them `ahead`.
#[inline(always)]
pub(crate) fn prefetch_lines<T>(values: &[T], ahead: usize, n: usize) {
    for at in (0..n).step_by(64 / size_of::<T>()) {
        prefetch(values, ahead + at);
    }
}

/// Defines `$name`, which runs `$body` compiled for the machine's level. `$body::<FMA>` is told
/// whether a fused multiply-add is one instruction there; type parameters stand in brackets, and are
/// those of the body after `FMA`. The form with braces names a body for each level and makes a function
/// with one more argument, the highest level that may be used, so that one process can test all.
///
/// Exported for the other crates of this project only.
#[doc(hidden)]
#[macro_export]
macro_rules! leveled {
    ($(#[$doc:meta])* $vis:vis fn $name:ident ($at:ident : Level; $($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? => {
        avx512: $avx512:expr, avx2: $avx2:expr, baseline: $baseline:expr $(,)?
    }) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        $vis fn $name ($at: $crate::simd::Level, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { $avx512($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { $avx2($($arg),*) }
                match $at.min($crate::simd::level()) {
                    // SAFETY: `level` returned Avx512 only after detecting these features.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `level` returned at least Avx2 only after detecting these features.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Baseline => {}
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = $at;
            $baseline($($arg),*)
        }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? => $body:ident) => {
        $crate::leveled! {
            @ $(#[$doc])* $vis fn $name [] ($($arg: $ty),*) $(-> $ret)? => ($body) ($body)
        }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident $([$($gen:ident : $bound:path),*])? ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? => $body:ident::<FMA>) => {
        $crate::leveled! {
            @ $(#[$doc])* $vis fn $name [$($($gen: $bound),*)?] ($($arg: $ty),*) $(-> $ret)?
                => ($body::<true $($(, $gen)*)?>) ($body::<{ $crate::elementary::NATIVE_FMA } $($(, $gen)*)?>)
        }
    };
    (@ $(#[$doc:meta])* $vis:vis fn $name:ident [$($gen:ident : $bound:path),*] ($($arg:ident : $ty:ty),*) $(-> $ret:ty)? => ($fused:expr) ($plain:expr)) => {
        $(#[$doc])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        $vis fn $name <$($gen: $bound),*> ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                fn avx512<$($gen: $bound),*>($($arg: $ty),*) $(-> $ret)? { $fused($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2<$($gen: $bound),*>($($arg: $ty),*) $(-> $ret)? { $fused($($arg),*) }
                match $crate::simd::level() {
                    // SAFETY: `level` returned Avx512 only after detecting these features.
                    $crate::simd::Level::Avx512 => return unsafe { avx512::<$($gen),*>($($arg),*) },
                    // SAFETY: `level` returned Avx2 only after detecting these features.
                    $crate::simd::Level::Avx2 => return unsafe { avx2::<$($gen),*>($($arg),*) },
                    $crate::simd::Level::Baseline => {}
                }
            }
            $plain($($arg),*)
        }
    };
}
pub(crate) use leveled;

leveled! {
    /// See [`ExactSum::add_slice`].
    pub(crate) fn add_slice(sum: &mut ExactSum, values: &[f64]) => add_slice_body::<FMA>
}
leveled! {
    /// See [`ExactSum::add_products`].
    pub(crate) fn add_products(sum: &mut ExactSum, a: &[f64], b: &[f64]) => add_products_body::<FMA>
}
