#![allow(clippy::unwrap_used)]

use core::f64::consts::LN_2;

use proptest::prelude::*;

use super::golden;
use super::*;
use crate::special::testing::{assert_relative, golden_file, number, numbers};

/// Relative, of entropies and divergences, against 60 digits.
const RELATIVE: f64 = 1e-15;
/// Relative, of mutual information.
const MUTUAL: f64 = 1e-14;
/// Relative, of softmax: 4 ulp.
const SOFTMAX: f64 = 4.0 * f64::EPSILON;
/// Relative, of the logarithms of softmax and sigmoid: 2 ulp.
const LOG_SOFTMAX: f64 = 2.0 * f64::EPSILON;
/// In units of f64's epsilon and of the largest term, of the identities.
const IDENTITY: f64 = 4.0 * f64::EPSILON;

fn distribution(p: &[f64]) -> Distribution {
    Distribution::new(p).unwrap()
}

fn bits(nats: f64) -> f64 {
    Base::Two.from_nats(nats)
}

/// To the lecture's number of decimals.
fn to_decimals(x: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (x * scale).round() / scale
}

#[test]
fn the_lectures_figures() {
    let uneven = distribution(&[0.9, 0.1]);
    assert_eq!(to_decimals(entropy_to_base(&uneven, Base::Two), 3), 0.469);
    let (p, q) = (distribution(&[0.75, 0.25]), distribution(&[0.5, 0.5]));
    assert_eq!(to_decimals(bits(kl_divergence(&p, &q).unwrap()), 4), 0.1887);
    assert_eq!(to_decimals(bits(kl_divergence(&q, &p).unwrap()), 4), 0.2075);
    assert_eq!(content(1.0).to_bits(), 0.0_f64.to_bits());
    assert_eq!(expectation(&[80.0, 90.0], &q).unwrap(), 85.0);
    assert_eq!(to_decimals(content_to_base(0.7, Base::Two), 3), 0.515);
    assert_eq!(to_decimals(bits(content(0.7)), 3), 0.515);
    // The binary rows: 0.6 and 0.8 for the truth.
    assert_eq!(to_decimals(bits(content(0.6)), 6), 0.736966);
    assert_eq!(to_decimals(bits(content(0.8)), 6), 0.321928);
}

#[test]
fn round_numbers_of_bits() {
    for k in 0..12 {
        let n = 1_usize << k;
        let even = Distribution::uniform(n).unwrap();
        assert_eq!(entropy_to_base(&even, Base::Two), f64::from(k));
        assert_eq!(cross_entropy_to_base(&even, &even, Base::Two).unwrap(), f64::from(k));
        assert_eq!(bits(entropy(&even)), f64::from(k));
    }
    assert_eq!(entropy_to_base(&Distribution::uniform(1000).unwrap(), Base::Ten), 3.0);
    for k in 1..=28 {
        assert_eq!(bits(libm::log(libm::exp2(f64::from(k)))), f64::from(k));
    }
    for k in 1..=22 {
        assert_eq!(Base::Ten.from_nats(libm::log(10_f64.powi(k))), f64::from(k));
    }
    for base in [Base::Two, Base::E, Base::Ten] {
        assert_eq!(base.from_nats(f64::INFINITY), f64::INFINITY);
        assert_eq!(base.from_nats(0.0), 0.0);
        assert!(base.from_nats(f64::NAN).is_nan());
    }
}

#[test]
fn content_outside_its_domain() {
    for p in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(content(p).is_nan());
    }
    assert_eq!(content(0.0), f64::INFINITY);
    assert_eq!(content(5e-324), 744.4400719213812);
}

#[test]
fn entropies_agree_with_60_digits() {
    for &(p, expected) in golden::ENTROPY {
        let p = Distribution::new(p).unwrap();
        assert_relative(entropy(&p), expected, RELATIVE, "entropy");
        let in_bits = entropy_to_base(&p, Base::Two);
        assert_relative(in_bits, bits(expected), RELATIVE, "entropy in bits");
    }
}

