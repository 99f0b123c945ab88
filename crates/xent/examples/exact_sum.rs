//! Sums that do not depend on the order of the values.
//!
//!     cargo run -p xent --example exact_sum
#![allow(clippy::print_stdout)]

use xent::exact::ExactSum;

fn main() {
    let values = [1e100, 1.0, 4.248354255291589e-18, -1e100];
    let forward: ExactSum = values.iter().copied().collect();
    let backward: ExactSum = values.iter().rev().copied().collect();
    let plain: f64 = values.iter().sum();
    println!("exact, either way: {} {}", forward.value(), backward.value());
    println!("plain: {plain}");
    assert_eq!(forward, backward);
}
