//! Cross entropy of any rows: as near as it promises to be, and the same bits beside any other rows and in any layout.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use xent::cross_entropy::{
    Gradient, Options, Scale, Target, Wanted, cross_entropy, cross_entropy_in_place,
};
use xent::view::{View, ViewMut};

/// What a loss may be off by, in ulp of f32.
const ULPS_LOSS: f64 = 2.5;
/// What a component of a gradient may be off by.
const ULPS_GRADIENT: f64 = 4.0;

/// Rows of some classes, and their labels.
#[derive(Clone, Debug)]
struct Rows {
    v: usize,
    x: Vec<f32>,
    labels: Vec<u32>,
}

/// Few classes, short rows, and long rows of whole and of broken vectors.
fn widths() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 2_usize..5, 1 => 5_usize..33, 3 => 33_usize..200]
}

fn rows(number: impl Strategy<Value = f32> + Clone + 'static) -> impl Strategy<Value = Rows> {
    (widths(), 1_usize..40).prop_flat_map(move |(v, n)| {
        let x = prop::collection::vec(number.clone(), n * v);
        let labels = prop::collection::vec(0..v as u32, n);
        (x, labels).prop_map(move |(x, labels)| Rows { v, x, labels })
    })
}

/// From all but equal numbers to such as leave the range of f32 when exponentiated.
fn finite() -> impl Strategy<Value = f32> + Clone + 'static {
    prop_oneof![
        8 => -5.0_f32..5.0,
        4 => -60.0_f32..60.0,
        2 => -200.0_f32..200.0,
        1 => -1e-6_f32..1e-6,
        1 => -70_000.0_f32..70_000.0,
        1 => prop::sample::select(vec![0.0, -0.0, 1e30, -1e30, -1e9, 262_144.0, 65_536.0, -131_072.0]),
    ]
}

fn any_number() -> impl Strategy<Value = f32> + Clone + 'static {
    let odd = vec![f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN];
    prop_oneof![30 => finite(), 1 => prop::sample::select(odd)]
}

/// The losses and the gradients with a factor of 1.
fn score(view: View<'_, f32>, labels: &[u32]) -> (Vec<f64>, Vec<f32>) {
    let (n, v) = (view.n_rows(), view.n_cols());
    let (mut losses, mut gradient) = (vec![0.0; n], vec![0.0; n * v]);
    let into = ViewMut::rows_of(&mut gradient, v).unwrap();
    let wanted = Wanted {
        losses: Some(&mut losses),
        gradient: Some(Gradient { into, scale: Scale::All(1.0) }),
        ..Wanted::default()
    };
    cross_entropy(view, Target::Classes(labels), &Options::default(), wanted).unwrap();
    (losses, gradient)
}

/// The losses alone, which take another way.
fn score_forward(view: View<'_, f32>, labels: &[u32]) -> Vec<f64> {
    let mut losses = vec![0.0; view.n_rows()];
    let wanted = Wanted { losses: Some(&mut losses), ..Wanted::default() };
    cross_entropy(view, Target::Classes(labels), &Options::default(), wanted).unwrap();
    losses
}

/// The loss and the gradient by the functions of the platform, in f64, the largest number subtracted.
fn reference(x: &[f32], y: usize) -> (f64, Vec<f64>) {
    let top = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let below = |c: usize| f64::from(x[c]) - f64::from(top);
    let term = |c: usize| libm::exp(below(c));
    let rest: f64 = (0..x.len()).filter(|&c| c != y).map(term).sum();
    let total = rest + term(y);
    let loss = if x[y] == top { libm::log1p(rest) } else { libm::log(total) - below(y) };
    let gradient = |c| if c == y { -rest / total } else { term(c) / total };
    (loss, (0..x.len()).map(gradient).collect())
}

/// An ulp of f32 at x, of its smallest normal number below that.
fn ulp(x: f64) -> f64 {
    let x = x.abs().max(f64::from(f32::MIN_POSITIVE));
    f64::from_bits((x.to_bits() & 0x7ff0_0000_0000_0000) - (23 << 52))
}

fn same<T: Copy>(a: &[T], b: &[T], to_f64: impl Fn(T) -> f64) -> bool {
    let equal = |(&a, &b): (&T, &T)| {
        let (a, b) = (to_f64(a), to_f64(b));
        a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
    };
    a.len() == b.len() && a.iter().zip(b).all(equal)
}

proptest! {
    #[test]
    fn finite_rows_are_as_near_as_promised(Rows { v, x, labels } in rows(finite())) {
        let (losses, gradient) = score(View::rows_of(&x, v).unwrap(), &labels);
        for (i, row) in x.chunks(v).enumerate() {
            let (loss, expected) = reference(row, labels[i] as usize);
            let off = (losses[i] - loss).abs() / ulp(loss);
            prop_assert!(off <= ULPS_LOSS, "{row:?} {}: {:e}, not {loss:e}: {off}", labels[i], losses[i]);
            prop_assert!(losses[i] >= 0.0 && losses[i].is_sign_positive());
            for (c, &expected) in expected.iter().enumerate() {
                let got = f64::from(gradient[i * v + c]);
                let off = (got - expected).abs() / ulp(expected);
                prop_assert!(off <= ULPS_GRADIENT, "{row:?} {} {c}: {got:e}, not {expected:e}: {off}", labels[i]);
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_beside_any_other(Rows { v, x, labels } in rows(any_number())) {
        let (losses, gradient) = score(View::rows_of(&x, v).unwrap(), &labels);
        let n = labels.len();
        for (i, row) in x.chunks(v).enumerate() {
            let alone = score(View::rows_of(row, v).unwrap(), &labels[i..=i]);
            prop_assert!(same(&alone.0, &losses[i..=i], f64::from), "{row:?} {}", labels[i]);
            let cells = i * v..(i + 1) * v;
            prop_assert!(same(&alone.1, &gradient[cells], f64::from), "{row:?} {}", labels[i]);
        }
        // By columns, and rows with a gap.
        for (row, col) in [(1, n), (v + 3, 1)] {
            let mut spread = vec![f32::NAN; (n - 1) * row + (v - 1) * col + 1];
            (0..n * v).for_each(|i| spread[i / v * row + i % v * col] = x[i]);
            let other = score(View::strided(&spread, n, v, row, col).unwrap(), &labels);
            prop_assert!(same(&other.0, &losses, f64::from) && same(&other.1, &gradient, f64::from));
        }
        // The gradient over the numbers.
        let mut over = x.clone();
        let view = ViewMut::rows_of(&mut over, v).unwrap();
        let target = Target::Classes(&labels);
        let mut other = vec![0.0; n];
        let wanted = Wanted { losses: Some(&mut other), ..Wanted::default() };
        cross_entropy_in_place(view, target, &Options::default(), Scale::All(1.0), wanted).unwrap();
        prop_assert!(same(&other, &losses, f64::from) && same(&over, &gradient, f64::from));
    }

    #[test]
    fn the_loss_does_not_depend_on_the_gradient(Rows { v, x, labels } in rows(-80.0_f32..80.0)) {
        let view = View::rows_of(&x, v).unwrap();
        let forward = score_forward(view, &labels);
        for (i, (a, b)) in forward.iter().zip(score(view, &labels).0).enumerate() {
            // A row whose gradient leaves the range of f32 is done in f64, its loss too.
            prop_assert!((a - b).abs() <= 1e-7 * b, "row {i}: {a:e} {b:e}");
        }
    }
}
