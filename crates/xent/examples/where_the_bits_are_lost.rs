//! Why a model loses bits, and how many of them a calibrator wins back.
//!
//!     cargo run -p xent --example where_the_bits_are_lost
#![allow(clippy::print_stdout)]

use std::error::Error;

use xent::calibration::binned::Binning;
use xent::calibration::decomposition::{corp, cross_fitted};
use xent::calibration::errors::{Norm, binned_error};
use xent::calibration::recalibrate::{self, Calibrator, Method, Predictions};
use xent::calibration::reliability::{Resampling, miscalibration_test};
use xent::calibration::rows::BinaryRows;
use xent::calibration::smooth::smooth_error;

fn main() -> Result<(), Box<dyn Error>> {
    // A model that is twice as sure of itself as it may be: log-odds 2 x where x is true.
    let (mut log_odds, mut labels) = (Vec::new(), Vec::new());
    for step in -20..=20 {
        let x = f64::from(step) / 8.0;
        for draw in 0..40 {
            log_odds.push(2.0 * x);
            labels.push(u32::from((f64::from(draw) + 0.5) / 40.0 < 1.0 / (1.0 + (-x).exp())));
        }
    }
    let outcomes: Vec<bool> = labels.iter().map(|&label| label == 1).collect();

    // The state: filled in any order, merged, sorted once.
    let mut state = BinaryRows::default();
    state.add_log_odds(&log_odds, &outcomes, None)?;
    let rows = state.sort()?;

    // Cross entropy = uncertainty - discrimination + miscalibration, without bins.
    let parts = corp(&rows).log.in_bits();
    println!("cross entropy   {:.4} bits", parts.score);
    println!("uncertainty     {:.4}", parts.uncertainty);
    println!("discrimination  {:.4}", parts.discrimination);
    println!("miscalibration  {:.4}", parts.miscalibration);
    let honest = cross_fitted(&rows, 10)?.log.in_bits();
    println!(
        "miscalibration  {:.4} where each row is recalibrated by the others",
        honest.miscalibration
    );
    let test = miscalibration_test(&rows, Resampling::default())?;
    println!("by chance       p = {:.3} (999 resamples)", test.p_value[0]);

    // What others report.
    let ece = binned_error(&rows, Binning::EqualMass(15), Norm::Absolute)?;
    println!("ECE, 15 bins of equal mass {ece:.4}, smooth {:.4}", smooth_error(&rows).value);

    // And how the bits come back.
    let fit =
        recalibrate::fit(Method::Platt, Predictions::LogOdds::<f64>(&log_odds), &labels, None)?;
    let bits = std::f64::consts::LN_2;
    println!("Platt scaling   {:.4} -> {:.4} bits", fit.before / bits, fit.after / bits);
    if let Calibrator::Platt { slope, .. } = fit.calibrator {
        println!("slope           {slope:.3}: it should have been half as sure");
    }
    Ok(())
}
