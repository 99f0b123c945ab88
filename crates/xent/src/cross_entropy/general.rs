//! Any target and every option, and the rows that the fast paths leave: in f64, a row at a time.

use std::ops::Range;

use super::hard::{Done, Wants, block, blocks};
use super::temperature::{Temperature, fill_tempered};
use super::{Io, Options, Target};
use crate::element::Element;
use crate::exponentials::{
    self, Accumulator, Arithmetic, BLOCK, Parted, Reference, add_terms, fill_terms, loss_beside,
    ratio_beside, term_of,
};
use crate::lanes::two_sum;
use crate::view::View;

/// A row that holds infinities or NaN, or whose sum lies outside what the fast paths can hold: one class,
/// nothing changed.
#[cold]
pub(super) fn odd_row<T: Element>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    y: usize,
    wants: Wants,
    scale: Option<f64>,
) -> Done {
    let x = io.x();
    let v = x.n_cols();
    let value = |c: usize| x.get(row, c).to_f64();
    let target = value(y);
    let (mut others, mut infinite, mut at, mut nan) = (f64::NEG_INFINITY, 0, 0, false);
    let mut rank = 0;
    for c in 0..v {
        let x = value(c);
        nan |= x.is_nan();
        if x == f64::INFINITY {
            infinite += 1;
            at = c;
        }
        if c != y && x > others {
            others = x;
        }
        rank += u32::from(x > target || (x == target && c < y));
    }
    if nan || infinite > 1 || (others == f64::NEG_INFINITY && target == f64::NEG_INFINITY) {
        io.fill_row(row, T::from_f64(f64::NAN));
        return Done { loss: f64::NAN, squared: f64::NAN, rank: u32::MAX };
    }
    let rank = if wants.ranks { rank } else { 0 };
    if infinite == 1 || others == f64::NEG_INFINITY {
        // All probability is with one class.
        let (top, hit) = if infinite == 1 { (at, at == y) } else { (y, true) };
        if let Some(scale) = scale {
            io.fill_row(row, T::default());
            if !hit {
                io.put::<f64>(row, top..top + 1, &[scale]);
                io.put::<f64>(row, y..y + 1, &[-scale]);
            }
        }
        let loss = if hit { 0.0 } else { f64::INFINITY };
        return Done { loss, squared: if hit { 0.0 } else { 2.0 }, rank };
    }
    // The largest of the others sets the scale, so that their sum is right however small it is beside the
    // target.
    let reference = f64::reference(others);
    let term = |x: f64| f64::term::<false, true>(x, &reference);
    let (mut rest, mut low) = (0.0_f64, 0.0);
    for c in (0..v).filter(|&c| c != y) {
        let term = term(value(c));
        let sum = rest + term;
        low += if rest >= term { (rest - sum) + term } else { (term - sum) + rest };
        rest = sum;
    }
    rest += low;
    let beside = target - reference.shift;
    let (loss, ratio) = if target == f64::NEG_INFINITY {
        (f64::INFINITY, f64::INFINITY)
    } else {
        let ratio = ratio_beside(beside, rest, reference.power);
        (loss_beside(beside, rest, reference.power), ratio)
    };
    // 1 - p of the target.
    let missed = if ratio < 1e300 { ratio / (1.0 + ratio) } else { 1.0 };
    let share = missed / rest;
    let mut squared = missed * missed;
    if wants.squares {
        for c in (0..v).filter(|&c| c != y) {
            let p = term(value(c)) * share;
            squared += p * p;
        }
    }
    if let Some(scale) = scale {
        // Neither 1 - p of the target, nor its share of the others' sum, nor a term need be in the range of numbers for
        // the product of all to be.
        let missed = if ratio < 1e-200 {
            const ROOM: f64 = 1100.0;
            Parted::of(ratio_beside(beside, rest, reference.power + ROOM)).raised(-ROOM)
        } else {
            Parted::of(missed)
        };
        let missed = missed.times(Parted::of(scale));
        let share = missed.over(Parted::of(rest));
        for c in 0..v {
            let x = io.x().get(row, c).to_f64() - reference.shift;
            let g =
                if c == y { 0.0 - missed.value() } else { share.times_term(x, reference.power) };
            io.put::<f64>(row, c..c + 1, &[g]);
        }
    }
    Done { loss, squared, rank }
}

