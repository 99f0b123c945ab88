//! The losses that scoring needs, from logits: log loss, squared error, error, top class, top-k.

use super::hard::{self, Wants, block, blocks};
use super::{BATCH, Batch, Io};
use crate::element::Element;
use crate::exponentials::{self, BLOCK};
use crate::rows::{Odd, Oddity, Problem, RowProblem, RowScores};
use crate::view::View;

/// Scores logits against classes, all in f64 so that the kind of the numbers does not matter; rows of `out`
/// from `at` on, which the caller has sized. Labels are classes.
pub(crate) fn score<T: Element>(
    out: &mut RowScores,
    at: usize,
    x: View<'_, T>,
    labels: &[u32],
    top_k: &[u32],
) -> Result<(), RowProblem> {
    let n = x.n_rows();
    let mut io = Io::Apart { x, gradient: None };
    let mut batch = Batch::new();
    let mut scratch = hard::Scratch::<f64>::new();
    let mut numbers = [0.0; BLOCK];
    let wants = Wants { ranks: !top_k.is_empty(), squares: true };
    for start in (0..n).step_by(BATCH) {
        let rows = start..n.min(start + BATCH);
        batch.labels[..rows.len()].copy_from_slice(&labels[rows.clone()]);
        hard::score(&mut io, rows.clone(), &mut batch, wants, &mut scratch);
        for (i, row) in rows.enumerate() {
            if batch.loss[i].is_nan() {
                return Err(RowProblem { row: at + row, problem: why(&x, row) });
            }
            let (top, tied) = top_of(&x, row, &mut numbers);
            out.log_loss[at + row] = batch.loss[i];
            out.squared_error[at + row] = batch.squared[i];
            out.predicted[at + row] = top;
            out.error[at + row] = if top == labels[row] { 0.0 } else { 1.0 };
            for (errors, &k) in out.top_k.iter_mut().zip(top_k) {
                errors[at + row] = if batch.rank[i] < k { 0.0 } else { 1.0 };
            }
            if tied {
                out.odd.push(Odd { row: at + row, what: Oddity::Tied });
            }
        }
    }
    Ok(())
}

/// The first class with the largest logit, and whether it is not the only one.
fn top_of<T: Element>(x: &View<'_, T>, row: usize, buffer: &mut [f64]) -> (u32, bool) {
    let (mut max, mut top, mut count) = (f64::NEG_INFINITY, 0, 0);
    for cols in blocks(x.n_cols()) {
        let start = cols.start;
        let numbers = block(x, row, cols, buffer);
        let largest = exponentials::largest(numbers);
        if largest > max || (count == 0 && largest == max) {
            (max, count) = (largest, 0);
            top = start + numbers.iter().position(|&x| x == max).unwrap_or(0);
        }
        if largest == max {
            count += numbers.iter().map(|&x| usize::from(x == max)).sum::<usize>();
        }
    }
    (top as u32, count > 1)
}

/// Why a row has no softmax.
fn why<T: Element>(x: &View<'_, T>, row: usize) -> Problem {
    let number = |c: usize| x.get(row, c).to_f64();
    if let Some(class) = (0..x.n_cols()).find(|&c| number(c).is_nan()) {
        return Problem::Missing { class };
    }
    let infinite = (0..x.n_cols()).filter(|&c| number(c) == f64::INFINITY).count();
    if infinite > 0 {
        Problem::NoSoftmax { value: f64::INFINITY, count: infinite }
    } else {
        Problem::NoSoftmax { value: f64::NEG_INFINITY, count: x.n_cols() }
    }
}
