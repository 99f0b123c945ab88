use super::*;

/// A generator that any language can repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn rows<T: Element>(&mut self, n: usize, scale: f64) -> Vec<T> {
        // Roughly normal: a sum of four.
        let x = |r: &mut Self| (0..4).map(|_| r.next() - 0.5).sum::<f64>() * 1.7 * scale;
        (0..n).map(|_| T::from_f64(x(self))).collect()
    }

    fn labels(&mut self, n: usize, v: usize) -> Vec<u32> {
        (0..n).map(|_| (self.next() * v as f64) as u32).collect()
    }
}

/// The loss of a row and its gradient in f64 with compensated sums, another way than the kernels': the platform's
/// functions, a maximum subtracted.
fn reference(x: &[f64], y: usize) -> (f64, Vec<f64>) {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut rest, mut low) = (0.0, 0.0);
    let mut terms = Vec::new();
    for &x in x {
        terms.push(libm::exp(x - max));
    }
    for (c, &e) in terms.iter().enumerate() {
        if c != y {
            let sum: f64 = rest + e;
            low += if rest >= e { (rest - sum) + e } else { (e - sum) + rest };
            rest = sum;
        }
    }
    rest += low;
    let total = rest + terms[y];
    let gradient =
        (0..x.len()).map(|c| if c == y { -rest / total } else { terms[c] / total }).collect();
    let loss =
        if x[y] == max { libm::log1p(rest) } else { libm::log(rest + terms[y]) + (max - x[y]) };
    (loss, gradient)
}

fn ulp32(x: f64) -> f64 {
    let x = x.abs().max(f64::from(f32::MIN_POSITIVE));
    f64::from_bits((x.to_bits() & 0x7ff0_0000_0000_0000) - (23 << 52))
}

struct Outcome {
    losses: Vec<f64>,
    ranks: Vec<u32>,
    gradient: Vec<f64>,
}

fn all<T: Element>(x: View<'_, T>, target: Target<'_, T>, options: &Options<'_>) -> Outcome {
    let (n, v) = (x.n_rows(), x.n_cols());
    let mut losses = vec![0.0; n];
    let mut ranks = vec![0; n];
    let mut gradient = vec![T::default(); n * v];
    let is_classes = matches!(target, Target::Classes(_));
    cross_entropy(
        x,
        target,
        options,
        Wanted {
            losses: Some(&mut losses),
            ranks: is_classes.then_some(&mut ranks[..]),
            gradient: Some(Gradient {
                into: ViewMut::rows_of(&mut gradient, v).unwrap(),
                scale: Scale::All(1.0),
            }),
            log_probabilities: None,
        },
    )
    .unwrap();
    Outcome { losses, ranks, gradient: gradient.iter().map(|g| g.to_f64()).collect() }
}

const WIDTHS: [usize; 14] = [2, 3, 4, 5, 9, 10, 17, 32, 33, 100, 511, 512, 513, 1000];

/// Losses of f32 rows at every width and scale, with large margins, in ulp of f32.
#[test]
fn losses_and_gradients_of_f32_rows() {
    let mut worst = (0.0_f64, 0.0_f64);
    let mut random = Random(1);
    for v in WIDTHS {
        for scale in [0.01, 1.0, 3.0, 10.0, 30.0, 1e4] {
            for margin in [0.0, 5.0, 20.0, 40.0, 80.0, 200.0] {
                let n = if v > 100 { 20 } else { 200 };
                let mut x: Vec<f32> = random.rows(n * v, scale);
                let labels = random.labels(n, v);
                for (row, &y) in x.chunks_mut(v).zip(&labels) {
                    if margin > 0.0 {
                        row[y as usize] =
                            row.iter().copied().fold(f32::MIN, f32::max) + margin as f32;
                    }
                }
                let view = View::rows_of(&x, v).unwrap();
                let got = all(view, Target::Classes(&labels), &Options::default());
                for (r, row) in x.chunks(v).enumerate() {
                    let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
                    let y = labels[r] as usize;
                    let (loss, gradient) = reference(&row, y);
                    let error = (got.losses[r] - loss).abs() / ulp32(loss);
                    assert!(error <= 2.5, "{v} {scale} {margin}: {} {loss} {error}", got.losses[r]);
                    worst.0 = worst.0.max(error);
                    let ahead = row
                        .iter()
                        .enumerate()
                        .filter(|&(c, &x)| x > row[y] || x == row[y] && c < y);
                    assert_eq!(got.ranks[r] as usize, ahead.count());
                    for (c, &g) in gradient.iter().enumerate() {
                        let got = got.gradient[r * v + c];
                        let error = (got - g).abs() / ulp32(g);
                        assert!(error <= 4.0, "{v} {scale} {margin} {c}: {got:e} {g:e}");
                        worst.1 = worst.1.max(error);
                    }
                }
            }
        }
    }
    println!("worst: loss {} ulp, gradient {} ulp", worst.0, worst.1);
}

#[test]
fn losses_and_gradients_of_f64_rows() {
    let mut random = Random(2);
    for v in WIDTHS {
        for scale in [0.01, 3.0, 30.0, 1e4, 1e6] {
            for margin in [0.0, 40.0, 300.0, 700.0] {
                let n = if v > 100 { 2 } else { 70 };
                let mut x: Vec<f64> = random.rows(n * v, scale);
                let labels = random.labels(n, v);
                for (row, &y) in x.chunks_mut(v).zip(&labels) {
                    if margin > 0.0 {
                        row[y as usize] = row.iter().copied().fold(f64::MIN, f64::max) + margin;
                    }
                }
                let view = View::rows_of(&x, v).unwrap();
                let got = all(view, Target::Classes(&labels), &Options::default());
                for (r, row) in x.chunks(v).enumerate() {
                    let (loss, gradient) = reference(row, labels[r] as usize);
                    // The reference loses x - max; the golden test has the last digits.
                    let largest = row.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
                    let tolerance = 4e-16 * largest.min(800.0);
                    let error = (got.losses[r] - loss).abs();
                    assert!(
                        error <= tolerance * loss + 1e-323,
                        "{v} {scale} {margin}: {} {loss}",
                        got.losses[r]
                    );
                    for (c, &g) in gradient.iter().enumerate() {
                        let got = got.gradient[r * v + c];
                        let error = (got - g).abs();
                        assert!(
                            error <= 3.0 * tolerance * g.abs() + 1e-300,
                            "{v} {scale} {margin} {c}: {got:e} {g:e}"
                        );
                    }
                }
            }
        }
    }
}
