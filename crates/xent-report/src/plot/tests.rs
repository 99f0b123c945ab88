use proptest::prelude::*;

use super::axis::{Axis, Tick};
use super::thin::{MOST_POINTS, band, runs};
use super::*;
use crate::text::{display_width, is_unsafe};

mod pictures;
mod wild;

fn linear(low: f64, high: f64) -> Axis {
    Axis::for_data(Scale::Linear, [low, high].into_iter(), false)
}

fn logarithmic(low: f64, high: f64) -> Axis {
    Axis::for_data(Scale::Log, [low, high].into_iter(), false)
}

fn labels(ticks: &[Tick]) -> Vec<&str> {
    ticks.iter().map(|tick| tick.label.as_str()).collect()
}

#[test]
fn ticks_are_round_numbers() {
    let expected: [(f64, f64, usize, &[&str]); 9] = [
        (0.0, 1.0, 6, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.0, 1.0, 5, &["0.0", "0.5", "1.0"]),
        (-1.3, 2.1, 8, &["-1.0", "-0.5", "0.0", "0.5", "1.0", "1.5", "2.0"]),
        (0.0, 25165.0, 6, &["0", "5,000", "10,000", "15,000", "20,000", "25,000"]),
        (0.69, 0.6932, 4, &["0.690", "0.691", "0.692", "0.693"]),
        (0.0, 3e-7, 4, &["0", "1e-7", "2e-7", "3e-7"]),
        (-2e9, 2e9, 5, &["-2e9", "-1e9", "0", "1e9", "2e9"]),
        (1.2e6, 1.9e6, 4, &["1.2e6", "1.4e6", "1.6e6", "1.8e6"]),
        (0.3, 0.7, 1, &["0.5"]),
    ];
    for (low, high, most, texts) in expected {
        assert_eq!(labels(&linear(low, high).ticks(most)), texts, "{low} to {high}");
    }
}

#[test]
fn ticks_of_a_logarithmic_axis() {
    let expected: [(f64, f64, usize, &[&str]); 6] = [
        (1.0, 1000.0, 6, &["1", "10", "100", "1,000"]),
        (0.01, 1.0, 7, &["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
        (3.0, 4.1, 6, &["3.0", "3.2", "3.4", "3.6", "3.8", "4.0"]),
        (1e-9, 1.0, 5, &["1e-8", "1e-6", "1e-4", "1e-2", "1e0"]),
        (1e-300, 1e300, 7, &["1e-300", "1e-200", "1e-100", "1e0", "1e100", "1e200", "1e300"]),
        (5e-324, f64::MAX, 4, &["1e-200", "1e0", "1e200"]),
    ];
    for (low, high, most, texts) in expected {
        assert_eq!(labels(&logarithmic(low, high).ticks(most)), texts, "{low} to {high}");
    }
    // Equal ratios are equal lengths: 1, 10, 100, 1000 at thirds.
    let at: Vec<f64> = logarithmic(1.0, 1000.0).ticks(4).iter().map(|tick| tick.at).collect();
    for (at, third) in at.iter().zip([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]) {
        assert!((at - third).abs() <= 2.0 * f64::EPSILON, "{at}");
    }
}

#[test]
fn an_axis_needs_a_span() {
    // A single value stands in the middle, whatever its size; no value at all leaves 0 to 1.
    for x in [0.0, 0.69, -3.0, 5e-324, 1e308, f64::MAX, -f64::MAX] {
        let axis = linear(x, x);
        assert!(axis.at(x).is_some(), "{x}");
        assert!(!axis.ticks(6).is_empty(), "{x}");
    }
    for axis in [linear(2.0, 2.0), logarithmic(2.0, 2.0)] {
        assert!((axis.at(2.0).unwrap() - 0.5).abs() < 1e-12);
    }
    let none = Axis::for_data(Scale::Linear, std::iter::empty(), true);
    assert_eq!(labels(&none.ticks(3)), ["0.0", "0.5", "1.0"]);
    assert_eq!((Axis::new(1.0, 1.0), Axis::new(0.0, f64::INFINITY)), (None, None));
}

#[test]
fn a_long_line_keeps_its_peaks() {
    let n = 1_000_000;
    let mut points: Vec<Option<(f64, f64)>> = (0..n)
        .map(|i| Some((f64::from(i) / f64::from(n), 0.5 + f64::from(i % 7) / 100.0)))
        .collect();
    points[123_456] = Some((0.123_456, 1.0));
    points[654_321] = Some((0.654_321, 0.0));
    let thin = runs(&points);
    assert_eq!(thin.len(), 1);
    assert!(thin[0].len() <= MOST_POINTS && thin[0].len() > MOST_POINTS / 2);
    assert!(thin[0].contains(&(0.123_456, 1.0)) && thin[0].contains(&(0.654_321, 0.0)));
    assert_eq!(Some(thin[0][0]), points[0]);
    assert_eq!(thin[0].last().copied(), points[999_999]);
    assert!(thin[0].is_sorted_by(|a, b| a.0 < b.0));
    // A gap stays a gap.
    points[500_000] = None;
    assert_eq!(runs(&points).len(), 2);
}

#[test]
fn a_long_band_covers_all_of_it() {
    let n = 100_000;
    let edges = |i: u32| {
        let x = f64::from(i) / f64::from(n);
        [x, x * 0.5 - if i == 777 { x * 0.5 } else { 0.0 }, x]
    };
    let places: Vec<Option<[f64; 3]>> =
        (0..n).map(|i| (i / 1000 != 50).then(|| edges(i))).collect();
    let thin = band(&places);
    assert_eq!(thin.len(), 2);
    assert!(thin.iter().map(Vec::len).sum::<usize>() <= MOST_POINTS);
    assert!(thin[0].iter().any(|edges| edges[1] == 0.0 && edges[0] > 0.0));
    for (thin, thick) in thin.iter().zip([&places[..50_000], &places[51_000..]]) {
        assert_eq!(Some(thin[0][0]), thick[0].map(|edges| edges[0]));
    }
}

#[test]
fn a_histogram_is_areas() {
    // The wide bin has twice the count of the narrow one on four times the width.
    let bins = vec![(0.0, 0.2, 10.0), (0.2, 1.0, 20.0)];
    let axis = linear(0.0, 1.0);
    let columns = Histogram { bins, ..Histogram::default() }.columns(&axis, 5);
    for (column, expected) in columns.iter().zip([1.0, 0.5, 0.5, 0.5, 0.5]) {
        assert!((column - expected).abs() < 1e-12, "{columns:?}");
    }
    // A single value, a half that is off the axis, and what is no bin.
    let bins = vec![
        (0.5, 0.5, 3.0),
        (0.8, 1.2, 2.0),
        (2.0, 3.0, 100.0),
        (f64::NAN, 0.5, 100.0),
        (0.0, f64::INFINITY, 100.0),
        (0.0, 0.2, -1.0),
        (0.0, 0.2, f64::NAN),
    ];
    let columns = Histogram { bins, ..Histogram::default() }.columns(&axis, 5);
    for (column, expected) in columns.iter().zip([0.0, 0.0, 1.0, 0.0, 1.0 / 3.0]) {
        assert!((column - expected).abs() < 1e-12, "{columns:?}");
    }
}

/// Any number at all, and many ordinary ones.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        -1e3..1e3_f64,
        (0_i32..40).prop_map(f64::from),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(0.0),
    ]
}

