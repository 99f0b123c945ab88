//! Sorting of keys: one pass into buckets by the leading bits, then each bucket in the cache.

/// Keys below which one ordinary sort is as fast.
const FEW: usize = 1 << 12;
/// Leading bits, counted from the highest in which keys differ, that choose a key's first bucket.
const BUCKET_BITS: u32 = 13;
/// Keys of a first bucket that are spread again; fewer are sorted as they are.
const SPREAD: usize = 64;
/// Second buckets at most.
const SECOND_BITS: u32 = 12;

/// Sorts keys, with a second copy of them as scratch: two passes into buckets where keys are spread over their
/// range, O(n log n) comparisons where they are not.
pub(crate) fn sort_keys(keys: &mut Vec<u64>) {
    let n = keys.len();
    if n < FEW {
        keys.sort_unstable();
        return;
    }
    let Buckets { low, shift } = Buckets::of(keys, BUCKET_BITS);
    let bucket = |key: u64| ((key - low) >> shift) as usize;
    let mut starts = vec![0_usize; (1 << BUCKET_BITS) + 1];
    for &key in keys.iter() {
        starts[bucket(key) + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    let mut places = starts.clone();
    let mut spread = vec![0; n];
    for &key in keys.iter() {
        let place = &mut places[bucket(key)];
        spread[*place] = key;
        *place += 1;
    }
    if shift == 0 {
        *keys = spread;
        return;
    }
    let mut counts = vec![0_u32; (1 << SECOND_BITS) + 1];
    for range in starts.windows(2) {
        let range = range[0]..range[1];
        sort_bucket(&mut spread[range.clone()], &mut keys[range], &mut counts);
    }
}

/// The keys of one bucket, sorted into `to`.
fn sort_bucket(from: &mut [u64], to: &mut [u64], counts: &mut [u32]) {
    let n = from.len();
    if n < SPREAD || u32::try_from(n).is_err() {
        from.sort_unstable();
        to.copy_from_slice(from);
        return;
    }
    // About four keys each.
    let bits = (n / 4).ilog2().min(SECOND_BITS);
    let Buckets { low, shift } = Buckets::of(from, bits);
    let bucket = |key: u64| ((key - low) >> shift) as usize;
    let counts = &mut counts[..=1 << bits];
    counts.fill(0);
    for &key in from.iter() {
        counts[bucket(key)] += 1;
    }
    let mut end = 0;
    for count in counts.iter_mut() {
        end += *count;
        *count = end;
    }
    // From the back, so that each count ends as its bucket's start.
    for &key in from.iter() {
        let place = &mut counts[bucket(key)];
        *place -= 1;
        to[*place as usize] = key;
    }
    if shift > 0 {
        for range in counts.windows(2) {
            let part = &mut to[range[0] as usize..range[1] as usize];
            if part.len() > 1 {
                part.sort_unstable();
            }
        }
    }
}

/// A key's bucket is `(key - low) >> shift`.
struct Buckets {
    low: u64,
    shift: u32,
}

impl Buckets {
    fn of(keys: &[u64], bits: u32) -> Self {
        let (mut low, mut high) = (u64::MAX, 0);
        for &key in keys {
            low = low.min(key);
            high = high.max(key);
        }
        let differ = u64::BITS - (high - low).leading_zeros();
        Self { low, shift: differ.saturating_sub(bits) }
    }
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
