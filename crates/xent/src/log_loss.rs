//! Log loss of probabilities alone: what a loop over epochs or a monitor asks for, without the other scores.

use crate::exact::ExactSum;
use crate::kernel::{STRETCH, few_losses, logarithms_body, positive_losses};
use crate::rows::{
    Matrix, Problem, RowNotes, RowProblem, RowScores, Rules, SUM_DECIMALS, SUM_NOTE, Target,
    check_labels,
};
use crate::simd::{self, leveled};

/// Losses between two additions to the sum.
const BATCH: usize = 512;
/// Classes from which on rows are added up one after another.
const MANY: usize = 32;
/// Numbers ahead that memory is asked for.
const AHEAD: usize = 512;

/// The sum of the log losses of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogLoss {
    /// Sum of `-ln p_y`, nats, exact; infinite if a row is.
    pub sum: ExactSum,
    /// Number of rows.
    pub rows: u64,
    /// Rows whose true class had probability 0.
    pub infinite: u64,
    /// Rows whose sum is a little off 1. Ties are not looked for.
    pub notes: RowNotes,
}

impl LogLoss {
    /// The mean, the sum rounded once and divided; NaN without rows.
    pub fn mean(&self) -> f64 {
        self.sum.value() / self.rows as f64
    }

    /// Adds other rows.
    pub fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.rows += other.rows;
        self.infinite += other.infinite;
        self.notes.merge(&other.notes);
    }
}

/// Log loss of probabilities against classes, the sum over rows.
///
/// ```text
/// sum_i -ln p_iy
/// ```
///
/// Several times faster than [`RowScores::score`], because nothing else is computed.
///
/// Shapes: `n_samples x n_classes` probabilities, as columns, as rows, or those of the second of two classes; one label
/// a row. Units: nats. Domain: every number in [0, 1], row sums within 0.01 of 1, labels below `n_classes`, all of which is
/// checked, as by [`RowScores::score`] under the default rules. A row whose class has probability 0 has an infinite loss, and
/// so has the sum; such rows are counted.
///
/// Accuracy: each loss within 1 ulp of the true logarithm, with the same bits as from [`RowScores::score`]; their sum is exact,
/// so that it is the same in any order and on any number of threads.
///
/// Source: Good (1952), "Rational Decisions", for the score.
///
/// # Errors
///
/// The first row that cannot be scored, and why.
///
/// # Example
///
/// ```
/// use xent::{log_loss::log_loss, rows::Matrix};
///
/// let p = [0.3, 0.3, 0.4, /**/ 0.1, 0.2, 0.7];
/// let loss = log_loss(Matrix::Rows { values: &p, width: 3 }, &[2, 0])?;
/// assert_eq!(loss.mean(), (-0.4_f64.ln() - 0.1_f64.ln()) / 2.0);
/// # Ok::<(), xent::rows::RowProblem>(())
/// ```
pub fn log_loss(matrix: Matrix<'_>, labels: &[u32]) -> Result<LogLoss, RowProblem> {
    let (n, k) = (matrix.n_samples(), matrix.n_classes());
    if labels.len() != n {
        return Err(RowProblem { row: n.min(labels.len()), problem: Problem::Shape });
    }
    let (all_labels, is_positive) = (labels, matches!(matrix, Matrix::Positive(_)));
    if !is_positive {
        check_labels(labels, k)?;
    }
    let mut all = LogLoss { rows: n as u64, ..LogLoss::default() };
    let mut batch = [0.0; BATCH];
    let mut scores = RowScores::default();
    for at in (0..n).step_by(BATCH) {
        let labels = &labels[at..n.min(at + BATCH)];
        let losses = &mut batch[..labels.len()];
        let mut odd = match matrix {
            Matrix::Rows { values, width: width @ 2.. } => {
                let values = &values[at * width..(at + labels.len()) * width];
                rows(values, width, labels, losses)
            }
            Matrix::Positive(p) => positive(&p[at..at + labels.len()], labels, losses),
            // Columns, and what is no distribution.
            _ => u64::MAX,
        };
        if is_positive && odd != 0 {
            check_labels(all_labels, k)?;
        }
        odd &= (1 << labels.len().div_ceil(STRETCH)) - 1;
        while odd != 0 {
            let from = odd.trailing_zeros() as usize * STRETCH;
            let to = labels.len().min(from + STRETCH);
            odd &= odd - 1;
            let part: Vec<&[f64]>;
            let rows = at + from..at + to;
            let matrix = match matrix {
                Matrix::Rows { values, width } => {
                    Matrix::Rows { values: &values[rows.start * width..rows.end * width], width }
                }
                Matrix::Positive(p) => Matrix::Positive(&p[rows.clone()]),
                Matrix::Columns(columns) => {
                    part = columns.iter().map(|c| &c[rows.clone()]).collect();
                    Matrix::Columns(&part)
                }
            };
            scores
                .score(matrix, Target::Classes(&labels[from..to]), &Rules::default())
                .map_err(|e| RowProblem { row: rows.start + e.row, problem: e.problem })?;
            scores.odd.iter().for_each(|odd| all.notes.add(odd));
            all.notes.ties = 0;
            losses[from..to].copy_from_slice(&scores.log_loss);
        }
        all.sum.add_slice(losses);
    }
    all.infinite = all.sum.positive_infinities();
    Ok(all)
}