/// Memory of the general path.
pub(super) struct Scratch {
    numbers: [f64; BLOCK],
    terms: [f64; BLOCK],
    targets: [f64; BLOCK],
    values: [f64; BLOCK],
}

impl Scratch {
    pub fn new() -> Box<Self> {
        let zeros = [0.0; BLOCK];
        Box::new(Self { numbers: zeros, terms: zeros, targets: zeros, values: zeros })
    }
}

/// The target of a row: some classes of their own, or a distribution, and the same for all.
pub(super) struct Aim<'a, T> {
    target: Target<'a, T>,
    row: usize,
    label: u32,
    /// Whether the classes of a sparse target are in order.
    ascending: bool,
    /// What remains of a target.
    keep: f64,
    /// What every class gets.
    uniform: f64,
    /// `sum_c w_c t_c`, before smoothing.
    pub weight: f64,
}

pub(super) fn aim<'a, T: Element>(
    target: &Target<'a, T>,
    row: usize,
    label: u32,
    options: &Options<'_>,
    v: usize,
) -> Aim<'a, T> {
    let keep = 1.0 - options.label_smoothing;
    let uniform = options.label_smoothing / v as f64;
    let ascending = match target {
        Target::Sparse { offsets, classes, .. } => {
            classes[offsets[row]..offsets[row + 1]].is_sorted()
        }
        _ => true,
    };
    let mut aim = Aim { target: *target, row, label, ascending, keep, uniform, weight: 1.0 };
    if let Some(weights) = options.class_weights {
        let (mut weight, mut low) = (0.0, 0.0);
        aim.each(0..v, |c, t| {
            let (sum, lost) = two_sum(weight, weights[c] * t);
            (weight, low) = (sum, low + lost);
        });
        aim.weight = weight + low;
    }
    aim
}

impl<T: Element> Aim<'_, T> {
    /// Calls with the classes of a range that have a target, before smoothing; with one that occurs twice, twice.
    fn each(&self, cols: Range<usize>, mut f: impl FnMut(usize, f64)) {
        let mut one = |class: u32, t: f64| {
            if cols.contains(&(class as usize)) {
                f(class as usize, t);
            }
        };
        match self.target {
            Target::Classes(_) => one(self.label, 1.0),
            Target::TwoClasses { first, second, share } => {
                one(first[self.row], share[self.row]);
                one(second[self.row], 1.0 - share[self.row]);
            }
            Target::Sparse { offsets, classes, probabilities } => {
                let (mut from, mut to) = (offsets[self.row], offsets[self.row + 1]);
                if self.ascending {
                    let classes = &classes[from..to];
                    let place = |c: usize| from + classes.partition_point(|&x| (x as usize) < c);
                    (from, to) = (place(cols.start), place(cols.end));
                }
                for i in from..to {
                    one(classes[i], probabilities[i]);
                }
            }
            Target::Distributions(t) => {
                for c in cols {
                    f(c, t.get(self.row, c).to_f64());
                }
            }
        }
    }

    /// The targets of the classes of a range, after smoothing; whether one may be above 0.
    fn fill(&self, cols: Range<usize>, out: &mut [f64]) -> bool {
        let start = cols.start;
        let mut any = self.uniform > 0.0;
        out.fill(self.uniform);
        self.each(cols, |c, t| {
            out[c - start] += self.keep * t;
            any = true;
        });
        any
    }
}

/// What a row comes to.
pub(super) struct Outcome {
    pub loss: f64,
    pub log_probability: f64,
    pub rank: u32,
}

