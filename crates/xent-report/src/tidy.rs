//! The results of `score` and `compare` as CSV: one table, one number a line.
//!
//! A CSV file is one header over lines of equal width: readers skip the empty lines between several tables and take
//! the second for more lines of the first. So every number of every table stands on a line of its own, the column
//! `table` says what it is of, and columns that have no meaning there are empty. The names are those of the JSON contracts.

use xent::calibration::decomposition::{Decomposition, Decompositions};
use xent::compare::{ScoreDifference, Test};
use xent::moments::Estimate;
use xent::score::Scores;
use xent_eval::{Details, ModelComparison, ModelScore, Options, PeerScore};

use crate::common::{Line, every_line, exact_cell, explained};
use crate::parts::{GAP, PARTS, binned_classes, gap};
use crate::{Block, Cell, Header, Report, Table};

/// The columns before those of `--by`.
const WORDS: [&str; 5] = ["table", "model", "form", "class", "predicted"];
/// Comes before the name of a column of `--by`, so that none is taken for one of ours.
const BY: &str = "by_";
/// The columns after those of `--by`.
const NUMBERS: [&str; 6] = ["value", "se", "ci_low", "ci_high", "rows", "weight"];
/// The columns that only `compare` has.
const COMPARED: [&str; 5] = ["baseline", "test", "p", "p_adjusted", "p_bh"];

/// One line.
#[derive(Clone, Copy)]
struct Record<'a> {
    table: &'a str,
    model: &'a str,
    form: &'a str,
    class: &'a str,
    predicted: &'a str,
    key: &'a [String],
    score: &'a str,
    value: Estimate,
    rows: f64,
    weight: f64,
    baseline: &'a str,
    test: &'a str,
    p: [f64; 3],
}

impl<'a> Record<'a> {
    fn of(table: &'a str, model: &'a ModelScore) -> Self {
        Self {
            table,
            model: &model.name,
            form: "",
            class: "",
            predicted: "",
            key: &[],
            score: "",
            value: only(f64::NAN),
            rows: f64::NAN,
            weight: f64::NAN,
            baseline: "",
            test: "",
            p: [f64::NAN; 3],
        }
    }

    /// The same of these rows.
    fn over(self, scores: &Scores) -> Self {
        Self { rows: scores.rows as f64, weight: scores.weight, ..self }
    }

    fn cells(&self, by: usize, is_compared: bool) -> Vec<Cell> {
        let words = [self.table, self.model, self.form, self.class, self.predicted];
        let mut cells = words.map(Cell::text).to_vec();
        cells.extend((0..by).map(|i| self.key.get(i).map_or_else(Cell::empty, Cell::text)));
        cells.push(Cell::text(self.score));
        let e = &self.value;
        let numbers = [e.value, e.se, e.ci[0], e.ci[1], self.rows, self.weight];
        cells.extend(numbers.map(exact_cell));
        if is_compared {
            cells.extend([self.baseline, self.test].map(Cell::text));
            cells.extend(self.p.map(exact_cell));
        }
        cells
    }
}

/// A number without error or interval.
fn only(value: f64) -> Estimate {
    Estimate { value, se: f64::NAN, ci: [f64::NAN; 2] }
}

/// The lines so far.
struct Tidy {
    table: Table,
    by: usize,
    is_compared: bool,
}

impl Tidy {
    fn new(by: &[String], is_compared: bool) -> Self {
        let mut headers = WORDS.map(Header::left).to_vec();
        headers.extend(by.iter().map(|name| Header::left(format!("{BY}{name}"))));
        headers.push(Header::left("score"));
        headers.extend(NUMBERS.map(Header::right));
        if is_compared {
            headers.extend(COMPARED[..2].iter().copied().map(Header::left));
            headers.extend(COMPARED[2..].iter().copied().map(Header::right));
        }
        Self { table: Table::new(headers), by: by.len(), is_compared }
    }

    fn push(&mut self, record: &Record<'_>) {
        self.table.push(record.cells(self.by, self.is_compared));
    }

    /// Every score of some rows, and what infinite losses leave of it.
    fn scores(&mut self, record: Record<'_>, scores: &Scores, lines: &[Line]) {
        let record = record.over(scores);
        for line in lines {
            let value = line.of(scores);
            self.push(&Record { score: &line.score.key(), value, ..record });
        }
        let value = only(scores.infinite_rows as f64);
        self.push(&Record { score: "infinite_rows", value, ..record });
        if scores.infinite_rows > 0 {
            let finite = scores.finite_log_loss;
            let rows = (scores.rows - scores.infinite_rows) as f64;
            let weight = scores.weight - scores.infinite_weight;
            let rest = Record { form: "finite rows", rows, weight, ..record };
            self.push(&Record { score: "cross_entropy", value: finite.in_bits(), ..rest });
            self.push(&Record { score: "log_loss", value: finite, ..rest });
        }
    }

