//! Scoring from probabilities, one class a row: eight rows at a time.
//!
//! Lane `l` works on row `r + l` and goes through the classes in order, so a row's arithmetic
//! depends on the row only: not on the layout, the batch, or the instruction level.

use crate::elementary::{TOGETHER, ln, surprisal, surprisals};
use crate::rows::{
    Matrix, Odd, Oddity, Problem, RowProblem, RowScores, Rules, SUM_ERROR, SUM_NOTE, Sums, is_far,
};
use crate::simd::{self, leveled};

use few::score_few;
pub(crate) use few::{STRETCH, few_losses};
use wide::score_wide;

mod few;
mod wide;

const LANES: usize = 8;

/// From this many classes on, a row is summed in eight chains, class c in chain c mod 8, which are then added
/// in pairs: rows of memory can then be worked on eight classes at a time. With fewer there is one chain.
const WIDE: usize = 32;

/// Scores probabilities against classes; the caller has checked shapes and labels, and sized `out`.
pub(crate) fn score(
    out: &mut RowScores,
    matrix: Matrix<'_>,
    labels: &[u32],
    rules: &Rules,
) -> Result<(), RowProblem> {
    let clean = match matrix {
        Matrix::Rows { values, width: width @ 2..=4 } if rules.top_k.is_empty() => {
            score_few(out, values, width, labels)
        }
        Matrix::Rows { values, width: width @ WIDE.. } => {
            score_wide(out, values, width, labels, &rules.top_k)
        }
        Matrix::Columns(columns) => score_any(out, 0, columns, labels, &rules.top_k),
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
            if rules.sums == Sums::Strict && is_far(sum, SUM_ERROR) {
                return Err(RowProblem { row, problem: Problem::Sum { sum } });
            }
            out.note_sum(row, sum);
        }
    }
    Ok(())
}

/// ln(1 - p), right for p down to the smallest: 1 - p = s + e exactly, ln(s + e) = ln s + e / s.
///
/// e is 0 unless s >= 1/2, so 1 / s may be taken as 2 - s: 4% of an ulp at most, and no division.
#[inline(always)]
pub(crate) fn ln_complement(p: f64) -> f64 {
    let s = 1.0 - p;
    let e = (1.0 - s) - p;
    ln(s) + e * (2.0 - s)
}

/// Log loss where the positive class has probability x: as `-ln(x)` or [`ln_complement`], without a branch.
#[inline(always)]
pub(crate) fn positive_loss(x: f64, positive: bool) -> f64 {
    let (s, e) = true_class(x, positive);
    0.0 - (ln(s) + e * (2.0 - s))
}

/// The true class has probability s + e exactly, where the positive class has x.
#[inline(always)]
fn true_class(x: f64, positive: bool) -> (f64, f64) {
    let rest = 1.0 - x;
    (if positive { x } else { rest }, if positive { 0.0 } else { (1.0 - rest) - x })
}

/// [`positive_loss`] of some rows; whether every number is in [0, 1] and none is -0.
#[inline(always)]
pub(crate) fn positive_losses(p: &[f64], labels: &[u32], losses: &mut [f64]) -> bool {
    let (mut largest, mut least) = (0, i64::MAX);
    for ((&x, &label), loss) in p.iter().zip(labels).zip(&mut *losses) {
        largest = largest.max(x.to_bits());
        let (s, e) = true_class(x, label == 1);
        least = least.min(s.to_bits() as i64);
        *loss = surprisal(s) - e * (2.0 - s);
    }
    if least < LEAST_NORMAL {
        // Some are too small for the short form of the logarithm.
        for ((&x, &label), loss) in p.iter().zip(labels).zip(losses) {
            *loss = positive_loss(x, label == 1);
        }
    }
    largest <= 1.0_f64.to_bits()
}

leveled! {
    /// Whole groups of eight rows by column; whether every number is in [0, 1] and every sum within the
    /// note's distance of 1.
    fn score_columns(out: &mut RowScores, at: usize, columns: &[&[f64]], labels: &[u32], top_k: &[u32]) -> bool
        => columns_body
}
leveled! {
    /// Whole groups of eight rows of positive-class probabilities.
    fn score_positive(out: &mut RowScores, p: &[f64], labels: &[u32], top_k: &[u32]) -> bool
        => positive_body
}

/// Probabilities a tile holds at most, unless eight rows alone are more: a small part of the first-level
/// cache, through which the rows stream.
const TILE: usize = 256;

