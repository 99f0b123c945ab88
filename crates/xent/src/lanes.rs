//! Eight rows side by side: tiles of an array, sums that lose nothing, and the softmax of each row.
//!
//! Lane `l` of a group works on row `8 g + l` and goes through the columns in order, so a row's
//! arithmetic depends on the row only: not on the layout, the number of rows, or the instruction
//! level. Arrays of any layout and kind of number are copied into tiles of f64 a block at a time;
//! everything between two copies is plain f64 over `[f64; 8]`, compiled for each level.
//!
//! A row wider than a tile is read once for each pass over it. Two tiles, two softmaxes and the state of
//! a pair are 52 KiB, all that is allocated, whatever the size of the arrays.

use std::ops::Range;

use crate::element::Element;
use crate::elementary::{WHOLE, exp_parts64, ln_1p, power_of_two};
use crate::per_row::{Gradient, RowSum, scale_at};
use crate::simd::leveled;
use crate::view::{View, ViewMut};

/// Rows side by side: one vector of AVX-512, two of AVX2.
pub(crate) const LANES: usize = 8;
/// A number for each of eight rows.
pub(crate) type Lanes = [f64; LANES];
pub(crate) const ZERO: Lanes = [0.0; LANES];
/// Columns a tile holds at most: 16 KiB.
pub(crate) const COLUMNS: usize = 256;
/// Groups of eight rows a tile holds at most.
pub(crate) const GROUPS: usize = 8;
/// Rows a tile holds at most.
pub(crate) const ROWS: usize = GROUPS * LANES;

/// How an array is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    rows: usize,
    cols: usize,
    height: usize,
    width: usize,
}

impl Plan {
    pub fn new(rows: usize, cols: usize) -> Self {
        let width = cols.clamp(1, COLUMNS);
        let groups = (COLUMNS / width).clamp(1, GROUPS).min(rows.div_ceil(LANES).max(1));
        Self { rows, cols, height: groups * LANES, width }
    }

    /// Groups of eight rows of a chunk.
    pub fn groups(self) -> usize {
        self.height / LANES
    }

    /// The rows, so many at a time as tiles hold.
    pub fn chunks(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.rows).step_by(self.height).map(move |row| row..(row + self.height).min(self.rows))
    }

    /// The columns, so many at a time as tiles hold.
    pub fn blocks(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.cols).step_by(self.width).map(move |col| col..(col + self.width).min(self.cols))
    }
}

/// A block of an array in f64: groups of eight rows, in each its columns in order. Where there are
/// not eight rows left, the last one is there several times.
pub(crate) struct Tile {
    lanes: Vec<Lanes>,
    /// What is here, unless it was overwritten.
    held: Option<(Range<usize>, Range<usize>)>,
}

impl Tile {
    pub fn new(plan: Plan) -> Self {
        Self { lanes: vec![ZERO; plan.groups() * plan.width], held: None }
    }

    /// A block of a view; true if it was not here already.
    pub fn load<T: Copy>(
        &mut self,
        view: View<'_, T>,
        rows: &Range<usize>,
        cols: &Range<usize>,
        value: impl Fn(T) -> f64,
    ) -> bool {
        if self.held.as_ref().is_some_and(|held| (&held.0, &held.1) == (rows, cols)) {
            return false;
        }
        let width = cols.len();
        let by_column = view.strides().0 == 1;
        for (first, group) in groups(rows, width, &mut self.lanes) {
            let count = (rows.end - first).min(LANES);
            for l in 0..LANES {
                if by_column {
                    break;
                }
                let row = first + l.min(count - 1);
                if let Some(row) = view.row(row) {
                    for (lanes, x) in group.iter_mut().zip(&row[cols.clone()]) {
                        lanes[l] = value(*x);
                    }
                } else {
                    for (lanes, col) in group.iter_mut().zip(cols.clone()) {
                        lanes[l] = value(view.get(row, col));
                    }
                }
            }
            if by_column {
                for (lanes, col) in group.iter_mut().zip(cols.clone()) {
                    let column = view.column(col).unwrap_or_default();
                    let column = &column[first..first + count];
                    for (l, lane) in lanes.iter_mut().enumerate() {
                        *lane = value(column[l.min(count - 1)]);
                    }
                }
            }
        }
        self.held = Some((rows.clone(), cols.clone()));
        true
    }

