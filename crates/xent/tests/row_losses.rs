//! Losses of rows have the same bits at every instruction level: the test runs itself once a level and
//! compares what comes out.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::process::Command;

use xent::divergence::{
    cross_entropy_from_logits, cross_entropy_rows, entropy_from_logits, entropy_rows,
    js_from_logits, js_rows, kl_from_logits, kl_rows,
};
use xent::per_row::{Gradient, Scale, Wanted, WantedOfPair};
use xent::sigmoid::{SigmoidOptions, SigmoidWanted, sigmoid, sigmoid_cross_entropy};
use xent::squared_error::{ClassTarget, sigmoid_squared_error, softmax_squared_error};
use xent::view::{View, ViewMut};

/// Rows, and numbers a row: tiles of one block, of several, and of several groups of rows.
const SHAPES: [(usize, usize); 4] = [(1_001, 1), (501, 3), (77, 40), (9, 600)];

/// FNV-1a over the bits of numbers, all NaN taken for one.
struct Hash(u64);

impl Hash {
    fn add_all(&mut self, lists: &[&[f64]]) {
        lists.iter().for_each(|list| self.add(list));
    }

    fn add(&mut self, numbers: &[f64]) {
        for x in numbers {
            let bits = if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
            for byte in bits.to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}

/// Numbers of all sizes, from a generator written out here, so that they are the same everywhere.
fn drawn(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..n)
        .map(|i| match i % 41 {
            13 => f64::NEG_INFINITY,
            29 if i % 5 == 0 => f64::INFINITY,
            37 if i % 7 == 0 => f64::NAN,
            k => (next() - 0.5) * [1e-9, 1.0, 10.0, 60.0, 1500.0][k % 5],
        })
        .collect()
}

fn whole(out: &mut [f64], cols: usize) -> Gradient<'_, f64> {
    Gradient { into: ViewMut::rows_of(out, cols).unwrap(), scale: Scale::All(1.0) }
}

fn hash() -> u64 {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    for (n, v) in SHAPES {
        let (a, mut b) = (drawn(n * v, 1), drawn(n * v, 2));
        // Every other row nearly equal.
        for (a, b) in a.chunks(2 * v).zip(b.chunks_mut(2 * v)) {
            a.iter().zip(b).take(v).for_each(|(a, b)| *b = a + 1e-9 * b.clamp(-1.0, 1.0));
        }
        let chances = |x: &[f64]| -> Vec<f64> {
            x.chunks(v)
                .flat_map(|row| {
                    let row: Vec<f64> =
                        row.iter().map(|x| if x.is_finite() { x.abs() } else { 0.0 }).collect();
                    let sum: f64 = row.iter().sum();
                    row.into_iter().map(move |x| if sum > 0.0 { x / sum } else { 1.0 / v as f64 })
                })
                .collect()
        };
        let (p, q) = (chances(&a), chances(&b));
        let view = |x| View::rows_of(x, v).unwrap();
        let mut losses = vec![0.0; n];
        let (mut da, mut db) = (vec![0.0; n * v], vec![0.0; n * v]);
        for f in [cross_entropy_from_logits, kl_from_logits, js_from_logits] {
            let wanted = WantedOfPair {
                losses: Some(&mut losses),
                gradient_p: Some(whole(&mut da, v)),
                gradient_q: Some(whole(&mut db, v)),
            };
            f(view(&a), view(&b), wanted).unwrap();
            hash.add_all(&[&losses, &da, &db]);
        }
        for f in [cross_entropy_rows, kl_rows, js_rows] {
            let gradient = Some(whole(&mut da, v));
            f(view(&p), view(&q), Wanted { losses: Some(&mut losses), gradient }).unwrap();
            hash.add_all(&[&losses, &da]);
        }
        entropy_rows(view(&p), Some(&mut losses)).unwrap();
        hash.add(&losses);
        let gradient = Some(whole(&mut da, v));
        let wanted = Wanted { losses: Some(&mut losses), gradient };
        entropy_from_logits(view(&a), wanted).unwrap();
        hash.add_all(&[&losses, &da]);
        let gradient = Some(whole(&mut da, v));
        let wanted = Wanted { losses: Some(&mut losses), gradient };
        softmax_squared_error(view(&a), ClassTarget::Soft(view(&p)), wanted).unwrap();
        hash.add_all(&[&losses, &da]);
        let gradient = Some(whole(&mut da, v));
        let wanted = Wanted { losses: Some(&mut losses), gradient };
        sigmoid_squared_error(view(&a), view(&p), wanted).unwrap();
        hash.add_all(&[&losses, &da]);
        let wanted = SigmoidWanted {
            losses: Some(&mut losses),
            element_losses: Some(ViewMut::rows_of(&mut db, v).unwrap()),
            gradient: Some(whole(&mut da, v)),
        };
        sigmoid_cross_entropy(view(&a), view(&p), &SigmoidOptions::default(), wanted).unwrap();
        hash.add_all(&[&losses, &da, &db]);
        sigmoid(view(&a), ViewMut::<f64>::rows_of(&mut da, v).unwrap()).unwrap();
        hash.add(&da);
    }
    hash.0
}

/// The bits on every machine: whoever changes the arithmetic changes this number, and says so in the change log.
const HASH: u64 = 0xaa07_6ca2_d4d2_fcd7;

#[test]
fn every_instruction_level_has_the_same_bits() {
    assert_eq!(hash(), HASH, "{:#x}", hash());
    if std::env::var_os("XENT_SIMD").is_some() {
        return;
    }
    for level in ["baseline", "avx2"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "every_instruction_level_has_the_same_bits"])
            .env("XENT_SIMD", level)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{level}: {text}");
    }
}
