#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::view::View;

fn held(k: usize, input: Input, entries: usize, sample: usize) -> HeldRows {
    HeldRows::with_most(k, input, Most { entries, sample, numbers: 3 * k * entries })
}

/// Rows that repeat: three classes, predictions of a few values.
fn rows() -> impl Strategy<Value = Vec<([f64; 3], u32, f64)>> {
    let p = prop::sample::select(vec![0.0, -0.0, 0.125, 0.25, 0.5]);
    let weight = prop::sample::select(vec![0.0, 1.0, 2.0, 0.1, 0.7]);
    let row = (p.clone(), p, 0_u32..3, weight).prop_map(|(a, b, y, w)| ([a, b, 1.0 - a - b], y, w));
    prop::collection::vec(row, 1..60)
}

fn add(state: &mut HeldRows, rows: &[([f64; 3], u32, f64)], smoothing: f64) {
    let p: Vec<f64> = rows.iter().flat_map(|row| row.0).collect();
    let labels: Vec<u32> = rows.iter().map(|row| row.1).collect();
    let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
    let view = View::rows_of(&p, 3).unwrap();
    state.update(&view, Target::Classes(&labels), Some(&weights), smoothing);
}

proptest! {
    /// Whatever the order of the rows and the parts they come in, the table is the same, a sample or not.
    #[test]
    fn no_order_and_no_split_shows(
        mut rows in rows(),
        cut in 0.0..1.0,
        most in 1_usize..40,
        smoothing in prop::sample::select(vec![0.0, 0.1]),
        turn in 0_usize..60,
    ) {
        let mut whole = held(3, Input::Probabilities, most, most.div_ceil(2));
        add(&mut whole, &rows, smoothing);
        let n = rows.len();
        rows.rotate_left(turn % n);
        rows.reverse();
        let (left, right) = rows.split_at((cut * rows.len() as f64) as usize);
        let mut parts = held(3, Input::Probabilities, most, most.div_ceil(2));
        add(&mut parts, left, smoothing);
        let mut other = held(3, Input::Probabilities, most, most.div_ceil(2));
        add(&mut other, right, smoothing);
        parts.merge(other);
        prop_assert_eq!(whole.finish(), parts.finish());
    }

    /// Below the limits every row is there, once.
    #[test]
    fn every_row_is_held(rows in rows()) {
        let mut state = HeldRows::new(3, Input::Probabilities);
        add(&mut state, &rows, 0.0);
        let present: Vec<_> = rows.iter().filter(|row| row.2 > 0.0).collect();
        let Some(table) = state.finish() else {
            prop_assert!(present.is_empty());
            return Ok(());
        };
        prop_assert_eq!(table.rows(), present.len() as u64);
        for i in 0..table.len() {
            for (class, weight) in table.outcomes(i) {
                let same = present.iter().filter(|row| row.1 == class && row.0 == table.prediction(i));
                let wanted: f64 = same.map(|row| row.2).sum();
                prop_assert!((weight - wanted).abs() < 1e-12 * wanted);
            }
        }
    }

    /// A weight of 2 is two rows.
    #[test]
    fn whole_weights_count_rows(rows in rows(), folds in 2_u64..5) {
        let whole: Vec<_> = rows.into_iter().filter(|row| row.2.trunc() == row.2).collect();
        let repeated: Vec<_> =
            whole.iter().flat_map(|row| vec![(row.0, row.1, 1.0); row.2 as usize]).collect();
        let [weighted, repeated] = [whole, repeated].map(|rows| {
            let mut state = HeldRows::new(3, Input::Probabilities);
            add(&mut state, &rows, 0.0);
            state.finish()
        });
        let (Some(weighted), Some(repeated)) = (weighted, repeated) else { return Ok(()) };
        prop_assert_eq!(&weighted.cells, &repeated.cells);
        prop_assert_eq!(&weighted.values, &repeated.values);
        // Dealt into folds, every row is in one of them, and folds differ by a row at most.
        let parts: Vec<Vec<f64>> = (0..folds).map(|fold| weighted.dealt(fold, folds)).collect();
        for (i, cell) in weighted.cells.iter().enumerate() {
            prop_assert_eq!(parts.iter().map(|part| part[i]).sum::<f64>(), cell.weight);
        }
        let sizes: Vec<f64> = parts.iter().map(|part| part.iter().sum()).collect();
        let range = |f: fn(f64, f64) -> f64| sizes.iter().copied().reduce(f).unwrap();
        prop_assert!(range(f64::max) - range(f64::min) <= 1.0);
    }
}