/// Rows one after another: turned into columns tile by tile, so that there is one arithmetic.
fn score_rows(
    out: &mut RowScores,
    values: &[f64],
    width: usize,
    labels: &[u32],
    top_k: &[u32],
) -> bool {
    let height = (TILE / width.max(1)).next_multiple_of(LANES).max(LANES);
    let mut tile = vec![0.0; height * width];
    let mut clean = true;
    for (i, (rows, labels)) in values.chunks(height * width).zip(labels.chunks(height)).enumerate()
    {
        transpose(rows, width, &mut tile, height);
        let columns: Vec<&[f64]> = tile.chunks(height).map(|c| &c[..labels.len()]).collect();
        clean &= score_any(out, i * height, &columns, labels, top_k);
    }
    clean
}

/// Writes rows of `width` numbers as columns of `height`. Not compiled for higher levels, where it
/// becomes gathers, which are slower than plain moves.
fn transpose(rows: &[f64], width: usize, tile: &mut [f64], height: usize) {
    match width {
        2 => transpose_some::<2>(rows, tile, height),
        3 => transpose_some::<3>(rows, tile, height),
        4 => transpose_some::<4>(rows, tile, height),
        5 => transpose_some::<5>(rows, tile, height),
        6 => transpose_some::<6>(rows, tile, height),
        7 => transpose_some::<7>(rows, tile, height),
        8 => transpose_some::<8>(rows, tile, height),
        10 => transpose_some::<10>(rows, tile, height),
        _ => {
            for (r, row) in rows.chunks_exact(width).enumerate() {
                for (c, &p) in row.iter().enumerate() {
                    tile[c * height + r] = p;
                }
            }
        }
    }
}

/// Numbers ahead that memory is asked for: the hardware stops at every page.
const AHEAD: usize = 1024;

/// The same for a width known to the compiler: the places in a group of rows become constants.
fn transpose_some<const W: usize>(rows: &[f64], tile: &mut [f64], height: usize) {
    let rows = rows.as_chunks::<W>().0;
    for (g, group) in rows.chunks(LANES).enumerate() {
        let at = g * LANES;
        for line in 0..W {
            simd::prefetch_second(group.as_flattened(), AHEAD + line * LANES);
        }
        if let Ok(group) = <&[[f64; W]; LANES]>::try_from(group) {
            for c in 0..W {
                let column: [f64; LANES] = std::array::from_fn(|l| group[l][c]);
                tile[c * height + at..c * height + at + LANES].copy_from_slice(&column);
            }
        } else {
            for (l, row) in group.iter().enumerate() {
                for (c, &p) in row.iter().enumerate() {
                    tile[c * height + at + l] = p;
                }
            }
        }
    }
}

/// The chain of class c of k; the others stay 0.
pub(crate) fn chain(c: usize, k: usize) -> usize {
    if k < WIDE { 0 } else { c % LANES }
}

/// As [`add_chains`].
#[inline(always)]
pub(crate) fn add_eight([a, b, c, d, e, f, g, h]: Lanes) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

leveled! {
    /// Losses of the targets' probabilities.
    fn take_logarithms(losses: &mut [f64]) => logarithms_body
}

/// Losses of the targets' probabilities.
#[inline(always)]
pub(crate) fn logarithms_body(losses: &mut [f64]) {
    let (blocks, rest) = losses.as_chunks_mut::<TOGETHER>();
    for losses in blocks {
        if are_normal(losses) {
            let targets = *losses;
            surprisals(&targets, losses);
        } else {
            logarithms_at_0(losses);
        }
    }
    if are_normal(rest) {
        for loss in rest {
            *loss = surprisal(*loss);
        }
    } else {
        logarithms_at_0(rest);
    }
}

#[inline(always)]
fn are_normal(targets: &[f64]) -> bool {
    targets.iter().fold(i64::MAX, |least, p| least.min(p.to_bits() as i64)) >= LEAST_NORMAL
}

/// Where some are 0 or subnormal.
#[inline(always)]
fn logarithms_at_0(losses: &mut [f64]) {
    for loss in losses {
        // 0.0 - keeps a certain event's loss at +0.
        *loss = 0.0 - ln(*loss);
    }
}

/// Bits of the smallest number that is not subnormal.
pub(crate) const LEAST_NORMAL: i64 = f64::MIN_POSITIVE.to_bits() as i64;