/// The losses of at most [`BATCH`] rows; a bit for each [`STRETCH`] of them in which something is out of
/// the ordinary.
fn rows(values: &[f64], width: usize, labels: &[u32], losses: &mut [f64]) -> u64 {
    match width {
        2..=4 => few(values, width, labels, losses),
        5..MANY => some(values, width, labels, losses),
        _ => many(values, width, labels, losses),
    }
}

leveled! {
    fn few(values: &[f64], width: usize, labels: &[u32], losses: &mut [f64]) -> u64 => few_losses
}
leveled! {
    fn many(values: &[f64], width: usize, labels: &[u32], losses: &mut [f64]) -> u64 => many_losses
}

/// Rows of some classes: each is added up to two numbers, and then many rows' two at a time.
fn some(values: &[f64], width: usize, labels: &[u32], losses: &mut [f64]) -> u64 {
    let halve = match width {
        5 => halve_5,
        6 => halve_6,
        7 => halve_7,
        8 => halve_8,
        9 => halve_9,
        10 => halve_10,
        _ => halve_any,
    };
    let mut odd = 0;
    let mut halves = [[0.5; 2]; STRETCH];
    for (number, ((values, labels), losses)) in values
        .chunks(STRETCH * width)
        .zip(labels.chunks(STRETCH))
        .zip(losses.chunks_mut(STRETCH))
        .enumerate()
    {
        halve(values, width, labels, &mut halves, losses);
        odd |= u64::from(finish(values, &halves, losses)) << number;
    }
    odd
}

leveled! {
    /// Turns targets' probabilities into losses; whether something is out of the ordinary. Behind the
    /// last rows there are sums of others, or of 1.
    fn finish(values: &[f64], halves: &[[f64; 2]; STRETCH], losses: &mut [f64]) -> bool => finish_body
}

#[inline(always)]
fn finish_body(values: &[f64], halves: &[[f64; 2]; STRETCH], losses: &mut [f64]) -> bool {
    let mut farthest = 0;
    for half in halves {
        farthest = farthest.max(distance(half));
    }
    logarithms_body(losses);
    is_odd(farthest, &[largest_bits(values)])
}

/// Defines functions for rows of a width that the compiler knows: a row is then a few instructions.
macro_rules! halves {
    ($($name:ident $body:ident $width:expr;)*) => {$(
        leveled! {
            /// The sums of every other class of each row, and its target's probability.
            fn $name(
                values: &[f64],
                width: usize,
                labels: &[u32],
                halves: &mut [[f64; 2]; STRETCH],
                targets: &mut [f64],
            ) => $body
        }

        #[inline(always)]
        fn $body(
            values: &[f64],
            width: usize,
            labels: &[u32],
            halves: &mut [[f64; 2]; STRETCH],
            targets: &mut [f64],
        ) {
            halve(values, $width.unwrap_or(width), labels, halves, targets);
        }
    )*};
}

halves! {
    halve_5 halve_body_5 Some(5);
    halve_6 halve_body_6 Some(6);
    halve_7 halve_body_7 Some(7);
    halve_8 halve_body_8 Some(8);
    halve_9 halve_body_9 Some(9);
    halve_10 halve_body_10 Some(10);
    halve_any halve_body_any None::<usize>;
}

#[inline(always)]
fn halve(
    values: &[f64],
    width: usize,
    labels: &[u32],
    halves: &mut [[f64; 2]; STRETCH],
    targets: &mut [f64],
) {
    let n = targets.len().min(STRETCH);
    let (values, labels) = (&values[..n * width], &labels[..n]);
    for i in 0..n {
        let row = &values[i * width..i * width + width];
        for line in 0..width.div_ceil(8) {
            // So much is wanted at a time that the first-level cache's fills would keep loads waiting.
            simd::prefetch_second(row, 2 * AHEAD + line * 8);
        }
        let (pairs, rest) = row.as_chunks::<2>();
        let mut sums = pairs[0];
        for pair in &pairs[1..] {
            sums[0] += pair[0];
            sums[1] += pair[1];
        }
        if let [last] = rest {
            sums[0] += last;
        }
        halves[i] = sums;
        targets[i] = row[labels[i] as usize];
    }
}

