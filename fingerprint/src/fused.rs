//! Whether `mul_add` rounds once: an instruction on some machines, a library's work on others.
//!
//! The kernels rely on it. Each result is also compared with the exact a b + c.

use xent::exact::ExactSum;

use crate::hash::Hash;
use crate::input::Random;

/// Whether `r`, whose neighbours are `below` and `above`, is the number nearest to `a b + c`, ties to the even
/// significand.
fn is_nearest([a, b, c]: [f64; 3], r: f64, [below, above]: [f64; 2], even: bool) -> bool {
    let mut distance = ExactSum::of(c);
    distance.add_product(a, b);
    distance.add(-r);
    // Twice the distance less the gap to the neighbour on that side; a sum of exact value has the
    // exact sign.
    let sign = if distance.value() < 0.0 { -1.0 } else { 1.0 };
    let gap = if sign < 0.0 { r - below } else { above - r };
    let mut excess = ExactSum::of(-gap);
    for _ in 0..2 {
        excess.add(sign * c);
        excess.add_product(sign * a, b);
        excess.add(-sign * r);
    }
    let excess = excess.value();
    excess < 0.0 || (excess == 0.0 && even)
}

pub fn wide(hash: &mut Hash) {
    let mut random = Random::new(1);
    for i in 0..30_000 {
        let (a, b) = (random.spread(-30, 30), random.spread(-30, 30));
        let product = a * b;
        let c = match i % 4 {
            // All but the error of the product cancels.
            0 => -product,
            1 => -product * (1.0 + random.bell() * 1e-10),
            2 => random.spread(-60, 60),
            _ => random.spread(40, 120),
        };
        // Hidden from the optimiser, which would compute some at build time.
        let r = std::hint::black_box(a).mul_add(b, c);
        let neighbours = [r.next_down(), r.next_up()];
        assert!(
            is_nearest([a, b, c], r, neighbours, r.to_bits() & 1 == 0),
            "{a:e} * {b:e} + {c:e} = {r:e} is not rounded once"
        );
        hash.f64(r);
    }
}

pub fn narrow(hash: &mut Hash) {
    let mut random = Random::new(2);
    for i in 0..30_000 {
        let [mut a, mut b] = [random.spread(-20, 20) as f32, random.spread(-20, 20) as f32];
        let c = match i % 4 {
            0 => -(a * b),
            1 => random.spread(-40, 40) as f32,
            2 => random.spread(20, 60) as f32,
            _ => {
                // A hair beside the middle of two numbers: rounding to f64 first would lose the hair.
                let k = 8 + random.below(4) as i32;
                let hair = 2_f32.powi(-k - 10);
                (a, b) = (2_f32.powi(-k) * (1.0 + hair), 2_f32.powi(k - 24) * (1.0 - hair));
                1.0 + random.below(1 << 22) as f32 * 2.0 * f32::EPSILON + f32::EPSILON
            }
        };
        let r = std::hint::black_box(a).mul_add(b, c);
        let neighbours = [r.next_down().into(), r.next_up().into()];
        assert!(
            is_nearest([a, b, c].map(f64::from), r.into(), neighbours, r.to_bits() & 1 == 0),
            "{a:e} * {b:e} + {c:e} = {r:e} is not rounded once"
        );
        hash.f32(r);
    }
}
