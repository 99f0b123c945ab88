//! xent's side of the kernels' benchmark: a process that answers requests.
//!
//! A request is a line of JSON on standard input, the reply a line of JSON on standard output, so that xent and its peers can
//! take turns call by call. `tools/bench_kernels_peers.py` speaks the same and describes it. The
//! threads come with the request: `{"case": "forward", "threads": 2, "warm": 1, "calls": 1}`.

use std::cell::RefCell;
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xent::cross_entropy::{
    Gradient, Options, Scale, Target as Classes, Total, Wanted, cross_entropy,
};
use xent::exact::ExactSum;
use xent::gemm::{Start, Workspace, product};
use xent::linear::{self, Linear, WeightGradient, first_sweep, linear_cross_entropy, second_sweep};
use xent::log_loss::LogLoss;
use xent::rows::Matrix;
use xent::view::{View, ViewMut};

use crate::npy;
use crate::process::{self, cpu_time, huge_pages};

/// What a request found wrong, in words.
type Said<T> = Result<T, String>;

/// The arrays in memory.
#[derive(Default)]
struct Arrays {
    /// f32 values: logits, or the left side of a product.
    narrow: Vec<f32>,
    /// f64 values: probabilities, or numbers to add up.
    wide: Vec<f64>,
    /// Numbers a row of the values.
    width: usize,
    labels: Vec<u32>,
    /// A buffer as large as the f32 values, used again by every call: gradients, copies.
    buffer: Vec<f32>,
    /// Of a linear layer, a row of weights a class.
    weights: Vec<f32>,
    /// As large as the weights.
    weights_buffer: Vec<f32>,
    /// The logits of the linear layer, which only the bare products need.
    logits: Vec<f32>,
}

thread_local! {
    /// Of the products, kept between calls.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
    /// Of the linear layer.
    static LAYER: RefCell<linear::Workspace> = RefCell::default();
}

/// Answers requests until standard input ends.
pub fn serve() {
    // This thread is one of the pool's.
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    pool.expect("the only pool of this process");
    let mut arrays = Arrays::default();
    process::serve(&crate::hello(), |request| answer(&mut arrays, request));
}

fn answer(arrays: &mut Arrays, request: &Value) -> Said<Value> {
    if let Some(paths) = request.get("load") {
        // The old arrays go first.
        *arrays = Arrays::default();
        *arrays = load(paths)?;
        return Ok(huge_pages());
    }
    if let Some(wanted) = request.get("gradient") {
        return picked(arrays, wanted);
    }
    let case = request["case"].as_str().ok_or("neither load, gradient nor case")?;
    let number = |name: &str, default| request[name].as_u64().map_or(default, |n| n as usize);
    let (threads, calls) = (number("threads", 1), number("calls", 1).max(1));
    // Until whoever asked is asleep: a thread woken while both cores are busy is put behind this one for milliseconds.
    std::thread::sleep(Duration::from_millis(2));
    for _ in 0..number("warm", 0) {
        black_box(call(arrays, case, threads)?);
    }
    let (wall, cpu) = (Instant::now(), cpu_time());
    let mut result = 0.0;
    for _ in 0..calls {
        result = black_box(call(arrays, case, threads)?);
    }
    let (cpu, wall) = (cpu_time().saturating_sub(cpu), wall.elapsed());
    let each = |time: Duration| time.as_secs_f64() / calls as f64;
    Ok(json!({ "wall": each(wall), "cpu": each(cpu), "result": result }))
}

/// One call of a case; the result is what the oracle checks.
fn call(arrays: &mut Arrays, case: &str, threads: usize) -> Said<f64> {
    match case {
        "forward" => cross_entropy_mean(arrays, threads, false),
        "gradient" => cross_entropy_mean(arrays, threads, true),
        "product" => product_bare(arrays, threads),
        "three products" => three_products(arrays, threads),
        "linear forward" => linear_layer(arrays, threads, false),
        "linear gradient" => linear_layer(arrays, threads, true),
        "log loss" => Ok(log_loss(arrays, threads)),
        "sum, exact" => Ok(sum_exact(&arrays.wide, threads)),
        "sum, plain" => Ok(sum_plain(&arrays.wide, threads)),
        "read" if arrays.narrow.is_empty() => Ok(sum_plain(&arrays.wide, threads)),
        "read" => Ok(read(&arrays.narrow, threads)),
        "copy" => Ok(copy(arrays, threads)),
        _ => Err(format!("no case {case:?}")),
    }
}

