//! Entropy, cross entropy and KL divergence: the lecture's identity KL = H(p, q) - H(p).
//!
//!     cargo run -p xent --example information
#![allow(clippy::print_stdout)]

use xent::information::{
    Base, Distribution, InformationError, cross_entropy_to_base, entropy_to_base, kl_divergence,
};

fn main() -> Result<(), InformationError> {
    let p = Distribution::new(&[0.75, 0.25])?;
    let q = Distribution::new(&[0.5, 0.5])?;
    let kl = Base::Two.from_nats(kl_divergence(&p, &q)?);
    let back = Base::Two.from_nats(kl_divergence(&q, &p)?);
    let cross = cross_entropy_to_base(&p, &q, Base::Two)?;
    let entropy = entropy_to_base(&p, Base::Two);
    println!("KL(p || q) = {kl:.4} bits, KL(q || p) = {back:.4} bits: not symmetric");
    println!("H(p, q) - H(p) = {cross:.4} - {entropy:.4} = {:.4}", cross - entropy);
    Ok(())
}