/// The largest bits of some numbers.
#[inline(always)]
fn largest_bits(values: &[f64]) -> u64 {
    let mut largest = 0;
    for p in values {
        let bits = p.to_bits();
        largest = if bits > largest { bits } else { largest };
    }
    largest
}

/// Rows of many classes, one after another.
#[inline(always)]
fn many_losses(values: &[f64], width: usize, labels: &[u32], losses: &mut [f64]) -> u64 {
    let mut odd = 0;
    for (i, (row, &label)) in values.chunks_exact(width).zip(labels).enumerate() {
        let mut sums = [0.0; 32];
        let mut largest = [0; 8];
        let (groups, rest) = row.as_chunks::<32>();
        for group in groups {
            for line in 0..4 {
                simd::prefetch(group, AHEAD + line * 8);
            }
            for l in 0..32 {
                sums[l] += group[l];
            }
            for eight in group.as_chunks::<8>().0 {
                for l in 0..8 {
                    let bits = eight[l].to_bits();
                    largest[l] = if bits > largest[l] { bits } else { largest[l] };
                }
            }
        }
        for (sum, &p) in sums.iter_mut().zip(rest) {
            *sum += p;
            largest[0] = largest[0].max(p.to_bits());
        }
        losses[i] = row[label as usize];
        odd |= u64::from(is_odd(distance(&sums), &largest)) << (i / STRETCH);
    }
    logarithms_body(losses);
    odd
}

/// Bits of the distance of a row's sum from 1, which have the order of the distances; NaN is above all.
#[inline(always)]
fn distance(parts: &[f64]) -> i64 {
    (parts.iter().sum::<f64>() - 1.0).abs().to_bits() as i64
}

/// Whether a number may be outside [0, 1] (negative numbers and NaN have larger bits than 1, and so
/// has -0), or a sum may be off. Sums are taken in another order than by the scores, so this is a
/// little stricter; the scores decide.
#[inline(always)]
fn is_odd(farthest: i64, largest: &[u64]) -> bool {
    farthest > (SUM_NOTE + 0.5 * SUM_DECIMALS).to_bits() as i64
        || largest.iter().any(|&bits| bits > 1.0_f64.to_bits())
}

leveled! {
    /// As the kernel of the scores does it. Labels are looked at here, not in a pass of their own.
    fn positive(p: &[f64], labels: &[u32], losses: &mut [f64]) -> u64 => positive_body
}