#[test]
fn divergences_agree_with_60_digits() {
    for &(p, q, cross, divergence, shannon) in golden::PAIRS {
        let what = format!("{p:?} and {q:?}");
        let (p, q) = (distribution(p), distribution(q));
        assert_relative(cross_entropy(&p, &q).unwrap(), cross, RELATIVE, &what);
        assert_relative(kl_divergence(&p, &q).unwrap(), divergence, RELATIVE, &what);
        assert_relative(js_divergence(&p, &q).unwrap(), shannon, RELATIVE, &what);
        assert_relative(js_distance(&p, &q).unwrap(), shannon.sqrt(), RELATIVE, &what);
    }
}

#[test]
fn every_case_of_the_golden_file_is_met() {
    /// Cases at least to be found in the file.
    const CASES: usize = 130;
    let mut cases = 0;
    for case in golden_file("information.json")["cases"].as_array().unwrap() {
        let what = case["name"].as_str().unwrap();
        let (p, q) = (numbers(&case["p"]), numbers(&case["q"]));
        let (Ok(p), Ok(q)) = (Distribution::new(&p), Distribution::new(&q)) else { continue };
        cases += 1;
        assert_relative(entropy(&p), number(&case["entropy"]), RELATIVE, what);
        let cross = cross_entropy(&p, &q).unwrap();
        assert_relative(cross, number(&case["cross_entropy"]), RELATIVE, what);
        // Of distributions that do not sum to 1 exactly, the file has the textbook's sum.
        if case["exact"].as_bool().unwrap() {
            let (there, back) = (kl_divergence(&p, &q).unwrap(), kl_divergence(&q, &p).unwrap());
            assert_relative(there, number(&case["kl"]), RELATIVE, what);
            assert_relative(back, number(&case["kl_back"]), RELATIVE, what);
            assert_relative(js_divergence(&p, &q).unwrap(), number(&case["js"]), RELATIVE, what);
        }
    }
    assert!(cases >= CASES, "only {cases} cases");
}

#[test]
fn what_q_excludes_costs_infinity() {
    let (all, first) = (distribution(&[0.5, 0.5]), distribution(&[1.0, 0.0]));
    assert_eq!(kl_divergence(&all, &first).unwrap(), f64::INFINITY);
    assert_eq!(cross_entropy(&all, &first).unwrap(), f64::INFINITY);
    assert_eq!(kl_divergence(&first, &all).unwrap(), LN_2);
    assert_eq!(cross_entropy(&first, &all).unwrap(), LN_2);
    assert_eq!(cross_entropy(&first, &first).unwrap(), 0.0);
}

/// `p (r - ln(1 + r))` taken literally is infinite here: r = (1e-20 - 0.5) / 0.5 rounds to -1.
#[test]
fn regression_a_tiny_q_is_not_an_impossible_one() {
    let (p, q) = (distribution(&[0.5, 0.5]), distribution(&[1e-20, 1.0]));
    assert!(kl_divergence(&p, &q).unwrap() < 23.0);
    let smallest = distribution(&[5e-324, 1.0]);
    assert!(kl_divergence(&p, &smallest).unwrap() < 373.0);
    assert!(kl_divergence(&smallest, &p).unwrap() < LN_2 * (1.0 + RELATIVE));
}

#[test]
fn kl_is_not_negative_and_right_for_20_000_nearly_equal_pairs() {
    /// Pairs tried.
    const PAIRS: u32 = 20_000;
    /// Between the divergence and its leading terms, Σ d²/2p - d³/6p², for d below `1e-9`.
    const LEADING: f64 = 1e-14;
    // A linear congruential generator (Knuth's MMIX) is random enough here.
    let mut state = 20_u64;
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / 9007199254740992.0
    };
    let mut zeros = 0;
    for _ in 0..PAIRS {
        let p = 0.05 + 0.9 * random();
        let distance = libm::exp10(-9.0 - 7.0 * random());
        let q = p + distance * p * (1.0 - p);
        let (p, q) = ([p, 1.0 - p], [q, 1.0 - q]);
        let expected: f64 = [0, 1]
            .map(|i| {
                let d = q[i] - p[i];
                d * d / (2.0 * p[i]) * (1.0 - 2.0 * d / (3.0 * p[i]))
            })
            .iter()
            .sum();
        let got = kl_divergence(&distribution(&p), &distribution(&q)).unwrap();
        assert!(got >= 0.0);
        assert_eq!(got == 0.0, p == q, "{p:?} and {q:?}");
        zeros += u32::from(got == 0.0);
        assert_relative(got, expected, LEADING, &format!("{p:?} and {q:?}"));
    }
    assert!(zeros < PAIRS / 2, "{zeros} pairs were equal");
}

