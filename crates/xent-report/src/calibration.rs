//! The report of `xent calibration`: reliability table, parts and tests, errors by name, and the diagram.

use serde_json::{Map, Value, json};
use xent::calibration::decomposition::Decomposition;
use xent::calibration::reliability::Line;
use xent_eval::{
    BinnedErrors, CalibrationOptions, Errors, Lines, ModelCalibration, ModelScore, Options,
    Question,
};

use crate::common::{SHOWN, exact_cell, first_line, is_unlikely, level, notes, second_line, short};
use crate::json::number;
use crate::number::{counted, fixed, interval, p_phrase, p_value, significant, total};
use crate::plot::{Band, Diagram, Histogram, Joined, Series};
use crate::{Block, Cell, Header, Report, Table};

/// What a person reads about the calibration of one or more models, and the contract `xent.calibration/1`.
///
/// `all` keeps every number, in one long table, for output that is read by programs.
///
/// # Panics
///
/// If there is no model.
pub fn calibration_report(
    models: &[ModelCalibration],
    options: &Options,
    measure: &CalibrationOptions,
    all: bool,
) -> Report {
    let scores: Vec<ModelScore> = models.iter().map(|m| m.score.clone()).collect();
    let mut report = Report::new(data(models, options, measure));
    if all {
        report.push(Block::Table(tidy(models)));
        return report;
    }
    let several = models.len() > 1;
    for (i, model) in models.iter().enumerate() {
        let score = &scores[i..=i];
        let name = if several { format!("{}: ", model.score.name) } else { String::new() };
        report.push(Block::Heading(format!("{name}{}", first_line(&score[0]))));
        report.push(Block::Text(second_line(score, options)));
        report.push(Block::Table(reliability(model, options, measure)));
        report.push(Block::Table(parts(model)));
        report.push(Block::Table(errors(model, measure)));
        if model.classes.len() > 2 {
            report.push(Block::Table(classes(model)));
            let more = model.classes.len().saturating_sub(SHOWN);
            if more > 0 {
                report.push(Block::Note(format!(
                    "{} more not shown; --format csv or json has all",
                    counted(more as u64, "class", "classes")
                )));
            }
        }
        let widths = [&model.errors.width, &model.errors.mass];
        if widths.iter().any(|errors| errors.rms_debiased.is_nan()) {
            report.push(Block::Note(
                "no bin has two rows: there is nothing to estimate the bias from".to_owned(),
            ));
        }
        report.push(Block::Note(
            "the parts are in-sample, so miscalibration comes out too large; xent score --folds 10 cross-fits them"
                .to_owned(),
        ));
        for note in notes(score, options) {
            report.push(note);
        }
        report.push(Block::Verdict(format!("{name}{}", verdict(model, options.level))));
    }
    report
}

/// `rain`, or `the top label`.
fn asked(model: &ModelCalibration) -> String {
    match model.question {
        Question::TopLabel => "the top label".to_owned(),
        Question::Class(class) => short(&model.score.classes[class as usize]),
    }
}

/// What the test found, in a sentence.
fn verdict(model: &ModelCalibration, level: f64) -> String {
    let what = asked(model);
    let bits = model.parts.log.in_bits().miscalibration;
    if bits.is_infinite() {
        return format!("{what} is not calibrated: something of probability 0 happened");
    }
    let bits = small(bits);
    let Some(test) = &model.test else {
        return format!("{what} is off by {bits} bits; without resamples there is no test");
    };
    let p = test.p_value[0];
    let how = format!(
        "{}, {}, seed {}",
        p_phrase(p),
        counted(u64::from(model.resampling.resamples), "resample", "resamples"),
        model.resampling.seed
    );
    let chance = small(test.by_chance[0] / std::f64::consts::LN_2);
    let smallest = 1.0 / (f64::from(model.resampling.resamples) + 1.0);
    if !is_unlikely(smallest, level) {
        format!(
            "too few resamples to tell whether {what} is calibrated ({how}): {bits} bits, and chance gives {chance}"
        )
    } else if is_unlikely(p, level) {
        format!("{what} is not calibrated ({how}): {bits} bits are lost, {chance} would be chance")
    } else {
        format!(
            "no miscalibration of {what} is shown ({how}): {bits} bits, and chance gives {chance}"
        )
    }
}

