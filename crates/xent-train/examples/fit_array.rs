//! Fits a classifier to an array of numbers, as another program has written it, and prints what came of it.
//!
//! ```text
//! fit_array DATA METHOD L2 L1 [TOLERANCE [raw]]
//! ```
//!
//! DATA, all little-endian: rows, features and classes as u64, then `rows * features` f64 row by row, then a class for each row as
//! u32. The penalty is per unit of the features as they are. Printed: a line each of `name number ...`. With `raw` solvers work on
//! the features as they are. It is the Rust side of `tools/oracle_training.py`.

use std::error::Error;

use xent::view::View;
use xent_train::fit::unobserved;
use xent_train::solve::Limits;
use xent_train::{Block, Data, Design, Method, Penalty, Target, Trainer};

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, method, l2, l1, more @ ..] = &args[..] else {
        return Err("usage: fit_array DATA METHOD L2 L1 [TOLERANCE [raw]]".into());
    };
    let bytes = std::fs::read(path)?;
    let (numbers, _) = bytes.as_chunks::<8>();
    let [rows, features, classes] = [0, 1, 2].map(|i| u64::from_le_bytes(numbers[i]) as usize);
    let x: Vec<f64> =
        numbers[3..3 + rows * features].iter().map(|&b| f64::from_le_bytes(b)).collect();
    let (labels, _) = bytes[24 + 8 * rows * features..].as_chunks::<4>();
    let labels: Vec<u32> = labels.iter().map(|&b| u32::from_le_bytes(b)).collect();

    let design = Design::new(vec![Block::F64(View::rows_of(&x, features)?)])?;
    let data = Data {
        design: &design,
        target: Target::Classes(&labels),
        n_classes: classes,
        weights: None,
        offsets: None,
    };
    let tolerance = more.first().map_or(Ok(1e-12), |t| t.parse())?;
    let trainer = Trainer {
        method: Method::from_name(method).ok_or("no such method")?,
        penalty: Penalty { l2: l2.parse()?, l1: l1.parse()?, ..Penalty::default() },
        limits: Limits { tolerance, max_iterations: 20_000 },
        raw_coordinates: more.get(1).is_some(),
        ..Trainer::default()
    };
    let start = std::time::Instant::now();
    let fitted = trainer.fit(&data, unobserved)?;
    println!("seconds {:.3}", start.elapsed().as_secs_f64());
    println!("method {}", fitted.method.name());
    println!("objective {:e}", fitted.objective);
    println!("gap {:e}", fitted.solution.gap);
    println!("is_bound {}", u8::from(fitted.solution.is_bound));
    println!("iterations {}", fitted.solution.iterations);
    println!("passes {}", fitted.solution.passes);
    println!("stop {:?}", fitted.solution.stop);
    for (name, numbers) in
        [("coef", &fitted.coefficients.coef), ("intercept", &fitted.coefficients.intercept)]
    {
        let numbers: Vec<String> = numbers.iter().map(|x| format!("{x:e}")).collect();
        println!("{name} {}", numbers.join(" "));
    }
    Ok(())
}
