//! The Rust peers of `cargo xtask bench training`, linfa and smartcore: a process that answers requests as
//! `tools/bench_training_peers.py` describes them.

#[path = "../../src/npy.rs"]
#[allow(dead_code)]
mod npy;
#[path = "../../src/process.rs"]
#[allow(dead_code)]
mod process;

use std::time::Instant;

use linfa::traits::Fit;
use linfa::{Dataset, DatasetBase};
use linfa_logistic::{LogisticRegression as Linfa, MultiLogisticRegression};
use ndarray::{Array1, Array2, Ix1};
use serde_json::{Value, json};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{
    LogisticRegression as Smartcore, LogisticRegressionParameters,
};

use process::{cpu_time, forget_peak, peak_kb, resident_kb};

type Said<T> = Result<T, String>;

/// Coefficients, `(columns + 1, outputs)`, the intercepts last, and the outputs.
type Found = (Vec<f64>, usize);

/// A side's own form of the table.
enum Table {
    None,
    Linfa(DatasetBase<Array2<f64>, Array1<usize>>),
    Smartcore(DenseMatrix<f64>, Vec<u32>),
}

struct State {
    folder: String,
    table: Table,
}

fn main() {
    let mut state = State { folder: String::new(), table: Table::None };
    let hello = json!({ "version": "linfa-logistic 0.8.1, smartcore 0.7.0" });
    process::serve(&hello, |request| answer(&mut state, request));
}

fn said(problem: impl std::fmt::Display) -> String {
    problem.to_string()
}

fn answer(state: &mut State, request: &Value) -> Said<Value> {
    if let Some(folder) = request["load"].as_str() {
        *state = State { folder: folder.to_owned(), table: Table::None };
        return Ok(json!({}));
    }
    let side = request["side"].as_str().ok_or("no side")?;
    let setting = request["fit"].as_u64().ok_or("no setting")?;
    state.prepare(side)?;
    forget_peak();
    let loaded = resident_kb();
    let (wall, cpu) = (Instant::now(), cpu_time());
    let (coef, outputs) = match &state.table {
        Table::Linfa(dataset) => linfa(dataset, setting)?,
        Table::Smartcore(x, y) => smartcore(x, y)?,
        Table::None => return Err("nothing is loaded".to_owned()),
    };
    let (cpu, wall) = (cpu_time().saturating_sub(cpu), wall.elapsed());
    let peak = peak_kb();
    npy::write(request["out"].as_str().ok_or("no out")?, &coef, outputs).map_err(said)?;
    Ok(json!({
        "wall": wall.as_secs_f64(), "cpu": cpu.as_secs_f64(), "loaded_kb": loaded, "peak_kb": peak, "warned": [],
    }))
}

impl State {
    /// Reads the table in the form of a side, unless it is there.
    fn prepare(&mut self, side: &str) -> Said<()> {
        let is_there = match self.table {
            Table::Linfa(_) => side == "linfa",
            Table::Smartcore(..) => side == "smartcore",
            Table::None => false,
        };
        if is_there {
            return Ok(());
        }
        self.table = Table::None;
        let (values, shape) = npy::numbers::<f64>(&format!("{}/X.npy", self.folder));
        let y = npy::labels(&format!("{}/y.npy", self.folder));
        let (rows, columns) = (shape[0], shape[1]);
        self.table = match side {
            "linfa" => {
                let x = Array2::from_shape_vec((rows, columns), values).map_err(said)?;
                Table::Linfa(Dataset::new(x, y.iter().map(|&y| y as usize).collect()))
            }
            "smartcore" => {
                Table::Smartcore(DenseMatrix::new(rows, columns, values, false).map_err(said)?, y)
            }
            _ => return Err(format!("no side {side:?}")),
        };
        Ok(())
    }
}

/// L-BFGS for so many iterations; its penalty is `alpha / 2` beside a sum over rows, as C = 1 asks.
fn linfa(dataset: &DatasetBase<Array2<f64>, Array1<usize>>, iterations: u64) -> Said<Found> {
    let classes = dataset.targets.iter().max().map_or(0, |&y| y + 1);
    if classes == 2 {
        let model =
            Linfa::default().alpha(1.0).max_iterations(iterations).gradient_tolerance(1e-14);
        let fitted = model.fit(dataset).map_err(said)?;
        // Of 0.8.1 the more frequent class is the positive one.
        let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
        let coef = fitted.params().iter().chain([&fitted.intercept()]).map(|w| sign * w).collect();
        Ok((coef, 1))
    } else {
        let model = MultiLogisticRegression::default()
            .alpha(1.0)
            .max_iterations(iterations)
            .gradient_tolerance(1e-14);
        let fitted = model.fit(dataset).map_err(said)?;
        let intercept: &ndarray::Array<f64, Ix1> = fitted.intercept();
        Ok((fitted.params().iter().chain(intercept).copied().collect(), classes))
    }
}

/// L-BFGS to its own tolerance, which cannot be set.
fn smartcore(x: &DenseMatrix<f64>, y: &Vec<u32>) -> Said<Found> {
    let parameters = LogisticRegressionParameters::default().with_alpha(1.0);
    let fitted = Smartcore::fit(x, y, parameters).map_err(said)?;
    let (w, b) = (fitted.coefficients(), fitted.intercept());
    let (outputs, columns) = w.shape();
    let mut coef = Vec::with_capacity((columns + 1) * outputs);
    for j in 0..columns {
        coef.extend((0..outputs).map(|k| *w.get((k, j))));
    }
    coef.extend((0..outputs).map(|k| *b.get((k, 0))));
    Ok((coef, outputs))
}
