//! A progress bar on stderr for scans that take a while: rows a second and the running estimate.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use xent_eval::{Block, Error, Observer, Progress};
use xent_io::Table;

use crate::per_row::PerRow;

/// Scans shorter than this show nothing.
const PATIENCE: Duration = Duration::from_millis(400);

/// Shows progress, and writes the rows that are asked for.
pub struct Watch {
    bar: ProgressBar,
    name: String,
    start: Instant,
    shown: bool,
    known_rows: Option<u64>,
    known_bytes: Option<u64>,
    pub per_row: Option<PerRow>,
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
            name: xent_report::text::escape_terminal(name).into_owned(),
            start: Instant::now(),
            shown: quiet || !std::io::stderr().is_terminal(),
            known_rows: sum(tables.iter().map(|t| t.row_hint()).collect()),
            known_bytes: sum(tables.iter().map(|t| t.byte_len()).collect()),
            per_row: None,
        }
    }

    fn show(&mut self) {
        self.shown = true;
        self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let template = if self.known_rows.or(self.known_bytes).is_some() {
            "{prefix} [{bar:30}] {percent:>3}%  {msg}  {eta} left"
        } else {
            "{prefix} {spinner}  {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
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
        let estimate = if progress.cross_entropy.is_finite() {
            format!("  cross entropy {:.4} bits", progress.cross_entropy)
        } else {
            String::new()
        };
        self.bar.set_message(format!(
            "{} rows, {:.1} million a second{estimate}",
            xent_report::number::count(progress.rows),
            rate / 1e6
        ));
        let at = if self.known_rows.is_some() { progress.rows } else { progress.bytes };
        self.bar.set_position(at);
        ControlFlow::Continue(())
    }

    fn wants_rows(&self) -> bool {
        self.per_row.is_some()
    }

    fn rows(
        &mut self,
        binding: &xent_eval::Binding,
        first_row: u64,
        block: &Block,
    ) -> Result<(), Error> {
        match &mut self.per_row {
            Some(per_row) => per_row.write(binding, first_row, block),
            None => Ok(()),
        }
    }
}