fn scale() -> impl Strategy<Value = Scale> {
    prop_oneof![Just(Scale::Linear), Just(Scale::Log)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Ticks of any data are inside, ascend, are at most as many as wanted, and are enough to read by.
    #[test]
    fn ticks_are_inside_and_few(
        data in prop::collection::vec(any_number(), 0..6),
        scale in scale(),
        room in any::<bool>(),
        most in 5_usize..12,
    ) {
        let axis = Axis::for_data(scale, data.iter().copied(), room);
        let ticks = axis.ticks(most);
        prop_assert!(ticks.len() <= most, "{ticks:?}");
        prop_assert!(ticks.len() >= 2, "{axis:?} {ticks:?}");
        for tick in &ticks {
            prop_assert!((0.0..=1.0).contains(&tick.at) && tick.value.is_finite());
            let read: f64 = tick.label.replace(',', "").parse().unwrap();
            prop_assert_eq!(read, tick.value);
            prop_assert!(tick.label.len() <= 16, "{}", tick.label);
        }
        prop_assert!(ticks.windows(2).all(|pair| pair[0].value < pair[1].value));
        prop_assert!(ticks.windows(2).all(|pair| pair[0].at <= pair[1].at));
        for x in data.into_iter().filter(|&x| scale.has(x)) {
            prop_assert!(axis.at(x).is_some_and(|at| (0.0..=1.0).contains(&at)));
        }
    }

    /// Steps of a linear axis are equal, and 1, 2 or 5 times a power of ten.
    #[test]
    fn steps_are_one_two_or_five(low in -1e6..1e6_f64, span in 1e-2..1e6_f64, most in 3_usize..12) {
        let ticks = linear(low, low + span).ticks(most);
        for pair in ticks.windows(2) {
            let step = pair[1].value - pair[0].value;
            let first = format!("{step:.3e}");
            prop_assert!(["1.000", "2.000", "5.000"].contains(&first.split('e').next().unwrap()), "{step}");
        }
        // The next smaller step would give too many.
        prop_assert!(ticks.len() >= most / 3, "{ticks:?}");
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the series, few points are left, in their order, and none is new.
    #[test]
    fn thinning_selects(
        x in prop::collection::vec(prop::option::weighted(0.99, 0.0..1.0_f64), 0..6000),
        is_sorted in any::<bool>(),
    ) {
        let mut x = x;
        if is_sorted {
            x.sort_by(|a, b| a.partial_cmp(b).unwrap());
        }
        let places: Vec<Option<(f64, f64)>> =
            x.iter().enumerate().map(|(i, x)| x.map(|x| (x, (i * 7919 % 1000) as f64 / 1000.0))).collect();
        let thin = runs(&places);
        let kept: Vec<(f64, f64)> = thin.iter().flatten().copied().collect();
        prop_assert!(kept.len() <= MOST_POINTS);
        prop_assert!(thin.iter().all(|run| !run.is_empty()));
        let all: Vec<(f64, f64)> = places.iter().flatten().copied().collect();
        prop_assert!(all.len() > MOST_POINTS || all == kept);
        let mut rest = all.iter();
        prop_assert!(kept.iter().all(|point| rest.any(|other| other == point)));
        let highest = |points: &[(f64, f64)]| points.iter().map(|point| point.1).fold(-1.0, f64::max);
        let lowest = |points: &[(f64, f64)]| points.iter().map(|point| point.1).fold(2.0, f64::min);
        prop_assert_eq!((highest(&all), lowest(&all)), (highest(&kept), lowest(&kept)));
    }
}
