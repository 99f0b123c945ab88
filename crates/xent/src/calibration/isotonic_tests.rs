use super::isotonic_regression;
use crate::calibration::CalibrationError;
use crate::calibration::rows::{BinaryRows, Group};
use crate::calibration::testing::{Random, repeated, rows, sorted};

/// The fit at each group by its definition: max over starts of min over ends of the mean.
fn by_definition(groups: &[Group]) -> Vec<f64> {
    let mean = |a: usize, b: usize| {
        let positive: f64 = groups[a..=b].iter().map(|g| g.positive).sum();
        positive / groups[a..=b].iter().map(Group::weight).sum::<f64>()
    };
    let n = groups.len();
    (0..n)
        .map(|i| {
            let worst = |a| (i..n).map(|b| mean(a, b)).fold(f64::INFINITY, f64::min);
            (0..=i).map(worst).fold(f64::NEG_INFINITY, f64::max)
        })
        .collect()
}

#[test]
fn equals_the_definition() {
    for seed in 0..60 {
        for (n, digits) in [(1, 2), (2, 1), (8, 1), (40, 1), (60, 3)] {
            for weight in [|_| 1.0, |u: f64| (u * 4.0).floor() + 1.0] {
                let data = sorted(&rows(seed, n, digits, weight));
                let groups: Vec<Group> = data.groups().collect();
                let blocks = data.isotonic();
                let mut fitted = Vec::new();
                for block in &blocks {
                    let inside = groups.iter().filter(|g| {
                        (block.lowest.positive..=block.highest.positive)
                            .contains(&g.prediction.positive)
                    });
                    fitted.extend(inside.map(|_| block.frequency()));
                }
                // Whole sums: the very quotient that the definition has.
                assert_eq!(fitted, by_definition(&groups), "{seed} {n} {digits}");
                assert!(blocks.windows(2).all(|b| b[0].frequency() < b[1].frequency()));
                assert_eq!(blocks.last().unwrap().rows.end, data.len());
            }
        }
    }
}

#[test]
fn any_order_and_any_split_give_the_same_bits() {
    let mut random = Random(7);
    for weight in [|_| 1.0, |u: f64| (u * 3.0).ceil(), |u: f64| u + 0.1] {
        let mut data = rows(3, 700, 2, weight);
        let expected = sorted(&data);
        for parts in [1, 2, 7, 100] {
            random.shuffle(&mut data);
            let mut state = BinaryRows::default();
            for part in data.chunks(data.len().div_ceil(parts)) {
                let p: Vec<f64> = part.iter().map(|r| r.0).collect();
                let y: Vec<bool> = part.iter().map(|r| r.1).collect();
                let w: Vec<f64> = part.iter().map(|r| r.2).collect();
                let mut other = BinaryRows::default();
                // Some batches come without weights if those are 1.
                let weights = w.iter().any(|w| *w != 1.0).then_some(&w[..]);
                other.add_probabilities(&p, &y, weights).unwrap();
                other.merge(BinaryRows::default());
                state.merge(other);
            }
            let state = state.sort().unwrap();
            assert_eq!(state, expected);
            assert_eq!(state.isotonic(), expected.isotonic());
        }
    }
}

#[test]
fn whole_weights_are_repeated_rows() {
    let data = rows(11, 300, 2, |u| (u * 5.0).floor());
    let (weighted, plain) = (sorted(&data), sorted(&repeated(&data)));
    let without_rows = |b: super::Block| (b.lowest, b.highest, b.negative, b.positive);
    let a: Vec<_> = weighted.isotonic().into_iter().map(without_rows).collect();
    let b: Vec<_> = plain.isotonic().into_iter().map(without_rows).collect();
    assert_eq!(a, b);
    assert_eq!(weighted.weight(), plain.weight());
    assert_eq!(weighted.effective_rows(), plain.effective_rows());
}

