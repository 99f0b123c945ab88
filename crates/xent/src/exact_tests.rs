use super::*;
use proptest::prelude::*;

/// The exact sum by another way: one big integer at the lowest place of all.
fn reference(values: &[f64]) -> f64 {
    let mut sum = BigInt::from(0);
    for &x in values {
        let (m, e) = decompose(x);
        sum += BigInt::from(m) << (e + 1074) as u32;
    }
    Exact::round(&sum, -1074, false)
}

fn any_magnitude() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
        -50.0..50.0_f64,
        (0.0..60.0_f64).prop_map(|x| (-x).exp()),
        Just(0.0),
        Just(4.248354255291589e-18),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
    ]
}

proptest! {
    #[test]
    fn sum_is_correctly_rounded_in_any_order_and_batch(
        values in prop::collection::vec(any_magnitude(), 0..80), cut in 0usize..80
    ) {
        let expected = reference(&values);
        let mut by_slice = ExactSum::new();
        by_slice.add_slice(&values);
        let one_by_one: ExactSum = values.iter().rev().copied().collect();
        let cut = cut.min(values.len());
        let mut merged = ExactSum::new();
        merged.add_slice(&values[cut..]);
        let mut head = ExactSum::new();
        head.add_slice(&values[..cut]);
        merged.merge(&head);
        prop_assert_eq!(by_slice.value().to_bits(), expected.to_bits());
        prop_assert_eq!(&by_slice, &one_by_one);
        prop_assert_eq!(&by_slice, &merged);
    }

    #[test]
    fn products_are_exact(
        a in prop::collection::vec(any_magnitude(), 24), b in prop::collection::vec(any_magnitude(), 24)
    ) {
        let mut sum = ExactSum::new();
        sum.add_products(&a, &b);
        let mut exact = Exact::default();
        for (&x, &y) in a.iter().zip(&b) {
            exact += &Exact::of(x) * &Exact::of(y);
        }
        prop_assert_eq!(sum.value().to_bits(), exact.to_f64().to_bits());
        let one_by_one = a.iter().zip(&b).rev().fold(ExactSum::new(), |mut sum, (&x, &y)| {
            sum.add_product(x, y);
            sum
        });
        prop_assert_eq!(sum, one_by_one);
    }

    #[test]
    fn ratio_is_the_division_where_f64_can_tell(a in -1e6..1e6_f64, b in 1e-3..1e6_f64) {
        // IEEE division is correctly rounded, so it is an oracle for f64 operands.
        prop_assert_eq!(Exact::of(a).ratio(&Exact::of(b)), a / b + 0.0);
    }

    #[test]
    fn round_trip(x in any::<f64>().prop_filter("finite", |x| x.is_finite())) {
        prop_assert_eq!(ExactSum::of(x).value(), x);
        prop_assert_eq!(Exact::of(x).to_f64(), x);
    }
}

/// The published crate `xsum` 0.1.6 returns -4096.000000000001 here.
#[test]
fn four_thousand_and_ninety_six_ones() {
    let mut sum = ExactSum::new();
    sum.add_slice(&vec![1.0; 4096]);
    assert_eq!(sum.value(), 4096.0);
    let mut sum = ExactSum::new();
    sum.add_slice(&vec![1.0; 1_000_003]);
    assert_eq!(sum.value(), 1_000_003.0);
}

#[test]
fn lanes_do_not_overflow_at_the_largest_digits() {
    let x = pow2(31) - pow2(-20);
    let values = vec![x; 100_000];
    let mut sum = ExactSum::new();
    sum.add_slice(&values);
    assert_eq!(sum.value(), reference(&values));
    let root = (pow2(31) - 1.0).sqrt();
    let values = vec![root; 100_000];
    let mut sum = ExactSum::new();
    sum.add_products(&values, &values);
    let one = &Exact::of(root) * &Exact::of(root);
    assert_eq!(sum.value(), (&one * &Exact::integer(100_000)).to_f64());
}

/// From 2^-17 to 2^15 values are added many at a time: at the edges, halfway between units of the first digit, where the
/// side on which it is rounded depends on the values before, and with the most that rounding leaves.
#[test]
fn ordinary_sizes_to_the_edges() {
    let (low, high) = (pow2(-17), pow2(15));
    let ulp = pow2(-52);
    let kinds = [
        vec![low, low * (1.0 + ulp), high * (1.0 - ulp / 2.0)],
        vec![pow2(-17) + pow2(-21)],
        vec![pow2(-16) + pow2(-21), pow2(-17) + pow2(-21), 1.0 + pow2(-20)],
        vec![pow2(-17) + pow2(-21) - pow2(-69)],
        vec![low, -high, 0.3, -0.3, 7.0 - 8.0 * ulp],
        vec![high, 0.7],
        vec![low * (1.0 - ulp / 2.0), 0.7],
        vec![0.0, -0.0, 1.0],
    ];
    for kind in kinds {
        for n in [15, 16, 511, 512, 5_000, 70_003] {
            let values: Vec<f64> = kind.iter().copied().cycle().take(n).collect();
            let mut sum = ExactSum::new();
            sum.add_slice(&values);
            assert_eq!(sum.value(), reference(&values), "{kind:?}");
            assert_eq!(sum, values.iter().copied().collect(), "{kind:?}");
        }
    }
}

#[test]
fn infinities_and_nan_are_kept_apart() {
    let sum: ExactSum = [1.0, f64::INFINITY, 2.0].into_iter().collect();
    assert_eq!(sum.value(), f64::INFINITY);
    let sum: ExactSum = [f64::NEG_INFINITY, f64::INFINITY].into_iter().collect();
    assert!(sum.value().is_nan());
    let mut sum = ExactSum::new();
    sum.add_slice(&[f64::NAN; 20]);
    assert!(sum.value().is_nan());
    let mut sum = ExactSum::new();
    sum.add_products(&[f64::INFINITY; 9], &[0.0; 9]);
    assert!(sum.value().is_nan());
    assert_eq!(ExactSum::new().value().to_bits(), 0.0_f64.to_bits());
    assert_eq!(ExactSum::of(-0.0).value().to_bits(), 0.0_f64.to_bits());
}

#[test]
fn overflow_of_the_sum_is_infinite_and_comes_back() {
    let mut sum: ExactSum = [f64::MAX, f64::MAX].into_iter().collect();
    assert_eq!(sum.value(), f64::INFINITY);
    sum.add(-f64::MAX);
    assert_eq!(sum.value(), f64::MAX);
}