fn load(paths: &Value) -> Said<Arrays> {
    let path = |name: &str| paths[name].as_str();
    let mut arrays = Arrays::default();
    let values = path("values").ok_or("no values")?;
    let shape = if npy::kind(values) == "<f4" {
        let (narrow, shape) = npy::numbers(values);
        arrays.buffer = touched(narrow.len());
        arrays.narrow = narrow;
        shape
    } else {
        let (wide, shape) = npy::numbers(values);
        arrays.wide = wide;
        shape
    };
    arrays.width = shape.get(1).copied().unwrap_or(1);
    if let Some(labels) = path("labels") {
        arrays.labels = npy::labels(labels);
        if arrays.labels.len() != shape[0] {
            return Err(format!("{} labels for {} rows", arrays.labels.len(), shape[0]));
        }
    }
    if let Some(weights) = path("weights") {
        let (weights, classes) = npy::numbers(weights);
        arrays.logits = touched(shape[0] * classes[0]);
        arrays.weights_buffer = touched(weights.len());
        arrays.weights = weights;
    }
    Ok(arrays)
}

/// Memory is given at the first touch; the calls shall not pay for it.
fn touched(numbers: usize) -> Vec<f32> {
    let mut memory = vec![0.0; numbers];
    memory.fill(1.0);
    memory
}

/// Numbers of the latest gradient that the oracle has too, and the sum of all magnitudes.
fn picked(arrays: &Arrays, wanted: &Value) -> Said<Value> {
    let rows = wanted["rows"].as_array().ok_or("no rows")?;
    let columns = wanted["columns"].as_array().ok_or("no columns")?;
    let at = |v: &Value| v.as_u64().map_or(usize::MAX, |n| n as usize);
    let mut values = Vec::new();
    for (row, columns) in rows.iter().zip(columns) {
        let numbers = arrays.buffer.chunks(arrays.width).nth(at(row)).ok_or("no such row")?;
        let columns = columns.as_array().ok_or("no columns")?;
        let found: Option<Vec<f32>> = columns.iter().map(|c| numbers.get(at(c)).copied()).collect();
        values.push(found.ok_or("no such column")?);
    }
    let l1: f64 = arrays.buffer.iter().map(|&g| f64::from(g.abs())).sum();
    Ok(json!({ "values": values, "l1": l1 }))
}

/// Runs `work` over equal parts of `rows`, each with its part of `out`, `width` numbers a row (or none at all), and
/// returns what each gave, in order.
fn split<T: Send, R: Send>(
    rows: usize,
    threads: usize,
    out: &mut [T],
    width: usize,
    work: impl Fn(Range<usize>, &mut [T]) -> R + Sync,
) -> Vec<R> {
    if threads <= 1 {
        return vec![work(0..rows, out)];
    }
    let part = rows.div_ceil(threads).max(1);
    let mut results: Vec<Option<R>> = (0..rows.div_ceil(part)).map(|_| None).collect();
    let (work, mut rest) = (&work, out);
    rayon::scope(|scope| {
        for (i, result) in results.iter_mut().enumerate() {
            let range = i * part..rows.min((i + 1) * part);
            let numbers = (range.len() * width).min(rest.len());
            let (mine, others) = std::mem::take(&mut rest).split_at_mut(numbers);
            rest = others;
            scope.spawn(move |_| *result = Some(work(range, mine)));
        }
    });
    results.into_iter().flatten().collect()
}

/// [`split`] without anything to write.
fn split_to_read<R: Send>(
    rows: usize,
    threads: usize,
    work: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    split::<(), _>(rows, threads, &mut [], 0, |range, _| work(range))
}

