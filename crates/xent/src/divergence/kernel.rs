//! The sums and gradients of [`divergence`](super), eight rows at a time.

use std::f64::consts::LN_2;

use super::terms::{
    Pair, divergence_term, entropy_slope, half_log_of_share, log_of_ratio, middle_term,
};
use crate::elementary::{ln, ln_1p};
use crate::lanes::{
    FAR, LANES, Lanes, Softmax, Sum, UNSCALE, ZERO, exp_scaled, is_probability, shifted, two_sum,
};
use crate::simd::leveled;

/// Sums of rows of probabilities.
pub(super) type Sums = [Sum];

leveled! {
    /// Adds up the numbers of each row; whether one is outside [0, 1] or NaN.
    pub(super) fn add_probabilities(tile: &[Lanes], width: usize, sums: &mut [Lanes]) -> bool
        => probabilities_body
}
#[inline(always)]
fn probabilities_body(tile: &[Lanes], width: usize, sums: &mut [Lanes]) -> bool {
    let mut odd = 0.0;
    for (group, sums) in tile.chunks(width).zip(sums) {
        let mut bad = ZERO;
        for lanes in group {
            for l in 0..LANES {
                let p = lanes[l];
                sums[l] += p;
                bad[l] += if is_probability(p) { 0.0 } else { 1.0 };
            }
        }
        odd += bad.iter().sum::<f64>();
    }
    odd > 0.0
}

leveled! {
    /// Adds -p ln p.
    pub(super) fn add_entropies(tile: &[Lanes], width: usize, sums: &mut Sums) => entropies_body
}
#[inline(always)]
fn entropies_body(tile: &[Lanes], width: usize, sums: &mut Sums) {
    for (group, state) in tile.chunks(width).zip(sums) {
        let mut sum = *state;
        for lanes in group {
            for l in 0..LANES {
                let p = lanes[l];
                let term = 0.0 - p * ln(p);
                sum.add(l, if p == 0.0 { 0.0 } else { term });
            }
        }
        *state = sum;
    }
}

leveled! {
    /// Writes the slopes of the entropy, times the row's factor, over p.
    pub(super) fn entropy_row_slopes(p: &mut [Lanes], width: usize, factors: &[Lanes])
        => entropy_row_slopes_body
}
#[inline(always)]
fn entropy_row_slopes_body(p: &mut [Lanes], width: usize, factors: &[Lanes]) {
    for (p, factor) in p.chunks_mut(width).zip(factors) {
        for p in p {
            for l in 0..LANES {
                p[l] = scaled(entropy_slope(p[l]), factor[l]);
            }
        }
    }
}

/// A slope times the row's factor; 0 times an infinite slope is 0.
#[inline(always)]
fn scaled(slope: f64, factor: f64) -> f64 {
    let product = slope * factor;
    if factor == 0.0 { 0.0 } else { product }
}

/// A quantity of two rows of probabilities: a class's term, and its slopes.
trait Quantity {
    fn term(p: f64, q: f64) -> f64;
    fn slope_p(p: f64, q: f64) -> f64;
    fn slope_q(p: f64, q: f64) -> f64;
}

struct Cross;
struct Kl;
struct Js;

impl Quantity for Cross {
    #[inline(always)]
    fn term(p: f64, q: f64) -> f64 {
        let term = 0.0 - p * ln(q);
        if p == 0.0 { 0.0 } else { term }
    }

    #[inline(always)]
    fn slope_p(_: f64, q: f64) -> f64 {
        0.0 - ln(q)
    }

    #[inline(always)]
    fn slope_q(p: f64, q: f64) -> f64 {
        let slope = 0.0 - p / q;
        if p == 0.0 { 0.0 } else { slope }
    }
}

impl Quantity for Kl {
    #[inline(always)]
    fn term(p: f64, q: f64) -> f64 {
        divergence_term(p, q, q - p)
    }

    #[inline(always)]
    fn slope_p(p: f64, q: f64) -> f64 {
        log_of_ratio(p, q)
    }

    #[inline(always)]
    fn slope_q(p: f64, q: f64) -> f64 {
        let slope = (q - p) / q;
        if p == 0.0 { 1.0 } else { slope }
    }
}