    /// 1 where the label of a row is the column, else 0.
    pub fn load_classes(&mut self, labels: &[u32], rows: &Range<usize>, cols: &Range<usize>) {
        self.held = None;
        for (first, group) in groups(rows, cols.len(), &mut self.lanes) {
            for l in 0..LANES {
                let label = labels[(first + l).min(rows.end - 1)] as usize;
                for (lanes, col) in group.iter_mut().zip(cols.clone()) {
                    lanes[l] = f64::from(u8::from(col == label));
                }
            }
        }
    }

    /// What is here is of no more use.
    pub fn forget(&mut self) {
        self.held = None;
    }

    /// What is here, to read.
    pub fn lanes(&self, rows: &Range<usize>, cols: &Range<usize>) -> &[Lanes] {
        &self.lanes[..rows.len().div_ceil(LANES) * cols.len()]
    }

    /// What is here, to overwrite.
    pub fn lanes_mut(&mut self, rows: &Range<usize>, cols: &Range<usize>) -> &mut [Lanes] {
        self.held = None;
        &mut self.lanes[..rows.len().div_ceil(LANES) * cols.len()]
    }

    /// Rounds what is here and writes it to its place.
    pub fn store<T: Element>(
        &self,
        out: &mut ViewMut<'_, T>,
        rows: &Range<usize>,
        cols: &Range<usize>,
    ) {
        let width = cols.len();
        for (group, first) in self.lanes.chunks(width).zip(rows.clone().step_by(LANES)) {
            let count = (rows.end - first).min(LANES);
            for l in 0..count {
                if let Some(row) = out.row_mut(first + l) {
                    for (slot, lanes) in row[cols.clone()].iter_mut().zip(group) {
                        *slot = T::from_f64(lanes[l]);
                    }
                } else {
                    for (col, lanes) in cols.clone().zip(group) {
                        out.set(first + l, col, T::from_f64(lanes[l]));
                    }
                }
            }
        }
    }
}

/// The first row of each group, and its part of a tile.
fn groups<'a>(
    rows: &Range<usize>,
    width: usize,
    lanes: &'a mut [Lanes],
) -> impl Iterator<Item = (usize, &'a mut [Lanes])> + use<'a> {
    rows.clone().step_by(LANES).zip(lanes.chunks_mut(width))
}

/// A number a row as lanes; what is behind the last row is 0.
pub(crate) fn as_lanes(rows: &Range<usize>, out: &mut [Lanes], value: impl Fn(usize) -> f64) {
    out.fill(ZERO);
    for (slot, row) in out.as_flattened_mut().iter_mut().zip(rows.clone()) {
        *slot = value(row);
    }
}

/// What the rows of a gradient are multiplied by.
pub(crate) fn factors<T>(
    gradient: Option<&Gradient<'_, T>>,
    rows: &Range<usize>,
    out: &mut [Lanes],
) {
    as_lanes(rows, out, |row| gradient.map_or(0.0, |gradient| scale_at(&gradient.scale, row)));
}

/// Sums of eight rows, each in two parts, so that only the last rounding is left.
///
/// Where an infinity was added the second part is NaN; [`value`](Self::value) does not look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    high: Lanes,
    low: Lanes,
}

impl Sum {
    pub const ZERO: Self = Self { high: ZERO, low: ZERO };

    #[inline(always)]
    pub fn add(&mut self, lane: usize, x: f64) {
        let (sum, lost) = two_sum(self.high[lane], x);
        self.high[lane] = sum;
        self.low[lane] += lost;
    }

    #[inline(always)]
    pub fn value(&self, lane: usize) -> f64 {
        let (high, low) = (self.high[lane], self.low[lane]);
        if high.abs() == f64::INFINITY { high } else { high + low }
    }
}

/// a + b rounded, and what was lost. Knuth (1969).
#[inline(always)]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// Whether a number is in [0, 1]; NaN is not.
#[inline(always)]
pub(crate) fn is_probability(x: f64) -> bool {
    (0.0..=1.0).contains(&x)
}

/// What [`exp_scaled`] is more than e^x: 2^64, so that the smallest results have all their bits.
const SCALED: f64 = 64.0;
/// 2^-64.
pub(crate) const UNSCALE: f64 = 1.0 / 18_446_744_073_709_551_616.0;
/// Below this 2^64 e^x is taken for 0.
const LOWEST: f64 = -790.0;
/// Stands for -inf after a shift, and for what is below all numbers: sums with infinities would be NaN.
pub(crate) const FAR: f64 = -f64::MAX;

