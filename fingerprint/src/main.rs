//! One hash for each family of `xent`'s functions, over inputs from a fixed generator.
//!
//! `cargo xtask fingerprint` runs this program at every instruction level and on every target and
//! compares what it prints: a line that differs names the family whose bits depend on the machine.
//! The hashes mean nothing by themselves and are written down nowhere.
#![allow(clippy::print_stdout)]

mod fused;
mod hash;
mod input;
mod kernels;
mod numbers;
mod row_losses;
mod scores;

use hash::Hash;

/// Puts the results of some functions into a hash.
type Family = fn(&mut Hash);

/// Everything that is compared.
const FAMILIES: &[(&str, Family)] = &[
    ("mul_add f32", fused::narrow),
    ("mul_add f64", fused::wide),
    ("exact sums", numbers::sums),
    ("exact sums of products", numbers::products),
    ("exact sums beyond the digits", numbers::extremes),
    ("ln", numbers::ln),
    ("ln_1p", numbers::ln_1p),
    ("exp", numbers::exp),
    ("exp_f32", numbers::exp_f32),
    ("f16 and bf16", numbers::halves),
    ("special functions", numbers::special),
    ("information", numbers::information),
    ("log loss", scores::log_losses),
    ("rows: columns", scores::columns),
    ("rows: row-major", scores::row_major),
    ("rows: binary", scores::binary),
    ("rows: logits", scores::logits),
    ("rows: log-probabilities", scores::log_probabilities),
    ("rows: clipped, normalised, smoothed", scores::adjusted),
    ("rows: soft targets", scores::soft),
    ("products of matrices", kernels::products),
    ("cross entropy of a linear layer", kernels::layers),
    ("softmax, log-softmax, log-sum-exp", kernels::softmaxes),
    ("rows: logits of every kind", kernels::scores),
    ("cross entropy: f64", kernels::double),
    ("cross entropy: f32", kernels::single),
    ("cross entropy: f16", kernels::half),
    ("cross entropy: bf16", kernels::brain),
    ("cross entropy: options", kernels::options),
    ("cross entropy: targets", kernels::targets),
    ("cross entropy: infinities, NaN, ties", kernels::edges),
    ("divergences: logits", row_losses::divergences),
    ("divergences: probabilities", row_losses::divergences_of_probabilities),
    ("sigmoid", row_losses::sigmoids),
    ("squared error after softmax", row_losses::squared_errors),
    ("scores", scores::finished),
    ("comparison", scores::compared),
];

fn main() {
    // Without standard error a panic would go unheard.
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| line(&panic.to_string())));
    for (name, family) in FAMILIES {
        let mut hash = Hash::new();
        family(&mut hash);
        line(&format!("{:016x}  {name}", hash.value()));
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn line(text: &str) {
    println!("{text}");
}

/// Bare WebAssembly has no standard output: the host hands in a function for one byte.
#[cfg(target_arch = "wasm32")]
fn line(text: &str) {
    #[link(wasm_import_module = "host")]
    // SAFETY: the host's function takes a number and returns nothing.
    #[allow(unsafe_code)]
    unsafe extern "C" {
        safe fn put(byte: u32);
    }
    text.bytes().for_each(|byte| put(byte.into()));
    put(b'\n'.into());
}