impl Quantity for Js {
    #[inline(always)]
    fn term(p: f64, q: f64) -> f64 {
        middle_term(p, q)
    }

    #[inline(always)]
    fn slope_p(p: f64, q: f64) -> f64 {
        half_log_of_share(q, p)
    }

    #[inline(always)]
    fn slope_q(p: f64, q: f64) -> f64 {
        half_log_of_share(p, q)
    }
}

#[inline(always)]
fn terms_body<K: Quantity>(p: &[Lanes], q: &[Lanes], width: usize, sums: &mut Sums) {
    for ((p, q), state) in p.chunks(width).zip(q.chunks(width)).zip(sums) {
        let mut sum = *state;
        for (p, q) in p.iter().zip(q) {
            for l in 0..LANES {
                sum.add(l, K::term(p[l], q[l]));
            }
        }
        *state = sum;
    }
}

#[inline(always)]
fn slopes_p_body<K: Quantity>(p: &mut [Lanes], q: &[Lanes], width: usize, factors: &[Lanes]) {
    for ((p, q), factor) in p.chunks_mut(width).zip(q.chunks(width)).zip(factors) {
        for (p, q) in p.iter_mut().zip(q) {
            for l in 0..LANES {
                p[l] = scaled(K::slope_p(p[l], q[l]), factor[l]);
            }
        }
    }
}

#[inline(always)]
fn slopes_q_body<K: Quantity>(p: &[Lanes], q: &mut [Lanes], width: usize, factors: &[Lanes]) {
    for ((p, q), factor) in p.chunks(width).zip(q.chunks_mut(width)).zip(factors) {
        for (p, q) in p.iter().zip(q) {
            for l in 0..LANES {
                q[l] = scaled(K::slope_q(p[l], q[l]), factor[l]);
            }
        }
    }
}

macro_rules! quantities {
    ($($kind:ident: $terms:ident $terms_body:ident, $slopes_p:ident $slopes_p_body:ident,
        $slopes_q:ident $slopes_q_body:ident;)*) => {$(
        leveled! {
            /// Adds the terms of each row.
            pub(super) fn $terms(p: &[Lanes], q: &[Lanes], width: usize, sums: &mut Sums)
                => $terms_body
        }
        #[inline(always)]
        fn $terms_body(p: &[Lanes], q: &[Lanes], width: usize, sums: &mut Sums) {
            terms_body::<$kind>(p, q, width, sums);
        }
        leveled! {
            /// Writes the slopes in p, times the row's factor, over p.
            pub(super) fn $slopes_p(p: &mut [Lanes], q: &[Lanes], width: usize, factors: &[Lanes])
                => $slopes_p_body
        }
        #[inline(always)]
        fn $slopes_p_body(p: &mut [Lanes], q: &[Lanes], width: usize, factors: &[Lanes]) {
            slopes_p_body::<$kind>(p, q, width, factors);
        }
        leveled! {
            /// Writes the slopes in q, times the row's factor, over q.
            pub(super) fn $slopes_q(p: &[Lanes], q: &mut [Lanes], width: usize, factors: &[Lanes])
                => $slopes_q_body
        }
        #[inline(always)]
        fn $slopes_q_body(p: &[Lanes], q: &mut [Lanes], width: usize, factors: &[Lanes]) {
            slopes_q_body::<$kind>(p, q, width, factors);
        }
    )*};
}
quantities! {
    Cross: cross_terms cross_terms_body, cross_slopes_p cross_slopes_p_body,
        cross_slopes_q cross_slopes_q_body;
    Kl: kl_terms kl_terms_body, kl_slopes_p kl_slopes_p_body, kl_slopes_q kl_slopes_q_body;
    Js: js_terms js_terms_body, js_slopes_p js_slopes_p_body, js_slopes_q js_slopes_q_body;
}