/// x - max rounded, and what was lost; the far end of the numbers stands for -inf.
#[inline(always)]
pub(crate) fn shifted(x: f64, max: f64) -> (f64, f64) {
    let (d, lost) = two_sum(x, -max);
    (if d < FAR { FAR } else { d }, if d < FAR { 0.0 } else { lost })
}

/// 2^64 e^(d + lost) for d <= 0; 0 where e^d has no bit left.
#[inline(always)]
pub(crate) fn exp_scaled(d: f64, lost: f64) -> f64 {
    let y = if d < LOWEST { LOWEST } else { d };
    let (m, n) = exp_parts64(y);
    let m = m + lost * (1.0 + m);
    // n is at least -1140: two factors, each a power of two.
    let half = ((n * 0.5) + WHOLE) - WHOLE;
    let e = (1.0 + m) * power_of_two(half) * power_of_two(n - half + SCALED);
    if d < LOWEST { 0.0 } else { e }
}

/// The softmax of eight rows, all that is needed to get each probability and its logarithm.
///
/// ```text
/// d_j = x_j - max,  S = Σ e^{d_j}, the first maximum left out,  p_j = e^{d_j} / (1 + S)
/// -ln p_j = ln(1 + S) - d_j
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax {
    /// The largest logit.
    pub max: Lanes,
    /// Its first column.
    pub top: Lanes,
    infinities: Lanes,
    nans: Lanes,
    sum: Sum,
    weighted: Sum,
    /// S.
    pub others: Lanes,
    /// 1 + S.
    pub total: Lanes,
    /// ln(1 + S).
    pub tail: Lanes,
    /// -Σ p_j d_j.
    pub spread: Lanes,
}

impl Softmax {
    const START: Self = Self {
        max: [f64::NEG_INFINITY; LANES],
        top: ZERO,
        infinities: ZERO,
        nans: ZERO,
        sum: Sum::ZERO,
        weighted: Sum::ZERO,
        others: ZERO,
        total: ZERO,
        tail: ZERO,
        spread: ZERO,
    };

    /// Whether the row has no softmax: a NaN, all -inf, or more than one +inf.
    #[inline(always)]
    pub fn is_undefined(&self, lane: usize) -> bool {
        (self.nans[lane] > 0.0)
            | (self.infinities[lane] > 1.0)
            | (self.max[lane] == f64::NEG_INFINITY)
    }

    fn is_special(&self) -> bool {
        (0..LANES).any(|l| self.is_undefined(l) || self.max[l] == f64::INFINITY)
    }

    /// Takes 0 from the logits of rows that are replaced.
    #[cold]
    fn settle(&mut self) {
        for l in 0..LANES {
            if self.is_undefined(l) {
                self.nans[l] = 1.0;
                self.max[l] = 0.0;
            } else if self.max[l] == f64::INFINITY {
                self.max[l] = 0.0;
            }
        }
    }
}

/// Logits on their way through the tiles.
///
/// A single +inf is the limit of a growing logit: after the first pass such rows are 0 there and -inf
/// elsewhere. Rows without a softmax are all 0, so that no NaN is computed with; who reads
/// [`Softmax::is_undefined`] puts it into the result.
pub(crate) struct Logits<'a, T> {
    view: View<'a, T>,
    plan: Plan,
    pub tile: Tile,
    pub softmax: Vec<Softmax>,
    special: bool,
}

impl<'a, T: Element> Logits<'a, T> {
    pub fn new(view: View<'a, T>, plan: Plan) -> Self {
        let softmax = vec![Softmax::START; plan.groups()];
        Self { view, plan, tile: Tile::new(plan), softmax, special: false }
    }

    /// Finds the softmax of some rows.
    pub fn open(&mut self, rows: &Range<usize>) {
        let n = rows.len().div_ceil(LANES);
        self.special = false;
        self.softmax.fill(Softmax::START);
        for cols in self.plan.blocks() {
            self.load(rows, &cols);
            let lanes = self.tile.lanes(rows, &cols);
            find_largest(lanes, cols.len(), cols.start, &mut self.softmax[..n]);
        }
        let softmax = &mut self.softmax[..n];
        if softmax.iter().any(Softmax::is_special) {
            softmax.iter_mut().for_each(Softmax::settle);
            self.special = true;
            // To be loaded anew, with rows replaced.
            self.tile.forget();
        }
        for cols in self.plan.blocks() {
            self.load(rows, &cols);
            let lanes = self.tile.lanes(rows, &cols);
            add_exponentials(lanes, cols.len(), cols.start, &mut self.softmax[..n]);
        }
        close_sums(&mut self.softmax[..n]);
    }

