//! `xent info`: the calculators.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use xent::information::{self, Base, Distribution, InformationError};
use xent_eval::Source;
use xent_io::{Kind, OpenOptions, ReadAs, Request, ScanOptions};
use xent_report::json::number;
use xent_report::number::{fixed, significant};
use xent_report::{Block, Cell, Header, Report, Table};

use crate::args::OutputArgs;
use crate::{Failure, Outcome, output};

/// Decimals of results for people; JSON and CSV have all digits.
const DECIMALS: usize = 6;
/// Parts of a distribution shown one by one.
const PARTS: usize = 20;

#[derive(Args)]
pub struct InfoArgs {
    #[command(subcommand)]
    quantity: Quantity,

    /// Base of the logarithm: bits, nats or bans [default: 2]
    #[arg(long, value_enum, global = true)]
    base: Option<BaseArg>,

    /// Take the arguments as column names of this file: a numeric column is the distribution down
    /// its rows, a text column that of its values
    #[arg(long, value_name = "FILE", global = true)]
    file: Option<String>,

    /// Divide each distribution or table by its sum instead of refusing it
    #[arg(long, global = true)]
    normalize: bool,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum BaseArg {
    #[value(name = "2")]
    Two,
    #[value(name = "e")]
    E,
    #[value(name = "10")]
    Ten,
}

#[derive(Subcommand)]
enum Quantity {
    /// Information content of an event: -log P
    Content {
        /// Probabilities
        #[arg(required = true, value_name = "P")]
        p: Vec<String>,
    },
    /// Entropy of a distribution: the expected content, -sum p log p
    Entropy {
        /// Probabilities, as 0.9 0.1 or 0.9,0.1
        #[arg(required = true, value_name = "P")]
        p: Vec<String>,
    },
    /// Cross entropy of Q under P: -sum p log q
    CrossEntropy {
        /// The true distribution, as 0.75,0.25
        p: String,
        /// The predicted distribution, as 0.5,0.5
        q: String,
    },
    /// KL divergence, both ways, and the identity KL = cross entropy - entropy
    Kl {
        /// The true distribution, as 0.75,0.25
        p: String,
        /// The predicted distribution, as 0.5,0.5
        q: String,
    },
    /// Jensen-Shannon divergence and its root, the distance
    Js {
        /// A distribution
        p: String,
        /// Another
        q: String,
    },
    /// Mutual information of a joint table (a row an argument), or with --file of two columns
    MutualInformation {
        /// Rows of counts or probabilities, as 10,2 3,15; with --file two column names
        #[arg(required = true, num_args = 2.., value_name = "ROW")]
        rows: Vec<String>,
    },
    /// Expected value: sum p x
    Expectation {
        /// Values, as 80,90
        values: String,
        /// Their probabilities, as 0.5,0.5
        probabilities: String,
    },
    /// Probabilities from scores: exp(x) / sum exp(x)
    Softmax {
        /// Scores, as 2 1 -1 or 2,1,-1
        #[arg(required = true, value_name = "X")]
        x: Vec<String>,
    },
    /// The probability of each score by itself: 1 / (1 + exp(-x))
    Sigmoid {
        /// Scores
        #[arg(required = true, value_name = "X")]
        x: Vec<String>,
    },
}

fn refuse(error: &InformationError) -> Failure {
    Failure::usage(error.to_string()).with_hint(error.hint())
}

/// A result: names and values for people and programs.
struct Answer {
    quantity: &'static str,
    unit: String,
    /// Key for programs, name for people, value.
    values: Vec<(String, String, f64)>,
    parts: Option<Table>,
    identity: Option<String>,
    input: Value,
}

impl Answer {
    fn new(quantity: &'static str, unit: &str, input: Value) -> Self {
        let unit = unit.to_owned();
        Self { quantity, unit, values: Vec::new(), parts: None, identity: None, input }
    }

    fn with(mut self, key: &str, name: impl Into<String>, value: f64) -> Self {
        self.values.push((key.to_owned(), name.into(), value));
        self
    }