leveled! {
    /// Writes the gradient of the entropy over the logits.
    pub(super) fn entropy_slopes(
        tile: &mut [Lanes],
        width: usize,
        softmax: &[Softmax],
        factors: &[Lanes],
    ) => entropy_slopes_body
}
#[inline(always)]
fn entropy_slopes_body(tile: &mut [Lanes], width: usize, softmax: &[Softmax], factors: &[Lanes]) {
    for ((group, s), factor) in tile.chunks_mut(width).zip(softmax).zip(factors) {
        for lanes in group {
            for l in 0..LANES {
                let (d, lost) = shifted(lanes[l], s.max[l]);
                let p = exp_scaled(d, lost) / s.total[l];
                // From 0, not negated: a class that is certain has 0, not -0.
                let slope = p * ((0.0 - d) - s.spread[l]);
                lanes[l] = slope * UNSCALE * factor[l] + 0.0;
            }
        }
    }
}

/// The same block of two arrays.
pub(super) type Tiles<'a> = (&'a [Lanes], &'a [Lanes]);
/// The same, to overwrite.
pub(super) type TilesMut<'a> = (&'a mut [Lanes], &'a mut [Lanes]);
/// The softmaxes of the same rows of two arrays.
pub(super) type Softmaxes<'a> = (&'a [Softmax], &'a [Softmax]);

/// Two rows of logits on their way through the passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairState {
    /// ln(1 + S) of the second less that of the first: ln(q/p) is the difference of the shifted logits
    /// less this.
    offset: Lanes,
    drift: Sum,
    /// What the offset is off by, from Σ (q - p), which should be 0.
    shift: Lanes,
    first: Sum,
    second: Sum,
    both: Sum,
    /// Cross entropy less ln(1 + S) of q, or D(p || m) and D(q || m).
    pub sides: [Lanes; 2],
    /// The row's value.
    pub value: Lanes,
    /// What the gradients are multiplied by.
    pub factors: [Lanes; 2],
}

impl PairState {
    pub const START: Self = Self {
        offset: ZERO,
        drift: Sum::ZERO,
        shift: ZERO,
        first: Sum::ZERO,
        second: Sum::ZERO,
        both: Sum::ZERO,
        sides: [ZERO; 2],
        value: ZERO,
        factors: [ZERO; 2],
    };
}

/// One class of one row: both probabilities times 2^64.
#[inline(always)]
fn pair(xa: f64, xb: f64, a: &Softmax, b: &Softmax, s: &PairState, l: usize) -> (Pair, f64) {
    let (da, lost_a) = shifted(xa, a.max[l]);
    let (db, lost_b) = shifted(xb, b.max[l]);
    let p = exp_scaled(da, lost_a) / a.total[l];
    let q = exp_scaled(db, lost_b) / b.total[l];
    // The difference of the logarithms in two parts: for rows that are nearly equal all of it is in
    // the low one.
    let (v, v_lost) = two_sum(db, -da);
    let (w, w_lost) = two_sum(v, -s.offset[l]);
    let w = w + ((v_lost + w_lost) + (lost_b - lost_a) - s.shift[l]);
    (Pair::new(p, q, w), db)
}

/// Whether the class is excluded by q, but not by p.
#[inline(always)]
fn is_blocked(xa: f64, xb: f64) -> bool {
    (xb == f64::NEG_INFINITY) & (xa != f64::NEG_INFINITY)
}

/// What a pass over both tiles adds up; a trait and no closure, so that it is always a part of the loop
/// that it stands in.
trait PairSums {
    fn add(s: &mut PairState, l: usize, pair: Pair, db: f64, blocked: bool);
}

/// Σ (q - p).
struct Drift;

impl PairSums for Drift {
    #[inline(always)]
    fn add(s: &mut PairState, l: usize, pair: Pair, _: f64, _: bool) {
        s.drift.add(l, pair.gap);
    }
}

impl PairSums for Cross {
    #[inline(always)]
    fn add(s: &mut PairState, l: usize, pair: Pair, db: f64, blocked: bool) {
        let term = pair.p * ((0.0 - db) * UNSCALE);
        let blocked = blocked | ((db <= FAR) & (pair.p > 0.0));
        s.both.add(l, if blocked { f64::INFINITY } else { term });
    }
}

impl PairSums for Kl {
    #[inline(always)]
    fn add(s: &mut PairState, l: usize, pair: Pair, _: f64, blocked: bool) {
        s.both.add(l, if blocked { f64::INFINITY } else { pair.divergence });
    }
}