    /// Brings a block into the tile.
    pub fn load(&mut self, rows: &Range<usize>, cols: &Range<usize>) {
        if self.tile.load(self.view, rows, cols, T::to_f64) && self.special {
            self.replace(rows, cols);
        }
    }

    #[cold]
    fn replace(&mut self, rows: &Range<usize>, cols: &Range<usize>) {
        let width = cols.len();
        for ((_, group), s) in groups(rows, width, &mut self.tile.lanes).zip(&self.softmax) {
            for l in 0..LANES {
                for lanes in group.iter_mut() {
                    if s.is_undefined(l) {
                        lanes[l] = 0.0;
                    } else if s.infinities[l] > 0.0 {
                        lanes[l] = if lanes[l] == f64::INFINITY { 0.0 } else { f64::NEG_INFINITY };
                    }
                }
            }
        }
    }

    /// The first column that leaves a row without a softmax.
    pub fn fault(&self, row: usize) -> Option<usize> {
        let x = |col| self.view.get(row, col).to_f64();
        let cols = 0..self.view.n_cols();
        if let Some(col) = cols.clone().find(|&col| x(col).is_nan()) {
            return Some(col);
        }
        if cols.clone().all(|col| x(col) == f64::NEG_INFINITY) {
            return cols.clone().next();
        }
        cols.clone().filter(|&col| x(col) == f64::INFINITY).nth(1)
    }
}

leveled! {
    /// The largest logits, and what is odd about the rows.
    fn find_largest(tile: &[Lanes], width: usize, first: usize, states: &mut [Softmax]) => largest_body
}
#[inline(always)]
fn largest_body(tile: &[Lanes], width: usize, first: usize, states: &mut [Softmax]) {
    for (group, state) in tile.chunks(width).zip(states) {
        let mut s = *state;
        for (i, lanes) in group.iter().enumerate() {
            let column = (first + i) as f64;
            for l in 0..LANES {
                let x = lanes[l];
                let larger = x > s.max[l];
                s.max[l] = if larger { x } else { s.max[l] };
                s.top[l] = if larger { column } else { s.top[l] };
                s.infinities[l] += if x == f64::INFINITY { 1.0 } else { 0.0 };
                s.nans[l] += if x.is_nan() { 1.0 } else { 0.0 };
            }
        }
        *state = s;
    }
}

leveled! {
    /// The sums over the exponentials.
    fn add_exponentials(tile: &[Lanes], width: usize, first: usize, states: &mut [Softmax])
        => exponentials_body
}
#[inline(always)]
fn exponentials_body(tile: &[Lanes], width: usize, first: usize, states: &mut [Softmax]) {
    for (group, state) in tile.chunks(width).zip(states) {
        let mut s = *state;
        for (i, lanes) in group.iter().enumerate() {
            let column = (first + i) as f64;
            for l in 0..LANES {
                let (d, lost) = shifted(lanes[l], s.max[l]);
                let e = exp_scaled(d, lost);
                s.sum.add(l, if s.top[l] == column { 0.0 } else { e });
                s.weighted.add(l, e * (0.0 - d));
            }
        }
        *state = s;
    }
}

leveled! {
    /// What the sums are for.
    fn close_sums(states: &mut [Softmax]) => close_body
}
#[inline(always)]
fn close_body(states: &mut [Softmax]) {
    for s in states {
        for l in 0..LANES {
            s.others[l] = s.sum.value(l) * UNSCALE;
            s.total[l] = 1.0 + s.others[l];
            s.tail[l] = ln_1p(s.others[l]);
            s.spread[l] = s.weighted.value(l) / s.total[l] * UNSCALE;
        }
    }
}

/// Collects the losses of the rows.
pub(crate) struct Tally<'a> {
    losses: Option<&'a mut [f64]>,
    pub sum: RowSum,
}

impl<'a> Tally<'a> {
    pub fn new(losses: Option<&'a mut [f64]>) -> Self {
        Self { losses, sum: RowSum::default() }
    }