#[inline(always)]
fn positive_body(p: &[f64], labels: &[u32], losses: &mut [f64]) -> u64 {
    let largest = labels.iter().fold(0, |largest: u32, &label| largest.max(label));
    if positive_losses(p, labels, losses) & (largest <= 1) { 0 } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementary::ln;
    use crate::kernel::positive_loss;
    use crate::rows::SUM_ERROR;

    fn random(n: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..n).map(|_| next()).collect()
    }

    fn noted(rows: &RowScores) -> RowNotes {
        let mut notes = RowNotes::default();
        rows.odd.iter().for_each(|odd| notes.add(odd));
        RowNotes { ties: 0, ..notes }
    }

    #[test]
    fn as_the_scores_say() {
        for (k, n) in [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 31, 32, 40, 700]
            .into_iter()
            .flat_map(|k| [(k, 150), (k, if k < 40 { 1_111 } else { 64 })])
        {
            let mut p = random(n * k, k as u64);
            p.chunks_mut(k).for_each(|row| {
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|p| *p /= sum);
            });
            let labels: Vec<u32> = (0..n).map(|r| (r * 31 % k) as u32).collect();
            // A probability of 0, and rounded rows, one among the last.
            (p[0], p[1]) = (0.0, p[0] + p[1]);
            p[7 * k] += 1e-4;
            p[(n - 2) * k] += 1e-4;
            let matrix = Matrix::Rows { values: &p, width: k };
            let found = log_loss(matrix, &labels).unwrap();
            let mut rows = RowScores::default();
            rows.score(matrix, Target::Classes(&labels), &Rules::default()).unwrap();
            let expected: ExactSum = rows.log_loss.iter().copied().collect();
            assert_eq!(found.sum, expected, "{k}");
            assert_eq!((found.rows, found.infinite), (n as u64, 1));
            assert_eq!(found.notes, noted(&rows));
            assert_eq!(found.notes.rounded_sums, 2);
            let columns: Vec<Vec<f64>> =
                (0..k).map(|c| (0..n).map(|r| p[r * k + c]).collect()).collect();
            let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            assert_eq!(log_loss(Matrix::Columns(&columns), &labels).unwrap(), found);
        }
        let p = random(150, 9);
        let labels: Vec<u32> = (0..150).map(|r| r % 2).collect();
        let mut rows = RowScores::default();
        rows.score(Matrix::Positive(&p), Target::Classes(&labels), &Rules::default()).unwrap();
        let expected: ExactSum = rows.log_loss.iter().copied().collect();
        assert_eq!(log_loss(Matrix::Positive(&p), &labels).unwrap().sum, expected);
    }

    /// Sums are taken in another order than by the scores; at the very limits these decide.
    #[test]
    fn sums_at_the_limits_are_noted_as_by_the_scores() {
        for k in [2, 3, 4, 5, 7, 10, 12, 31, 32, 100] {
            for limit in [SUM_NOTE, SUM_ERROR] {
                for ulps in -40..=40 {
                    let mut p = vec![0.7 / (k - 1) as f64; 70 * k];
                    p.chunks_mut(k).for_each(|row| row[k - 1] = 0.3);
                    p[66 * k] += limit + SUM_DECIMALS + f64::from(ulps) * f64::EPSILON / 4.0;
                    let matrix = Matrix::Rows { values: &p, width: k };
                    let mut rows = RowScores::default();
                    let scored = rows.score(matrix, Target::Classes(&[0; 70]), &Rules::default());
                    let found = log_loss(matrix, &[0; 70]);
                    match (scored, found) {
                        (Ok(()), Ok(found)) => assert_eq!(found.notes, noted(&rows), "{k} {ulps}"),
                        (Err(expected), Err(found)) => assert_eq!(found, expected),
                        different => panic!("{k} {ulps}: {different:?}"),
                    }
                }
            }
        }
    }

    /// As everywhere, before any other error, wherever it stands.
    #[test]
    fn a_label_out_of_range_comes_first() {
        let mut p = vec![0.5; 1_200];
        p[3] = 1.5;
        let mut labels = vec![1; 1_200];
        labels[1_100] = 2;
        let error = log_loss(Matrix::Positive(&p), &labels).unwrap_err();
        assert_eq!(error.to_string(), "row 1100: label 2 is out of range for 2 classes");
        p[3] = 0.5;
        assert_eq!(log_loss(Matrix::Positive(&p), &labels).unwrap_err(), error);
    }

    /// The short form of the logarithm and the long one, which rows beside 0 take, have the same bits.
    #[test]
    fn what_stands_beside_a_row_does_not_change_it() {
        for small in [0.5, 0.0, 1.0, 5e-324, 1e-310, f64::MIN_POSITIVE] {
            for at in 0..70 {
                let mut p = random(70, 5);
                p[at] = small;
                for y in [0, 1] {
                    let labels = vec![y; 70];
                    let sum = log_loss(Matrix::Positive(&p), &labels).unwrap().sum;
                    let alone = p.iter().map(|&p| positive_loss(p, y == 1));
                    assert_eq!(sum, alone.collect::<ExactSum>(), "{small:e} at {at}");
                    let rows: Vec<f64> = p.iter().flat_map(|&p| [p, 1.0 - p]).collect();
                    let sum = log_loss(Matrix::Rows { values: &rows, width: 2 }, &labels);
                    let target = rows.chunks(2).map(|row| 0.0 - ln(row[y as usize]));
                    assert_eq!(sum.unwrap().sum, target.collect::<ExactSum>(), "{small:e} at {at}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_probability_is_found_in_its_row() {
        for k in [2, 3, 4, 5, 10, 40] {
            for (value, at) in [(-0.1, 0), (1.5, 70), (f64::NAN, 99), (0.5, 65), (f64::INFINITY, 3)]
            {
                let mut p = vec![1.0 / k as f64; 100 * k];
                p[at * k + k - 1] = value;
                let matrix = Matrix::Rows { values: &p, width: k };
                let found = log_loss(matrix, &[0; 100]);
                if value == 0.5 && k == 2 {
                    assert!(found.is_ok());
                    continue;
                }
                let mut rows = RowScores::default();
                let expected =
                    rows.score(matrix, Target::Classes(&[0; 100]), &Rules::default()).unwrap_err();
                assert_eq!(found.unwrap_err().to_string(), expected.to_string());
                assert_eq!(expected.row, at);
            }
        }
        let error = log_loss(Matrix::Positive(&[0.5, -0.0, 1.1]), &[0, 0, 1]).unwrap_err();
        assert_eq!(error.row, 2);
        let error = log_loss(Matrix::Rows { values: &[0.5, 0.5], width: 2 }, &[2]).unwrap_err();
        assert_eq!(error.to_string(), "row 0: label 2 is out of range for 2 classes");
    }
}
