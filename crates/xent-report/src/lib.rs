//! What a person reads: one [`Report`], rendered for a terminal, as Markdown, as CSV or as JSON.
//!
//! Whoever reports builds a [`Report`] of finished texts, with the digits chosen by [`number`],
//! and one of the four functions prints it: [`render_terminal`], [`render_markdown`],
//! [`render_csv`], [`render_json`]. This crate computes no statistics and writes to no stream.
//!
//! ```
//! use xent_report::{Block, Cell, Header, Report, Style, Table, Tone, number, render_terminal};
//!
//! let mut table = Table::new([Header::left(""), Header::right("model1"), Header::right("model2")]);
//! let (first, second) = (1.9892, 0.9219);
//! table.push([
//!     Cell::text("cross entropy, bits"),
//!     Cell::number(number::fixed(first, 3), first),
//!     Cell::number(number::fixed(second, 3), second).with_tone(Tone::Better),
//! ]);
//! let mut report = Report::default();
//! report.push(Block::Table(table));
//! report.push(Block::Note(format!("{} is few", number::counted(3, "row", "rows"))));
//!
//! let screen = "                      model1   model2
//! cross entropy, bits    1.989    0.922
//!
//! note: 3 rows is few
//! ";
//! assert_eq!(render_terminal(&report, &Style::default()), screen);
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod as_peer;
mod calibrate;
mod calibration;
mod common;
mod compare;
mod course;
mod csv;
pub mod json;
mod markdown;
pub mod number;
mod parts;
pub mod plot;
mod repairs;
mod report;
mod score;
mod terminal;
pub mod text;
mod tidy;
mod train;
mod worst;

pub use as_peer::add_peer;
pub use calibrate::{apply_report, calibrate_report};
pub use calibration::{calibration_report, reliability_diagram};
pub use common::SHOWN;
pub use compare::{Verdict, compare_report, verdict};
pub use course::{Course, curves};
pub use csv::render_csv;
pub use json::render_json;
pub use markdown::render_markdown;
pub use report::{Align, Block, Cell, Header, Report, Row, Table, Tone};
pub use score::score_report;
pub use terminal::{Style, render_terminal};
pub use train::{TrainContext, losses_json, model_report, train_report};
pub use worst::worst_report;
