//! The bits of the fused linear cross entropy are those of every instruction level.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use xent::cross_entropy::Scale;
use xent::linear::{Linear, Options, Wanted, WeightGradient, Workspace, linear_cross_entropy};
use xent::view::{View, ViewMut};

const REPORT: &str = "XENT_TEST_LINEAR_REPORT";

/// FNV-1a over the bits of losses and gradients, of logits from tiny to large.
fn fingerprint() -> u64 {
    let (n, v, d) = (40, 900, 33);
    let mut state = 1_u64;
    let mut random = |n: usize, size: f32| {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f32 / 8_388_608.0 - 1.0) * size
        };
        (0..n).map(|_| next()).collect::<Vec<_>>()
    };
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bits: u64| hash = (hash ^ bits).wrapping_mul(0x0100_0000_01b3);
    for (size, scratch) in [(0.01, 0), (1.0, 8 << 20), (30.0, 0), (1e5, 8 << 20)] {
        let (x, w, b) = (random(n * d, 1.0), random(v * d, size), random(v, size));
        let labels: Vec<u32> = (0..n as u32).map(|i| i * 577 % v as u32).collect();
        let (mut losses, mut dx) = (vec![0.0; n], vec![0.0; n * d]);
        let (mut dw, mut db) = (vec![0.0; v * d], vec![0.0; v]);
        let layer = Linear {
            x: View::rows_of(&x, d).unwrap(),
            weight: View::rows_of(&w, d).unwrap(),
            bias: Some(&b),
        };
        let wanted = Wanted {
            losses: Some(&mut losses),
            x: Some(ViewMut::rows_of(&mut dx, d).unwrap()),
            weight: Some(WeightGradient {
                weight: ViewMut::rows_of(&mut dw, d).unwrap(),
                bias: Some(&mut db),
                add: false,
            }),
        };
        let options = Options { scratch, ..Options::default() };
        let (scale, mut workspace) = (Scale::All(0.1), Workspace::new());
        let total =
            linear_cross_entropy(&layer, &labels, &options, scale, wanted, &mut workspace).unwrap();
        assert_eq!(total.undefined, 0);
        losses.iter().chain(&db).for_each(|x| add(x.to_bits()));
        dx.iter().chain(&dw).for_each(|x| add(u64::from(x.to_bits())));
        add(total.loss.value().to_bits());
    }
    hash
}

#[test]
fn the_same_bits_at_every_level() {
    let here = fingerprint().to_string();
    if let Some(path) = std::env::var_os(REPORT) {
        std::fs::write(path, here).unwrap();
        return;
    }
    for level in ["baseline", "avx2"] {
        let name = format!("xent-linear-{}-{level}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_same_bits_at_every_level"])
            .env("XENT_SIMD", level)
            .env(REPORT, &path)
            .output()
            .unwrap()
            .status;
        assert!(status.success(), "{level}");
        let there = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(there, here, "{level}");
    }
}
