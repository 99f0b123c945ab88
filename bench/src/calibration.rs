//! xent's side of the calibration benchmark: a process that answers requests, one line of JSON each.
//!
//! `{"load": "corp", "x": "p.npy", "y": "y.npy"}` reads f64 probabilities and u8 outcomes, `{"load": "temperature", ...}` f32
//! logits and their labels. `{"call": 1}` does the work once, on one thread, and answers with CPU and wall seconds, the memory that it
//! took beside the arrays, and what it found.

use std::time::Instant;

use serde_json::{Value, json};
use xent::calibration::decomposition::corp_of_blocks;
use xent::calibration::recalibrate::{Calibrator, Method, Predictions, fit};
use xent::calibration::rows::BinaryRows;
use xent::view::View;

use crate::npy;
use crate::process::{self, cpu_time, forget_peak, peak_kb, resident_kb};

/// The arrays in memory.
enum Arrays {
    Binary { p: Vec<f64>, y: Vec<bool> },
    Logits { x: Vec<f32>, width: usize, labels: Vec<u32> },
}

/// Answers requests until standard input ends.
pub fn serve() {
    let mut arrays = None;
    process::serve(&crate::hello(), |request| answer(request, &mut arrays));
}

fn answer(request: &Value, arrays: &mut Option<Arrays>) -> Result<Value, String> {
    let text = |key: &str| request[key].as_str().ok_or_else(|| format!("no {key}"));
    match request["load"].as_str() {
        Some("corp") => {
            let (p, _) = npy::numbers::<f64>(text("x")?);
            let y = npy::labels(text("y")?).into_iter().map(|y| y == 1).collect();
            *arrays = Some(Arrays::Binary { p, y });
            return Ok(json!({ "loaded": true }));
        }
        Some(_) => {
            let (x, shape) = npy::numbers::<f32>(text("x")?);
            let width = shape.get(1).copied().ok_or("logits need two dimensions")?;
            *arrays = Some(Arrays::Logits { x, width, labels: npy::labels(text("y")?) });
            return Ok(json!({ "loaded": true }));
        }
        None => {}
    }
    let arrays = arrays.as_ref().ok_or("nothing is loaded")?;
    let before = resident_kb();
    forget_peak();
    let (cpu, wall) = (cpu_time(), Instant::now());
    let found = work(arrays)?;
    let (wall, cpu) = (wall.elapsed(), cpu_time().saturating_sub(cpu));
    let memory = peak_kb().zip(before).map(|(peak, before)| peak.saturating_sub(before));
    Ok(json!({
        "cpu": cpu.as_secs_f64(), "wall": wall.as_secs_f64(), "memory_kb": memory, "found": found,
    }))
}

/// The isotonic fit with the parts of both scores; or the temperature, with the loss before and after.
fn work(arrays: &Arrays) -> Result<Value, String> {
    match arrays {
        Arrays::Binary { p, y } => {
            let mut rows = BinaryRows::default();
            rows.add_probabilities(p, y, None).map_err(|e| e.to_string())?;
            let rows = rows.sort().map_err(|e| e.to_string())?;
            let blocks = rows.isotonic();
            let parts = corp_of_blocks(&rows, &blocks).squared;
            Ok(json!({ "blocks": blocks.len(), "recalibrated": parts.recalibrated() / 2.0 }))
        }
        Arrays::Logits { x, width, labels } => {
            let x = View::rows_of(x, *width).map_err(|e| e.to_string())?;
            let found = fit(Method::Temperature, Predictions::Logits(x), labels, None);
            let found = found.map_err(|e| e.to_string())?;
            let Calibrator::Temperature { temperature } = found.calibrator else {
                return Err("no temperature".to_owned());
            };
            Ok(json!({ "temperature": temperature, "after": found.after }))
        }
    }
}
