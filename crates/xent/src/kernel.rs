//! Scoring from probabilities, one class a row: eight rows at a time.
//!
//! Lane `l` works on row `r + l` and goes through the classes in order, so a row's arithmetic
//! depends on the row only: not on the layout, the batch, or the instruction level.

use crate::elementary::ln;
use crate::rows::{Matrix, Problem, RowProblem, RowScores, Rules, SUM_ERROR, SUM_NOTE, Sums};
use crate::simd::leveled;

const LANES: usize = 8;

/// Scores probabilities against classes; the caller has checked shapes and labels, and sized `out`.
pub(crate) fn score(
    out: &mut RowScores,
    matrix: Matrix<'_>,
    labels: &[u32],
    rules: &Rules,
) -> Result<(), RowProblem> {
    let clean = match matrix {
        Matrix::Columns(columns) => score_columns(out, columns, labels, &rules.top_k),
        Matrix::Rows { values, width } => score_rows(out, values, width, labels, &rules.top_k),
        Matrix::Positive(p) => score_positive(out, p, labels, &rules.top_k),
    };
    if clean { Ok(()) } else { inspect(out, matrix, rules) }
}

/// Something is out of the ordinary in the batch: finds the first error, or counts the sums.
#[cold]
fn inspect(out: &mut RowScores, matrix: Matrix<'_>, rules: &Rules) -> Result<(), RowProblem> {
    let k = matrix.n_classes();
    let classes = if matches!(matrix, Matrix::Positive(_)) { 1..2 } else { 0..k };
    for row in 0..matrix.n_samples() {
        let mut sum = 0.0;
        for class in classes.clone() {
            let value = matrix.get(row, class);
            if value.is_nan() {
                return Err(RowProblem { row, problem: Problem::Missing { class } });
            }
            if !(0.0..=1.0).contains(&value) {
                return Err(RowProblem { row, problem: Problem::NotProbability { class, value } });
            }
            sum += value;
        }
        if !matches!(matrix, Matrix::Positive(_)) {
            if rules.sums == Sums::Strict && (sum - 1.0).abs() > SUM_ERROR {
                return Err(RowProblem { row, problem: Problem::Sum { sum } });
            }
            out.notes.sum(sum);
        }
    }
    Ok(())
}

/// ln(1 - p), right for p down to the smallest: 1 - p = s + e exactly, ln(s + e) = ln s + e / s.
#[inline(always)]
pub(crate) fn ln_complement(p: f64) -> f64 {
    let s = 1.0 - p;
    let e = (1.0 - s) - p;
    let correction = if e == 0.0 { 0.0 } else { e / s };
    ln(s) + correction
}

/// Where the numbers of eight rows come from.
trait Load: Copy {
    /// Class `c` of the rows `r .. r + 8`.
    fn lanes(&self, c: usize, r: usize) -> [f64; LANES];
    /// Class `c` of row `r`.
    fn one(&self, c: usize, r: usize) -> f64;
    fn n_classes(&self) -> usize;

    /// Class `c` of the rows `r .. r + n`, the last one repeated.
    #[inline(always)]
    fn some(&self, c: usize, r: usize, n: usize) -> [f64; LANES] {
        if n == LANES {
            self.lanes(c, r)
        } else {
            std::array::from_fn(|l| self.one(c, r + l.min(n - 1)))
        }
    }
}

#[derive(Clone, Copy)]
struct ByColumn<'a>(&'a [&'a [f64]]);

impl Load for ByColumn<'_> {
    #[inline(always)]
    fn lanes(&self, c: usize, r: usize) -> [f64; LANES] {
        let mut x = [0.0; LANES];
        x.copy_from_slice(&self.0[c][r..r + LANES]);
        x
    }
    #[inline(always)]
    fn one(&self, c: usize, r: usize) -> f64 {
        self.0[c][r]
    }
    #[inline(always)]
    fn n_classes(&self) -> usize {
        self.0.len()
    }
}

#[derive(Clone, Copy)]
struct ByRow<'a> {
    values: &'a [f64],
    width: usize,
}

impl Load for ByRow<'_> {
    #[inline(always)]
    fn lanes(&self, c: usize, r: usize) -> [f64; LANES] {
        let block = &self.values[r * self.width..(r + LANES) * self.width];
        std::array::from_fn(|l| block[l * self.width + c])
    }
    #[inline(always)]
    fn one(&self, c: usize, r: usize) -> f64 {
        self.values[r * self.width + c]
    }
    #[inline(always)]
    fn n_classes(&self) -> usize {
        self.width
    }
}

leveled! {
    fn score_columns(out: &mut RowScores, columns: &[&[f64]], labels: &[u32], top_k: &[u32]) -> bool
        => columns_body
}
leveled! {
    fn score_rows(out: &mut RowScores, values: &[f64], width: usize, labels: &[u32], top_k: &[u32]) -> bool
        => rows_body
}
leveled! {
    fn score_positive(out: &mut RowScores, p: &[f64], labels: &[u32], top_k: &[u32]) -> bool
        => positive_body
}

#[inline(always)]
fn columns_body(out: &mut RowScores, columns: &[&[f64]], labels: &[u32], top_k: &[u32]) -> bool {
    body(out, ByColumn(columns), labels, top_k)
}