#[test]
fn six_digit_distributions_still_have_a_divergence() {
    // Sums 0.999999 and 1.000001: the textbook's sum would be negative for the second pair.
    let (p, q) = (distribution(&[0.333333; 3]), distribution(&[0.333333, 0.333334, 0.333334]));
    let textbook: f64 =
        [0, 1, 2].map(|i| p.as_ref()[i] * libm::log(p.as_ref()[i] / q.as_ref()[i])).iter().sum();
    assert!(textbook < 0.0);
    let divergence = kl_divergence(&p, &q).unwrap();
    assert!(divergence > 0.0 && divergence < 1e-11);
    let (p, q) = (Distribution::normalized(p.as_ref()), Distribution::normalized(q.as_ref()));
    assert!(kl_divergence(&p.unwrap(), &q.unwrap()).unwrap() > 0.0);
}

#[test]
fn js_never_exceeds_ln_2() {
    let (p, q) = (distribution(&[0.0, 1.000_000_5 - 1e-6]), distribution(&[1.0, 0.0]));
    assert!(js_divergence(&p, &q).unwrap() <= LN_2);
    let (p, q) = ([0.5, 0.500_000_9, 0.0, 0.0], [0.0, 0.0, 0.5, 0.500_000_9]);
    assert_eq!(js_divergence(&distribution(&p), &distribution(&q)).unwrap(), LN_2);
}

#[test]
fn lengths_must_match() {
    let (two, three) = (distribution(&[0.5, 0.5]), distribution(&[0.5, 0.5, 0.0]));
    let error = InformationError::LengthMismatch { expected: 2, found: 3 };
    assert_eq!(kl_divergence(&two, &three), Err(error.clone()));
    assert_eq!(cross_entropy(&two, &three), Err(error.clone()));
    assert_eq!(js_divergence(&two, &three), Err(error.clone()));
    assert_eq!(js_distance(&two, &three), Err(error.clone()));
    assert_eq!(expectation(&[1.0, 2.0, 3.0], &two), Err(error.clone()));
    assert_eq!(error.to_string(), "3 against 2 outcomes");
}

#[test]
fn mutual_information_agrees_with_60_digits() {
    for &(table, expected) in golden::MUTUAL {
        let got = mutual_information(table).unwrap();
        assert_relative(got, expected, MUTUAL, &format!("{table:?}"));
    }
}

#[test]
fn mutual_information_of_independent_counts_is_exactly_zero() {
    for (rows, columns) in [([1.0, 2.0], [3.0, 4.0]), ([7.0, 1e6], [0.0, 123.0])] {
        let table = rows.map(|r| columns.map(|c| r * c));
        assert_eq!(mutual_information(&table).unwrap(), 0.0);
    }
    assert_eq!(mutual_information(&[[5.0]]).unwrap(), 0.0);
    assert_eq!(mutual_information(&[vec![0.0, 3.0], vec![0.0, 5.0]]).unwrap(), 0.0);
}

