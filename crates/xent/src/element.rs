//! The numbers that logits come in: f64, f32, f16 and bf16.

use half::{bf16, f16};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f64 {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// A floating-point number of an array: `f64`, `f32`, [`half::f16`] or [`half::bf16`].
///
/// f32, f16 and bf16 are worked on in f32, of which each of their values is one; f64 in f64.
pub trait Element: Copy + Default + PartialEq + Send + Sync + 'static + sealed::Sealed {
    /// Whether the arithmetic is in f64.
    const WIDE: bool;
    /// Its value, exactly.
    fn to_f64(self) -> f64;
    /// Its value, exactly, but for f64: rounded to the nearest f32.
    fn to_f32(self) -> f32;
    /// The nearest number of this kind, ties to even.
    fn from_f64(value: f64) -> Self;
    /// The nearest number of this kind, ties to even.
    fn from_f32(value: f32) -> Self;
    /// The slice itself if these are f32.
    fn as_f32(slice: &[Self]) -> Option<&[f32]> {
        let _ = slice;
        None
    }
    /// The slice itself if these are f32.
    fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]> {
        let _ = slice;
        None
    }
    /// The slice itself if these are f64.
    fn as_f64(slice: &[Self]) -> Option<&[f64]> {
        let _ = slice;
        None
    }
    /// The slice itself if these are f64.
    fn as_f64_mut(slice: &mut [Self]) -> Option<&mut [f64]> {
        let _ = slice;
        None
    }
}

impl Element for f64 {
    const WIDE: bool = true;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
    fn as_f64(slice: &[Self]) -> Option<&[f64]> {
        Some(slice)
    }
    fn as_f64_mut(slice: &mut [Self]) -> Option<&mut [f64]> {
        Some(slice)
    }
}

impl Element for f32 {
    const WIDE: bool = false;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    fn as_f32(slice: &[Self]) -> Option<&[f32]> {
        Some(slice)
    }
    fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]> {
        Some(slice)
    }
}

/// The nearest f32 if that is exact, else the one of the two neighbours whose last bit is 1.
///
/// That bit remembers that there was more, so that rounding on to fewer bits errs no further than
/// rounding once. (`half` rounds twice where the processor converts, and drops the lower bits where it
/// does not.)
#[inline(always)]
fn to_odd(value: f64) -> f32 {
    let near = value as f32;
    let back = f64::from(near);
    let toward_zero = near.to_bits() - u32::from(back.abs() > value.abs());
    if back == value || value.is_nan() { near } else { f32::from_bits(toward_zero | 1) }
}

impl Element for f16 {
    const WIDE: bool = false;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(Element::to_f32(self))
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        // Without branches, so that lanes become vectors: exponent and fraction are moved into place, the
        // difference of the biases is a multiplication, which is exact for subnormals too.
        let bits = u32::from(self.to_bits());
        let magnitude = (bits & 0x7fff) << 13;
        let scaled = f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23);
        let special = f32::from_bits(magnitude | 0x7f80_0000);
        let value = if magnitude >= 0x0f80_0000 { special } else { scaled };
        f32::from_bits(value.to_bits() | ((bits & 0x8000) << 16))
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        Self::from_f32(to_odd(value))
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Element for bf16 {
    const WIDE: bool = false;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(Element::to_f32(self))
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        Self::from_f32(to_odd(value))
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number after a positive one and the point in the middle between them.
    fn middle<T: Element>(x: T, next: T) -> f64 {
        f64::midpoint(x.to_f64(), next.to_f64())
    }

    /// The conversions of `half` round to f32 first, or cut: they miss the hair beside the middle.
    #[test]
    fn rounds_once_on_either_side_of_the_middle() {
        for bits in 0..0x7bff {
            let (x, next) = (f16::from_bits(bits), f16::from_bits(bits + 1));
            let even = if bits % 2 == 0 { x } else { next };
            let m = middle(x, next);
            for (value, expected) in [(m.next_down(), x), (m, even), (m.next_up(), next)] {
                assert_eq!(<f16 as Element>::from_f64(value), expected, "{value:e}");
                assert_eq!(<f16 as Element>::from_f64(-value), -expected, "-{value:e}");
            }
        }
        for bits in 0..0x7f7f {
            let (x, next) = (bf16::from_bits(bits), bf16::from_bits(bits + 1));
            let even = if bits % 2 == 0 { x } else { next };
            let m = middle(x, next);
            for (value, expected) in [(m.next_down(), x), (m, even), (m.next_up(), next)] {
                assert_eq!(<bf16 as Element>::from_f64(value), expected, "{value:e}");
                assert_eq!(<bf16 as Element>::from_f64(-value), -expected, "-{value:e}");
            }
        }
        for value in [1e300, f64::INFINITY] {
            assert_eq!(<f16 as Element>::from_f64(value), f16::INFINITY);
            assert_eq!(<bf16 as Element>::from_f64(value), bf16::INFINITY);
        }
        assert!(<f16 as Element>::from_f64(f64::NAN).is_nan());
        assert_eq!(<bf16 as Element>::from_f64(-1e-300).to_bits(), 0x8000);
    }

    #[test]
    fn every_half_becomes_its_value() {
        for bits in 0..=u16::MAX {
            let x = f16::from_bits(bits);
            let (mine, theirs) = (Element::to_f32(x), x.to_f32());
            assert!(mine.to_bits() == theirs.to_bits() || mine.is_nan() && theirs.is_nan());
            let x = bf16::from_bits(bits);
            let (mine, theirs) = (Element::to_f32(x), x.to_f32());
            assert!(mine.to_bits() == theirs.to_bits() || mine.is_nan() && theirs.is_nan());
        }
    }
}
