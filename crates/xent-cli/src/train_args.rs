//! The command line of `train`, `predict` and `show`, as data.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{ColorArg, FileFormatArg, FormatArg, number, parse_level, parse_threads};

#[derive(Args)]
#[command(after_help = "\
The objective is mean loss (nats) + l2/2 * sum(coef^2) + l1 * sum(|coef|): the intercept is free, coefficients are those of
standardised columns unless --no-standardize says otherwise. Without a penalty option there is none.")]
#[expect(clippy::struct_excessive_bools, reason = "one a flag")]
pub struct TrainArgs {
    /// The rows to train on: CSV, TSV (also .gz, .zst), JSON Lines, Parquet, Arrow, .npy, .npz,
    /// .safetensors, svmlight (.svm); a quoted glob or a directory of part files; '-' for standard input
    #[arg(value_name = "DATA")]
    pub data: String,

    /// The column of the classes: text, whole numbers, or true and false
    #[arg(long, value_name = "COL", help_heading = "Columns")]
    pub target: Option<String>,

    /// A file with the classes, if they are not in DATA: its row i belongs to row i there. Its only
    /// column is the target; of several all stand beside DATA
    #[arg(long, value_name = "FILE", help_heading = "Columns")]
    pub labels: Option<String>,

    /// All classes in their order, also such that no row has [default: those of the rows, sorted]
    #[arg(
        long,
        value_name = "CLASS,…",
        value_delimiter = ',',
        conflicts_with = "targets",
        help_heading = "Columns"
    )]
    pub classes: Vec<String>,

    /// Columns of soft targets, one a class, instead of classes: a glob or a list
    #[arg(long, value_name = "GLOB|LIST", conflicts_with = "target", help_heading = "Columns")]
    pub targets: Option<String>,

    /// The features: globs or a list [default: all columns without another role]
    #[arg(long, value_name = "GLOB|LIST", help_heading = "Columns")]
    pub features: Option<String>,

    /// Columns that are no features: globs or a list
    #[arg(long, value_name = "GLOB|LIST", help_heading = "Columns")]
    pub drop: Option<String>,

    /// Columns of numbers that are categories: globs or a list
    #[arg(long, value_name = "GLOB|LIST", help_heading = "Columns")]
    pub categorical: Option<String>,

    /// The level of a category whose coefficient is 0 [default: the first in order]
    #[arg(long, value_name = "COL=LEVEL", value_parser = parse_pair, help_heading = "Columns")]
    pub reference: Vec<(String, String)>,

    /// Levels of fewer rows share one coefficient
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Columns")]
    pub min_count: u64,

    /// Missing values: an error with counts by column, rows left out, or a mean with a column that
    /// says where (a level of its own for categories)
    #[arg(long, value_enum, default_value_t = MissingPolicyArg::Error, help_heading = "Columns")]
    pub missing: MissingPolicyArg,

    /// Weight column
    #[arg(long, value_name = "COL", help_heading = "Columns")]
    pub weight: Option<String>,

    /// Columns added to the scores: one a class, or one of two classes
    #[arg(long, value_name = "GLOB|LIST", help_heading = "Columns")]
    pub offset: Option<String>,

    /// Columns that identify a row: no features, and kept by --oof
    #[arg(long, value_name = "COL,…", value_delimiter = ',', help_heading = "Columns")]
    pub id: Vec<String>,

    /// Softmax over the classes, or a sigmoid for each class by itself
    #[arg(long, value_enum, default_value_t = HeadArg::Softmax, help_heading = "Model")]
    pub head: HeadArg,

    /// What is minimised; both, with a comma, from the same start, for comparison
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "cross-entropy",
        help_heading = "Model"
    )]
    pub loss: Vec<LossArg>,

    /// Ridge penalty
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_penalty, help_heading = "Model")]
    pub l2: Option<f64>,

    /// Lasso penalty
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_penalty, help_heading = "Model")]
    pub l1: Option<f64>,

    /// Ridge penalty as scikit-learn says it: l2 = 1 / (C * sum of the weights), of rows without weights their number
    #[arg(long = "C", value_name = "C", allow_negative_numbers = true, value_parser = parse_positive, conflicts_with = "l2", help_heading = "Model")]
    pub c: Option<f64>,

    /// Multiplies the penalties of a column's coefficients; 0 frees them
    #[arg(long, value_name = "COL=X", value_parser = parse_factor, help_heading = "Model")]
    pub penalty_factor: Vec<(String, f64)>,

    /// Weights of the classes: 'balanced', or a list of CLASS=WEIGHT
    #[arg(long, value_name = "balanced|CLASS=X,…", help_heading = "Model")]
    pub class_weight: Option<String>,

    /// Penalise coefficients per unit of their column, not per standard deviation
    #[arg(long, help_heading = "Model")]
    pub no_standardize: bool,

    /// No intercept
    #[arg(long, help_heading = "Model")]
    pub no_intercept: bool,

    /// The way to the optimum
    #[arg(long, value_enum, default_value_t = SolverArg::Auto, help_heading = "Solver")]
    pub solver: SolverArg,

    /// Stop when the objective is within this of its minimum, relative to it [default: 1e-12, and
    /// 1e-22 for small data, so that coefficients have their digits too]
    #[arg(long, value_name = "GAP", allow_negative_numbers = true, value_parser = parse_tolerance, help_heading = "Solver")]
    pub tolerance: Option<f64>,

    /// Stop after so many iterations
    #[arg(long, value_name = "N", default_value_t = 10_000, help_heading = "Solver")]
    pub max_iterations: usize,

    /// Step of gd, sgd and saga [default: by the curvature of the problem]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_positive, help_heading = "Solver")]
    pub learning_rate: Option<f64>,

    /// Rows in a batch of sgd [default: 32]
    #[arg(long, value_name = "N", help_heading = "Solver")]
    pub batch: Option<usize>,

    /// gd and sgd step on the columns as they are, not on standardised ones
    #[arg(long, help_heading = "Solver")]
    pub raw_coordinates: bool,

    /// Every coefficient and every intercept at the start
    #[arg(long, value_name = "W,B", value_parser = parse_start, allow_hyphen_values = true, help_heading = "Solver")]
    pub start: Option<(f64, f64)>,

    /// Threads; no result depends on it [default: all]
    #[arg(long, value_name = "N", value_parser = parse_threads, help_heading = "Solver")]
    pub threads: Option<usize>,

    /// Hold the rows in a temporary file instead of in memory, for data larger than that: the same
    /// model, to the bit. The file goes to TMPDIR, or to /var/tmp
    #[arg(long, help_heading = "Solver")]
    pub out_of_core: bool,

    /// Write the state of the fit to a file every so often, and where it ends
    #[arg(long, value_name = "FILE", help_heading = "Solver")]
    pub checkpoint: Option<PathBuf>,

    /// Go on from a checkpoint of the same fit; the model has the same bits as if it had never stopped
    #[arg(long, value_name = "FILE", help_heading = "Solver")]
    pub resume: Option<PathBuf>,

    /// Train on all but this share of the rows, and score those
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = parse_share_inside, conflicts_with = "folds", help_heading = "Test")]
    pub holdout: Option<f64>,

    /// Score each row by a model of the other folds; the model itself is trained on all rows
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..), help_heading = "Test")]
    pub folds: Option<u32>,

    /// Rows of the same value are tested together
    #[arg(long, value_name = "COL", help_heading = "Test")]
    pub group: Option<String>,

    /// Rows are tested by models of earlier rows only
    #[arg(long, value_name = "COL", conflicts_with = "group", help_heading = "Test")]
    pub time: Option<String>,

    /// Write the predictions for tested rows to a CSV, JSON Lines or Parquet file, as xent compare
    /// reads them
    #[arg(long, value_name = "OUT", help_heading = "Test")]
    pub oof: Option<PathBuf>,

    /// Seed of the division into folds, and of what sgd and saga draw
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Test")]
    pub seed: u64,

    /// Level of the intervals of test scores [default: 0.95]
    #[arg(long, value_name = "L", value_parser = parse_level, help_heading = "Test")]
    pub level: Option<f64>,

    /// Write the model to a file, whole or not at all
    #[arg(short, long, value_name = "MODEL", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Write every iteration's loss, error rate, gradient norm and time to a CSV file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub history: Option<PathBuf>,

    /// Draw the loss of every iteration, on the terminal and in an SVG file
    #[arg(long, value_name = "FILE.svg", help_heading = "Output")]
    pub plot: Option<PathBuf>,

    /// Form of the results
    #[arg(long, value_enum, default_value_t = TrainFormatArg::Table, help_heading = "Output")]
    pub format: TrainFormatArg,

    /// Colour on the terminal; NO_COLOR and CLICOLOR_FORCE are honoured too
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, help_heading = "Output")]
    pub color: ColorArg,

    /// No progress on the terminal
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,

    /// Format of the input, where the name does not tell it
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Columns")]
    pub input_format: Option<FileFormatArg>,

    /// Rows in a batch; no result depends on it
    #[arg(long, value_name = "N", hide = true)]
    pub batch_rows: Option<usize>,
}

