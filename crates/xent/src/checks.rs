//! What is asked of whole slices at once, at the speed of memory.

use crate::simd::leveled;

leveled! {
    /// The largest label; 0 if there is none.
    pub(crate) fn largest_label(labels: &[u32]) -> u32 => largest_label_body
}

#[inline(always)]
fn largest_label_body(labels: &[u32]) -> u32 {
    labels.iter().fold(0, |largest, &label| largest.max(label))
}

leveled! {
    /// Whether no value is infinite or NaN.
    pub(crate) fn are_finite(values: &[f64]) -> bool => finite_body
}

#[inline(always)]
fn finite_body(values: &[f64]) -> bool {
    // Bits without the sign have the order of the magnitudes; NaN comes after infinity.
    let magnitude = |x: &f64| x.abs().to_bits() as i64;
    let largest = values.iter().fold(0, |largest, x| magnitude(x).max(largest));
    largest < f64::INFINITY.to_bits() as i64
}

leveled! {
    /// How many values are equal to one that is not NaN.
    pub(crate) fn count_equal(values: &[f64], to: f64) -> u64 => count_body
}

#[inline(always)]
fn count_body(values: &[f64], to: f64) -> u64 {
    values.iter().fold(0, |count, &x| count + u64::from(x == to))
}

/// Adds how many labels are each class, all below `counts.len()`.
pub(crate) fn count_labels(labels: &[u32], counts: &mut [u64]) {
    // One count after another waits for itself where labels repeat; passes of comparisons do not.
    if counts.len() <= PASSES {
        return count_few(labels, counts);
    }
    labels.iter().for_each(|label| counts[*label as usize] += 1);
}

/// Classes up to which as many passes are made.
const PASSES: usize = 8;

leveled! {
    fn count_few(labels: &[u32], counts: &mut [u64]) => count_few_body
}

#[inline(always)]
fn count_few_body(labels: &[u32], counts: &mut [u64]) {
    for (class, count) in (0..).zip(counts) {
        let equal =
            |labels: &[u32]| labels.iter().fold(0_u32, |n, label| n + u32::from(*label == class));
        *count += labels.chunks(1 << 16).map(|labels| u64::from(equal(labels))).sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_counted_one_by_one() {
        for k in [1, 2, 3, 8, 9, 100] {
            let labels: Vec<u32> = (0..70_000_u64).map(|i| (i * i % 1009) as u32 % k).collect();
            let mut counts = vec![5; k as usize];
            count_labels(&labels, &mut counts);
            for class in 0..k {
                let n = labels.iter().filter(|label| **label == class).count() as u64;
                assert_eq!(counts[class as usize], 5 + n, "{class} of {k}");
            }
        }
    }

    #[test]
    fn every_place_is_looked_at() {
        for n in 0..40 {
            let plain = vec![0.5; n];
            assert!(are_finite(&plain));
            assert_eq!((count_equal(&plain, 0.5), count_equal(&plain, 1.0)), (n as u64, 0));
            assert_eq!(largest_label(&vec![0; n]), 0);
            for at in 0..n {
                for odd in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    let mut values = plain.clone();
                    values[at] = odd;
                    assert!(!are_finite(&values), "{odd} at {at} of {n}");
                    assert_eq!(count_equal(&values, odd), u64::from(odd.is_infinite()));
                    assert_eq!(count_equal(&values, 0.5), n as u64 - 1);
                }
                let mut labels = vec![3; n];
                labels[at] = u32::MAX;
                assert_eq!(largest_label(&labels), u32::MAX);
            }
        }
        assert!(are_finite(&[f64::MAX, f64::MIN, -0.0, 5e-324]));
    }
}
