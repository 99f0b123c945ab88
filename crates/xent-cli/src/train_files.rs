//! What `xent train` writes on its way: the history, checkpoints, predictions for tested rows.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xent_eval::TARGET_PREFIX;
use xent_eval::learn::{Checkpoint, Dataset, Trained};
use xent_io::out::{AtomicFile, OutColumn, OutKind, RowWriter};
use xent_report::render_json;
use xent_train::solve::Iteration;

use crate::Failure;
use crate::predict::{LABEL, check_names};

/// Time from one checkpoint to the next, at least; also so many times what writing one takes.
const EVERY: Duration = Duration::from_secs(10);
const SHARE: u32 = 20;

/// Refuses a file whose name says that something else is in it.
pub fn check_extension(option: &str, path: &Path, extension: &str) -> Result<(), Failure> {
    let is_so = path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    // A pipe or a device takes anything.
    if is_so || std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        return Ok(());
    }
    Err(Failure::usage(format!("{}: {option} writes .{extension} files only", path.display()))
        .with_hint(format!("name it {}", path.with_extension(extension).display())))
}

/// Every iteration of the model's fit.
pub struct History {
    pub file: AtomicFile,
    with_loss: bool,
}

impl History {
    pub fn create(path: &Path, with_loss: bool) -> Result<Self, Failure> {
        let mut file = AtomicFile::create(path)?;
        let first = if with_loss { "loss," } else { "" };
        file.put(
            format!("{first}iteration,objective_nats,objective_bits,cross_entropy_bits,error_rate,gradient_norm,gap,seconds\n")
                .as_bytes(),
        )?;
        Ok(Self { file, with_loss })
    }

    pub fn add(&mut self, loss: &str, step: &Iteration<'_>) -> std::io::Result<()> {
        if self.with_loss {
            write!(self.file, "{loss},")?;
        }
        let gap = step.gap.map(|gap| format!("{gap:?}")).unwrap_or_default();
        writeln!(
            self.file,
            "{},{:?},{:?},{:?},{:?},{:?},{gap},{:.6}",
            step.number,
            step.objective,
            step.objective / std::f64::consts::LN_2,
            step.log_loss() / std::f64::consts::LN_2,
            step.error_rate(),
            step.gradient_norm,
            step.seconds
        )
    }
}

/// Writes the state of the model's fit: at its first iteration, so that a bad path fails at once, then every so often,
/// and where it ends.
pub struct Saver {
    path: PathBuf,
    checkpoint: Checkpoint,
    /// When the next one is due; none before the first.
    due: Option<Instant>,
    is_written: bool,
}

impl Saver {
    /// Saves what goes on from this beginning.
    pub fn new(path: &Path, begin: Checkpoint) -> Self {
        Self { path: path.to_path_buf(), checkpoint: begin, due: None, is_written: false }
    }

    /// After an iteration.
    pub fn step(&mut self, step: &Iteration<'_>) -> Result<(), Failure> {
        self.checkpoint.state = step.state();
        self.is_written = false;
        if self.due.is_some_and(|due| Instant::now() < due) {
            return Ok(());
        }
        let start = Instant::now();
        self.write()?;
        self.due = Some(Instant::now() + EVERY.max(start.elapsed() * SHARE));
        Ok(())
    }

    /// Writes where the fit ended.
    pub fn write(&mut self) -> Result<(), Failure> {
        if !self.is_written {
            let mut file = AtomicFile::create(&self.path)?;
            file.put(render_json(&self.checkpoint.to_json()).as_bytes())?;
            file.commit()?;
            self.is_written = true;
        }
        Ok(())
    }
}

/// Ids, label or targets, fold and probabilities of the tested rows, and the class frequencies of what their models were
/// trained on, so that the two can be compared.
pub fn write_out_of_fold(path: &Path, data: &Dataset, trained: &Trained) -> Result<(), Failure> {
    let tested = &trained.out_of_fold;
    let k = data.classes.len();
    let mut names: Vec<(String, OutKind)> =
        data.ids().iter().map(|(name, _)| (name.clone(), OutKind::Text)).collect();
    if data.target_columns.is_empty() {
        names.push((LABEL.to_owned(), OutKind::Text));
    }
    let per_class = |prefix: &'static str| {
        data.classes.iter().map(move |class| (format!("{prefix}{class}"), OutKind::Number))
    };
    if !data.target_columns.is_empty() {
        names.extend(per_class(TARGET_PREFIX));
    }
    names.push(("fold".to_owned(), OutKind::Integer));
    names.extend(["p_", "base_"].into_iter().flat_map(per_class));
    check_names(&names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())?;
    let columns: Vec<(&str, OutKind)> = names.iter().map(|(n, kind)| (n.as_str(), *kind)).collect();
    let mut writer = RowWriter::create(path, &columns)?;
    // In batches, so that what is being written stays small.
    for from in (0..tested.rows.len()).step_by(8192) {
        let to = (from + 8192).min(tested.rows.len());
        let rows = &tested.rows[from..to];
        let texts: Vec<Vec<Option<&str>>> = data
            .ids()
            .iter()
            .map(|(_, ids)| rows.iter().map(|&row| Some(ids[row].as_str())).collect())
            .collect();
        let labels: Vec<Option<&str>> = rows.iter().map(|&row| data.label(row)).collect();
        let soft: Vec<Vec<f64>> = (0..data.target_columns.len())
            .map(|class| rows.iter().map(|&row| data.wanted(row, class)).collect())
            .collect();
        let of = |values: &[f64], class: usize| -> Vec<f64> {
            (from..to).map(|i| values[i * k + class]).collect()
        };
        let both = [&tested.proba, &tested.base];
        let proba: Vec<Vec<f64>> =
            both.iter().flat_map(|values| (0..k).map(|class| of(values, class))).collect();
        let mut columns: Vec<OutColumn<'_>> = texts.iter().map(|t| OutColumn::Text(t)).collect();
        if data.target_columns.is_empty() {
            columns.push(OutColumn::Text(&labels));
        }
        columns.extend(soft.iter().map(|x| OutColumn::Numbers(x)));
        columns.push(OutColumn::Integers(&tested.fold[from..to]));
        columns.extend(proba.iter().map(|x| OutColumn::Numbers(x)));
        writer.write(&columns)?;
    }
    Ok(writer.finish()?)
}