#[derive(Args)]
pub struct PredictArgs {
    /// The model file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,

    /// The rows to predict, in any format that xent reads
    #[arg(value_name = "DATA")]
    pub data: String,

    /// Write the predictions to a file that ends in .csv, .tsv, .jsonl or .parquet, whole or not at all
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,

    /// Columns that are kept
    #[arg(long, value_name = "COL,…", value_delimiter = ',')]
    pub id: Vec<String>,

    /// Also the sigmoid of each class by itself, as raw_CLASS: of models with --head sigmoid
    #[arg(long)]
    pub raw: bool,

    /// Levels, svmlight indices and classes that training did not see: an error; or the level counts
    /// as the reference, the index for nothing, the class is kept as the label; all counted
    #[arg(long, value_enum, default_value_t = UnseenArg::Error)]
    pub unseen: UnseenArg,

    /// Missing values where training had none: an error, or rows left out and counted
    #[arg(long, value_enum, default_value_t = crate::args::MissingArg::Error)]
    pub missing: crate::args::MissingArg,

    /// Threads; no result depends on it [default: all]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<usize>,

    /// No progress on the terminal
    #[arg(short, long)]
    pub quiet: bool,

    /// Colour on the terminal; NO_COLOR and CLICOLOR_FORCE are honoured too
    #[arg(long, value_enum, default_value_t = ColorArg::Auto)]
    pub color: ColorArg,