#[inline(always)]
fn rows_body(
    out: &mut RowScores,
    values: &[f64],
    width: usize,
    labels: &[u32],
    top_k: &[u32],
) -> bool {
    body(out, ByRow { values, width }, labels, top_k)
}

/// Scores all rows; whether every number is in [0, 1] and every sum within the note's distance.
#[inline(always)]
fn body<L: Load>(out: &mut RowScores, load: L, labels: &[u32], top_k: &[u32]) -> bool {
    let k = load.n_classes();
    let n = labels.len();
    let mut odd = [0_u64; LANES];
    let mut tied = 0_u64;
    let mut r = 0;
    while r < n {
        let m = LANES.min(n - r);
        let label: [f64; LANES] = std::array::from_fn(|l| f64::from(labels[r + l.min(m - 1)]));
        let mut target = [0.0; LANES];
        let mut sum = [0.0; LANES];
        let mut squared = [0.0; LANES];
        let mut max = [-1.0; LANES];
        let mut top = [0.0; LANES];
        let mut ties = [0.0; LANES];
        for c in 0..k {
            let x = load.some(c, r, m);
            let class = c as f64;
            for l in 0..LANES {
                let p = x[l];
                odd[l] |= u64::from(!((p >= 0.0) & (p <= 1.0)));
                sum[l] += p;
                let hit = label[l] == class;
                target[l] = if hit { p } else { target[l] };
                let difference = p - if hit { 1.0 } else { 0.0 };
                squared[l] += difference * difference;
                let above = p > max[l];
                let tie = if p == max[l] { 1.0 } else { ties[l] };
                ties[l] = if above { 0.0 } else { tie };
                top[l] = if above { class } else { top[l] };
                max[l] = if above { p } else { max[l] };
            }
        }
        let mut loss = [0.0; LANES];
        let mut error = [0.0; LANES];
        for l in 0..LANES {
            odd[l] |= u64::from((sum[l] - 1.0).abs() > SUM_NOTE);
            // 0.0 - keeps a certain event's loss at +0.
            loss[l] = 0.0 - ln(target[l]);
            error[l] = if top[l] == label[l] { 0.0 } else { 1.0 };
        }
        out.log_loss[r..r + m].copy_from_slice(&loss[..m]);
        out.squared_error[r..r + m].copy_from_slice(&squared[..m]);
        out.error[r..r + m].copy_from_slice(&error[..m]);
        for l in 0..m {
            out.predicted[r + l] = top[l] as u32;
            tied += ties[l] as u64;
        }
        if !top_k.is_empty() {
            let mut ahead = [0_u32; LANES];
            for c in 0..k {
                let x = load.some(c, r, m);
                for l in 0..LANES {
                    let before = (x[l] == target[l]) & ((c as f64) < label[l]);
                    ahead[l] += u32::from((x[l] > target[l]) | before);
                }
            }
            put_top_k(out, top_k, r, &ahead[..m]);
        }
        r += m;
    }
    out.notes.ties = tied;
    odd == [0; LANES]
}

#[inline(always)]
fn positive_body(out: &mut RowScores, p: &[f64], labels: &[u32], top_k: &[u32]) -> bool {
    let n = labels.len();
    let mut odd = [0_u64; LANES];
    let mut tied = 0_u64;
    let mut r = 0;
    while r < n {
        let m = LANES.min(n - r);
        let x: [f64; LANES] = std::array::from_fn(|l| p[r + l.min(m - 1)]);
        let label: [f64; LANES] = std::array::from_fn(|l| f64::from(labels[r + l.min(m - 1)]));
        let mut loss = [0.0; LANES];
        let mut squared = [0.0; LANES];
        let mut error = [0.0; LANES];
        for l in 0..LANES {
            let p = x[l];
            odd[l] |= u64::from(!((p >= 0.0) & (p <= 1.0)));
            let positive = label[l] == 1.0;
            // The true class has s + e exactly; its complement is what squared error sees.
            let s = if positive { p } else { 1.0 - p };
            let e = if positive { 0.0 } else { (1.0 - s) - p };
            let correction = if e == 0.0 { 0.0 } else { e / s };
            loss[l] = 0.0 - (ln(s) + correction);
            let miss = if positive { 1.0 - p } else { p };
            squared[l] = 2.0 * (miss * miss);
            let top = if p > 0.5 { 1.0 } else { 0.0 };
            error[l] = if top == label[l] { 0.0 } else { 1.0 };
        }
        out.log_loss[r..r + m].copy_from_slice(&loss[..m]);
        out.squared_error[r..r + m].copy_from_slice(&squared[..m]);
        out.error[r..r + m].copy_from_slice(&error[..m]);
        let mut ahead = [0_u32; LANES];
        for l in 0..m {
            out.predicted[r + l] = u32::from(x[l] > 0.5);
            tied += u64::from(x[l] == 0.5);
            ahead[l] = u32::from(error[l] == 1.0);
        }
        put_top_k(out, top_k, r, &ahead[..m]);
        r += m;
    }
    out.notes.ties = tied;
    odd == [0; LANES]
}

#[inline(always)]
fn put_top_k(out: &mut RowScores, top_k: &[u32], r: usize, ahead: &[u32]) {
    for (errors, &k) in out.top_k.iter_mut().zip(top_k) {
        for (l, &before) in ahead.iter().enumerate() {
            errors[r + l] = if before >= k { 1.0 } else { 0.0 };
        }
    }
}
