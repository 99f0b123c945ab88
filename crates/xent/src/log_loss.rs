//! Log loss of probabilities alone: what a loop over epochs or a monitor asks for, without the other scores.

use crate::exact::ExactSum;
use crate::kernel::{positive_losses, sum_few, take_logarithms};
use crate::rows::{
    Matrix, Problem, RowNotes, RowProblem, RowScores, Rules, SUM_NOTE, Target, check_labels, is_far,
};
use crate::simd::{self, leveled};

/// Losses between two additions to the sum.
const BATCH: usize = 512;

/// Rows at a time, so that memory brings the next meanwhile; measured. A divisor of [`BATCH`].
fn stretch(matrix: Matrix<'_>) -> usize {
    match matrix {
        Matrix::Positive(_) => BATCH,
        Matrix::Rows { width: 6..=32, .. } => 32,
        _ => 64,
    }
}

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

/// Log loss of probabilities against classes: `-ln p_y` of each row, summed exactly.
///
/// Everything is validated as by [`RowScores::score`] under the default rules: every number in
/// [0, 1], row sums within 0.01 of 1, labels in range; and each row's loss has the same bits as there (within
/// 1 ulp of the true logarithm). Several times faster, because nothing else is computed.
///
/// Shapes: `n_samples x n_classes` probabilities, one label a row.
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
    check_labels(labels, k)?;
    let mut all = LogLoss { rows: n as u64, ..LogLoss::default() };
    let mut batch = [0.0; BATCH];
    let mut scores = RowScores::default();
    let stretch = stretch(matrix);
    for at in (0..n).step_by(stretch) {
        let labels = &labels[at..n.min(at + stretch)];
        let slot = at % BATCH;
        let losses = &mut batch[slot..slot + labels.len()];
        let clean = match matrix {
            Matrix::Rows { values, width } => {
                let values = &values[at * width..(at + labels.len()) * width];
                rows(values, width, labels, losses)
            }
            Matrix::Positive(p) => positive(&p[at..at + labels.len()], labels, losses),
            Matrix::Columns(_) => false,
        };
        if !clean {
            // Columns, and whatever is out of the ordinary.
            let part: Vec<&[f64]>;
            let rows = at..at + labels.len();
            let matrix = match matrix {
                Matrix::Rows { values, width } => {
                    Matrix::Rows { values: &values[rows.start * width..rows.end * width], width }
                }
                Matrix::Positive(p) => Matrix::Positive(&p[rows]),
                Matrix::Columns(columns) => {
                    part = columns.iter().map(|c| &c[rows.clone()]).collect();
                    Matrix::Columns(&part)
                }
            };
            scores
                .score(matrix, Target::Classes(labels), &Rules::default())
                .map_err(|e| RowProblem { row: at + e.row, problem: e.problem })?;
            scores.odd.iter().for_each(|odd| all.notes.add(odd));
            all.notes.ties = 0;
            losses.copy_from_slice(&scores.log_loss);
        }
        let filled = slot + labels.len();
        if filled == BATCH || at + labels.len() == n {
            all.sum.add_slice(&batch[..filled]);
        }
    }
    all.infinite = all.sum.positive_infinities();
    Ok(all)
}

/// The losses of rows; whether all is in order.
fn rows(values: &[f64], width: usize, labels: &[u32], losses: &mut [f64]) -> bool {
    if width == 0 {
        return false;
    }
    for line in 0..(values.len() / 8).min(256) {
        simd::prefetch(values, values.len() + line * 8);
    }
    let clean = if let 2..=4 = width {
        sum_few(values, width, labels, losses)
    } else {
        let far = match width {
            5 => far_some::<5>(values),
            6 => far_some::<6>(values),
            7 => far_some::<7>(values),
            8 => far_some::<8>(values),
            9 => far_some::<9>(values),
            10 => far_some::<10>(values),
            _ => far_any(values, width),
        };
        for ((row, &label), loss) in values.chunks_exact(width).zip(labels).zip(&mut *losses) {
            *loss = row[label as usize];
        }
        !far & (largest_bits(values) <= 1.0_f64.to_bits())
    };
    take_logarithms(losses);
    clean
}

/// Whether a row's sum is off; not compiled for higher levels, where it becomes gathers.
fn far_some<const W: usize>(values: &[f64]) -> bool {
    let mut far = false;
    for row in values.as_chunks::<W>().0 {
        let mut sums = [0.0; 2];
        for (c, &p) in row.iter().enumerate() {
            sums[c % 2] += p;
        }
        far |= is_far(sums[0] + sums[1], SUM_NOTE);
    }
    far
}

leveled! {
    /// The largest bits: above those of 1 there is a number outside [0, 1], or -0.
    fn largest_bits(values: &[f64]) -> u64 => largest_body
}

#[inline(always)]
fn largest_body(values: &[f64]) -> u64 {
    let mut largest = 0;
    for p in values {
        let bits = p.to_bits();
        largest = if bits > largest { bits } else { largest };
    }
    largest
}

leveled! {
    fn far_any(values: &[f64], width: usize) -> bool => far_any_body
}

#[inline(always)]
fn far_any_body(values: &[f64], width: usize) -> bool {
    let mut far = false;
    for row in values.chunks_exact(width) {
        let mut lanes = [0.0; 32];
        let (groups, rest) = row.as_chunks::<32>();
        for group in groups {
            for l in 0..32 {
                lanes[l] += group[l];
            }
        }
        for (lane, &p) in lanes.iter_mut().zip(rest) {
            *lane += p;
        }
        far |= is_far(lanes.iter().sum(), SUM_NOTE);
    }
    far
}

leveled! {
    /// As the kernel of the scores does it.
    fn positive(p: &[f64], labels: &[u32], losses: &mut [f64]) -> bool => positive_losses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementary::ln;
    use crate::kernel::positive_loss;

    fn random(n: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn as_the_scores_say() {
        for k in [2, 3, 4, 5, 8, 10, 11, 40, 700] {
            let n = 150;
            let mut p = random(n * k, k as u64);
            p.chunks_mut(k).for_each(|row| {
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|p| *p /= sum);
            });
            let labels: Vec<u32> = (0..n).map(|r| (r * 31 % k) as u32).collect();
            // A probability of 0, and a rounded row.
            (p[0], p[1]) = (0.0, p[0] + p[1]);
            p[7 * k] += 1e-4;
            let matrix = Matrix::Rows { values: &p, width: k };
            let found = log_loss(matrix, &labels).unwrap();
            let mut rows = RowScores::default();
            rows.score(matrix, Target::Classes(&labels), &Rules::default()).unwrap();
            let expected: ExactSum = rows.log_loss.iter().copied().collect();
            assert_eq!(found.sum, expected, "{k}");
            assert_eq!((found.rows, found.infinite), (n as u64, 1));
            assert_eq!(found.notes.rounded_sums, 1);
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