    fn report(self) -> Report {
        let results: serde_json::Map<String, Value> =
            self.values.iter().map(|(key, _, x)| (key.clone(), number(*x))).collect();
        let mut report = Report::new(json!({
            "schema": "xent.info/1",
            "quantity": self.quantity,
            "unit": self.unit,
            "input": self.input,
            "results": results,
        }));
        let mut table = Table::new([Header::left(""), Header::right(&self.unit)]);
        for (_, name, x) in self.values {
            table.push([Cell::text(name), cell(x)]);
        }
        report.push(Block::Table(table));
        if let Some(parts) = self.parts {
            report.push(Block::Table(parts));
        }
        if let Some(identity) = self.identity {
            report.push(Block::Text(identity));
        }
        report
    }
}

fn show(x: f64) -> String {
    if x != 0.0 && x.abs() < 1e-4 { significant(x, DECIMALS) } else { fixed(x, DECIMALS) }
}

fn cell(x: f64) -> Cell {
    Cell::number(show(x), x)
}

fn list(values: &[f64]) -> Value {
    values.iter().map(|&x| number(x)).collect()
}

impl InfoArgs {
    /// The numbers of one argument: written out, or a numeric column.
    fn numbers(&self, text: &str) -> Result<Vec<f64>, Failure> {
        if let Some(file) = &self.file {
            return read_numbers(file, text);
        }
        let mut numbers = Vec::new();
        for part in text.split([',', ' ', ';']).map(str::trim).filter(|p| !p.is_empty()) {
            let x: f64 = part.parse().map_err(|_| {
                Failure::usage(format!("{} is not a number", xent_io::show(part))).with_hint(
                    "numbers are written 0.75,0.25; for columns of a file add --file FILE",
                )
            })?;
            if x.is_nan() {
                return Err(Failure::usage("NaN is not a number to calculate with")
                    .with_hint("leave it out, or write a number"));
            }
            numbers.push(x);
        }
        if numbers.is_empty() {
            return Err(Failure::usage("an argument holds no number")
                .with_hint("numbers are written 0.75,0.25"));
        }
        Ok(numbers)
    }

    fn all_numbers(&self, texts: &[String]) -> Result<Vec<f64>, Failure> {
        let mut all = Vec::new();
        for text in texts {
            all.extend(self.numbers(text)?);
        }
        Ok(all)
    }

    fn distribution(&self, numbers: &[f64]) -> Result<Distribution, Failure> {
        let result = if self.normalize {
            Distribution::normalized(numbers)
        } else {
            Distribution::new(numbers)
        };
        result.map_err(|e| {
            let failure = refuse(&e);
            match e {
                InformationError::SumNotOne { .. } => failure.with_hint(
                    "probabilities must sum to 1; --normalize divides them by their sum",
                ),
                _ => failure,
            }
        })
    }

    /// A distribution from one argument: numbers, or a numeric column, which an error then names.
    fn distribution_of(&self, text: &str) -> Result<Distribution, Failure> {
        self.distribution(&self.numbers(text)?).map_err(|failure| match &self.file {
            Some(file) => failure.at(&format!("{file}: column {text}")),
            None => failure,
        })
    }

    /// Options that would change nothing are refused.
    fn check_options(&self) -> Result<(), Failure> {
        let (name, has_logarithm, has_distribution) = match &self.quantity {
            Quantity::Content { .. } => ("content", true, false),
            Quantity::Expectation { .. } => ("expectation", false, true),
            Quantity::Softmax { .. } => ("softmax", false, false),
            Quantity::Sigmoid { .. } => ("sigmoid", false, false),
            _ => return Ok(()),
        };
        let refuse = |option: &str, why: &str| {
            Err(Failure::usage(format!("{option} has no meaning for {name}: {why}"))
                .with_hint("leave it out"))
        };
        if self.base.is_some() && !has_logarithm {
            return refuse("--base", "no logarithm is taken");
        }
        if self.normalize && !has_distribution {
            return refuse("--normalize", "there is no distribution to divide by its sum");
        }
        Ok(())
    }

