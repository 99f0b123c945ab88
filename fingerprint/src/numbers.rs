//! Exact sums, elementary and special functions, information.

use half::{bf16, f16};
use xent::element::Element;
use xent::exact::ExactSum;
use xent::information::{
    Base, Distribution, content_to_base, cross_entropy, entropy, entropy_to_base, js_divergence,
    kl_divergence, log_sigmoid, log_softmax, log_sum_exp, mutual_information, sigmoid, softmax,
    softplus,
};
use xent::{elementary, special};

use crate::hash::Hash;
use crate::input::Random;

/// Spans of exponents that take different ways through a sum: two, four and six digits, and the rest.
const SPANS: [(i32, i32); 6] =
    [(-10, 5), (-60, 20), (-110, 31), (-200, 31), (-275, 31), (-400, 90)];

pub fn sums(hash: &mut Hash) {
    let mut random = Random::new(3);
    for (low, high) in SPANS {
        for n in [1, 7, 255, 1000] {
            let values: Vec<f64> = (0..n).map(|_| random.spread(low, high)).collect();
            let mut sum = ExactSum::new();
            sum.add_slice(&values);
            hash.f64(sum.value());
            // The state too, in which a wrong low digit cannot hide.
            hash.debug(&sum);
            assert_eq!(sum, values.iter().copied().collect(), "one by one or as a slice");
        }
    }
}

pub fn products(hash: &mut Hash) {
    let mut random = Random::new(4);
    for (low, high) in SPANS {
        for n in [1, 7, 255, 1000] {
            let (low, high) = (low / 2, high / 2);
            let a: Vec<f64> = (0..n).map(|_| random.spread(low, high)).collect();
            let b: Vec<f64> = (0..n).map(|_| random.spread(low, high)).collect();
            let mut sum = ExactSum::new();
            sum.add_products(&a, &b);
            hash.f64(sum.value());
            hash.debug(&sum);
        }
    }
}

pub fn extremes(hash: &mut Hash) {
    let mut random = Random::new(5);
    for _ in 0..200 {
        let values: Vec<f64> = (0..50).map(|_| random.spread(-1022, 1000)).collect();
        let mut sum = ExactSum::new();
        sum.add_slice(&values);
        sum.add_products(&values[..25], &values[25..]);
        // Subnormals are whole multiples of 2^-1074.
        sum.add(f64::from_bits(random.bits() >> 12));
        hash.f64(sum.value());
        hash.debug(&sum);
    }
    for x in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0] {
        let mut sum = ExactSum::of(1.0);
        sum.add_slice(&[x, 2.0, x]);
        hash.f64(sum.value());
    }
}

pub fn ln(hash: &mut Hash) {
    let mut random = Random::new(6);
    for _ in 0..20_000 {
        hash.f64(elementary::ln(random.uniform()));
        hash.f64(elementary::ln(random.spread(-1022, 1000).abs()));
        hash.f64(elementary::ln(f64::from_bits(random.bits() >> 12)));
        hash.f64(elementary::ln(1.0 - random.uniform() * 1e-9));
    }
}

pub fn ln_1p(hash: &mut Hash) {
    let mut random = Random::new(7);
    for _ in 0..20_000 {
        hash.f64(elementary::ln_1p(random.uniform()));
        hash.f64(elementary::ln_1p(-random.uniform()));
        hash.f64(elementary::ln_1p(random.spread(-1000, 0)));
        hash.f64(elementary::ln_1p(random.spread(0, 1000).abs()));
    }
}

pub fn exp(hash: &mut Hash) {
    let mut random = Random::new(8);
    for _ in 0..20_000 {
        hash.f64(elementary::exp(random.bell()));
        hash.f64(elementary::exp((random.uniform() - 0.5) * 1500.0));
        hash.f64(elementary::exp(random.spread(-60, 20)));
    }
    hash.all(&[f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0].map(elementary::exp));
}

pub fn exp_f32(hash: &mut Hash) {
    let mut random = Random::new(9);
    for _ in 0..20_000 {
        hash.f32(elementary::exp_f32(random.bell() as f32));
        hash.f32(elementary::exp_f32(((random.uniform() - 0.5) * 230.0) as f32));
        hash.f32(elementary::exp_f32(f32::from_bits((random.bits() >> 32) as u32)));
    }
}

pub fn halves(hash: &mut Hash) {
    for bits in 0..=u16::MAX {
        hash.f32(Element::to_f32(f16::from_bits(bits)));
        hash.f64(Element::to_f64(bf16::from_bits(bits)));
    }
    let mut random = Random::new(10);
    for _ in 0..10_000 {
        let x = random.spread(-30, 20);
        hash.f32(Element::to_f32(<f16 as Element>::from_f64(x)));
        hash.f32(Element::to_f32(<f16 as Element>::from_f32(x as f32)));
        hash.f32(Element::to_f32(<bf16 as Element>::from_f64(x)));
        hash.f32(Element::to_f32(<bf16 as Element>::from_f32(x as f32)));
    }
}

pub fn special(hash: &mut Hash) {
    let mut random = Random::new(11);
    for _ in 0..200 {
        let (a, b) = (random.spread(-3, 20).abs(), random.spread(-3, 20).abs());
        let (x, df) = (random.uniform(), 1.0 + random.spread(0, 20).abs());
        hash.all(&[special::ln_gamma(a), special::ln_beta(a, b), special::beta_inc(a, b, x)]);
        hash.all(&[special::t_two_sided_p(random.bell() * 3.0, df), special::t_quantile(x, df)]);
        hash.all(&[special::normal_cdf(random.bell() * 4.0), special::normal_quantile(x)]);
        hash.f64(special::binomial_two_sided_half(random.below(500) as u64, 500));
        let (low, high) = special::wilson_interval(random.below(1000) as f64, 1000.0, 0.95);
        hash.all(&[low, high]);
    }
    let p_values: Vec<f64> = (0..50).map(|_| random.uniform() * random.uniform()).collect();
    hash.all(&special::holm(&p_values));
    hash.all(&special::benjamini_hochberg(&p_values));
}

pub fn information(hash: &mut Hash) {
    let mut random = Random::new(12);
    for classes in [2, 3, 10, 100] {
        for _ in 0..50 {
            let [p, q] = [random.distribution(classes), random.distribution(classes)];
            hash.f64(content_to_base(p[0], Base::Ten));
            let rows: Vec<&[f64]> = vec![&p, &q];
            let halved: Vec<Vec<f64>> =
                rows.iter().map(|row| row.iter().map(|x| x / 2.0).collect()).collect();
            hash.debug(&mutual_information(&halved));
            let [p, q] = [p, q].map(|row| Distribution::normalized(&row));
            if let (Ok(p), Ok(q)) = (p, q) {
                hash.all(&[entropy(&p), entropy_to_base(&p, Base::Two)]);
                hash.debug(&[cross_entropy(&p, &q), kl_divergence(&p, &q), js_divergence(&p, &q)]);
            }
            let scores: Vec<f64> = (0..classes).map(|_| random.bell() * 10.0).collect();
            hash.all(&softmax(&scores));
            hash.all(&log_softmax(&scores));
            hash.f64(log_sum_exp(&scores));
            hash.all(&[sigmoid(scores[0]), log_sigmoid(scores[0]), softplus(scores[1])]);
        }
    }
}