fn lines_name(measure: &CalibrationOptions, bins: usize) -> String {
    match measure.lines {
        Lines::EqualMass => format!("{} of equal mass", counted(bins as u64, "bin", "bins")),
        Lines::EqualWidth => {
            format!("{} of equal width that hold rows", counted(bins as u64, "bin", "bins"))
        }
        Lines::Isotonic => {
            format!("{} of the isotonic fit", counted(bins as u64, "block", "blocks"))
        }
    }
}

fn probability(p: f64) -> Cell {
    // A tiny probability must not look like none, nor one near 1 like certainty.
    let near = p.min(1.0 - p);
    if near > 0.0 && near < 0.0005 {
        let text =
            if p < 0.5 { significant(p, 2) } else { format!("1 - {}", significant(1.0 - p, 2)) };
        return Cell::number(text, p);
    }
    Cell::number(fixed(p, 3), p)
}

fn reliability(model: &ModelCalibration, options: &Options, measure: &CalibrationOptions) -> Table {
    let weights = if model.score.shape.weight.is_some() { "weight" } else { "rows" };
    let mut table = Table::new([
        Header::left("probability"),
        Header::right("mean said"),
        Header::right("happens"),
        Header::left(format!("{} interval", level(options))),
        Header::right(weights),
    ])
    .with_title(format!(
        "reliability of {}, {}",
        asked(model),
        lines_name(measure, model.table.len())
    ));
    for line in &model.table {
        let bin = &line.bin;
        let range = if bin.lower == bin.upper {
            probability(bin.lower).text
        } else {
            format!("{} to {}", probability(bin.lower).text, probability(bin.upper).text)
        };
        table.push([
            Cell::text(range),
            probability(bin.prediction),
            Cell::number(fixed(bin.frequency(), 3), bin.frequency()),
            Cell::text(interval(line.interval[0], line.interval[1], 3)),
            Cell::number(total(bin.weight(), 3), bin.weight()),
        ]);
    }
    let weight = model.score.scores.weight;
    table.push_muted([
        Cell::text("all"),
        probability(model.prediction),
        Cell::number(fixed(model.frequency, 3), model.frequency),
        Cell::empty(),
        Cell::number(total(weight, 3), weight),
    ]);
    table
}

/// The parts of both scores, and the tests.
fn parts(model: &ModelCalibration) -> Table {
    let mut table = Table::new([
        Header::left(""),
        Header::right("cross entropy, bits"),
        Header::right("mean squared error"),
    ])
    .with_title(format!("the parts of the score of {}", asked(model)));
    let (log, squared) = (model.parts.log.in_bits(), model.parts.squared);
    let mut push = |name: &str, of: &dyn Fn(&Decomposition) -> f64| {
        let cell = |x: f64| Cell::number(small(x), x);
        table.push([Cell::text(name), cell(of(&log)), cell(of(&squared))]);
    };
    push("score", &|d| d.score);
    push("= uncertainty", &|d| d.uncertainty);
    push("- discrimination", &|d| d.discrimination);
    push("+ miscalibration", &|d| d.miscalibration);
    if let Some(test) = &model.test {
        let chance = [test.by_chance[0] / std::f64::consts::LN_2, test.by_chance[1]];
        let cell = |x: f64| Cell::number(small(x), x);
        table.push([Cell::text("  of it by chance"), cell(chance[0]), cell(chance[1])]);
        let cell = |p: f64| Cell::number(p_value(p), p);
        table.push([
            Cell::text("p-value, resampled"),
            cell(test.p_value[0]),
            cell(test.p_value[1]),
        ]);
    }
    let p = model.spiegelhalter[1];
    let cell = if p.is_nan() { Cell::missing() } else { Cell::number(p_value(p), p) };
    table.push([Cell::text("p-value, Spiegelhalter"), Cell::empty(), cell]);
    table
}

/// Four decimals, but for what would look like nothing.
fn small(x: f64) -> String {
    if x != 0.0 && x.abs() < 0.00005 { significant(x, 2) } else { fixed(x, 4) }
}

fn error_cell(x: f64) -> Cell {
    if x.is_nan() { Cell::missing() } else { Cell::number(small(x), x) }
}