impl PairSums for Js {
    #[inline(always)]
    fn add(s: &mut PairState, l: usize, pair: Pair, _: f64, _: bool) {
        s.both.add(l, pair.middle);
        let [first, second] = logs_of_middle(&pair);
        s.first.add(l, 0.0 - first);
        s.second.add(l, 0.0 - second);
    }
}

/// Goes through the classes of both tiles.
#[inline(always)]
fn add_pairs<K: PairSums>(
    tiles: Tiles<'_>,
    width: usize,
    softmax: Softmaxes<'_>,
    states: &mut [PairState],
) {
    let tiles = tiles.0.chunks(width).zip(tiles.1.chunks(width));
    let softmax = softmax.0.iter().zip(softmax.1);
    for (((xa, xb), (a, b)), state) in tiles.zip(softmax).zip(states) {
        let mut s = *state;
        for (xa, xb) in xa.iter().zip(xb) {
            for l in 0..LANES {
                let (pair, db) = pair(xa[l], xb[l], a, b, &s, l);
                K::add(&mut s, l, pair, db, is_blocked(xa[l], xb[l]));
            }
        }
        *state = s;
    }
}

macro_rules! pair_sums {
    ($($name:ident $body:ident $kind:ident;)*) => {$(
        leveled! {
            /// Adds what a pass adds.
            pub(super) fn $name(
                tiles: Tiles<'_>,
                width: usize,
                softmax: Softmaxes<'_>,
                states: &mut [PairState],
            ) => $body
        }
        #[inline(always)]
        fn $body(
            tiles: Tiles<'_>,
            width: usize,
            softmax: Softmaxes<'_>,
            states: &mut [PairState],
        ) {
            add_pairs::<$kind>(tiles, width, softmax, states);
        }
    )*};
}
pair_sums! {
    add_drift drift_body Drift;
    add_cross cross_body Cross;
    add_kl kl_body Kl;
    add_js js_body Js;
}