    /// Adds some rows' losses; `fault` finds the column that makes a row's loss NaN.
    pub fn add(
        &mut self,
        rows: &Range<usize>,
        losses: &[Lanes],
        fault: impl Fn(usize) -> Option<usize>,
    ) {
        for (row, loss) in rows.clone().zip(self.add_plain(rows, losses)) {
            if loss.is_nan() {
                self.sum.undefined += 1;
                if self.sum.first_undefined.is_none() {
                    self.sum.first_undefined = fault(row).map(|col| (row, col));
                }
            }
        }
    }

    /// Adds some rows' losses, whose NaN are counted elsewhere.
    pub fn add_plain<'b>(&mut self, rows: &Range<usize>, losses: &'b [Lanes]) -> &'b [f64] {
        let losses = self.put(rows, losses);
        self.sum.loss.add_slice(losses);
        self.sum.weight.add(losses.len() as f64);
        self.sum.used += losses.len() as u64;
        self.sum.infinite += losses.iter().filter(|&&loss| loss == f64::INFINITY).count() as u64;
        losses
    }

    /// The same, each times its weight.
    pub fn add_weighted(&mut self, rows: &Range<usize>, losses: &[Lanes], weights: &[f64]) {
        let losses = self.put(rows, losses);
        let mut counted = [0.0; ROWS];
        let counted = &mut counted[..losses.len()];
        for ((slot, &loss), &weight) in counted.iter_mut().zip(losses).zip(weights) {
            // A weight of 0 leaves the row out, whatever its loss.
            *slot = if weight == 0.0 { 0.0 } else { loss };
            self.sum.infinite += u64::from(*slot == f64::INFINITY);
            self.sum.absent += u64::from(weight == 0.0);
            self.sum.used += u64::from(weight != 0.0);
        }
        self.sum.loss.add_products(counted, weights);
        self.sum.weight.add_slice(weights);
    }

    fn put<'b>(&mut self, rows: &Range<usize>, losses: &'b [Lanes]) -> &'b [f64] {
        let losses = &losses.as_flattened()[..rows.len()];
        if let Some(out) = &mut self.losses {
            out[rows.clone()].copy_from_slice(losses);
        }
        losses
    }
}

/// What the tests of functions over rows share.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod testing {
    use crate::per_row::{Gradient, Scale};
    use crate::view::{View, ViewMut};

    /// The gradient of the sum, row after row.
    pub fn whole<T: Copy>(out: &mut [T], cols: usize) -> Gradient<'_, T> {
        Gradient { into: ViewMut::rows_of(out, cols).unwrap(), scale: Scale::All(1.0) }
    }

    /// Distance in ulp of `unit`.
    pub fn ulps(got: f64, expected: f64, unit: f64) -> f64 {
        if got == expected {
            return 0.0;
        }
        let unit = unit.abs().max(f64::MIN_POSITIVE);
        let ulp = f64::from_bits(unit.to_bits() & (0x7ff << 52)) * f64::EPSILON;
        // Subnormal numbers would hide it.
        ((got - expected) / ulp).abs()
    }

    /// Numbers from a list of a few, every time scaled a little differently.
    pub fn cycled(n: usize, few: &[f64]) -> Vec<f64> {
        let x = few.iter().cycle().take(n).enumerate();
        x.map(|(i, x)| if *x == 1.0 { 1.0 } else { x * (1.0 - (i % 97) as f64 / 128.0) }).collect()
    }

    /// Calls `check` with the same arrays by rows, by columns, and with gaps, and a buffer of each layout.
    pub fn layouts(
        x: &[f64],
        t: &[f64],
        n: usize,
        v: usize,
        mut check: impl FnMut(View<'_, f64>, View<'_, f64>, &mut ViewMut<'_, f64>),
    ) {
        let strides = [(v, 1), (1, n), (2 * v + 3, 2), (3, 3 * n)];
        for (i, &(row, col)) in strides.iter().enumerate() {
            let spread = |x: &[f64]| {
                let mut spread = vec![f64::NAN; (n - 1) * row + (v - 1) * col + 1];
                (0..n * v).for_each(|i| spread[i / v * row + i % v * col] = x[i]);
                spread
            };
            let (x, t) = (spread(x), spread(t));
            let x = View::strided(&x, n, v, row, col).unwrap();
            let t = View::strided(&t, n, v, row, col).unwrap();
            let (row, col) = strides[(i + 1) % strides.len()];
            let mut out = vec![0.0; (n - 1) * row + (v - 1) * col + 1];
            check(x, t, &mut ViewMut::strided(&mut out, n, v, row, col).unwrap());
        }
    }
}