fn errors(model: &ModelCalibration, measure: &CalibrationOptions) -> Table {
    let k = measure.bins;
    let mut table = Table::new([
        Header::left(""),
        Header::right("equal width"),
        Header::right("equal mass"),
        Header::left("other"),
    ])
    .with_title(format!(
        "calibration errors of {}, {}",
        asked(model),
        counted(k as u64, "bin", "bins")
    ));
    let Errors { width, mass, sweep } = &model.errors;
    let mut push = |name: String, of: fn(&BinnedErrors) -> f64, other: String| {
        let cells = [Cell::text(name), error_cell(of(width)), error_cell(of(mass))];
        table.push(cells.into_iter().chain([Cell::text(other)]));
    };
    let bins = counted(sweep.bins as u64, "bin", "bins");
    push(ece_name(model), |e| e.ece, format!("sweep, {bins}: {}", small(sweep.value)));
    push(
        "root mean square".to_owned(),
        |e| e.rms,
        format!("smooth: {}", small(model.smooth.value)),
    );
    push("  debiased".to_owned(), |e| e.rms_debiased, String::new());
    push("maximum".to_owned(), |e| e.maximum, String::new());
    let mut also = |name: &str, width: f64, mass: f64| {
        table.push([Cell::text(name), error_cell(width), error_cell(mass), Cell::empty()]);
    };
    if model.question != Question::TopLabel {
        also("ece(top-label)", model.top_label.width.ece, model.top_label.mass.ece);
    }
    also("ece(class-wise)", model.class_wise(|e| e.width.ece), model.class_wise(|e| e.mass.ece));
    table
}

/// `ece(class=rain)`
fn ece_name(model: &ModelCalibration) -> String {
    match model.question {
        Question::TopLabel => "ece(top-label)".to_owned(),
        Question::Class(class) => {
            format!("ece(class={})", short(&model.score.classes[class as usize]))
        }
    }
}

fn classes(model: &ModelCalibration) -> Table {
    let mut table = Table::new([
        Header::left("class"),
        Header::right("mean said"),
        Header::right("happens"),
        Header::right("ece, equal width"),
        Header::right("ece, equal mass"),
        Header::right("debiased rms"),
        Header::right("maximum"),
    ])
    .with_title("each class against the rest; rms and maximum in bins of equal mass");
    for class in model.classes.iter().take(SHOWN) {
        let Errors { width, mass, .. } = &class.errors;
        table.push([
            Cell::text(&model.score.classes[class.class as usize]),
            probability(class.prediction),
            Cell::number(fixed(class.frequency, 3), class.frequency),
            error_cell(width.ece),
            error_cell(mass.ece),
            error_cell(mass.rms_debiased),
            error_cell(mass.maximum),
        ]);
    }
    table
}

