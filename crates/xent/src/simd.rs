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
pub(crate) fn prefetch<T>(values: &[T], ahead: usize) {
    ask::<true, T>(values, ahead);
}

/// The same, but only into the second-level cache.
#[doc(hidden)]
#[inline(always)]
pub fn prefetch_second<T>(values: &[T], ahead: usize) {
    ask::<false, T>(values, ahead);
}

#[inline(always)]
#[allow(unsafe_code)]
fn ask<const FIRST: bool, T>(values: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        let at = values.as_ptr().wrapping_add(ahead).cast();
        // SAFETY: a prefetch reads nothing and faults on no address.
        unsafe {
            if FIRST {
                _mm_prefetch::<_MM_HINT_T0>(at);
            } else {
                _mm_prefetch::<_MM_HINT_T1>(at);
            }
        }
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

/// Rows of `v` numbers, at least four, to columns.
pub(crate) fn to_columns<const N: usize>(rows: &[f32], v: usize, columns: &mut [[f32; N]]) {
    let (n, columns) = (rows.len() / v, &mut columns[..v]);
    assert!(v >= 4 && n <= N && n * v == rows.len(), "{n} rows of {v} in columns of {N}");
    #[cfg(target_arch = "x86_64")]
    let done = by_quads::to_columns(rows, v, n, columns);
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    for (i, row) in rows.chunks_exact(v).enumerate().skip(done) {
        for (column, &x) in columns.iter_mut().zip(row) {
            column[i] = x;
        }
    }
}

/// Columns to rows of `v` numbers, at least four.
pub(crate) fn to_rows<const N: usize>(columns: &[[f32; N]], v: usize, rows: &mut [f32]) {
    let (n, columns) = (rows.len() / v, &columns[..v]);
    assert!(v >= 4 && n <= N && n * v == rows.len(), "{n} rows of {v} in columns of {N}");
    #[cfg(target_arch = "x86_64")]
    let done = by_quads::to_rows(columns, v, n, rows);
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    for (i, row) in rows.chunks_exact_mut(v).enumerate().skip(done) {
        for (column, x) in columns.iter().zip(row) {
            *x = column[i];
        }
    }
}

/// Eight rows at a time, four columns at a time, in 256 bits: what the compiler makes of plain loops is five times slower.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod by_quads {
    use std::arch::x86_64::{
        __m256, _mm_loadu_ps, _mm_storeu_ps, _mm256_castpd_ps, _mm256_castps_pd,
        _mm256_castps128_ps256, _mm256_castps256_ps128, _mm256_extractf128_ps,
        _mm256_insertf128_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_unpackhi_pd,
        _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    };

    use super::{Level, level};

    /// Calls a function with the width as a constant where that is small, which is twice as fast.
    macro_rules! for_width {
        ($v:expr, $name:ident, $args:tt) => {
            for_width!(@ $v, $name, $args, 5 6 7 8 9 10 11 12 13 14 15 16)
        };
        (@ $v:expr, $name:ident, $args:tt, $($width:literal)*) => {
            match $v {
                $($width => $name::<N, $width> $args,)*
                _ => $name::<N, 0> $args,
            }
        };
    }

    /// Transposes the whole eights of `n` rows; how many rows these are.
    pub(super) fn to_columns<const N: usize>(
        rows: &[f32],
        v: usize,
        n: usize,
        columns: &mut [[f32; N]],
    ) -> usize {
        if level() == Level::Baseline {
            return 0;
        }
        // SAFETY: the level is at least AVX2; there are n rows and v columns, of at least n and 4 numbers.
        unsafe {
            for_width!(v, to_columns_avx2, (rows, v, n / 8 * 8, columns));
        }
        n / 8 * 8
    }

    pub(super) fn to_rows<const N: usize>(
        columns: &[[f32; N]],
        v: usize,
        n: usize,
        rows: &mut [f32],
    ) -> usize {
        if level() == Level::Baseline {
            return 0;
        }
        // SAFETY: as above.
        unsafe { for_width!(v, to_rows_avx2, (columns, v, n / 8 * 8, rows)) };
        n / 8 * 8
    }

    /// Starts of four columns each; the last four may overlap those before.
    fn quads(v: usize) -> impl Iterator<Item = usize> {
        (0..v.div_ceil(4)).map(move |quad| (4 * quad).min(v - 4))
    }

    /// # Safety
    /// `n` is a multiple of 8, at most N, v at least 4; there are n rows of v numbers, and v columns.
    #[target_feature(enable = "avx2")]
    unsafe fn to_columns_avx2<const N: usize, const V: usize>(
        rows: &[f32],
        v: usize,
        n: usize,
        columns: &mut [[f32; N]],
    ) {
        let v = if V == 0 { v } else { V };
        let columns = &mut columns[..v];
        for i in (0..n).step_by(8) {
            for c in quads(v) {
                // SAFETY: four numbers of row i + j + 4, the last of which is the row's at most.
                let two = |j: usize| unsafe {
                    let at = rows.as_ptr().add((i + j) * v + c);
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(at));
                    _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(at.add(4 * v)))
                };
                let quad = transposed([two(0), two(1), two(2), two(3)]);
                for (k, x) in quad.into_iter().enumerate() {
                    // SAFETY: i + 8 <= n <= N, c + k < v.
                    unsafe { _mm256_storeu_ps(columns[c + k].as_mut_ptr().add(i), x) };
                }
            }
        }
    }

    /// # Safety
    /// As above.
    #[target_feature(enable = "avx2")]
    unsafe fn to_rows_avx2<const N: usize, const V: usize>(
        columns: &[[f32; N]],
        v: usize,
        n: usize,
        rows: &mut [f32],
    ) {
        let v = if V == 0 { v } else { V };
        let columns = &columns[..v];
        for i in (0..n).step_by(8) {
            for c in quads(v) {
                // SAFETY: i + 8 <= n <= N, c + k < v.
                let column = |k: usize| unsafe { _mm256_loadu_ps(columns[c + k].as_ptr().add(i)) };
                let quad = transposed([column(0), column(1), column(2), column(3)]);
                for (j, x) in quad.into_iter().enumerate() {
                    // SAFETY: four numbers of row i + j + 4, the last of which is the row's at most.
                    unsafe {
                        let at = rows.as_mut_ptr().add((i + j) * v + c);
                        _mm_storeu_ps(at, _mm256_castps256_ps128(x));
                        _mm_storeu_ps(at.add(4 * v), _mm256_extractf128_ps::<1>(x));
                    }
                }
            }
        }
    }

    /// Both halves, four by four.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transposed([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        let (ab2, cd2) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        let [ab, cd, ab2, cd2] = [ab, cd, ab2, cd2].map(|x| _mm256_castps_pd(x));
        [
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)),
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab2, cd2)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab2, cd2)),
        ]
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