    fn model(&mut self, model: &ModelScore, lines: &[Line]) {
        let record = Record::of("model", model);
        self.scores(record, &model.scores, lines);
        let record = record.over(&model.scores);
        for (score, value) in
            [("entropy_explained", explained(model)), ("worst_share", model.worst_share)]
        {
            self.push(&Record { score, value: only(value), ..record });
        }
        let record = Record::of("base_rate", model).over(&model.scores);
        for line in lines {
            if let Some(value) = line.base(&model.baseline) {
                self.push(&Record { score: &line.score.key(), value, ..record });
            }
        }
        self.decompositions(model);
    }

    /// The three parts, and what is within bins or groups.
    fn parts(
        &mut self,
        record: Record<'_>,
        score: &str,
        parts: &Decomposition,
        errors: [f64; 3],
        within: f64,
    ) {
        let values = [parts.uncertainty, parts.discrimination, parts.miscalibration];
        for ((part, value), se) in PARTS.into_iter().zip(values).zip(errors) {
            let value = Estimate { se, ..only(value) };
            self.push(&Record { score: &format!("{score}.{part}"), value, ..record });
        }
        if !within.is_nan() {
            self.push(&Record { score: &format!("{score}.within"), value: only(within), ..record });
        }
    }

    /// The parts of both scores, log loss in nats.
    fn both(&mut self, record: Record<'_>, parts: &Decompositions, within: [f64; 2]) {
        let none = [f64::NAN; 3];
        self.parts(record, "cross_entropy", &parts.log.in_bits(), none, within[0]);
        self.parts(record, "mse", &parts.squared, none, within[1]);
    }

    fn decompositions(&mut self, model: &ModelScore) {
        let Some(parts) = &model.parts else { return };
        let record = Record { rows: parts.rows as f64, ..Record::of("decomposition", model) };
        // Uncertainty is that of all rows.
        let errors = |se: f64| if parts.is_sample { [f64::NAN, se, se] } else { [f64::NAN; 3] };
        let in_sample = Record { form: "in-sample", ..record };
        let (bits, squared) = (&parts.cross_entropy, &parts.mse);
        self.parts(in_sample, "cross_entropy", bits, errors(parts.se), f64::NAN);
        self.parts(in_sample, "mse", squared, errors(parts.se_mse), f64::NAN);
        if let Some(c) = &parts.cross_fitted {
            let form = format!("cross-fitted, {} folds", c.folds);
            let record = Record { form: &form, ..record };
            let none = [f64::NAN; 3];
            self.parts(record, "cross_entropy", &c.cross_entropy, none, f64::NAN);
            if let Some(mse) = &c.mse {
                self.parts(record, "mse", mse, none, f64::NAN);
            }
        }
        if let Some(details) = &parts.details {
            self.details(model, record, details);
        }
    }

    /// The forms of `--decomposition`.
    fn details(&mut self, model: &ModelScore, record: Record<'_>, details: &Details) {
        let nothing = [f64::NAN; 2];
        for (class, parts) in model.classes.iter().zip(&details.one_vs_rest) {
            self.both(Record { form: "one-vs-rest", class, ..record }, parts, nothing);
        }
        self.both(Record { form: "top label", ..record }, &details.top_label, nothing);
        let bits = std::f64::consts::LN_2;
        if let Some(g) = &details.grouped {
            let within = [g.within_groups[0] / bits, g.within_groups[1]];
            self.both(Record { form: "top class bins", ..record }, &g.parts, within);
        }
        for (class, b) in binned_classes(model, details.binned.len()).iter().zip(&details.binned) {
            let errors = |e: [f64; 3], scale: f64| {
                if details.has_errors { e.map(|e| e / scale) } else { [f64::NAN; 3] }
            };
            let record = Record { form: "binned", class, ..record };
            let (log, squared, corrected) = (&b.log, &b.squared, &b.squared_corrected);
            let log_parts = log.parts.in_bits();
            let within = log.within_bins / bits;
            self.parts(record, "cross_entropy", &log_parts, errors(log.errors, bits), within);
            let (e, within) = (errors(squared.errors, 1.0), squared.within_bins);
            self.parts(record, "mse", &squared.parts, e, within);
            if details.has_errors {
                let record = Record { form: "binned, bias-corrected", ..record };
                let (e, within) = (errors(corrected.errors, 1.0), corrected.within_bins);
                self.parts(record, "mse", &corrected.parts, e, within);
            }
        }
    }