    /// A distribution from one argument; a text column is the distribution of its values.
    fn named_distribution(
        &self,
        text: &str,
    ) -> Result<(Distribution, Option<Vec<String>>), Failure> {
        if let Some(file) = &self.file {
            let source = Source::open(file, &OpenOptions::default())?;
            let column = find_column(&source, text)?;
            if !is_numeric(&source, column) {
                let (values, counts) = count_values(&source, column)?;
                let p = Distribution::from_counts(&counts).map_err(|e| refuse(&e))?;
                return Ok((p, Some(values)));
            }
        }
        Ok((self.distribution_of(text)?, None))
    }
}

/// Runs `xent info`.
pub fn run(args: &InfoArgs) -> Result<Outcome, Failure> {
    args.check_options()?;
    let base = match args.base {
        None | Some(BaseArg::Two) => Base::Two,
        Some(BaseArg::E) => Base::E,
        Some(BaseArg::Ten) => Base::Ten,
    };
    let answer = match &args.quantity {
        Quantity::Content { p } => content(args, base, p)?,
        Quantity::Entropy { p } => entropy(args, base, p)?,
        Quantity::CrossEntropy { p, q } => {
            let (p, q) = pair(args, p, q)?;
            let value = information::cross_entropy_to_base(&p, &q, base).map_err(|e| refuse(&e))?;
            two(&p, &q, "cross-entropy", base).with("cross_entropy", "cross entropy H(p, q)", value)
        }
        Quantity::Kl { p, q } => kl(args, base, p, q)?,
        Quantity::Js { p, q } => {
            let (p, q) = pair(args, p, q)?;
            let js = information::js_divergence(&p, &q).map_err(|e| refuse(&e))?;
            let bits = base.from_nats(js);
            two(&p, &q, "js", base).with("js_divergence", "Jensen-Shannon divergence", bits).with(
                "js_distance",
                "Jensen-Shannon distance (its square root)",
                bits.sqrt(),
            )
        }
        Quantity::MutualInformation { rows } => mutual_information(args, base, rows)?,
        Quantity::Expectation { values, probabilities } => {
            let x = args.numbers(values)?;
            let p = args.distribution_of(probabilities)?;
            let mean = information::expectation(&x, &p).map_err(|e| refuse(&e))?;
            let input = json!({ "values": list(&x), "probabilities": list(p.probabilities()) });
            Answer::new("expectation", "value", input).with("expectation", "expectation", mean)
        }
        Quantity::Softmax { x } => {
            let x = args.all_numbers(x)?;
            activation("softmax", &x, &information::softmax(&x))?
        }
        Quantity::Sigmoid { x } => {
            let x = args.all_numbers(x)?;
            let p: Vec<f64> = x.iter().map(|&x| information::sigmoid(x)).collect();
            activation("sigmoid", &x, &p)?
        }
    };
    let report = answer.report();
    let mut sink = output::Sink::create(&args.output)?;
    sink.write(&report)?;
    sink.finish(&report)?;
    Ok(Outcome::Done)
}

fn content(args: &InfoArgs, base: Base, p: &[String]) -> Result<Answer, Failure> {
    let p = args.all_numbers(p)?;
    let mut answer = Answer::new("content", base.unit(), json!({ "p": list(&p) }));
    for (i, &p) in p.iter().enumerate() {
        if !(0.0..=1.0).contains(&p) {
            return Err(Failure::usage(format!("{p} is not a probability"))
                .with_hint("a probability is from 0 to 1"));
        }
        let key = format!("content_{}", i + 1);
        let content = information::content_to_base(p, base);
        answer = answer.with(&key, format!("content of p = {p}"), content);
    }
    Ok(answer)
}

fn entropy(args: &InfoArgs, base: Base, p: &[String]) -> Result<Answer, Failure> {
    let (p, names) = match (p, &args.file) {
        ([one], Some(_)) => args.named_distribution(one)?,
        _ => (args.distribution(&args.all_numbers(p)?)?, None),
    };
    let values = p.probabilities();
    let mut answer = Answer::new("entropy", base.unit(), json!({ "p": list(values) }))
        .with("entropy", "entropy H(p)", information::entropy_to_base(&p, base))
        .with(
            "largest",
            format!("largest for {} outcomes", values.len()),
            base.log(values.len() as f64),
        );
    if values.len() <= PARTS {
        let mut parts = Table::new([
            Header::left("outcome"),
            Header::right("p"),
            Header::right("content"),
            Header::right("p × content"),
        ]);
        for (i, &p) in values.iter().enumerate() {
            let content = information::content_to_base(p, base);
            let name =
                names.as_ref().map_or_else(|| format!("{}", i + 1), |names| names[i].clone());
            let part = if p == 0.0 { 0.0 } else { p * content };
            parts.push([Cell::text(name), cell(p), cell(content), cell(part)]);
        }
        answer.parts = Some(parts);
    }
    Ok(answer)
}

fn pair(args: &InfoArgs, p: &str, q: &str) -> Result<(Distribution, Distribution), Failure> {
    let ((p, p_names), (q, q_names)) = (args.named_distribution(p)?, args.named_distribution(q)?);
    if p_names != q_names {
        return Err(Failure::usage("the two columns do not hold the same values")
            .with_hint("divergences are between distributions over the same outcomes"));
    }
    Ok((p, q))
}

fn two(p: &Distribution, q: &Distribution, quantity: &'static str, base: Base) -> Answer {
    let input = json!({ "p": list(p.probabilities()), "q": list(q.probabilities()) });
    Answer::new(quantity, base.unit(), input)
}

fn kl(args: &InfoArgs, base: Base, p: &str, q: &str) -> Result<Answer, Failure> {
    let (p, q) = pair(args, p, q)?;
    let kl = |p: &Distribution, q: &Distribution| {
        information::kl_divergence(p, q).map(|x| base.from_nats(x)).map_err(|e| refuse(&e))
    };
    let (forward, back) = (kl(&p, &q)?, kl(&q, &p)?);
    let cross = information::cross_entropy_to_base(&p, &q, base).map_err(|e| refuse(&e))?;
    let entropy = information::entropy_to_base(&p, base);
    let mut answer = two(&p, &q, "kl", base)
        .with("kl_pq", "KL(p || q)", forward)
        .with("kl_qp", "KL(q || p)", back)
        .with("cross_entropy", "cross entropy H(p, q)", cross)
        .with("entropy", "entropy H(p)", entropy);
    answer.identity = Some(format!(
        "KL(p || q) = H(p, q) - H(p): {} = {} - {}",
        show(forward),
        show(cross),
        show(entropy)
    ));
    Ok(answer)
}

fn mutual_information(args: &InfoArgs, base: Base, rows: &[String]) -> Result<Answer, Failure> {
    let joint: Vec<Vec<f64>> = if let Some(file) = &args.file {
        let [a, b] = rows else {
            return Err(Failure::usage("mutual information is of two columns"));
        };
        joint_counts(file, a, b)?
    } else {
        let joint: Vec<Vec<f64>> =
            rows.iter().map(|row| args.numbers(row)).collect::<Result<_, _>>()?;
        // Counts are whole numbers. Others are probabilities, and those must sum to 1.
        let all = joint.concat();
        let are_counts = all.iter().all(|x| x.fract() == 0.0);
        if !are_counts && all.iter().all(|x| x.is_finite() && *x >= 0.0) {
            args.distribution(&all)?;
        }
        joint
    };
    let value = information::mutual_information(&joint).map_err(|e| refuse(&e))?;
    let sums = |columns: bool| -> Vec<f64> {
        if columns {
            (0..joint[0].len()).map(|c| joint.iter().map(|r| r[c]).sum()).collect()
        } else {
            joint.iter().map(|r| r.iter().sum()).collect()
        }
    };
    let entropy = |sums: &[f64]| {
        Distribution::normalized(sums)
            .map(|p| information::entropy_to_base(&p, base))
            .map_err(|e| refuse(&e))
    };
    let table: Vec<Value> = joint.iter().map(|row| list(row)).collect();
    Ok(Answer::new("mutual-information", base.unit(), json!({ "joint": table }))
        .with("mutual_information", "mutual information", base.from_nats(value))
        .with("entropy_rows", "entropy of the rows", entropy(&sums(false))?)
        .with("entropy_columns", "entropy of the columns", entropy(&sums(true))?))
}

fn activation(quantity: &'static str, x: &[f64], p: &[f64]) -> Result<Answer, Failure> {
    if p.iter().any(|p| p.is_nan()) {
        return Err(Failure::usage("these scores have no softmax")
            .with_hint("at least one must be finite, or exactly one inf"));
    }
    let mut answer = Answer::new(quantity, "probability", json!({ "x": list(x) }));
    for (i, (&x, &p)) in x.iter().zip(p).enumerate() {
        answer = answer.with(&format!("p_{}", i + 1), format!("{}: {x}", i + 1), p);
    }
    Ok(answer)
}

fn find_column(source: &Source, name: &str) -> Result<usize, Failure> {
    source.table.columns().iter().position(|c| c.name == name).ok_or_else(|| {
        let names: Vec<&str> =
            source.table.columns().iter().take(12).map(|c| c.name.as_str()).collect();
        Failure::usage(format!("{}: there is no column {name}", source.table.spec()))
            .with_hint(format!("the columns are {}", names.join(", ")))
    })
}

fn is_numeric(source: &Source, column: usize) -> bool {
    matches!(source.table.columns()[column].kind, Kind::Number | Kind::Integer)
}

fn scan_options() -> ScanOptions {
    ScanOptions {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        ..ScanOptions::default()
    }
}

/// A numeric column, all of it.
fn read_numbers(file: &str, name: &str) -> Result<Vec<f64>, Failure> {
    let source = Source::open(file, &OpenOptions::default())?;
    let column = find_column(&source, name)?;
    let mut all = Vec::new();
    source.table.scan(
        &[Request { column, read_as: ReadAs::Numbers }],
        &scan_options(),
        |batch| {
            let x = batch.column(0).numbers().unwrap_or_default().to_vec();
            match x.iter().position(|x| x.is_nan()) {
                None => Ok(x),
                Some(row) => Err(xent_io::RowError {
                    row,
                    column: Some(name.to_owned()),
                    message: format!("column {name} is missing"),
                    hint: Some("a distribution has no missing values".to_owned()),
                }),
            }
        },
        |x, _| -> Result<(), xent_eval::Error> {
            all.extend(x);
            Ok(())
        },
    )?;
    Ok(all)
}

/// The texts of some columns, row by row; a missing value is its own text.
fn read_texts(
    source: &Source,
    columns: &[usize],
    mut each: impl FnMut(Vec<String>),
) -> Result<(), Failure> {
    let mut requests: Vec<Request> = Vec::new();
    for &column in columns {
        requests.push(Request { column, read_as: ReadAs::Text });
    }
    source.table.scan(
        &requests,
        &scan_options(),
        |batch| {
            let text = |i: usize, row: usize| {
                let value = batch.column(i).text().and_then(|t| t.get(row));
                value.unwrap_or("(missing)").to_owned()
            };
            Ok((0..batch.rows())
                .map(|row| (0..requests.len()).map(|i| text(i, row)).collect())
                .collect::<Vec<Vec<String>>>())
        },
        |rows, _| -> Result<(), xent_eval::Error> {
            rows.into_iter().for_each(&mut each);
            Ok(())
        },
    )?;
    Ok(())
}

/// The values of a column in order, and how often each occurs.
fn count_values(source: &Source, column: usize) -> Result<(Vec<String>, Vec<u64>), Failure> {
    let mut counts = std::collections::BTreeMap::new();
    read_texts(source, &[column], |row| {
        *counts.entry(row.into_iter().next().unwrap_or_default()).or_insert(0_u64) += 1;
    })?;
    Ok(counts.into_iter().unzip())
}

/// How often each pair of values occurs in two columns.
fn joint_counts(file: &str, a: &str, b: &str) -> Result<Vec<Vec<f64>>, Failure> {
    let source = Source::open(file, &OpenOptions::default())?;
    let columns = [find_column(&source, a)?, find_column(&source, b)?];
    let mut counts = std::collections::BTreeMap::new();
    if columns[0] == columns[1] {
        // One request serves both.
        read_texts(&source, &columns[..1], |row| {
            *counts.entry((row[0].clone(), row[0].clone())).or_insert(0_u64) += 1;
        })?;
    } else {
        read_texts(&source, &columns, |row| {
            *counts.entry((row[0].clone(), row[1].clone())).or_insert(0_u64) += 1;
        })?;
    }
    let mut keys: [Vec<&String>; 2] = [Vec::new(), Vec::new()];
    for (x, y) in counts.keys() {
        keys[0].push(x);
        keys[1].push(y);
    }
    for keys in &mut keys {
        keys.sort();
        keys.dedup();
    }
    let mut joint = vec![vec![0.0; keys[1].len()]; keys[0].len()];
    for ((x, y), &n) in &counts {
        if let (Ok(i), Ok(j)) = (keys[0].binary_search(&x), keys[1].binary_search(&y)) {
            joint[i][j] = n as f64;
        }
    }
    Ok(joint)
}
