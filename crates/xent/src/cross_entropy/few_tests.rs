use super::super::{Gradient, Options, Scale, Target, Wanted, cross_entropy};
use super::FEW;
use crate::view::{View, ViewMut};

/// Bounds of a loss and of a gradient, in ulp of f32 down to 2^-126.
const ULPS_LOSS: f64 = 2.5;
const ULPS_GRADIENT: f64 = 4.0;

fn ulp32(x: f64) -> f64 {
    let x = x.abs().max(f64::from(f32::MIN_POSITIVE));
    f64::from_bits((x.to_bits() & 0x7ff0_0000_0000_0000) - (23 << 52))
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The rest relative to the target: differences of f32 are exact in f64 or nearly, and nothing is subtracted from 1.
fn oracle(row: &[f32], y: usize) -> (f64, Vec<f64>) {
    let d = |c: usize| f64::from(row[c]) - f64::from(row[y]);
    let others = (0..row.len()).filter(|&c| c != y);
    let most = others.clone().map(d).fold(0.0, f64::max);
    let rest: f64 = others.map(|c| libm::exp(d(c) - most)).sum();
    let own = libm::exp(-most);
    let loss = if most == 0.0 { libm::log1p(rest) } else { most + libm::log(own + rest) };
    let gradient = |c: usize| if c == y { -rest } else { libm::exp(d(c) - most) };
    (loss, (0..row.len()).map(|c| gradient(c) / (rest + own)).collect())
}

/// Rows of a kind, with their targets.
fn rows_of(kind: usize, v: usize, n: usize, random: &mut Random) -> (Vec<f32>, Vec<u32>) {
    let mut x = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..n {
        let y = (random.next() * v as f64) as usize;
        let top = (random.next() * v as f64) as usize;
        let scale = [0.01, 1.0, 5.0, 20.0, 60.0][(random.next() * 5.0) as usize];
        let offset = (random.next() - 0.5) * [0.0, 100.0, 1e3, 1e5][(random.next() * 4.0) as usize];
        let mut row: Vec<f64> = (0..v).map(|_| (random.next() - 0.5) * scale).collect();
        match kind {
            0 => {}
            // A target far above or below the others.
            1 => row[y] += (random.next() - 0.3) * 120.0,
            // One term, beside which each of the others is half a bit.
            2 => row = (0..v).map(|c| if c == top { 0.0 } else { -16.0 - random.next() }).collect(),
            // Equal numbers.
            3 => row = vec![row[0]; v],
            // Terms that are just below a power of two, or just above.
            4 => {
                for x in &mut row {
                    let half = [0.0, 0.5][(random.next() * 2.0) as usize] + random.next() * 1e-3;
                    *x = ((*x).round() + half) * std::f64::consts::LN_2;
                }
            }
            // Masked classes.
            _ => {
                for (c, x) in row.iter_mut().enumerate() {
                    if c != y && random.next() < 0.5 {
                        *x = f64::NEG_INFINITY;
                    }
                }
            }
        }
        x.extend(row.iter().map(|x| (x + offset) as f32));
        labels.push(y as u32);
    }
    (x, labels)
}

#[test]
fn losses_and_gradients_of_few_classes() {
    let mut random = Random(3);
    let mut worst = (0.0_f64, 0.0_f64);
    for v in 2..=FEW + 1 {
        for kind in 0..6 {
            let n = 3000;
            let (x, labels) = rows_of(kind, v, n, &mut random);
            let (mut losses, mut gradient) = (vec![0.0; n], vec![0.0_f32; n * v]);
            let into = ViewMut::rows_of(&mut gradient, v).unwrap();
            let wanted = Wanted {
                losses: Some(&mut losses),
                gradient: Some(Gradient { into, scale: Scale::All(1.0) }),
                ..Wanted::default()
            };
            let view = View::rows_of(&x, v).unwrap();
            cross_entropy(view, Target::Classes(&labels), &Options::default(), wanted).unwrap();
            let mut forward = vec![0.0; n];
            let wanted = Wanted { losses: Some(&mut forward), ..Wanted::default() };
            cross_entropy(view, Target::Classes(&labels), &Options::default(), wanted).unwrap();
            assert_eq!(losses, forward);
            for (r, row) in x.chunks_exact(v).enumerate() {
                let (loss, slopes) = oracle(row, labels[r] as usize);
                let error = (losses[r] - loss).abs() / ulp32(loss);
                assert!(losses[r] >= 0.0, "{kind} {row:?} {}: {}", labels[r], losses[r]);
                assert!(error <= ULPS_LOSS, "{kind} {row:?} {}: {error}", labels[r]);
                worst.0 = worst.0.max(error);
                for (c, &slope) in slopes.iter().enumerate() {
                    let error = (f64::from(gradient[r * v + c]) - slope).abs() / ulp32(slope);
                    assert!(error <= ULPS_GRADIENT, "{kind} {row:?} {} {c}: {error}", labels[r]);
                    worst.1 = worst.1.max(error);
                }
            }
        }
    }
    println!("worst: loss {} ulp, gradient {} ulp", worst.0, worst.1);
}

/// What stands beside a row, how many rows there are and where it is among them change no bit of it.
#[test]
fn a_row_alone_has_the_same_bits() {
    let mut random = Random(4);
    for v in 2..=FEW {
        let n = 300;
        let (mut x, labels) = rows_of(1, v, n, &mut random);
        for odd in [5, 17, 130] {
            x[odd * v + 1] = [f32::NAN, f32::INFINITY, 3e38][odd % 3];
        }
        let run = |rows: std::ops::Range<usize>| {
            let part = &x[rows.start * v..rows.end * v];
            let (mut losses, mut gradient) = (vec![0.0; rows.len()], vec![0.0_f32; part.len()]);
            let into = ViewMut::rows_of(&mut gradient, v).unwrap();
            let wanted = Wanted {
                losses: Some(&mut losses),
                gradient: Some(Gradient { into, scale: Scale::All(0.3) }),
                ..Wanted::default()
            };
            let target = Target::Classes(&labels[rows]);
            let view = View::rows_of(part, v).unwrap();
            cross_entropy(view, target, &Options::default(), wanted).unwrap();
            let losses: Vec<u64> = losses.into_iter().map(f64::to_bits).collect();
            (losses, gradient.into_iter().map(f32::to_bits).collect::<Vec<u32>>())
        };
        let (losses, gradient) = run(0..n);
        for part in [0..1, 3..11, 5..6, 17..40, 100..233, 299..300] {
            let expected =
                (losses[part.clone()].to_vec(), gradient[part.start * v..part.end * v].to_vec());
            assert_eq!(run(part.clone()), expected, "{v} {part:?}");
        }
    }
}