/// Many classes under few predictions and under many: each pair is one entry.
#[test]
fn pairs_are_found_again_whatever_their_classes() {
    use std::collections::BTreeMap;
    for (k, predictions) in [(2, 700), (9, 200), (50, 40), (3000, 1), (3000, 20)] {
        let mut random = crate::calibration::random::SplitMix64::new(7);
        let below = |random: &mut crate::calibration::random::SplitMix64, n: usize| {
            (random.uniform() * n as f64) as usize
        };
        let rows: Vec<(usize, u32)> = (0..6000)
            .map(|_| (below(&mut random, predictions), below(&mut random, k) as u32))
            .collect();
        let row = |i: usize| (0..k).map(move |c| if c == i % k { 1.0 } else { i as f64 });
        let p: Vec<f64> = rows.iter().flat_map(|(i, _)| row(*i)).collect();
        let labels: Vec<u32> = rows.iter().map(|(_, class)| *class).collect();
        let mut state = HeldRows::new(k, Input::Logits);
        state.update(&View::rows_of(&p, k).unwrap(), Target::Classes(&labels), None, 0.0);
        let table = state.finish().unwrap();
        let mut wanted: BTreeMap<usize, BTreeMap<u32, f64>> = BTreeMap::new();
        for (i, class) in rows {
            *wanted.entry(i).or_default().entry(class).or_default() += 1.0;
        }
        assert_eq!(table.len(), wanted.len(), "{k} classes");
        for at in 0..table.len() {
            let is_it = |i: &&usize| row(**i).eq(table.prediction(at).iter().copied());
            let i = wanted.keys().find(is_it).unwrap();
            assert!(table.outcomes(at).eq(wanted[i].iter().map(|(c, w)| (*c, *w))), "{k}, {i}");
        }
    }
}

/// A sample holds about as many predictions as it can, each with all of its rows.
#[test]
fn a_sample_is_of_whole_predictions() {
    let n = 10_000;
    let mut state = held(2, Input::Probabilities, 2000, 1000);
    let p: Vec<f64> = (0..n)
        .flat_map(|i| {
            let p = f64::from(i) / f64::from(n);
            [1.0 - p, p]
        })
        .collect();
    let view = View::rows_of(&p, 2).unwrap();
    for class in [0, 1] {
        state.update(&view, Target::Classes(&vec![class; n as usize]), None, 0.0);
    }
    let table = state.finish().unwrap();
    assert!(table.is_sample());
    assert!(table.len() > 220 && table.len() <= 500, "{}", table.len());
    assert_eq!(table.rows(), 2 * table.len() as u64);
    assert!((0..table.len()).all(|i| table.outcomes(i).eq([(0, 1.0), (1, 1.0)])));
    // A sample of the whole range.
    let mean: f64 =
        (0..table.len()).map(|i| table.prediction(i)[1]).sum::<f64>() / table.len() as f64;
    assert!((mean - 0.5).abs() < 0.06, "{mean}");
}

/// The same logits in any type and layout are the same rows.
#[test]
fn logits_are_hashed_as_numbers() {
    let k = 40;
    let x: Vec<f32> = (0..3 * k).map(|i| (i as f32 * 0.37).sin() * 4.0).collect();
    let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    let mut by_column = vec![0.0_f32; x.len()];
    for row in 0..3 {
        for c in 0..k {
            by_column[c * 3 + row] = x[row * k + c];
        }
    }
    let labels = [1, 39, 0];
    let table = |add: &dyn Fn(&mut HeldRows)| {
        let mut state = HeldRows::new(k, Input::Logits);
        add(&mut state);
        state.finish().unwrap()
    };
    let target = Target::Classes(&labels);
    let a = table(&|s| s.update(&View::rows_of(&x, k).unwrap(), target, None, 0.0));
    let b = table(&|s| s.update(&View::rows_of(&wide, k).unwrap(), target, None, 0.0));
    let c = table(&|s| s.update(&View::columns_of(&by_column, 3).unwrap(), target, None, 0.0));
    assert_eq!(a, b);
    assert_eq!(a, c);
}

/// Rows by keys of two models: whatever is dropped, both states hold the same rows.
#[test]
fn states_of_the_same_keys_hold_the_same_rows() {
    let n = 400;
    let odds = |i: usize| (i as f64 * 0.618).fract() * 4.0 - 2.0;
    // The second model has few predictions.
    let models = [|x: f64| x, |x: f64| (2.0 * x).round()];
    let labels: Vec<u32> = (0..n).map(|i| (i * i % 7 < 3).into()).collect();
    let rows = models.map(|model| (0..n).flat_map(|i| [0.0, model(odds(i))]).collect::<Vec<f64>>());
    let mut states = vec![held(2, Input::Logits, 100, 50); 2];
    let mut keys = vec![0; n];
    for (state, rows) in states.iter().zip(&rows) {
        state.add_to_keys(&View::rows_of(rows, 2).unwrap(), &mut keys);
    }
    for (state, rows) in states.iter_mut().zip(&rows) {
        let view = View::rows_of(rows, 2).unwrap();
        state.update_keyed(&view, Some(&keys), Target::Classes(&labels), None, 0.0);
    }
    HeldRows::align(&mut states);
    let tables: Vec<HeldTable> = states.into_iter().map(|state| state.finish().unwrap()).collect();
    let [a, b] = &tables[..] else { panic!("two models") };
    assert!(a.is_sample() && b.is_sample() && a.rows() == b.rows() && a.len() == b.len());
    assert!((10..=50).contains(&a.rows()), "{}", a.rows());
    for i in 0..a.len() {
        assert_eq!(models[1](a.prediction(i)[1]), b.prediction(i)[1]);
        assert!(a.outcomes(i).eq(b.outcomes(i)));
    }
}