/// Any number of rows: whole groups of eight, and a last group filled up with its last row.
fn score_any(
    out: &mut RowScores,
    at: usize,
    columns: &[&[f64]],
    labels: &[u32],
    top_k: &[u32],
) -> bool {
    let whole = labels.len() / LANES * LANES;
    let mut clean = score_columns(out, at, columns, &labels[..whole], top_k);
    let rest = labels.len() - whole;
    if rest > 0 {
        let last: Vec<[f64; LANES]> = columns
            .iter()
            .map(|column| std::array::from_fn(|l| column[whole + l.min(rest - 1)]))
            .collect();
        let last: Vec<&[f64]> = last.iter().map(<[f64; LANES]>::as_slice).collect();
        let eight: [u32; LANES] = std::array::from_fn(|l| labels[whole + l.min(rest - 1)]);
        let mut scores = RowScores::default();
        scores.resize(LANES, top_k.len());
        clean &= score_columns(&mut scores, 0, &last, &eight, top_k);
        put_rest(out, at + whole, &scores, rest);
    }
    clean
}

fn put_rest(out: &mut RowScores, at: usize, scores: &RowScores, n: usize) {
    out.log_loss[at..at + n].copy_from_slice(&scores.log_loss[..n]);
    out.squared_error[at..at + n].copy_from_slice(&scores.squared_error[..n]);
    out.error[at..at + n].copy_from_slice(&scores.error[..n]);
    out.predicted[at..at + n].copy_from_slice(&scores.predicted[..n]);
    for (mine, theirs) in out.top_k.iter_mut().zip(&scores.top_k) {
        mine[at..at + n].copy_from_slice(&theirs[..n]);
    }
    // Not the rows that fill up.
    let odd = scores.odd.iter().filter(|o| o.row < n);
    out.odd.extend(odd.map(|o| Odd { row: at + o.row, what: o.what }));
}

/// Eight numbers, and eight masks or integers beside them. Each operation is a loop of its own over
/// the lanes, which every compiler level turns into one instruction; branches on a lane would not be.
type Lanes = [f64; LANES];
type Masks = [u64; LANES];

#[inline(always)]
fn mask(of: impl Fn(usize) -> bool) -> Masks {
    let mut m = [0; LANES];
    for l in 0..LANES {
        m[l] = if of(l) { u64::MAX } else { 0 };
    }
    m
}

/// `a` where the mask is set, else `b`.
#[inline(always)]
fn select(m: &Masks, a: &Lanes, b: &Lanes) -> Lanes {
    let mut x = [0.0; LANES];
    for l in 0..LANES {
        x[l] = f64::from_bits((m[l] & a[l].to_bits()) | (!m[l] & b[l].to_bits()));
    }
    x
}

#[inline(always)]
fn eight(values: &[f64], r: usize) -> Lanes {
    let mut x = [0.0; LANES];
    x.copy_from_slice(&values[r..r + LANES]);
    x
}

#[inline(always)]
fn labels_of(labels: &[u32], r: usize) -> Masks {
    let block = &labels[r..r + LANES];
    let mut x = [0; LANES];
    for l in 0..LANES {
        x[l] = u64::from(block[l]);
    }
    x
}

#[inline(always)]
fn columns_body(
    out: &mut RowScores,
    at: usize,
    columns: &[&[f64]],
    labels: &[u32],
    top_k: &[u32],
) -> bool {
    if columns.len() < WIDE {
        columns_in::<1>(out, at, columns, labels, top_k)
    } else {
        columns_in::<8>(out, at, columns, labels, top_k)
    }
}

/// Eight chains added in pairs; one is itself.
#[inline(always)]
fn add_chains<const CHAINS: usize>(mut chains: [Lanes; CHAINS]) -> Lanes {
    let mut n = CHAINS;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            for l in 0..LANES {
                chains[i][l] += chains[i + n][l];
            }
        }
    }
    chains[0]
}

