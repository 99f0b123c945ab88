//! Sorting of keys: one pass into buckets by the leading bits, then each bucket in the cache.

/// Keys below which one ordinary sort is as fast.
const FEW: usize = 1 << 12;
/// Leading bits of a key, counted from the highest that differs, that choose its bucket.
const BUCKET_BITS: u32 = 13;

/// Sorts keys in O(n log n) comparisons at worst and O(n) for keys spread over their range, with a
/// second copy of the keys as scratch.
pub(crate) fn sort_keys(keys: &mut Vec<u64>) {
    let n = keys.len();
    if n < FEW {
        keys.sort_unstable();
        return;
    }
    let (mut low, mut high) = (u64::MAX, 0);
    for &key in keys.iter() {
        low = low.min(key);
        high = high.max(key);
    }
    let bits = u64::BITS - (high - low).leading_zeros();
    let shift = bits.saturating_sub(BUCKET_BITS);
    let bucket = |key: u64| ((key - low) >> shift) as usize;
    let mut ends = vec![0_usize; bucket(high) + 2];
    for &key in keys.iter() {
        ends[bucket(key) + 1] += 1;
    }
    for i in 1..ends.len() {
        ends[i] += ends[i - 1];
    }
    let starts = ends.clone();
    let mut sorted = vec![0; n];
    for &key in keys.iter() {
        let place = &mut ends[bucket(key)];
        sorted[*place] = key;
        *place += 1;
    }
    if shift > 0 {
        for pair in starts.windows(2) {
            sorted[pair[0]..pair[1]].sort_unstable();
        }
    }
    *keys = sorted;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FEW, sort_keys};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn sorts_as_the_standard_library(seed in any::<u64>(), shift in 0_u32..64, n in 0..3 * FEW) {
            let mut state = seed;
            let mut keys: Vec<u64> = (0..n)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state ^ (state >> 29)) >> shift
                })
                .collect();
            let mut expected = keys.clone();
            expected.sort_unstable();
            sort_keys(&mut keys);
            prop_assert_eq!(keys, expected);
        }
    }

    #[test]
    fn equal_and_extreme_keys() {
        for keys in [vec![7; 2 * FEW], [vec![0; FEW], vec![u64::MAX; FEW]].concat()] {
            let mut sorted = keys.clone();
            sorted.reverse();
            sort_keys(&mut sorted);
            assert_eq!(sorted, keys);
        }
    }
}