leveled! {
    /// Begins with two rows.
    pub(super) fn open_pairs(softmax: Softmaxes<'_>, states: &mut [PairState]) => open_body
}
#[inline(always)]
fn open_body(softmax: Softmaxes<'_>, states: &mut [PairState]) {
    for ((a, b), state) in softmax.0.iter().zip(softmax.1).zip(states) {
        let factors = state.factors;
        *state = PairState { factors, ..PairState::START };
        for l in 0..LANES {
            state.offset[l] = b.tail[l] - a.tail[l];
        }
    }
}

leveled! {
    /// What the offset is off by.
    pub(super) fn close_drift(states: &mut [PairState]) => close_drift_body
}
#[inline(always)]
fn close_drift_body(states: &mut [PairState]) {
    for s in states {
        for l in 0..LANES {
            s.shift[l] = ln_1p(s.drift.value(l) * UNSCALE);
        }
    }
}

/// p ln(m / p) and q ln(m / q), m = (p + q) / 2.
#[inline(always)]
fn logs_of_middle(pair: &Pair) -> [f64; 2] {
    /// From here on ln((1 + e^w) / 2) is w - ln 2 to the last bit.
    const LARGE: f64 = 37.0;
    let side = |p: f64, half_gap: f64, w: f64| {
        let near = ln_1p(half_gap / p);
        let term = p * if w > LARGE { w - LN_2 } else { near };
        if p == 0.0 { 0.0 } else { term }
    };
    let half_gap = 0.5 * pair.gap;
    [side(pair.p, half_gap, pair.log_ratio), side(pair.q, -half_gap, -pair.log_ratio)]
}

/// What the sums come to, and where there is no gradient.
fn close(
    softmax: Softmaxes<'_>,
    states: &mut [PairState],
    value: impl Fn(&mut PairState, usize, &Softmax),
) {
    for ((a, b), s) in softmax.0.iter().zip(softmax.1).zip(states) {
        for l in 0..LANES {
            value(s, l, b);
            if s.value[l] == f64::INFINITY {
                s.factors[0][l] = f64::NAN;
            }
            if a.is_undefined(l) | b.is_undefined(l) {
                s.value[l] = f64::NAN;
                s.factors = s.factors.map(|mut factors| {
                    factors[l] = f64::NAN;
                    factors
                });
            }
        }
    }
}

pub(super) fn close_cross(softmax: Softmaxes<'_>, states: &mut [PairState]) {
    close(softmax, states, |s, l, b| {
        s.sides[0][l] = s.both.value(l);
        s.value[l] = b.tail[l] + s.sides[0][l];
    });
}

pub(super) fn close_kl(softmax: Softmaxes<'_>, states: &mut [PairState]) {
    close(softmax, states, |s, l, _| s.value[l] = s.both.value(l) * UNSCALE);
}

pub(super) fn close_js(softmax: Softmaxes<'_>, states: &mut [PairState]) {
    close(softmax, states, |s, l, _| {
        s.sides[0][l] = s.first.value(l) * UNSCALE;
        s.sides[1][l] = s.second.value(l) * UNSCALE;
        s.value[l] = (s.both.value(l) * UNSCALE).min(LN_2);
    });
}

/// The slopes of a quantity in one logit of each row, times 2^64. A trait and no closure, so that it is
/// always a part of the loop that it stands in.
trait PairSlopes {
    fn slopes(s: &PairState, l: usize, pair: Pair, db: f64) -> (f64, f64);
}

impl PairSlopes for Cross {
    #[inline(always)]
    fn slopes(s: &PairState, l: usize, pair: Pair, db: f64) -> (f64, f64) {
        (pair.p * ((0.0 - db) - s.sides[0][l]), pair.gap)
    }
}

impl PairSlopes for Kl {
    #[inline(always)]
    fn slopes(s: &PairState, l: usize, pair: Pair, _: f64) -> (f64, f64) {
        (pair.p * (0.0 - (pair.log_ratio + s.value[l])), pair.gap)
    }
}

impl PairSlopes for Js {
    #[inline(always)]
    fn slopes(s: &PairState, l: usize, pair: Pair, _: f64) -> (f64, f64) {
        let [first, second] = logs_of_middle(&pair);
        let slope_p = -0.5 * (first + pair.p * s.sides[0][l]);
        (slope_p, -0.5 * (second + pair.q * s.sides[1][l]))
    }
}

/// Writes both gradients over the logits, each times the row's factor.
#[inline(always)]
fn write_slopes<K: PairSlopes>(
    tiles: TilesMut<'_>,
    width: usize,
    softmax: Softmaxes<'_>,
    states: &[PairState],
) {
    let tiles = tiles.0.chunks_mut(width).zip(tiles.1.chunks_mut(width));
    let softmax = softmax.0.iter().zip(softmax.1);
    for (((xa, xb), (a, b)), s) in tiles.zip(softmax).zip(states) {
        for (xa, xb) in xa.iter_mut().zip(xb) {
            // Written at the end, so that no lane waits for another.
            let (mut slopes_p, mut slopes_q) = (ZERO, ZERO);
            for l in 0..LANES {
                let (pair, db) = pair(xa[l], xb[l], a, b, s, l);
                let (slope_p, slope_q) = K::slopes(s, l, pair, db);
                slopes_p[l] = slope_p * UNSCALE * s.factors[0][l] + 0.0;
                slopes_q[l] = slope_q * UNSCALE * s.factors[1][l] + 0.0;
            }
            (*xa, *xb) = (slopes_p, slopes_q);
        }
    }
}

macro_rules! pair_slopes {
    ($($name:ident $body:ident $kind:ident;)*) => {$(
        leveled! {
            /// Writes both gradients.
            pub(super) fn $name(
                tiles: TilesMut<'_>,
                width: usize,
                softmax: Softmaxes<'_>,
                states: &[PairState],
            ) => $body
        }
        #[inline(always)]
        fn $body(
            tiles: TilesMut<'_>,
            width: usize,
            softmax: Softmaxes<'_>,
            states: &[PairState],
        ) {
            write_slopes::<$kind>(tiles, width, softmax, states);
        }
    )*};
}
pair_slopes! {
    cross_pair_slopes cross_pair_slopes_body Cross;
    kl_pair_slopes kl_pair_slopes_body Kl;
    js_pair_slopes js_pair_slopes_body Js;
}