#[test]
fn mutual_information_of_a_permutation_is_its_entropy() {
    let table =
        [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
    assert_eq!(bits(mutual_information(&table).unwrap()), 2.0);
}

#[test]
fn mutual_information_refuses_bad_tables() {
    let empty: [[f64; 0]; 1] = [[]];
    assert_eq!(mutual_information(&empty), Err(InformationError::Empty));
    assert_eq!(mutual_information::<[f64; 2]>(&[]), Err(InformationError::Empty));
    assert_eq!(mutual_information(&[[0.0, 0.0]]), Err(InformationError::AllZero));
    assert_eq!(mutual_information(&[[1e308, 1e308]]), Err(InformationError::TotalOverflow));
    let ragged = mutual_information(&[vec![1.0, 2.0], vec![3.0]]).unwrap_err();
    assert_eq!(ragged.to_string(), "row 2 has 1 entries, the first row 2");
    let negative = mutual_information(&[[1.0, 2.0], [3.0, -4.0]]).unwrap_err();
    assert_eq!(negative.to_string(), "row 2, column 2 is -4, not a finite number of at least 0");
}

#[test]
fn expectation_leaves_out_what_cannot_happen() {
    let first = distribution(&[1.0, 0.0]);
    assert_eq!(expectation(&[3.5, f64::INFINITY], &first).unwrap(), 3.5);
    assert_eq!(expectation(&[3.5, f64::NAN], &first).unwrap(), 3.5);
    assert_eq!(expectation(&[f64::NEG_INFINITY, 1.0], &first).unwrap(), f64::NEG_INFINITY);
}

#[test]
fn distributions_cannot_be_built_invalid() {
    use InformationError::{AllZero, Empty, NotAProbability, NotAWeight, SumNotOne};

    assert_eq!(Distribution::new(&[]), Err(Empty));
    assert_eq!(Distribution::new(&[0.5, 1.5]), Err(NotAProbability { index: 1, value: 1.5 }),);
    assert!(matches!(Distribution::new(&[f64::NAN]), Err(NotAProbability { index: 0, .. })));
    assert!(matches!(Distribution::new(&[f64::INFINITY]), Err(NotAProbability { .. })));
    assert_eq!(Distribution::new(&[0.5, 0.4]), Err(SumNotOne { sum: 0.9 }));
    assert_eq!(Distribution::new(&[0.0, 0.0]), Err(SumNotOne { sum: 0.0 }));
    assert!(Distribution::new(&[0.333333; 3]).is_ok());
    assert!(Distribution::new(&[0.33333; 3]).is_err());
    assert_eq!(Distribution::normalized(&[]), Err(Empty));
    assert_eq!(Distribution::normalized(&[0.0, 0.0]), Err(AllZero));
    assert_eq!(Distribution::normalized(&[1.0, -2.0]), Err(NotAWeight { index: 1, value: -2.0 }));
    assert!(matches!(Distribution::normalized(&[f64::INFINITY]), Err(NotAWeight { .. })));
    assert_eq!(Distribution::from_counts(&[]), Err(Empty));
    assert_eq!(Distribution::from_counts(&[0, 0]), Err(AllZero));
    assert_eq!(Distribution::uniform(0), Err(Empty));
    assert!(Distribution::try_from(&[0.25, 0.75][..]).is_ok());
    let many = Distribution::uniform(20_000).unwrap();
    assert_eq!(Distribution::new(many.probabilities()).unwrap().len(), 20_000);
}

#[test]
fn weights_and_counts_of_any_size_are_normalized() {
    let halves = |d: Result<Distribution, InformationError>| {
        assert_eq!(d.unwrap().probabilities(), [0.5, 0.5]);
    };
    halves(Distribution::normalized(&[1e308, 1e308]));
    halves(Distribution::normalized(&[5e-324, 5e-324]));
    halves(Distribution::from_counts(&[u64::MAX, u64::MAX]));
    let lopsided = Distribution::normalized(&[f64::MAX, f64::MAX, 1.0]).unwrap();
    assert_eq!(lopsided.probabilities()[0], 0.5);
}

#[test]
fn every_error_has_a_text_and_a_hint() {
    use InformationError as E;

    let errors = [
        (E::Empty, "there are no probabilities"),
        (E::NotAProbability { index: 0, value: 1.2 }, "probability 1 is 1.2, not between 0 and 1"),
        (E::SumNotOne { sum: 0.9 }, "the probabilities sum to 0.9, not 1"),
        (
            E::NotAWeight { index: 4, value: -1.0 },
            "weight 5 is -1, not a finite number of at least 0",
        ),
        (E::AllZero, "all are 0, so there is nothing to divide by"),
        (E::TotalOverflow, "the total is larger than a 64-bit float can hold"),
    ];
    for (error, text) in errors {
        assert_eq!(error.to_string(), text);
        assert!(!error.hint().is_empty() && !error.hint().ends_with('.'));
    }
}

#[test]
fn softmax_agrees_with_60_digits() {
    for &(scores, probabilities, logarithms, log_sum) in golden::SOFTMAX {
        let what = format!("{scores:?}");
        for (got, &expected) in softmax(scores).into_iter().zip(probabilities) {
            assert_relative(got, expected, SOFTMAX, &what);
        }
        for (got, &expected) in log_softmax(scores).into_iter().zip(logarithms) {
            assert_relative(got, expected, LOG_SOFTMAX, &what);
        }
        let largest = scores.iter().fold(log_sum.abs(), |m, x| m.max(x.abs()));
        assert!((log_sum_exp(scores) - log_sum).abs() <= LOG_SOFTMAX * largest, "{what}");
    }
}

#[test]
fn sigmoid_agrees_with_60_digits() {
    for (x, probability, logarithm, soft) in golden::SIGMOID.iter().copied() {
        let what = format!("x = {x}");
        assert_relative(sigmoid(x), probability, SOFTMAX, &what);
        assert_relative(log_sigmoid(x), logarithm, LOG_SOFTMAX, &what);
        assert_relative(softplus(x), soft, LOG_SOFTMAX, &what);
    }
}

#[test]
fn activations_at_the_infinities() {
    const INF: f64 = f64::INFINITY;
    assert_eq!(softmax(&[1000.0, -1000.0, 1000.0]), [0.5, 0.0, 0.5]);
    assert_eq!(log_softmax(&[1000.0, -1000.0]), [0.0, -2000.0]);
    assert_eq!(softmax(&[f64::MAX, f64::MIN]), [1.0, 0.0]);
    assert_eq!(log_softmax(&[f64::MAX, f64::MIN]), [0.0, -INF]);
    assert_eq!(softmax(&[0.0, -INF]), [1.0, 0.0]);
    assert_eq!(log_softmax(&[0.0, -INF]), [0.0, -INF]);
    assert_eq!(softmax(&[INF, 3.0, -INF]), [1.0, 0.0, 0.0]);
    assert_eq!(log_softmax(&[INF, 3.0, -INF]), [0.0, -INF, -INF]);
    assert_eq!(softmax(&[-7.0]), [1.0]);
    assert!(softmax(&[]).is_empty() && log_softmax(&[]).is_empty());
    for undefined in [[-INF, -INF], [INF, INF], [f64::NAN, 0.0], [INF, f64::NAN]] {
        assert!(softmax(&undefined).into_iter().all(f64::is_nan), "{undefined:?}");
        assert!(log_softmax(&undefined).into_iter().all(f64::is_nan), "{undefined:?}");
    }
    assert_eq!(log_sum_exp(&[-INF, -INF]), -INF);
    assert_eq!(log_sum_exp(&[INF, INF, 0.0]), INF);
    assert!(log_sum_exp(&[INF, f64::NAN]).is_nan());
    assert_eq!((sigmoid(-INF), sigmoid(INF)), (0.0, 1.0));
    assert_eq!((log_sigmoid(-INF), log_sigmoid(INF)), (-INF, 0.0));
    assert_eq!((softplus(-INF), softplus(INF)), (0.0, INF));
    for function in [sigmoid, log_sigmoid, softplus] {
        assert!(function(f64::NAN).is_nan());
    }
}

/// A distribution over `n` outcomes, some of them impossible, some very rare.
fn random_distribution(n: usize) -> impl Strategy<Value = Distribution> {
    let weight = prop_oneof![4 => 0.001..1.0, 1 => Just(0.0), 1 => 1e-12..1e-6];
    prop::collection::vec(weight, n)
        .prop_filter("all are 0", |w| w.iter().any(|&w| w > 0.0))
        .prop_map(|w| Distribution::normalized(&w).unwrap())
}

fn random_pair() -> impl Strategy<Value = (Distribution, Distribution)> {
    (1_usize..9).prop_flat_map(|n| (random_distribution(n), random_distribution(n)))
}

proptest! {
    #[test]
    fn gibbs_no_code_is_shorter_than_the_entropy((p, q) in random_pair()) {
        let (cross, own) = (cross_entropy(&p, &q).unwrap(), entropy(&p));
        prop_assert!(cross >= own - IDENTITY * own.max(1.0));
        prop_assert!(kl_divergence(&p, &q).unwrap() >= 0.0);
        prop_assert_eq!(kl_divergence(&p, &p).unwrap().to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn entropy_lies_between_0_and_ln_k((p, _) in random_pair()) {
        let most = (p.len() as f64).ln();
        prop_assert!(entropy(&p) >= 0.0 && entropy(&p) <= most * (1.0 + IDENTITY));
    }

    #[test]
    fn cross_entropy_is_entropy_plus_divergence((p, q) in random_pair()) {
        let (cross, own) = (cross_entropy(&p, &q).unwrap(), entropy(&p));
        let divergence = kl_divergence(&p, &q).unwrap();
        let largest = cross.max(own).max(divergence).max(1.0);
        let is_near = (cross - own - divergence).abs() <= IDENTITY * largest;
        prop_assert!(is_near || cross == own + divergence);
    }

    #[test]
    fn js_is_symmetric_and_bounded((p, q) in random_pair()) {
        let there = js_divergence(&p, &q).unwrap();
        prop_assert_eq!(there.to_bits(), js_divergence(&q, &p).unwrap().to_bits());
        prop_assert!((0.0..=LN_2).contains(&there));
        prop_assert_eq!(js_divergence(&p, &p).unwrap().to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn chain_rule((p, q) in random_pair(), share in 0.01..0.99) {
        // First a coin chooses p or q, then that one is drawn: H(both) = H(coin) + the mean H.
        let coin = distribution(&[share, 1.0 - share]);
        let both: Vec<f64> = p
            .as_ref()
            .iter()
            .map(|x| x * coin.as_ref()[0])
            .chain(q.as_ref().iter().map(|x| x * coin.as_ref()[1]))
            .collect();
        let whole = entropy(&distribution(&both));
        let parts = entropy(&coin) + expectation(&[entropy(&p), entropy(&q)], &coin).unwrap();
        prop_assert!((whole - parts).abs() <= IDENTITY * whole.max(1.0));
        // The same table has I(coin; draw) = H(draw) - mean H, the Jensen-Shannon divergence at
        // 1/2.
        let joint = [&both[..p.len()], &both[p.len()..]];
        let draw: Vec<f64> =
            joint[0].iter().zip(joint[1]).map(|(x, y)| x + y).collect();
        let draw = Distribution::normalized(&draw).unwrap();
        let rest = entropy(&draw) - expectation(&[entropy(&p), entropy(&q)], &coin).unwrap();
        let mutual = mutual_information(&joint).unwrap();
        prop_assert!(mutual >= 0.0);
        prop_assert!((mutual - rest).abs() <= 2.0 * IDENTITY * whole.max(1.0));
    }

    #[test]
    fn softmax_is_a_distribution_that_a_shift_does_not_move(
        scores in prop::collection::vec(-30_i32..30, 1..9),
        shift in -1_000_000_i32..1_000_000,
    ) {
        // Sixteenths: their sums with the shift are exact.
        let scores: Vec<f64> = scores.into_iter().map(|x| f64::from(x) / 16.0).collect();
        let moved: Vec<f64> = scores.iter().map(|x| x + f64::from(shift)).collect();
        prop_assert!(Distribution::new(&softmax(&scores)).is_ok());
        prop_assert_eq!(softmax(&scores), softmax(&moved));
        prop_assert_eq!(log_softmax(&scores), log_softmax(&moved));
    }

    #[test]
    fn log_softmax_is_the_logarithm_of_softmax(
        scores in prop::collection::vec(-300.0..300.0, 2..9),
    ) {
        for (log, p) in log_softmax(&scores).into_iter().zip(softmax(&scores)) {
            prop_assert!(log <= 0.0);
            // Of 1 - 1e-17 only the logarithm is left; the distance to 1 is then the measure.
            prop_assert!((libm::exp(log) - p).abs() <= 1.0_f64.max(-log) * SOFTMAX * p);
        }
    }

    #[test]
    fn two_scores_are_one_sigmoid(x in -800.0..800.0) {
        let (logarithm, probability) = (log_sigmoid(x), sigmoid(x));
        let of_two = log_softmax(&[x, 0.0])[0];
        prop_assert!((of_two - logarithm).abs() <= LOG_SOFTMAX * logarithm.abs());
        prop_assert!((softmax(&[x, 0.0])[0] - probability).abs() <= SOFTMAX * probability);
        prop_assert_eq!(softplus(x), -log_sigmoid(-x));
    }
}
