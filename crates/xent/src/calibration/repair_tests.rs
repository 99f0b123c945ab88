use super::{Mistake, Repair, assignment, find};
use crate::calibration::testing::Random;

/// Rows of a fair model: probabilities, logits, labels.
fn model(seed: u64, n: usize, k: usize) -> (Vec<f64>, Vec<f64>, Vec<i64>) {
    let mut random = Random(seed);
    let (mut p, mut x, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let row: Vec<f64> = (0..k).map(|_| (random.next() - 0.5) * 8.0).collect();
        let e: Vec<f64> = row.iter().map(|x| x.exp()).collect();
        let all: f64 = e.iter().sum();
        let mut u = random.next() * all;
        let label = e.iter().position(|e| {
            u -= e;
            u < 0.0
        });
        labels.push(label.unwrap_or(k - 1) as i64);
        p.extend(e.iter().map(|e| e / all));
        x.extend(row);
    }
    (p, x, labels)
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    for seed in 0..10 {
        let (p, x, labels) = model(seed, 200, 4);
        assert_eq!(find(&p, 4, &labels, None).unwrap(), []);
        // A useless model is not repaired by chance either.
        let mut labels = labels;
        Random(seed).shuffle(&mut labels);
        assert_eq!(find(&p, 4, &labels, None).unwrap(), []);
        assert_eq!(find(&x, 4, &labels, None).unwrap(), []);
    }
}