/// Mean cross entropy of f32 logits, and its gradient in the buffer.
fn cross_entropy_mean(arrays: &mut Arrays, threads: usize, with_gradient: bool) -> Said<f64> {
    let Arrays { narrow, width, labels, buffer, .. } = arrays;
    let (x, scale) = (View::rows_of(narrow, *width).map_err(said)?, 1.0 / labels.len() as f64);
    let out: &mut [f32] = if with_gradient { buffer } else { &mut [] };
    let totals = split(labels.len(), threads, out, *width, |rows, out| {
        let mut wanted = Wanted::default();
        if with_gradient {
            let into = ViewMut::rows_of(out, *width).map_err(said)?;
            wanted.gradient = Some(Gradient { into, scale: Scale::All(scale) });
        }
        let target = Classes::Classes(&labels[rows.clone()]);
        let total = cross_entropy(x.rows(rows.clone()), target, &Options::default(), wanted);
        total.map(|total| (total, rows.start)).map_err(said)
    });
    let mut all = Total::default();
    for total in totals {
        let (total, before) = total?;
        all.merge(&total, before);
    }
    all.mean().map_err(said)
}

fn said(problem: impl std::error::Error) -> String {
    problem.to_string()
}

/// `a * b`, its rows shared among threads.
fn product_of(a: View<'_, f32>, b: View<'_, f32>, out: &mut [f32], threads: usize) -> Said<()> {
    let parts = split(a.n_rows(), threads, out, b.n_cols(), |rows, out| {
        let into = ViewMut::rows_of(out, b.n_cols()).map_err(said)?;
        WORKSPACE.with_borrow_mut(|work| product(a.rows(rows), b, into, Start::Zero, work));
        Ok(())
    });
    parts.into_iter().collect()
}

/// The logits of a linear layer, all of them in memory.
fn product_bare(arrays: &mut Arrays, threads: usize) -> Said<f64> {
    let Arrays { narrow, weights, logits, width, .. } = arrays;
    let x = View::rows_of(narrow, *width).map_err(said)?;
    let w = View::rows_of(weights, *width).map_err(said)?;
    product_of(x, w.transposed(), logits, threads)?;
    logits.first().map(|&x| f64::from(x)).ok_or_else(|| "no weights".to_owned())
}

/// What forward and backward need at least: the logits, and as if they were their gradient, the
/// gradients of rows and weights.
fn three_products(arrays: &mut Arrays, threads: usize) -> Said<f64> {
    product_bare(arrays, threads)?;
    let Arrays { narrow, weights, logits, width, buffer, weights_buffer, .. } = arrays;
    let x = View::rows_of(narrow, *width).map_err(said)?;
    let w = View::rows_of(weights, *width).map_err(said)?;
    let logits = View::rows_of(logits, w.n_rows()).map_err(said)?;
    product_of(logits, w, buffer, threads)?;
    product_of(logits.transposed(), x, weights_buffer, threads)?;
    Ok(f64::from(weights_buffer[0]))
}

