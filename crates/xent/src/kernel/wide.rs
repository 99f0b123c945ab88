//! Rows of many classes, eight classes at a time.

use super::{LANES, Lanes, Masks, add_eight, put_top_k, take_logarithms};
use crate::rows::{Odd, Oddity, RowScores, SUM_NOTE, is_far};
use crate::simd::leveled;

/// Rows of many classes where they lie; as `columns_in` with eight chains.
pub(super) fn score_wide(
    out: &mut RowScores,
    values: &[f64],
    width: usize,
    labels: &[u32],
    top_k: &[u32],
) -> bool {
    let mut clean = true;
    for (row, (p, &label)) in values.chunks_exact(width).zip(labels).enumerate() {
        let target = p[label as usize];
        let found = wide_row(p, label as usize);
        clean &= found.largest <= 1.0_f64.to_bits() && !is_far(found.sum, SUM_NOTE);
        out.log_loss[row] = target;
        out.squared_error[row] = found.squared;
        out.error[row] = if found.top == label { 0.0 } else { 1.0 };
        out.predicted[row] = found.top;
        if found.tied {
            out.odd.push(Odd { row, what: Oddity::Tied });
        }
        if !top_k.is_empty() {
            let y = label as usize;
            let ahead = p.iter().filter(|&&p| p > target).count()
                + p[..y].iter().filter(|&&p| p == target).count();
            put_top_k(&mut out.top_k, top_k, row, ahead as u32);
        }
    }
    take_logarithms(&mut out.log_loss[..labels.len()]);
    clean
}

/// What a row of many classes comes to.
struct WideRow {
    sum: f64,
    squared: f64,
    /// The largest bits: above those of 1 something is not a probability.
    largest: u64,
    top: u32,
    tied: bool,
}

leveled! {
    fn wide_row(p: &[f64], label: usize) -> WideRow => wide_body
}

#[inline(always)]
fn wide_body(p: &[f64], label: usize) -> WideRow {
    let mut chains = Chains {
        sums: [0.0; LANES],
        squares: [0.0; LANES],
        largest: [0; LANES],
        max: [-1.0; LANES],
    };
    let (groups, rest) = p.as_chunks::<LANES>();
    let special = label / LANES;
    for p in &groups[..special.min(groups.len())] {
        chains.add(p, p);
    }
    if let Some(p) = groups.get(special) {
        chains.add(p, &less_one(p, label % LANES));
        for p in &groups[special + 1..] {
            chains.add(p, p);
        }
    }
    if !rest.is_empty() {
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        let difference =
            if special == groups.len() { less_one(&last, label % LANES) } else { last };
        chains.add(&last, &difference);
    }
    let max = chains.max.into_iter().fold(-1.0, |max, p| if p > max { p } else { max });
    let mut count = 0_u64;
    let mut first = p.len();
    for (i, part) in p.chunks(64).enumerate() {
        let mut here = 0_u64;
        for &p in part {
            here += u64::from(p == max);
        }
        if count == 0 && here > 0 {
            first = i * 64;
        }
        count += here;
    }
    let top = first + p[first..].iter().position(|&p| p == max).unwrap_or(0);
    WideRow {
        sum: add_eight(chains.sums),
        squared: add_eight(chains.squares),
        largest: chains.largest.into_iter().fold(0, u64::max),
        // NaN everywhere: an error all the same.
        top: if top < p.len() { top as u32 } else { 0 },
        tied: count > 1,
    }
}

/// What eight classes at a time add up to.
struct Chains {
    sums: Lanes,
    squares: Lanes,
    largest: Masks,
    max: Lanes,
}

impl Chains {
    #[inline(always)]
    fn add(&mut self, p: &Lanes, difference: &Lanes) {
        for l in 0..LANES {
            self.sums[l] += p[l];
        }
        for l in 0..LANES {
            self.squares[l] += difference[l] * difference[l];
        }
        for l in 0..LANES {
            let bits = p[l].to_bits();
            self.largest[l] = if bits > self.largest[l] { bits } else { self.largest[l] };
        }
        for l in 0..LANES {
            self.max[l] = if p[l] > self.max[l] { p[l] } else { self.max[l] };
        }
    }
}

#[inline(always)]
fn less_one(p: &Lanes, at: usize) -> Lanes {
    let mut difference = *p;
    difference[at] -= 1.0;
    difference
}