#[inline(always)]
fn columns_in<const CHAINS: usize>(
    out: &mut RowScores,
    at: usize,
    columns: &[&[f64]],
    labels: &[u32],
    top_k: &[u32],
) -> bool {
    let n = labels.len();
    let mut odd = [0_u64; LANES];
    let tied = &mut out.odd;
    let losses = &mut out.log_loss[at..at + n];
    let squares = &mut out.squared_error[at..at + n];
    let errors = &mut out.error[at..at + n];
    let tops = &mut out.predicted[at..at + n];
    for r in (0..n).step_by(LANES) {
        let label = labels_of(labels, r);
        let mut target = [0.0; LANES];
        let mut sums = [[0.0; LANES]; CHAINS];
        let mut squares_in = [[0.0; LANES]; CHAINS];
        let mut max = [-1.0; LANES];
        let mut top = [0_u64; LANES];
        let mut ties = [0_u64; LANES];
        for (c, column) in columns.iter().enumerate() {
            let p = eight(column, r);
            let class = c as u64;
            let hit = mask(|l| label[l] == class);
            let above = mask(|l| p[l] > max[l]);
            let equal = mask(|l| p[l] == max[l]);
            let outside = mask(|l| !((p[l] >= 0.0) & (p[l] <= 1.0)));
            target = select(&hit, &p, &target);
            let one = select(&hit, &[1.0; LANES], &[0.0; LANES]);
            max = select(&above, &p, &max);
            for l in 0..LANES {
                odd[l] |= outside[l];
            }
            let chain = c % CHAINS;
            for l in 0..LANES {
                sums[chain][l] += p[l];
            }
            for l in 0..LANES {
                let difference = p[l] - one[l];
                squares_in[chain][l] += difference * difference;
            }
            for l in 0..LANES {
                ties[l] = !above[l] & (ties[l] | equal[l]);
            }
            for l in 0..LANES {
                top[l] = (above[l] & class) | (!above[l] & top[l]);
            }
        }
        let sum = add_chains(sums);
        let squared = add_chains(squares_in);
        let far = mask(|l| is_far(sum[l], SUM_NOTE));
        let miss = mask(|l| top[l] != label[l]);
        let error = select(&miss, &[1.0; LANES], &[0.0; LANES]);
        for l in 0..LANES {
            odd[l] |= far[l];
        }
        losses[r..r + LANES].copy_from_slice(&target);
        squares[r..r + LANES].copy_from_slice(&squared);
        errors[r..r + LANES].copy_from_slice(&error);
        for (predicted, &class) in tops[r..r + LANES].iter_mut().zip(&top) {
            *predicted = class as u32;
        }
        if ties != [0; LANES] {
            let rows = (0..LANES).filter(|&l| ties[l] != 0).map(|l| at + r + l);
            tied.extend(rows.map(|row| Odd { row, what: Oddity::Tied }));
        }
    }
    if !top_k.is_empty() {
        for (r, &label) in labels.iter().enumerate() {
            let target = losses[r];
            let mut ahead = 0;
            for (c, column) in columns.iter().enumerate() {
                let before = (column[r] == target) & ((c as u32) < label);
                ahead += u32::from((column[r] > target) | before);
            }
            put_top_k(&mut out.top_k, top_k, at + r, ahead);
        }
    }
    logarithms_body(losses);
    odd == [0; LANES]
}

#[inline(always)]
fn positive_body(out: &mut RowScores, p: &[f64], labels: &[u32], top_k: &[u32]) -> bool {
    let n = labels.len();
    let mut tied = 0_u64;
    let squares = &mut out.squared_error[..n];
    let errors = &mut out.error[..n];
    let tops = &mut out.predicted[..n];
    for i in 0..n {
        let (x, label) = (p[i], labels[i]);
        tied += u64::from(x == 0.5);
        // The complement of the true class is what squared error sees.
        let miss = if label == 1 { 1.0 - x } else { x };
        squares[i] = 2.0 * (miss * miss);
        let top = u32::from(x > 0.5);
        tops[i] = top;
        errors[i] = if top == label { 0.0 } else { 1.0 };
    }
    let clean = positive_losses(p, labels, &mut out.log_loss[..n]);
    if !top_k.is_empty() {
        for i in 0..n {
            let ahead = u32::from(out.error[i] == 1.0);
            put_top_k(&mut out.top_k, top_k, i, ahead);
        }
    }
    if tied > 0 {
        let rows = (0..n).filter(|&i| p[i] == 0.5);
        out.odd.extend(rows.map(|row| Odd { row, what: Oddity::Tied }));
    }
    clean
}

fn put_top_k(out: &mut [Vec<f64>], top_k: &[u32], r: usize, ahead: u32) {
    for (errors, &k) in out.iter_mut().zip(top_k) {
        errors[r] = if ahead >= k { 1.0 } else { 0.0 };
    }
}
