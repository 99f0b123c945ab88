use super::{Grouping, decompose};
use crate::calibration::binned::{self, Binning};
use crate::calibration::rows::BinaryRows;
use crate::calibration::testing::Random;
use crate::rows::Matrix;

/// Rows of three classes with few digits, and labels that follow them a little.
fn table(seed: u64, n: usize) -> (Vec<f64>, Vec<u32>, Vec<f64>) {
    let mut random = Random(seed);
    let (mut p, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let (a, b) = (1 + random.below(4), 1 + random.below(4));
        let row = [a as f64 / 16.0, b as f64 / 16.0, (16 - a - b) as f64 / 16.0];
        p.extend(row);
        let u = random.next();
        labels.push(if u < row[0] + 0.1 { 0 } else { 1 + u32::from(u > 0.5) });
        weights.push(random.below(3) as f64 + 0.25);
    }
    (p, labels, weights)
}

#[test]
fn parts_add_up_and_order_does_not_matter() {
    for seed in 0..10 {
        let (p, labels, weights) = table(seed, 400);
        let matrix = Matrix::Rows { values: &p, width: 3 };
        let found = decompose(matrix, &labels, Some(&weights), Grouping::Identical).unwrap();
        assert_eq!(found.within_groups, [0.0, 0.0]);
        assert!(found.groups <= 16);
        for parts in [found.parts.log, found.parts.squared] {
            assert!(parts.miscalibration >= 0.0 && parts.discrimination >= 0.0);
            let sum = parts.uncertainty - parts.discrimination + parts.miscalibration;
            assert!((sum - parts.score).abs() < 1e-15, "{parts:?}");
        }
        let mut order: Vec<usize> = (0..400).collect();
        Random(seed + 1).shuffle(&mut order);
        let shuffled: Vec<f64> = order.iter().flat_map(|&i| p[3 * i..3 * i + 3].to_vec()).collect();
        let matrix = Matrix::Rows { values: &shuffled, width: 3 };
        let labels: Vec<u32> = order.iter().map(|&i| labels[i]).collect();
        let weights: Vec<f64> = order.iter().map(|&i| weights[i]).collect();
        assert_eq!(decompose(matrix, &labels, Some(&weights), Grouping::Identical).unwrap(), found);
    }
}

#[test]
fn two_classes_are_the_binary_form() {
    let mut random = Random(9);
    let p: Vec<f64> = (0..500).map(|_| random.below(20) as f64 / 20.0 + 0.02).collect();
    let y: Vec<bool> = p.iter().map(|p| random.next() < 0.8 * p).collect();
    let labels: Vec<u32> = y.iter().map(|y| u32::from(*y)).collect();
    let found = decompose(Matrix::Positive(&p), &labels, None, Grouping::Identical).unwrap();
    let mut state = BinaryRows::default();
    state.add_probabilities(&p, &y, None).unwrap();
    let binary = binned::decompose(&state.sort().unwrap(), Binning::Distinct).unwrap();
    for (a, b) in [(found.parts.log, binary.log.parts), (found.parts.squared, binary.squared.parts)]
    {
        assert!((a.score - b.score).abs() < 1e-14);
        assert!((a.miscalibration - b.miscalibration).abs() < 1e-14);
        assert!((a.discrimination - b.discrimination).abs() < 1e-14);
        assert!((a.uncertainty - b.uncertainty).abs() < 1e-14);
    }
}

#[test]
fn groups_of_different_predictions_keep_the_rest_apart() {
    let (p, labels, _) = table(2, 600);
    let matrix = Matrix::Rows { values: &p, width: 3 };
    let fine = decompose(matrix, &labels, None, Grouping::Identical).unwrap();
    let coarse = decompose(matrix, &labels, None, Grouping::TopClass(3)).unwrap();
    assert!(coarse.groups <= 9 && coarse.groups > 2);
    assert!(coarse.within_groups[0] != 0.0);
    assert_eq!(coarse.parts.log.score, fine.parts.log.score);
    // Groups that hold whole groups know less.
    assert!(coarse.parts.log.discrimination <= fine.parts.log.discrimination);
    let one = decompose(matrix, &labels, None, Grouping::Given(&vec![7; 600])).unwrap();
    assert_eq!((one.groups, one.rows_per_group), (1, 600.0));
    assert_eq!(one.parts.log.discrimination, 0.0);
}

#[test]
fn infinite_and_bad_rows() {
    let p = [1.0, 0.0, /**/ 0.5, 0.5];
    let matrix = Matrix::Rows { values: &p, width: 2 };
    let found = decompose(matrix, &[1, 0], None, Grouping::Identical).unwrap();
    assert_eq!(found.parts.log.miscalibration, f64::INFINITY);
    assert!(found.parts.log.discrimination.is_finite());
    assert_eq!(found.within_groups[0], 0.0);
    assert!(decompose(matrix, &[1, 2], None, Grouping::Identical).is_err());
    assert!(decompose(matrix, &[1], None, Grouping::Identical).is_err());
    assert!(decompose(matrix, &[1, 0], Some(&[0.0, 0.0]), Grouping::Identical).is_err());
    assert!(decompose(matrix, &[1, 0], None, Grouping::TopClass(0)).is_err());
    let matrix = Matrix::Rows { values: &[1.5, -0.5], width: 2 };
    assert!(decompose(matrix, &[0], None, Grouping::Identical).is_err());
}
