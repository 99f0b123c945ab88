//! xent's side of the training benchmark.
//!
//! `xent-bench training FOLDER` fits a case of `tools/bench_training_data.py` and prints a line of JSON for each repetition, with
//! the exact relative gap against `fstar.json` in the folder. `xent-bench training` alone answers requests as
//! `tools/bench_training_peers.py` describes them.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use xent::view::View;
use xent_train::fit::{Fitted, Trainer, unobserved};
use xent_train::solve::Limits;
use xent_train::{
    Block, Coefficients, Data, Design, Penalty, Problem, Sparse, SparseValues, Target,
};

use crate::npy;
use crate::process::{self, cpu_time, forget_peak, peak_kb, resident_kb};

/// What went wrong, in words.
type Said<T> = Result<T, String>;

/// A case's table in memory.
enum Table {
    Dense { values: Vec<f64>, width: usize },
    Sparse { values: Vec<f64>, indices: Vec<u32>, offsets: Vec<usize>, width: usize },
}

struct Case {
    /// Ridge is `1 / (c n)`.
    c: f64,
    table: Table,
    labels: Vec<u32>,
    n_classes: usize,
    /// The optimum, found elsewhere.
    optimum: Option<f64>,
}

impl Case {
    fn load(folder: &str) -> Said<Self> {
        let at = |name: &str| format!("{folder}/{name}");
        let table = if Path::new(&at("X.npy")).exists() {
            let (values, shape) = npy::numbers(&at("X.npy"));
            Table::Dense { values, width: shape[1] }
        } else {
            let shape = read_json(&at("shape.json"))?;
            Table::Sparse {
                values: npy::numbers(&at("data.npy")).0,
                indices: npy::places(&at("indices.npy")),
                offsets: npy::places(&at("indptr.npy")).iter().map(|&i| i as usize).collect(),
                width: shape[1].as_u64().ok_or("shape.json has no columns")? as usize,
            }
        };
        let labels = npy::labels(&at("y.npy"));
        let n_classes = labels.iter().max().map_or(0, |&most| most as usize + 1);
        let optimum = read_json(&at("fstar.json")).ok().and_then(|found| found["F"].as_f64());
        Ok(Self { c: 1.0, table, labels, n_classes, optimum })
    }

    fn block(&self) -> Said<Block<'_>> {
        Ok(match &self.table {
            Table::Dense { values, width } => {
                Block::F64(View::rows_of(values, *width).map_err(said)?)
            }
            Table::Sparse { values, indices, offsets, width } => Block::Sparse(Sparse {
                offsets,
                indices,
                values: SparseValues::F64(values),
                width: *width,
            }),
        })
    }

    fn penalty(&self) -> Penalty {
        let l2 = 1.0 / (self.c * self.labels.len() as f64);
        Penalty { l2, standardized: false, ..Penalty::default() }
    }

    fn data<'a>(&'a self, design: &'a Design<'a>) -> Data<'a> {
        let target = Target::Classes(&self.labels);
        Data { design, target, n_classes: self.n_classes, weights: None, offsets: None }
    }

    /// One fit, everything that a caller with a table in memory pays for.
    fn fit(&self, tolerance: Option<f64>, threads: usize) -> Said<Fitted> {
        let design = Design::new(vec![self.block()?]).map_err(said)?;
        let default = Limits::default();
        let limits = Limits { tolerance: tolerance.unwrap_or(default.tolerance), ..default };
        let trainer = Trainer { penalty: self.penalty(), limits, threads, ..Trainer::default() };
        trainer.fit(&self.data(&design), unobserved).map_err(said)
    }

    /// What the objective of a fit is above the optimum, relative to it.
    fn gap(&self, fitted: &Fitted) -> Said<Option<f64>> {
        let design = Design::new(vec![self.block()?]).map_err(said)?;
        let data = self.data(&design);
        let (head, penalty) = (fitted.coefficients.head, self.penalty());
        let loss = xent_train::Loss::CrossEntropy;
        let problem = Problem::new(data, &fitted.scaling, head, loss, &penalty, true);
        let problem = problem.map_err(said)?;
        let value = problem.value(&problem.params(&fitted.coefficients));
        Ok(self.optimum.map(|optimum| (value - optimum) / optimum))
    }

    /// A fit with its times and memory.
    fn timed(&self, tolerance: Option<f64>, threads: usize) -> Said<(Fitted, Value)> {
        forget_peak();
        let loaded = resident_kb();
        let (wall, cpu) = (Instant::now(), cpu_time());
        let fitted = self.fit(tolerance, threads)?;
        let (cpu, wall) = (cpu_time().saturating_sub(cpu), wall.elapsed());
        let report = json!({
            "cpu": cpu.as_secs_f64(), "wall": wall.as_secs_f64(), "loaded_kb": loaded, "peak_kb": peak_kb(),
            "iterations": fitted.solution.iterations, "passes": fitted.solution.passes,
            "objective": fitted.objective, "claimed_gap": fitted.solution.gap,
            "stop": format!("{:?}", fitted.solution.stop), "method": fitted.method.name(),
            "reason": fitted.reason,
        });
        Ok((fitted, report))
    }
}

fn said(problem: impl std::fmt::Display) -> String {
    problem.to_string()
}

fn read_json(path: &str) -> Said<Value> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    serde_json::from_str(&text).map_err(|e| format!("{path}: {e}"))
}

/// Fits a case again and again, a line of JSON each.
pub fn run(folder: &str, options: &[&str], mut line: impl FnMut(&Value)) -> Said<()> {
    let option = |name: &str, default: f64| match options.iter().position(|&o| o == name) {
        None => Ok(default),
        Some(at) => {
            let text = options.get(at + 1).ok_or_else(|| format!("{name} needs a number"))?;
            text.parse().map_err(|_| format!("{name} {text}: not a number"))
        }
    };
    let (tolerance, threads) = (option("--tolerance", 1e-6)?, option("--threads", 1.0)? as usize);
    let case = Case::load(folder)?;
    for _ in 0..option("--repeat", 1.0)? as usize {
        let (fitted, mut report) = case.timed(Some(tolerance), threads)?;
        report["gap"] = json!(case.gap(&fitted)?);
        line(&report);
    }
    Ok(())
}

/// Answers requests until standard input ends.
pub fn serve() {
    let mut case = None;
    process::serve(&crate::hello(), |request| answer(&mut case, request));
}

fn answer(case: &mut Option<Case>, request: &Value) -> Said<Value> {
    if let Some(folder) = request["load"].as_str() {
        // The old one goes first.
        *case = None;
        *case = Some(Case::load(folder)?);
        return Ok(json!({}));
    }
    let case = case.as_mut().ok_or("nothing is loaded")?;
    // Without a number, at the tolerance that is the default.
    let tolerance = request.get("fit").ok_or("neither load nor fit")?.as_f64();
    case.c = request["C"].as_f64().unwrap_or(1.0);
    let threads = request["threads"].as_u64().unwrap_or(1) as usize;
    let (fitted, report) = case.timed(tolerance, threads)?;
    if let Some(path) = request["out"].as_str() {
        save(path, &fitted.coefficients).map_err(|e| format!("{path}: {e}"))?;
    }
    Ok(report)
}

/// `(n_features + 1, n_outputs)`, the intercepts last.
fn save(path: &str, coefficients: &Coefficients) -> std::io::Result<()> {
    let Coefficients { coef, intercept, n_outputs, .. } = coefficients;
    let all: Vec<f64> = coef.iter().chain(intercept).copied().collect();
    npy::write(path, &all, *n_outputs)
}