    /// Format of the input, where the name does not tell it
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub input_format: Option<FileFormatArg>,

    /// Rows in a batch; no result depends on it
    #[arg(long, value_name = "N", hide = true)]
    pub batch_rows: Option<usize>,
}

#[derive(Args)]
pub struct ShowArgs {
    /// The model file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,

    #[command(flatten)]
    pub output: crate::args::OutputArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MissingPolicyArg {
    Error,
    Drop,
    Indicator,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeadArg {
    Softmax,
    Sigmoid,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LossArg {
    CrossEntropy,
    Mse,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SolverArg {
    Auto,
    Gd,
    Sgd,
    Lbfgs,
    Newton,
    NewtonCg,
    Irls,
    Saga,
    Cd,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnseenArg {
    Error,
    Reference,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrainFormatArg {
    Table,
    Json,
}

impl TrainFormatArg {
    pub fn format(self) -> FormatArg {
        match self {
            Self::Table => FormatArg::Table,
            Self::Json => FormatArg::Json,
        }
    }
}

fn parse_penalty(text: &str) -> Result<f64, String> {
    let x = number(text)?;
    if x >= 0.0 && x.is_finite() {
        Ok(x)
    } else {
        Err("must be finite and not negative".to_owned())
    }
}

fn parse_positive(text: &str) -> Result<f64, String> {
    let x = number(text)?;
    if x > 0.0 && x.is_finite() { Ok(x) } else { Err("must be finite and above 0".to_owned()) }
}

fn parse_tolerance(text: &str) -> Result<f64, String> {
    let x = number(text)?;
    if (0.0..1.0).contains(&x) { Ok(x) } else { Err("must be from 0 to below 1".to_owned()) }
}

fn parse_share_inside(text: &str) -> Result<f64, String> {
    let x = number(text)?;
    if x > 0.0 && x < 1.0 { Ok(x) } else { Err("must be between 0 and 1, such as 0.2".to_owned()) }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(column, _)| !column.is_empty());
    let (column, value) = pair.ok_or("must be COL=VALUE")?;
    Ok((column.to_owned(), value.to_owned()))
}

fn parse_factor(text: &str) -> Result<(String, f64), String> {
    let (column, factor) = parse_pair(text)?;
    Ok((column, parse_penalty(&factor)?))
}

fn parse_start(text: &str) -> Result<(f64, f64), String> {
    let (w, b) =
        text.split_once(',').ok_or("must be a coefficient and an intercept, as in 0.6,0.9")?;
    let (w, b) = (number(w)?, number(b)?);
    if w.is_finite() && b.is_finite() { Ok((w, b)) } else { Err("must be finite".to_owned()) }
}