/// For programs: one number a row, with all its digits.
fn tidy(models: &[ModelCalibration]) -> Table {
    let mut headers = ["model", "of", "quantity"].map(Header::left).to_vec();
    let numbers = ["bin", "lower", "upper", "prediction", "value", "ci_low", "ci_high", "weight"];
    headers.extend(numbers.map(Header::right));
    let mut table = Table::new(headers);
    for model in models {
        let own = model.question_name();
        let mut push = |of: &str, quantity: &str, numbers: [f64; 8]| {
            let words = [model.score.name.as_str(), of, quantity].map(Cell::text);
            table.push(words.into_iter().chain(numbers.map(exact_cell)));
        };
        for line in &model.table {
            let b = &line.bin;
            let [low, high] = line.interval;
            let rate = b.frequency();
            push(
                &own,
                "frequency",
                [b.index as f64, b.lower, b.upper, b.prediction, rate, low, high, b.weight()],
            );
        }
        for (i, step) in model.curve.iter().enumerate() {
            let [low, high] = [step.lowest.positive, step.highest.positive];
            let (rate, weight) = (step.frequency(), step.weight());
            let none = f64::NAN;
            push(&own, "curve", [i as f64, low, high, none, rate, none, none, weight]);
        }
        for point in &model.band {
            let mut numbers = [f64::NAN; 8];
            (numbers[3], numbers[5], numbers[6]) = (point.prediction, point.band[0], point.band[1]);
            push(&own, "band", numbers);
        }
        let mut value = |of: &str, quantity: &str, x: f64| {
            let mut numbers = [f64::NAN; 8];
            numbers[4] = x;
            push(of, quantity, numbers);
        };
        let (log, squared) = (model.parts.log.in_bits(), model.parts.squared);
        for (prefix, parts) in [("cross_entropy", log), ("mse", squared)] {
            value(&own, prefix, parts.score);
            value(&own, &format!("{prefix}.uncertainty"), parts.uncertainty);
            value(&own, &format!("{prefix}.discrimination"), parts.discrimination);
            value(&own, &format!("{prefix}.miscalibration"), parts.miscalibration);
        }
        if let Some(test) = &model.test {
            let [log, squared] = test.by_chance;
            value(&own, "cross_entropy.by_chance", log / std::f64::consts::LN_2);
            value(&own, "mse.by_chance", squared);
            value(&own, "cross_entropy.p_value", test.p_value[0]);
            value(&own, "mse.p_value", test.p_value[1]);
        }
        value(&own, "spiegelhalter.z", model.spiegelhalter[0]);
        value(&own, "spiegelhalter.p_value", model.spiegelhalter[1]);
        value(&own, "smooth_ece", model.smooth.value);
        let mut list = |of: &str, errors: &Errors| {
            for (bins, e) in [("equal_width", &errors.width), ("equal_mass", &errors.mass)] {
                value(of, &format!("ece.{bins}"), e.ece);
                value(of, &format!("rms.{bins}"), e.rms);
                value(of, &format!("rms_debiased.{bins}"), e.rms_debiased);
                value(of, &format!("maximum.{bins}"), e.maximum);
            }
            value(of, "ece.sweep", errors.sweep.value);
        };
        for class in &model.classes {
            let name = &model.score.classes[class.class as usize];
            list(&format!("class={name}"), &class.errors);
        }
        list("top-label", &model.top_label);
        value("class-wise", "ece.equal_width", model.class_wise(|e| e.width.ece));
        value("class-wise", "ece.equal_mass", model.class_wise(|e| e.mass.ece));
    }
    table
}

fn data(models: &[ModelCalibration], options: &Options, measure: &CalibrationOptions) -> Value {
    let mut map = Map::new();
    map.insert("schema".into(), "xent.calibration/1".into());
    map.insert("xent".into(), env!("CARGO_PKG_VERSION").into());
    map.insert("input".into(), options.rules.input.name().into());
    map.insert("level".into(), number(options.level));
    map.insert("bins".into(), measure.bins.into());
    let lines = match measure.lines {
        Lines::EqualMass => "equal-mass",
        Lines::EqualWidth => "equal-width",
        Lines::Isotonic => "isotonic",
    };
    map.insert("strategy".into(), lines.into());
    map.insert("models".into(), models.iter().map(model_json).collect());
    Value::Object(map)
}

fn errors_json(errors: &Errors) -> Value {
    let of = |e: &BinnedErrors| {
        json!({
            "ece": number(e.ece),
            "rms": number(e.rms),
            "rms_debiased": number(e.rms_debiased),
            "maximum": number(e.maximum),
        })
    };
    json!({
        "equal_width": of(&errors.width),
        "equal_mass": of(&errors.mass),
        "sweep": { "ece": number(errors.sweep.value), "bins": errors.sweep.bins },
    })
}

fn parts_json(parts: &Decomposition) -> Value {
    json!({
        "score": number(parts.score),
        "uncertainty": number(parts.uncertainty),
        "discrimination": number(parts.discrimination),
        "miscalibration": number(parts.miscalibration),
        "method": "corp",
    })
}

