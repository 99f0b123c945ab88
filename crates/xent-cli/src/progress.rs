//! A progress bar on stderr for scans that take a while: rows a second and the running estimate.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use xent_eval::learn::Phase;
use xent_eval::{
    Binding, Block, Error, ModelScore, Observer, Peer, PeerScore, PeerState, Progress,
};
use xent_io::Table;
use xent_train::solve::Iteration;

use xent_report::text::{display_width, escape_terminal, truncate_middle};

use crate::per_row::PerRow;

/// Scans shorter than this show nothing.
const PATIENCE: Duration = Duration::from_millis(400);
/// Columns that the whole line may take.
const COLUMNS: usize = 79;
/// Columns of the name, of the bar and of the message, at most.
const NAME: usize = 16;
const BAR: usize = 20;
const MESSAGE: usize = 38;
/// What else stands in the line: blanks, brackets, `100%` and the time left.
const REST: usize = " [] 100%    1000s".len();

/// `--as`: what another tool adds up for the models of a table.
pub struct Peers {
    peer: Peer,
    states: Vec<PeerState>,
}

impl Peers {
    pub fn new(peer: Peer) -> Self {
        Self { peer, states: Vec::new() }
    }

    fn update(&mut self, binding: &Binding, block: &Block) -> Result<(), Error> {
        if self.states.is_empty() {
            let state = PeerState::new(self.peer, binding.classes.len());
            self.states = vec![state; binding.models.len()];
        }
        self.states.iter_mut().enumerate().try_for_each(|(m, state)| state.update(block, m))
    }

    /// The tool's numbers for each model.
    pub fn finish(&self, models: &[ModelScore]) -> Vec<Vec<PeerScore>> {
        self.states.iter().zip(models).map(|(state, model)| state.finish(model)).collect()
    }
}

/// Shows progress, and writes the rows that are asked for.
pub struct Watch {
    bar: ProgressBar,
    name: String,
    start: Instant,
    shown: bool,
    known_rows: Option<u64>,
    known_bytes: Option<u64>,
    pub per_row: Option<PerRow>,
    pub peers: Option<Peers>,
}

impl Watch {
    /// Watches the scan of one or more tables.
    pub fn new(name: &str, tables: &[&Table], quiet: bool) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        };
        let sum = |values: Vec<Option<u64>>| values.into_iter().sum::<Option<u64>>();
        Self {
            bar,
            name: truncate_middle(&escape_terminal(name), NAME).into_owned(),
            start: Instant::now(),
            shown: quiet || !std::io::stderr().is_terminal(),
            known_rows: sum(tables.iter().map(|t| t.row_hint()).collect()),
            known_bytes: sum(tables.iter().map(|t| t.byte_len()).collect()),
            per_row: None,
            peers: None,
        }
    }

    fn show(&mut self) {
        self.shown = true;
        self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let template = if self.known_rows.or(self.known_bytes).is_some() {
            let bar = BAR.min(COLUMNS - REST - MESSAGE - display_width(&self.name));
            format!("{{prefix}} [{{bar:{bar}}}] {{percent:>3}}%  {{msg}}  {{eta}}")
        } else {
            "{prefix} {spinner}  {msg}".to_owned()
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_prefix(self.name.clone());
        if let Some(length) = self.known_rows.or(self.known_bytes) {
            self.bar.set_length(length);
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Watch {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        if crate::interrupt::is_asked() {
            return ControlFlow::Break(());
        }
        let elapsed = self.start.elapsed();
        if !self.shown && elapsed > PATIENCE {
            self.show();
        }
        if self.bar.is_hidden() {
            return ControlFlow::Continue(());
        }
        let rate = progress.rows as f64 / elapsed.as_secs_f64();
        self.bar.set_message(message(progress.rows, rate, progress.cross_entropy));
        let at = if self.known_rows.is_some() { progress.rows } else { progress.bytes };
        self.bar.set_position(at);
        ControlFlow::Continue(())
    }

    fn wants_rows(&self) -> bool {
        self.per_row.is_some() || self.peers.is_some()
    }

    fn rows(&mut self, binding: &Binding, first_row: u64, block: &Block) -> Result<(), Error> {
        if let Some(peers) = &mut self.peers {
            peers.update(binding, block)?;
        }
        match &mut self.per_row {
            Some(per_row) => per_row.write(binding, first_row, block),
            None => Ok(()),
        }
    }
}

/// `12,345,678 rows  10.4 M/s  1.1744 bits`, without the rate where that is too long.
fn message(rows: u64, rate: f64, cross_entropy: f64) -> String {
    let rows = format!("{} rows", xent_report::number::count(rows));
    let bits = match cross_entropy {
        x if x.is_finite() => format!("  {x:.4} bits"),
        _ => String::new(),
    };
    let full = format!("{rows}  {:.1} M/s{bits}", rate / 1e6);
    if full.len() <= MESSAGE { full } else { format!("{rows}{bits}") }
}

/// Shows the steps of a solver: iteration, loss in bits, gradient norm, time left.
pub struct Steps {
    bar: ProgressBar,
    start: Instant,
    shown: bool,
    tolerance: f64,
    /// The first gap of the present fit, with its time.
    first: Option<(f64, f64)>,
}

impl Steps {
    /// Watches fits to a relative gap of `tolerance`.
    pub fn new(quiet: bool, tolerance: f64) -> Self {
        let is_hidden = quiet || !std::io::stderr().is_terminal();
        let bar = if is_hidden {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        };
        Self { bar, start: Instant::now(), shown: is_hidden, tolerance, first: None }
    }

    /// Shows a step.
    pub fn show(&mut self, phase: Phase, step: &Iteration<'_>) {
        if !self.shown && self.start.elapsed() > PATIENCE {
            self.shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                self.bar.set_style(style);
            }
        }
        if self.bar.is_hidden() {
            return;
        }
        let fold = match phase {
            Phase::Model => String::new(),
            Phase::Fold(i, n) => format!("fold {i} of {n}  "),
        };
        let left = self.seconds_left(step).map(|s| format!("  {s:.0} s left")).unwrap_or_default();
        self.bar.set_message(format!(
            "{fold}iteration {}  {:.6} bits  gradient {:.1e}{left}",
            step.number,
            step.objective / std::f64::consts::LN_2,
            step.gradient_norm
        ));
        self.bar.tick();
    }

    /// As if the gap went on to shrink by the same factor in the same time.
    fn seconds_left(&mut self, step: &Iteration<'_>) -> Option<f64> {
        let gap = step.gap.filter(|gap| *gap > 0.0)?;
        if step.number == 0 || self.first.is_none() {
            self.first = Some((gap, step.seconds));
            return None;
        }
        let (first, then) = self.first?;
        let done = (first / gap).ln();
        let rest = (gap / self.tolerance.max(1e-16)).ln();
        (done > 0.0 && rest > 0.0).then(|| (step.seconds - then) / done * rest)
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