/// The softmax of a row: its maximum, the others beside it, and how terms become probabilities.
pub(crate) struct Softmax<A> {
    /// The largest logit, and the first class that has it.
    pub max: f64,
    pub top: usize,
    /// -ln p of the top class.
    pub log_rest: f64,
    /// The sum of the other terms as a multiple of the largest.
    pub ratio: f64,
    /// 1 - p of the top class.
    missed: f64,
    reference: Reference<A>,
    factor: f64,
    /// If it is not 1; the terms are then those of `(x - max) / T`.
    temperature: Option<Temperature>,
}

/// Why a row's softmax is not given.
pub(crate) enum NoSoftmax {
    /// It has none: NaN, all -inf, or several +inf.
    Undefined,
    /// The others are too small beside the largest for sums of this kind.
    Faint,
}

impl<A: Arithmetic> Softmax<A> {
    /// Of a row. Logits are divided by the temperature, but for `max`, and those that other functions are given.
    pub fn of<T: Element>(
        x: &View<'_, T>,
        row: usize,
        temperature: f64,
        numbers: &mut [A; BLOCK],
        terms: &mut [A; BLOCK],
    ) -> Result<Self, NoSoftmax> {
        let v = x.n_cols();
        let mut max = A::NEGATIVE_INFINITY;
        let mut top = 0;
        for cols in blocks(v) {
            let start = cols.start;
            let numbers = block(x, row, cols, numbers);
            let largest = exponentials::largest(numbers);
            if largest > max {
                max = largest;
                top = start + numbers.iter().position(|&x| x == max).unwrap_or(0);
            }
        }
        if max == A::NEGATIVE_INFINITY {
            return Err(NoSoftmax::Undefined);
        }
        let value = max.to_f64();
        if value == f64::INFINITY {
            let number = |c: usize| x.get(row, c).to_f64();
            if (0..v).any(|c| number(c).is_nan() || (c != top && number(c) == value)) {
                return Err(NoSoftmax::Undefined);
            }
            let reference = A::reference(A::default());
            let (log_rest, ratio, missed, factor) = (0.0, 0.0, 0.0, 0.0);
            let temperature = None;
            return Ok(Self {
                max: value,
                top,
                log_rest,
                ratio,
                missed,
                reference,
                factor,
                temperature,
            });
        }
        let temperature = (temperature != 1.0).then(|| Temperature::new(temperature, value));
        let reference = A::reference(if temperature.is_some() { A::default() } else { max });
        let mut sum = Accumulator::new();
        for cols in blocks(v) {
            let (start, len) = (cols.start, cols.len());
            let numbers = block(x, row, cols, numbers);
            fill(numbers, &mut terms[..len], &reference, temperature.as_ref());
            if (start..start + len).contains(&top) {
                terms[top - start] = A::default();
            }
            add_terms(&mut sum, &terms[..len]);
        }
        let rest = sum.total::<A>();
        if rest.is_nan() {
            return Err(NoSoftmax::Undefined);
        }
        let beside = if temperature.is_some() { 0.0 } else { value - reference.shift.to_f64() };
        let total = rest + term_of(beside, reference.power);
        if !A::WIDE && v > 1 && !A::ordinary(rest, total, v) {
            return Err(NoSoftmax::Faint);
        }
        Ok(Self {
            max: value,
            top,
            log_rest: loss_beside(beside, rest, reference.power),
            ratio: ratio_beside(beside, rest, reference.power),
            missed: rest / total,
            reference,
            factor: 1.0 / total,
            temperature,
        })
    }

    /// -ln p of a class with this logit.
    pub fn surprisal(&self, class: usize, x: f64) -> f64 {
        if class == self.top {
            return self.log_rest;
        }
        let beside = self.temperature.map_or(self.max - x, |temperature| {
            let (q, low) = temperature.beside(x);
            0.0 - (q + low)
        });
        beside + self.log_rest
    }

    /// The probabilities of a block of numbers.
    pub fn probabilities(&self, start: usize, numbers: &[A], out: &mut [A]) {
        if self.max == f64::INFINITY {
            out.fill(A::default());
            if (start..start + out.len()).contains(&self.top) {
                out[self.top - start] = A::from_f64(1.0);
            }
        } else {
            fill(numbers, out, &self.reference, self.temperature.as_ref());
            exponentials::scale(out, A::from_f64(self.factor));
        }
    }