fn model_json(model: &ModelCalibration) -> Value {
    let score = &model.score;
    let shape = &score.shape;
    let class = match model.question {
        Question::TopLabel => Value::Null,
        Question::Class(class) => score.classes[class as usize].clone().into(),
    };
    let line = |line: &Line| {
        let bin = &line.bin;
        json!({
            "bin": bin.index,
            "lower": number(bin.lower),
            "upper": number(bin.upper),
            "prediction": number(bin.prediction),
            "frequency": number(bin.frequency()),
            "ci": [number(line.interval[0]), number(line.interval[1])],
            "weight": number(bin.weight()),
        })
    };
    let test = model.test.as_ref().map(|test| {
        json!({
            "resamples": model.resampling.resamples,
            "seed": model.resampling.seed,
            "cross_entropy": {
                "by_chance": number(test.by_chance[0] / std::f64::consts::LN_2),
                "p_value": number(test.p_value[0]),
            },
            "mse": { "by_chance": number(test.by_chance[1]), "p_value": number(test.p_value[1]) },
        })
    });
    let classes: Vec<Value> = model
        .classes
        .iter()
        .map(|class| {
            json!({
                "class": score.classes[class.class as usize],
                "frequency": number(class.frequency),
                "prediction": number(class.prediction),
                "errors": errors_json(&class.errors),
            })
        })
        .collect();
    let wise = |of: fn(&BinnedErrors) -> f64| {
        json!({
            "equal_width": number(model.class_wise(|e| of(&e.width))),
            "equal_mass": number(model.class_wise(|e| of(&e.mass))),
        })
    };
    json!({
        "name": score.name,
        "source": score.source,
        "rows": score.scores.rows,
        "weight": number(score.scores.weight),
        "classes": score.classes,
        "columns": {
            "label": shape.label,
            "label_file": shape.label_file,
            "predictions": shape.predictions,
            "weight": shape.weight,
        },
        "dropped": score.dropped,
        "of": if class.is_null() { "top-label" } else { "class" },
        "class": class,
        "frequency": number(model.frequency),
        "prediction": number(model.prediction),
        "decomposition": parts_json(&model.parts.log.in_bits()),
        "decomposition_mse": parts_json(&model.parts.squared),
        "miscalibration_test": test,
        "spiegelhalter": {
            "z": number(model.spiegelhalter[0]),
            "p_value": number(model.spiegelhalter[1]),
        },
        "errors": errors_json(&model.errors),
        "smooth_ece": {
            "value": number(model.smooth.value),
            "bandwidth": number(model.smooth.bandwidth),
        },
        "top_label": errors_json(&model.top_label),
        "class_wise": { "ece": wise(|e| e.ece), "maximum": wise(|e| e.maximum) },
        "per_class": classes,
        "reliability": model.table.iter().map(line).collect::<Vec<_>>(),
        "curve": model.curve.iter().map(|step| json!({
            "lower": number(step.lowest.positive),
            "upper": number(step.highest.positive),
            "frequency": number(step.frequency()),
            "weight": number(step.weight()),
        })).collect::<Vec<_>>(),
        "band": model.band.iter().map(|point| json!([
            number(point.prediction), number(point.band[0]), number(point.band[1]),
        ])).collect::<Vec<_>>(),
    })
}

/// The reliability diagram of a model: isotonic curve, bins, and where the curve of a calibrated model would lie.
pub fn reliability_diagram(model: &ModelCalibration, options: &Options) -> Diagram {
    let curve = |step: &xent::calibration::isotonic::Block| {
        let frequency = step.frequency();
        [(step.lowest.positive, frequency), (step.highest.positive, frequency)]
    };
    let points: Vec<(f64, f64)> =
        model.table.iter().map(|line| (line.bin.prediction, line.bin.frequency())).collect();
    let said = match model.question {
        Question::TopLabel => "probability of the top label".to_owned(),
        Question::Class(class) => format!("probability of {}", model.score.classes[class as usize]),
    };
    let band = model.band.iter().map(|p| (p.prediction, p.band[0], p.band[1])).collect();
    Diagram {
        title: format!("reliability of {}: {}", model.score.name, asked(model)),
        description: verdict(model, options.level),
        x_label: said,
        y_label: "how often it happens".to_owned(),
        range: (0.0, model.reach()),
        curve: Series {
            name: "isotonic fit".to_owned(),
            points: model.curve.iter().flat_map(curve).collect(),
        },
        joined: Joined::Line,
        points: Series { name: "table".to_owned(), points },
        band: Band { name: format!("{} of calibrated models", level(options)), points: band },
        diagonal: "calibrated".to_owned(),
        histogram: Histogram {
            name: "how often it is said".to_owned(),
            bins: model.histogram.iter().map(|b| (b.lower, b.upper, b.weight())).collect(),
        },
        notes: Vec::new(),
    }
}