    fn differences(
        &mut self,
        record: Record<'_>,
        differences: &[ScoreDifference],
        p_bh: Option<&[f64]>,
        comparison: &ModelComparison,
    ) {
        for (i, d) in differences.iter().enumerate() {
            let test = if d.test == Test::None { "" } else { d.test.name() };
            let p_bh = p_bh.and_then(|p| p.get(i)).map_or(f64::NAN, |p| *p);
            let score = d.score.key();
            let model = &comparison.models[d.model].name;
            let baseline = &comparison.models[0].name;
            let record = Record { model, baseline, score: &score, ..record };
            let p = [d.p, d.p_adjusted, p_bh];
            self.push(&Record { value: d.estimate, test, p, ..record });
            if let Some(finite) = &d.finite {
                let p = [finite.p, f64::NAN, f64::NAN];
                let form = "finite rows";
                let rows = f64::NAN;
                self.push(&Record { form, value: finite.estimate, p, rows, ..record });
            }
        }
    }
}

/// The scores of one or more models.
pub(crate) fn score_table(models: &[ModelScore], options: &Options) -> Table {
    let mut tidy = Tidy::new(&models[0].shape.by, false);
    let lines = every_line(&options.rules.top_k);
    for model in models {
        tidy.model(model, &lines);
        let class = |c: u32| model.classes[c as usize].as_str();
        if options.confusion {
            let record = Record { score: "weight", ..Record::of("confusion", model) };
            for &(t, p, weight) in &model.confusion {
                let (class, predicted) = (class(t), class(p));
                tidy.push(&Record { class, predicted, value: only(weight), ..record });
            }
        }
        for (c, scores) in &model.per_class {
            tidy.scores(Record { class: class(*c), ..Record::of("class", model) }, scores, &lines);
        }
        for (key, scores) in &model.slices {
            tidy.scores(Record { key, ..Record::of("slice", model) }, scores, &lines);
        }
    }
    tidy.table
}

/// The scores of two or more models, their differences from the first, and the parts of the gaps.
pub(crate) fn compare_table(comparison: &ModelComparison, options: &Options) -> Table {
    let models = &comparison.models;
    let mut tidy = Tidy::new(&models[0].shape.by, true);
    let lines = every_line(&options.rules.top_k);
    for model in models {
        tidy.model(model, &lines);
    }
    let record = Record::of("difference", &models[0]).over(&models[0].scores);
    tidy.differences(record, &comparison.differences, None, comparison);
    for model in &models[1..] {
        let Some(numbers) = gap(&models[0], model) else { continue };
        let record = Record { baseline: &models[0].name, ..Record::of("gap", model) };
        let se = numbers[4];
        for (score, value) in GAP.into_iter().zip(numbers).take(4) {
            // Sampling blurs how the gap is shared, not the gap.
            let se = if matches!(score, "calibration" | "information") { se } else { f64::NAN };
            tidy.push(&Record { score, value: Estimate { se, ..only(value) }, ..record });
        }
    }
    for slice in &comparison.slices {
        let rows = slice.rows as f64;
        for (model, nats) in models.iter().zip(&slice.log_loss) {
            let record = Record { key: &slice.key, rows, ..Record::of("slice", model) };
            let value = only(nats / std::f64::consts::LN_2);
            tidy.push(&Record { score: "cross_entropy", value, ..record });
        }
        let record = Record { key: &slice.key, rows, ..Record::of("slice_difference", &models[0]) };
        tidy.differences(record, &slice.differences, Some(&slice.p_bh), comparison);
    }
    tidy.table
}

/// Adds what another tool says of a model to the table of its scores.
pub(crate) fn push_peer(report: &mut Report, tool: &str, model: &ModelScore, scores: &[PeerScore]) {
    let mut tables = report.blocks.iter_mut().filter_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    });
    let Some(table) = tables.next() else { return };
    let by = table.columns.iter().filter(|header| header.text.starts_with(BY)).count();
    let record = Record { form: tool, ..Record::of("peer", model).over(&model.scores) };
    for score in scores {
        let record = Record { score: score.function, value: only(score.value), ..record };
        table.push(record.cells(by, false));
    }
}