    /// 1 - p of a class.
    pub fn complement(&self, class: usize, p: f64) -> f64 {
        if class == self.top { self.missed } else { 1.0 - p }
    }
}

fn fill<A: Arithmetic>(
    numbers: &[A],
    terms: &mut [A],
    reference: &Reference<A>,
    temperature: Option<&Temperature>,
) {
    match temperature {
        None => fill_terms(numbers, terms, reference),
        Some(temperature) => fill_tempered(numbers, terms, temperature, reference),
    }
}

/// Loss and gradient of a row under any target and options.
pub(super) fn score<T: Element>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    aim: &Aim<'_, T>,
    options: &Options<'_>,
    scale: f64,
    scratch: &mut Scratch,
) -> Outcome {
    let x = io.x();
    let v = x.n_cols();
    let temperature = options.temperature;
    let weight_of = |c: usize| options.class_weights.map_or(1.0, |w| w[c]);
    let Scratch { numbers, terms, targets, values } = scratch;
    let Ok(softmax) = Softmax::<f64>::of(&x, row, temperature, numbers, terms) else {
        io.fill_row(row, T::from_f64(f64::NAN));
        return Outcome { loss: f64::NAN, log_probability: f64::NAN, rank: u32::MAX };
    };
    let value = |c: usize| x.get(row, c).to_f64();
    let mut losses = Accumulator::new();
    let mut weights = Accumulator::new();
    for cols in blocks(v) {
        let (start, len) = (cols.start, cols.len());
        let targets = &mut targets[..len];
        if !aim.fill(cols.clone(), targets) {
            continue;
        }
        let numbers = block(&x, row, cols, numbers);
        for (i, (q, out)) in targets.iter_mut().zip(&mut *values).enumerate() {
            let c = start + i;
            *q *= weight_of(c);
            // 0 times infinity is 0: what has no target or no weight has no loss.
            *out = if *q == 0.0 { 0.0 } else { *q * softmax.surprisal(c, numbers[i]) };
        }
        add_terms(&mut losses, &values[..len]);
        add_terms(&mut weights, targets);
    }
    let mut loss = losses.total::<f64>();
    let weight = weights.total::<f64>();
    let lse = softmax.max / temperature + softmax.log_rest;
    if options.z_loss > 0.0 {
        loss += options.z_loss * lse * lse;
    }
    let label = aim.label as usize;
    let is_class = matches!(aim.target, Target::Classes(_));
    let target = value(label);
    let log_probability = if is_class { 0.0 - softmax.surprisal(label, target) } else { f64::NAN };
    let rank = if is_class {
        let ahead = |c: usize, x: f64| x > target || (x == target && c < label);
        (0..v).map(|c| u32::from(ahead(c, value(c)))).sum()
    } else {
        0
    };
    if io.wants_gradient() {
        let outer = scale / temperature;
        let pull = if options.z_loss > 0.0 { 2.0 * options.z_loss * lse } else { 0.0 };
        // (W + 2 z lse) p - w q, without the difference of two near numbers where w q is all of W.
        let gradient = |c: usize, p: f64, wq: f64| {
            let pull = if p == 0.0 { 0.0 } else { p * ((weight - wq) + pull) };
            let slope = pull - wq * softmax.complement(c, p);
            // The factor is infinite for the smallest temperatures.
            if slope == 0.0 { 0.0 } else { outer * slope }
        };
        for cols in blocks(v) {
            let (start, len) = (cols.start, cols.len());
            let x = io.x();
            let numbers = block(&x, row, cols.clone(), numbers);
            softmax.probabilities(start, numbers, &mut terms[..len]);
            aim.fill(cols.clone(), &mut targets[..len]);
            for (i, out) in values[..len].iter_mut().enumerate() {
                let c = start + i;
                *out = gradient(c, terms[i], weight_of(c) * targets[i]);
            }
            io.put(row, cols, &values[..len]);
        }
    }
    Outcome { loss: loss + 0.0, log_probability, rank }
}
