//! Rows of two to four classes where they lie.
//!
//! Operation by operation the arithmetic is that of `columns_in`, so the bits are too. Loops are over rows; the compiler
//! turns eight of them into columns. What is looked for in all rows (sums, numbers outside [0, 1], ties) is kept as
//! the extreme of some bits: those of numbers that are not negative have the order of the numbers.

use super::logarithms_body;
use crate::rows::{Odd, Oddity, RowScores, SUM_DECIMALS, SUM_NOTE};
use crate::simd::{self, leveled};

/// Rows at a time that are looked at, and then their logarithms taken, while memory brings the next.
pub(crate) const STRETCH: usize = 64;
/// Stretches ahead that memory is asked for.
const AHEAD: usize = 1;

/// The rows' scores; whether all is in order.
pub(super) fn score_few(out: &mut RowScores, values: &[f64], width: usize, labels: &[u32]) -> bool {
    let mut seen = Seen::default();
    for at in (0..labels.len()).step_by(STRETCH) {
        let end = labels.len().min(at + STRETCH);
        let stretch = &values[at * width..end * width];
        for line in 0..STRETCH * width / 8 {
            simd::prefetch(stretch, STRETCH * width + line * 8);
        }
        let losses = &mut out.log_loss[at..end];
        let squares = &mut out.squared_error[at..end];
        let (errors, tops) = (&mut out.error[at..end], &mut out.predicted[at..end]);
        let found = few(stretch, width, &labels[at..end], losses, squares, errors, tops);
        seen.odd |= found.odd;
        seen.tied |= found.tied;
    }
    if seen.tied {
        for (row, p) in values.chunks_exact(width).enumerate() {
            let max = p.iter().copied().fold(-1.0, f64::max);
            if p.iter().filter(|&&p| p == max).count() > 1 {
                out.odd.push(Odd { row, what: Oddity::Tied });
            }
        }
    }
    !seen.odd
}

/// Whether anything out of the ordinary, or a tie, was among the rows.
#[derive(Default)]
struct Seen {
    odd: bool,
    tied: bool,
}

leveled! {
    fn few(
        values: &[f64],
        width: usize,
        labels: &[u32],
        losses: &mut [f64],
        squares: &mut [f64],
        errors: &mut [f64],
        tops: &mut [u32],
    ) -> Seen => few_body
}

#[inline(always)]
fn few_body(
    values: &[f64],
    width: usize,
    labels: &[u32],
    losses: &mut [f64],
    squares: &mut [f64],
    errors: &mut [f64],
    tops: &mut [u32],
) -> Seen {
    match width {
        2 => few_rows::<2>(values, labels, losses, squares, errors, tops),
        3 => few_rows::<3>(values, labels, losses, squares, errors, tops),
        _ => few_rows::<4>(values, labels, losses, squares, errors, tops),
    }
}

#[inline(always)]
fn few_rows<const W: usize>(
    values: &[f64],
    labels: &[u32],
    losses: &mut [f64],
    squares: &mut [f64],
    errors: &mut [f64],
    tops: &mut [u32],
) -> Seen {
    let n = labels.len();
    let rows = &values.as_chunks::<W>().0[..n];
    let (losses, squares) = (&mut losses[..n], &mut squares[..n]);
    let (errors, tops) = (&mut errors[..n], &mut tops[..n]);
    let (mut sums, mut least_gap) = (Extremes::default(), i64::MAX);
    for i in 0..n {
        let (row, label) = (rows[i], labels[i]);
        let target = target(&row, label);
        let mut squared = 0.0;
        let (mut max, mut second, mut top) = (row[0], row[0], 0);
        for (c, &p) in row.iter().enumerate() {
            let hit = label == c as u32;
            let difference = p - if hit { 1.0 } else { 0.0 };
            squared += difference * difference;
            if c > 0 {
                let lower = if p < max { p } else { max };
                second = if c == 1 || lower > second { lower } else { second };
                top = if p > max { c as u32 } else { top };
                max = if p > max { p } else { max };
            }
        }
        sums.see(&row);
        least_gap = least_gap.min((max - second).to_bits() as i64);
        losses[i] = target;
        squares[i] = squared;
        errors[i] = if top == label { 0.0 } else { 1.0 };
        tops[i] = top;
    }
    logarithms_body(losses);
    Seen { odd: sums.are_odd(), tied: least_gap <= 0 }
}

/// The log losses alone, of rows of two to four classes; a bit for each [`STRETCH`] that is not in order.
///
/// At most 64 stretches.
#[inline(always)]
pub(crate) fn few_losses(values: &[f64], width: usize, labels: &[u32], losses: &mut [f64]) -> u64 {
    match width {
        2 => losses_of::<2>(values, labels, losses),
        3 => losses_of::<3>(values, labels, losses),
        _ => losses_of::<4>(values, labels, losses),
    }
}

#[inline(always)]
fn losses_of<const W: usize>(values: &[f64], labels: &[u32], losses: &mut [f64]) -> u64 {
    let rows = values.as_chunks::<W>().0;
    let mut odd = 0;
    for (number, at) in (0..rows.len()).step_by(STRETCH).enumerate() {
        let n = STRETCH.min(rows.len() - at);
        let (rows, labels) = (&rows[at..at + n], &labels[at..at + n]);
        let losses = &mut losses[at..at + n];
        for line in 0..STRETCH * W / 8 {
            simd::prefetch(rows.as_flattened(), STRETCH * W * AHEAD + line * 8);
        }
        // A number of rows known to the compiler takes no loop for a rest.
        let sums = if n == STRETCH {
            targets_of(rows, labels, losses, STRETCH)
        } else {
            targets_of(rows, labels, losses, n)
        };
        logarithms_body(losses);
        odd |= u64::from(sums.are_odd()) << number;
    }
    odd
}

#[inline(always)]
fn targets_of<const W: usize>(
    rows: &[[f64; W]],
    labels: &[u32],
    targets: &mut [f64],
    n: usize,
) -> Extremes {
    let mut sums = Extremes::default();
    let (rows, labels, targets) = (&rows[..n], &labels[..n], &mut targets[..n]);
    for i in 0..n {
        sums.see(&rows[i]);
        targets[i] = target(&rows[i], labels[i]);
    }
    sums
}

#[inline(always)]
fn target<const W: usize>(row: &[f64; W], label: u32) -> f64 {
    let mut target = 0.0;
    for (c, &p) in row.iter().enumerate() {
        target = if label == c as u32 { p } else { target };
    }
    target
}

/// What decides whether rows are in order.
#[derive(Default)]
struct Extremes {
    /// Of the numbers: negative ones and NaN have larger bits than 1; so has -0, which `inspect` lets pass.
    largest: u64,
    /// Of the distances of the rows' sums from 1; NaN is above all.
    farthest: i64,
}

impl Extremes {
    #[inline(always)]
    fn see<const W: usize>(&mut self, row: &[f64; W]) {
        let mut sum = row[0];
        let mut largest = row[0].to_bits();
        for p in &row[1..] {
            sum += p;
            largest = largest.max(p.to_bits());
        }
        self.largest = self.largest.max(largest);
        self.farthest = self.farthest.max((sum - 1.0).abs().to_bits() as i64);
    }

    #[inline(always)]
    fn are_odd(&self) -> bool {
        self.largest > 1.0_f64.to_bits()
            || self.farthest > (SUM_NOTE + SUM_DECIMALS).to_bits() as i64
    }
}