/// Mean cross entropy of a linear layer without its logits, and the gradients of rows and weights. Among
/// several threads, rows are shared in the first sweep and classes in the second.
fn linear_layer(arrays: &mut Arrays, threads: usize, with_gradient: bool) -> Said<f64> {
    let Arrays { narrow, labels, weights, width, buffer, weights_buffer, .. } = arrays;
    let options = linear::Options::default();
    let w = View::rows_of(weights, *width).map_err(said)?;
    let x = View::rows_of(narrow, *width).map_err(said)?;
    let layer = |rows| Linear { x: x.rows(rows), weight: w, bias: None };
    let scale = Scale::All(1.0 / labels.len() as f64);
    if threads == 1 && with_gradient {
        let weight = ViewMut::rows_of(weights_buffer, *width).map_err(said)?;
        let wanted = linear::Wanted {
            losses: None,
            x: Some(ViewMut::rows_of(buffer, *width).map_err(said)?),
            weight: Some(WeightGradient { weight, bias: None, add: false }),
        };
        let layer = layer(0..labels.len());
        let total = LAYER.with_borrow_mut(|work| {
            linear_cross_entropy(&layer, labels, &options, scale, wanted, work)
        });
        return total.map_err(said)?.mean().map_err(said);
    }
    let out: &mut [f32] = if with_gradient { buffer } else { &mut [] };
    let firsts = split(labels.len(), threads, out, *width, |rows, out| {
        let into = with_gradient.then(|| ViewMut::rows_of(out, *width)).transpose();
        let into = into.map_err(said)?;
        LAYER.with_borrow_mut(|work| {
            let labels = &labels[rows.clone()];
            let found =
                first_sweep(&layer(rows.clone()), labels, &options, scale, (None, into), work);
            found.map(|(total, sums)| (total, sums, rows.start)).map_err(said)
        })
    });
    let (mut all, mut sums) = (Total::default(), None::<linear::Rows>);
    for first in firsts {
        let (total, rows, before) = first?;
        all.merge(&total, before);
        match &mut sums {
            Some(sums) => sums.append(rows),
            None => sums = Some(rows),
        }
    }
    if let (true, Some(sums)) = (with_gradient, sums) {
        let done = split(w.n_rows(), threads, weights_buffer, *width, |classes, out| {
            let weight = ViewMut::rows_of(out, *width).map_err(said)?;
            let gradient = WeightGradient { weight, bias: None, add: false };
            LAYER.with_borrow_mut(|work| {
                let layer = layer(0..labels.len());
                second_sweep(&layer, &sums, classes, gradient, options.scratch, work).map_err(said)
            })
        });
        done.into_iter().collect::<Said<()>>()?;
    }
    all.mean().map_err(said)
}

/// Mean log loss of f64 probabilities, everything checked.
fn log_loss(arrays: &Arrays, threads: usize) -> f64 {
    let Arrays { wide, width, labels, .. } = arrays;
    let parts = split_to_read(labels.len(), threads, |range| {
        let values = &wide[range.start * width..range.end * width];
        let matrix = if *width == 1 {
            Matrix::Positive(values)
        } else {
            Matrix::Rows { values, width: *width }
        };
        xent::log_loss::log_loss(matrix, &labels[range]).expect("the benchmark's data are valid")
    });
    let mut all = LogLoss::default();
    for part in &parts {
        all.merge(part);
    }
    all.mean()
}

fn sum_exact(values: &[f64], threads: usize) -> f64 {
    let sums = split_to_read(values.len(), threads, |range| {
        let mut sum = ExactSum::default();
        sum.add_slice(&values[range]);
        sum
    });
    let mut all = ExactSum::default();
    for sum in &sums {
        all.merge(sum);
    }
    all.value()
}

/// A sum in 32 lanes, as fast as memory gives the numbers.
fn sum_plain(values: &[f64], threads: usize) -> f64 {
    let sums = split_to_read(values.len(), threads, |range| {
        let mut lanes = [0.0; 32];
        let (blocks, rest) = values[range].as_chunks::<32>();
        for block in blocks {
            for l in 0..32 {
                lanes[l] += block[l];
            }
        }
        lanes.iter().chain(rest).sum::<f64>()
    });
    sums.iter().sum()
}

/// The limit of reading: a sum in 64 lanes.
fn read(values: &[f32], threads: usize) -> f64 {
    let sums = split_to_read(values.len(), threads, |range| {
        let mut lanes = [0.0_f32; 64];
        let (blocks, rest) = values[range].as_chunks::<64>();
        for block in blocks {
            for l in 0..64 {
                lanes[l] += block[l];
            }
        }
        lanes.iter().chain(rest).map(|&x| f64::from(x)).sum::<f64>()
    });
    sums.iter().sum()
}

/// The limit of reading and writing: a copy to memory that has been touched before.
fn copy(arrays: &mut Arrays, threads: usize) -> f64 {
    let Arrays { narrow, buffer, .. } = arrays;
    split(narrow.len(), threads, buffer, 1, |range, to| to.copy_from_slice(&narrow[range]));
    buffer.first().map_or(0.0, |&x| f64::from(x))
}