/// Predictions that say nothing about the labels, of every temper, in tables of every size: a mistake is told in none of
/// thousands.
#[test]
fn it_does_not_cry_wolf() {
    let mut random = Random(77);
    for round in 0..6000 {
        let n = 1 + (random.next() * random.next() * 60.0) as usize;
        let k = 2 + (random.next() * 5.0) as usize;
        // From nearly constant to nearly certain.
        let spread = (random.next() * 12.0 - 4.0).exp();
        let constant = round % 3 == 0;
        let mut scores = vec![0.0; k];
        let (mut p, mut logits, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..n {
            if i == 0 || !constant {
                scores = (0..k).map(|_| (random.next() - 0.5) * spread).collect();
            }
            let all: f64 = scores.iter().map(|x| x.exp()).sum();
            p.extend(scores.iter().map(|x| x.exp() / all));
            logits.extend(scores.iter().map(|x| x * 3.0));
            labels.push((random.next() * random.next() * k as f64) as i64);
        }
        assert_eq!(find(&p, k, &labels, None).unwrap(), [], "{round} {n} {k} {spread}");
        let by_softmax = find(&logits, k, &labels, None).unwrap();
        let percents = matches!(by_softmax[..], [Repair { mistake: Mistake::Percent, .. }]);
        assert!(by_softmax.is_empty() || percents, "{round} {n} {k} {by_softmax:?}");
        if k == 2 {
            let one: Vec<f64> = p.chunks(2).map(|row| row[1]).collect();
            assert_eq!(find(&one, 1, &labels, None).unwrap(), [], "{round} {n}");
        }
    }
}

/// Models that are far too sure, or too timid, or wrong more often than right by a little, know something: columns that
/// are merely badly calibrated are not permuted.
#[test]
fn bad_calibration_is_no_mistake() {
    for (seed, temper) in [(1, 8.0), (2, 3.0), (3, 0.2), (4, -0.02), (5, 0.0)] {
        let (_, x, labels) = model(seed, 400, 3);
        let p: Vec<f64> = x
            .chunks(3)
            .flat_map(|row| {
                let e: Vec<f64> = row.iter().map(|x| (temper * x).exp()).collect();
                let all: f64 = e.iter().sum();
                e.into_iter().map(move |e| e / all)
            })
            .collect();
        assert_eq!(find(&p, 3, &labels, None).unwrap(), [], "{temper}");
    }
    // One wrong number among good ones is that, and no other kind of number.
    let (mut p, _, labels) = model(6, 400, 3);
    p[7] = 1.2;
    assert_eq!(find(&p, 3, &labels, None).unwrap(), []);
}

/// A row of weight 3 is the row three times, and the order of the rows does not matter.
#[test]
fn whole_weights_repeat_rows() {
    let (p, _, labels) = model(9, 60, 3);
    let columns = [1, 2, 0];
    let given: Vec<f64> = p.chunks(3).flat_map(|row| columns.map(|c| row[c])).collect();
    let weights: Vec<f64> = (0..60).map(|i| f64::from(i % 4)).collect();
    let (mut values, mut repeated) = (Vec::new(), Vec::new());
    for i in (0..60).rev() {
        for _ in 0..weights[i] as usize {
            values.extend_from_slice(&given[3 * i..3 * i + 3]);
            repeated.push(labels[i]);
        }
    }
    let weighted = find(&given, 3, &labels, Some(&weights)).unwrap();
    assert_eq!(weighted, find(&values, 3, &repeated, None).unwrap());
    assert_eq!(weighted.len(), 1);
    assert!(find(&given, 3, &labels, Some(&weights[1..])).is_err());
}

#[test]
fn each_mistake_is_found() {
    let (p, x, labels) = model(1, 300, 4);
    let right: f64 =
        p.chunks(4).zip(&labels).map(|(row, &y)| -row[y as usize].ln()).sum::<f64>() / 300.0;
    let columns = vec![2, 0, 3, 1];
    let permuted: Vec<f64> = p
        .chunks(4)
        .flat_map(|row| {
            let mut out = [0.0; 4];
            columns.iter().enumerate().for_each(|(class, &column)| out[column] = row[class]);
            out
        })
        .collect();
    let each = |f: fn(f64) -> f64| -> Vec<f64> { p.iter().map(|&p| f(p)).collect() };
    let shifted: Vec<i64> = labels.iter().map(|y| y + 1).collect();
    let cases = [
        (permuted, labels.clone(), Mistake::Permuted { columns }),
        (each(|p| 100.0 * p), labels.clone(), Mistake::Percent),
        (each(f64::ln), labels.clone(), Mistake::LogProbabilities { base: std::f64::consts::E }),
        (each(f64::log2), labels.clone(), Mistake::LogProbabilities { base: 2.0 }),
        (each(f64::log10), labels.clone(), Mistake::LogProbabilities { base: 10.0 }),
        (x, labels.clone(), Mistake::Logits),
        (p.clone(), shifted, Mistake::LabelsOff { by: -1 }),
    ];
    for (values, labels, mistake) in cases {
        let found = find(&values, 4, &labels, None).unwrap();
        let repair = found.iter().find(|repair| repair.mistake == mistake);
        let repair = repair.unwrap_or_else(|| panic!("{mistake:?}: {found:?}"));
        assert!((repair.after - right).abs() < 1e-12, "{repair:?} {right}");
        assert!((found[0].after - right).abs() < 1e-12);
    }
}

#[test]
fn one_column() {
    let (p, x, labels) = model(2, 300, 2);
    let second = |values: &[f64]| -> Vec<f64> { values.chunks(2).map(|row| row[1]).collect() };
    assert_eq!(find(&second(&p), 1, &labels, None).unwrap(), []);
    let first: Vec<f64> = p.chunks(2).map(|row| row[0]).collect();
    assert_eq!(find(&first, 1, &labels, None).unwrap()[0].mistake, Mistake::OtherClass);
    let odds: Vec<f64> = x.chunks(2).map(|row| row[1] - row[0]).collect();
    assert_eq!(find(&odds, 1, &labels, None).unwrap()[0].mistake, Mistake::Logits);
    let percent: Vec<f64> = second(&p).iter().map(|p| 100.0 * p).collect();
    assert_eq!(find(&percent, 1, &labels, None).unwrap()[0].mistake, Mistake::Percent);
}

#[test]
fn assignment_is_the_best_of_all() {
    let mut random = Random(4);
    for k in 1..=6 {
        for _ in 0..30 {
            let costs: Vec<f64> = (0..k * k).map(|_| (random.next() * 8.0).floor()).collect();
            let cost = |columns: &[usize]| -> f64 {
                columns.iter().enumerate().map(|(row, column)| costs[row * k + column]).sum()
            };
            let mut best = f64::INFINITY;
            let mut columns: Vec<usize> = (0..k).collect();
            permute(&mut columns, 0, &mut |columns| best = best.min(cost(columns)));
            let found = assignment(&costs, k);
            assert_eq!(cost(&found), best, "{k} {costs:?} {found:?}");
        }
    }
}

fn permute(items: &mut [usize], from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == items.len() {
        visit(items);
    }
    for i in from..items.len() {
        items.swap(from, i);
        permute(items, from + 1, visit);
        items.swap(from, i);
    }
}

#[test]
fn bad_arguments() {
    assert!(find(&[], 2, &[], None).is_err());
    assert!(find(&[0.5; 3], 2, &[0], None).is_err());
    assert_eq!(find(&[f64::NAN, 1.0], 2, &[0], None).unwrap(), []);
    assert_eq!(find(&[0.5, 0.5], 2, &[7], None).unwrap(), []);
}

/// Many zeros after the repair do not hide it; what is said of the loss says so.
#[test]
fn zeros_that_stay_hide_nothing() {
    let (p, _, labels) = model(3, 400, 3);
    let mut given: Vec<f64> = p.chunks(3).flat_map(|row| [row[1], row[0], row[2]]).collect();
    for (i, row) in given.chunks_mut(3).enumerate().filter(|(i, _)| i % 16 == 0) {
        let column = [1, 0, 2][labels[i] as usize];
        let (lost, other) = (row[column], (column + 1) % 3);
        row[column] = 0.0;
        row[other] += lost;
    }
    let found = find(&given, 3, &labels, None).unwrap();
    assert_eq!(found[0].mistake, Mistake::Permuted { columns: vec![1, 0, 2] });
    assert!(found[0].has_zeros && found[0].after > 1.0, "{found:?}");
    // Hard predictions of the other class, wrong in three rows of four.
    let hard: Vec<f64> = (0..500).map(|i| f64::from(i % 2)).collect();
    let labels: Vec<i64> = (0..500).map(|i| i64::from((i % 2 == 0) != (i % 8 >= 6))).collect();
    let found = find(&hard, 1, &labels, None).unwrap();
    assert_eq!(found[0].mistake, Mistake::OtherClass);
    assert!(found[0].has_zeros);
    // Hard guesses are not repaired by chance.
    let mut labels = labels;
    for seed in 0..200 {
        Random(seed).shuffle(&mut labels);
        assert_eq!(find(&hard, 1, &labels, None).unwrap(), [], "{seed}");
    }
}

#[test]
fn negative_logarithms() {
    let (p, _, labels) = model(1, 300, 4);
    for base in [std::f64::consts::E, 2.0, 10.0] {
        let values: Vec<f64> = p.iter().map(|p| -p.ln() / base.ln()).collect();
        let found = find(&values, 4, &labels, None).unwrap();
        assert_eq!(found[0].mistake, Mistake::NegativeLogProbabilities { base });
        assert!(found[0].after < 1.0 && !found[0].has_zeros);
    }
    // Of hard predictions: 0 has an infinite one.
    let hard: Vec<f64> = labels
        .iter()
        .flat_map(|&y| [y % 2, 1 - y % 2])
        .map(|y| if y == 0 { 0.0 } else { f64::INFINITY })
        .collect();
    let labels: Vec<i64> = labels.iter().map(|y| y % 2).collect();
    let found = find(&hard, 2, &labels, None).unwrap();
    assert!(matches!(found[0].mistake, Mistake::NegativeLogProbabilities { .. }));
    assert_eq!(found[0].after, 0.0);
}