#[test]
fn weights_may_be_given_late_and_be_zero() {
    let mut state = BinaryRows::default();
    state.add_probabilities(&[0.5], &[true], None).unwrap();
    state.add_probabilities(&[0.25, 0.75], &[true, false], Some(&[0.0, 2.0])).unwrap();
    state.add_probabilities(&[-0.0], &[false], None).unwrap();
    assert_eq!(state.len(), 3);
    let state = state.sort().unwrap();
    let rows: Vec<_> = state.iter().map(|(p, y, w)| (p.positive, y, w)).collect();
    assert_eq!(rows, [(0.0, false, 1.0), (0.5, true, 1.0), (0.75, false, 2.0)]);
}

#[test]
fn bad_rows_are_named_and_nothing_is_added() {
    let mut state = BinaryRows::default();
    let y = [true, false];
    for (p, value) in [([0.5, 1.5], 1.5), ([0.5, -1e-9], -1e-9)] {
        let error = state.add_probabilities(&p, &y, None).unwrap_err();
        assert_eq!(error, CalibrationError::NotProbability { row: 1, value });
    }
    assert!(state.add_probabilities(&[0.5, f64::NAN], &y, None).is_err());
    assert!(state.add_pairs(&[0.5, 2.0], &[0.5, 0.1], &y, None).is_err());
    assert!(state.add_log_odds(&[0.5, f64::NAN], &y, None).is_err());
    assert!(state.add_probabilities(&[0.5, 0.5], &y, Some(&[1.0, -1.0])).is_err());
    assert!(state.add_probabilities(&[0.5, 0.5], &y, Some(&[1.0])).is_err());
    assert!(state.add_probabilities(&[0.5], &y, None).is_err());
    assert!(state.is_empty());
    assert_eq!(state.sort(), Err(CalibrationError::Empty));
}

#[test]
fn both_tails_keep_their_digits() {
    let mut state = BinaryRows::default();
    state.add_log_odds(&[-700.0, 700.0, f64::INFINITY], &[false; 3], None).unwrap();
    state.add_pairs(&[1e-300], &[1.0], &[true], None).unwrap();
    let tails: Vec<_> = state.sort().unwrap().groups().map(|g| g.prediction).collect();
    assert_eq!(tails[0].positive, crate::elementary::exp(-700.0));
    assert_eq!(tails[1].negative, 1e-300);
    assert_eq!(tails[2].negative, crate::elementary::exp(-700.0));
    assert_eq!((tails[3].positive, tails[3].negative), (1.0, 0.0));
}

#[test]
fn any_numbers() {
    // By hand: 5 and 1 pool to 3, with 2 to 2.75 at weight 1/3 more.
    let fit = isotonic_regression(
        &[3.0, 1.0, 2.0, 2.0, f64::INFINITY, -1.0],
        &[2.0, 5.0, 0.0, 2.0, -7.0, -9.0],
        Some(&[1.0, 1.0, 1.0, 1.0, 0.0, 2.0]),
    );
    assert_eq!(fit.unwrap(), [2.25, 2.25, 2.25, 2.25, 2.25, -9.0]);
    assert_eq!(isotonic_regression(&[], &[], None), Err(CalibrationError::Empty));
    assert!(isotonic_regression(&[f64::NAN], &[1.0], None).is_err());
    assert!(isotonic_regression(&[1.0], &[f64::INFINITY], None).is_err());
    for seed in 0..20 {
        let data = rows(seed, 50, 1, |u| u + 0.5);
        let x: Vec<f64> = data.iter().map(|r| r.0).collect();
        let y: Vec<f64> = data.iter().map(|r| f64::from(u8::from(r.1))).collect();
        let w: Vec<f64> = data.iter().map(|r| r.2).collect();
        let fit = isotonic_regression(&x, &y, Some(&w)).unwrap();
        for block in sorted(&data).isotonic() {
            for (x, fit) in x.iter().zip(&fit) {
                if (block.lowest.positive..=block.highest.positive).contains(x) {
                    assert!((fit - block.frequency()).abs() <= 4.0 * f64::EPSILON);
                }
            }
        }
    }
}
