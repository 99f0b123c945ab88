//! The command line, as data.

use std::path::{Path, PathBuf};

pub use crate::train_args::{PredictArgs, ShowArgs, TrainArgs};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// How good a probabilistic classifier is, in bits; which of two is better; whether that is luck.
#[derive(Parser)]
#[command(name = "xent", version, styles = STYLES, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  xent score predictions.csv
  xent compare logistic.csv forest.csv
  xent worst predictions.csv -n 10
  xent train voters.csv --target party -o model.json
  xent predict model.json voters.csv -o predictions.csv
  xent info kl 0.75,0.25 0.5,0.5

Exit codes: 0 done, 1 a --fail-if condition holds, 2 bad usage or bad input.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Scores of one or more prediction files: error rate, squared error, cross entropy in bits
    Score(Box<ScoreArgs>),
    /// Paired comparison of two or more models on the same rows
    Compare(Box<CompareArgs>),
    /// How far probabilities can be believed: reliability, a test of calibration, calibration errors by name
    Calibration(Box<crate::calibration::CalibrationArgs>),
    /// Fit a calibrator to predictions, or apply one: temperature, vector, Platt, beta, isotonic
    Calibrate(Box<crate::calibration::CalibrateArgs>),
    /// The worst rows, likely label errors among them, and where the loss lives
    Worst(Box<WorstArgs>),
    /// Train a classifier by cross entropy: logistic or softmax regression, to the optimum
    Train(Box<TrainArgs>),
    /// Probabilities of a trained model for the rows of a table
    Predict(Box<PredictArgs>),
    /// The coefficients of a trained model
    Show(ShowArgs),
    /// Calculators: content, entropy, cross entropy, KL, JS, mutual information, softmax
    Info(Box<crate::info::InfoArgs>),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory, made if it is not there
    Man {
        /// The directory
        directory: PathBuf,
    },
}

/// What the columns are and how rows are scored.
#[derive(Args)]
pub struct RowArgs {
    /// The label column [default: the column named label, labels, target, y, class or y_true, or the
    /// one text column whose values are class names]
    #[arg(long, value_name = "COL", help_heading = "Columns")]
    pub label: Option<String>,

    /// A file with the labels, if they are not in the predictions: its row i belongs to their row i.
    /// Its only column is the label; of several all stand beside the predictions
    #[arg(long, value_name = "FILE", help_heading = "Columns")]
    pub labels: Option<String>,

    /// Columns of soft or one-hot targets, one a class, instead of a label: a glob or a list; or one list
    /// column
    #[arg(long, value_name = "GLOB|LIST", conflicts_with = "label", help_heading = "Columns")]
    pub targets: Option<String>,

    /// Prediction columns: a glob such as 'p_*' or a list; or one list column, or one column for
    /// the positive class [default: by the prefix p_, prob_ or proba_ (under --input logits logit_, under
    /// log-probabilities logp_), or by class names]
    #[arg(long, value_name = "GLOB|LIST", help_heading = "Columns")]
    pub proba: Option<String>,

    /// The class that a single prediction column is about
    #[arg(long, value_name = "NAME", help_heading = "Columns")]
    pub positive: Option<String>,

    /// Names of the classes in the order of the predictions, for list columns and arrays; or in that of labels
    /// that are numbers from 0
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Columns")]
    pub classes: Option<Vec<String>>,

    /// Weight column: whole numbers count rows, other numbers are importances
    #[arg(long, value_name = "COL", help_heading = "Columns")]
    pub weight: Option<String>,

    /// Slice by these columns: one row of results each, worst first
    #[arg(long, value_name = "COL,…", value_delimiter = ',', help_heading = "Columns")]
    pub by: Vec<String>,

    /// Column that identifies a row: it stands beside a row in results, and rows of several files are
    /// matched by it
    #[arg(long, value_name = "COL", help_heading = "Columns")]
    pub id: Option<String>,

    /// What the predicted numbers are
    #[arg(long, value_enum, default_value_t = InputArg::Probabilities, help_heading = "Rows")]
    pub input: InputArg,

    /// Rows with a missing prediction, label or weight
    #[arg(long, value_enum, default_value_t = MissingArg::Error, help_heading = "Rows")]
    pub missing: MissingArg,

    /// Rows that do not sum to 1: strict (an error beyond 0.01, a note beyond 1e-6), divided by
    /// their sum, or scored as they are
    #[arg(long, value_enum, default_value_t = SumsArg::Strict, help_heading = "Rows")]
    pub sums: SumsArg,

    /// Raise probabilities below EPS to EPS and divide the row by its new sum
    #[arg(long, value_name = "EPS", value_parser = parse_clip, help_heading = "Rows")]
    pub clip: Option<f64>,

    /// Score against targets (1 - E) * label + E / classes
    #[arg(long, value_name = "E", value_parser = parse_share, help_heading = "Rows")]
    pub label_smoothing: Option<f64>,

    /// Also the share of rows whose true class is not among the first K
    #[arg(long, value_name = "K,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..), help_heading = "Rows")]
    pub top_k: Vec<u32>,

    /// Level of the intervals and of the tests
    #[arg(long, value_name = "L", default_value = "0.95", value_parser = parse_level, help_heading = "Rows")]
    pub level: f64,

    /// Threads [default: all]
    #[arg(long, value_name = "N", value_parser = parse_threads, help_heading = "Rows")]
    pub threads: Option<usize>,

    /// Rows in a batch; no result depends on it
    #[arg(long, value_name = "N", hide = true)]
    pub batch_rows: Option<usize>,

    /// Format of the input, where the name does not tell it
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Rows")]
    pub input_format: Option<FileFormatArg>,
}

/// Where results go.
#[derive(Args)]
pub struct OutputArgs {
    /// Form of the results [default: what the ending of --output says, .json, .csv or .md, else table]
    #[arg(long, value_enum, global = true, help_heading = "Output")]
    pub format: Option<FormatArg>,

    /// Write the results to a file, whole or not at all
    #[arg(short, long, value_name = "FILE", global = true, help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Colour on the terminal; NO_COLOR and CLICOLOR_FORCE are honoured too
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, global = true, help_heading = "Output")]
    pub color: ColorArg,

    /// No progress on the terminal
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
}

impl OutputArgs {
    /// The form that is asked for, or that the name of the output asks for.
    pub fn form(&self) -> FormatArg {
        let by_name = || match ending(self.output.as_deref()?).as_str() {
            "json" => Some(FormatArg::Json),
            "csv" => Some(FormatArg::Csv),
            "md" | "markdown" => Some(FormatArg::Md),
            _ => None,
        };
        self.format.or_else(by_name).unwrap_or(FormatArg::Table)
    }
}

/// What a file's name ends with after its last dot, in lower case.
pub fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

#[derive(Args)]
pub struct ScoreArgs {
    /// Prediction files: CSV, TSV (also .gz, .zst), JSON Lines, Parquet, Arrow, .npy, .npz,
    /// .safetensors; a quoted glob or a directory of part files; '-' for standard input; name=path names the model
    #[arg(required = true, value_name = "PREDICTIONS")]
    pub predictions: Vec<String>,

    /// Models side by side in one file, as in 'm1=p1_*,m2=p2_*'
    #[arg(long, value_name = "NAME=GLOB,…", conflicts_with = "proba", help_heading = "Columns")]
    pub models: Vec<String>,

    #[command(flatten)]
    pub rows: RowArgs,

    /// The confusion matrix
    #[arg(long, help_heading = "More results")]
    pub confusion: bool,

    /// Scores of the rows of each true class
    #[arg(long, help_heading = "More results")]
    pub per_class: bool,

    /// The parts of the scores in other forms: each class against the rest, the top label, in bins, bias-corrected
    #[arg(long, help_heading = "More results")]
    pub decomposition: bool,

    /// The parts of the scores also with each row recalibrated by the rows of other folds, K in all
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..), help_heading = "More results")]
    pub folds: Option<u32>,

    /// Write each row's id, label, losses and surprisal in bits to a CSV or Parquet file
    #[arg(long, value_name = "OUT", help_heading = "More results")]
    pub per_row: Option<PathBuf>,

    /// Also what another tool would print for these rows, and why it differs
    #[arg(long = "as", value_enum, value_name = "TOOL", help_heading = "More results")]
    pub like: Option<PeerArg>,

    /// Exit with 1 if this holds of a model, as in 'cross_entropy > 1.2'
    #[arg(long, value_name = "CONDITION", help_heading = "More results")]
    pub fail_if: Vec<String>,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Args)]
pub struct CompareArgs {
    /// Two or more prediction files over the same rows, or one with --models or --model-col;
    /// name=path names the model
    #[arg(required = true, value_name = "PREDICTIONS")]
    pub predictions: Vec<String>,

    /// Models side by side in one file, as in 'm1=p1_*,m2=p2_*'
    #[arg(long, value_name = "NAME=GLOB,…", conflicts_with_all = ["proba", "model_col"], help_heading = "Columns")]
    pub models: Vec<String>,

    /// Models stacked in one file: the column that names the model
    #[arg(long, value_name = "COL", help_heading = "Columns")]
    pub model_col: Option<String>,

    /// The model that the others are compared with [default: the first]
    #[arg(long, value_name = "NAME", help_heading = "More results")]
    pub baseline: Option<String>,

    /// The parts of the scores also with each row recalibrated by the rows of other folds, K in all [default: 10 folds,
    /// for the gap after recalibration]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..), help_heading = "More results")]
    pub folds: Option<u32>,

    #[command(flatten)]
    pub rows: RowArgs,

    /// Exit with 1 if a model is 'worse' than the baseline beyond luck, or if a condition such as
    /// 'cross_entropy > 1.2' holds of a model
    #[arg(long, value_name = "CONDITION", help_heading = "More results")]
    pub fail_if: Vec<String>,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  xent worst predictions.csv --id case          the 20 rows of highest loss, with all their columns
  xent worst predictions.csv --by region        also which regions the loss comes from
  xent worst predictions.csv --floors           the loss with floors on the probabilities
  xent worst old.csv new.csv                    where one loses most against the other")]
pub struct WorstArgs {
    /// One prediction file, or two over the same rows in the same order; name=path names the model
    #[arg(required = true, value_name = "PREDICTIONS")]
    pub predictions: Vec<String>,

    /// Models side by side in one file, as in 'm1=p1_*,m2=p2_*'
    #[arg(long, value_name = "NAME=GLOB,…", conflicts_with = "proba", help_heading = "Columns")]
    pub models: Vec<String>,

    #[command(flatten)]
    pub rows: RowArgs,

    /// Rows listed
    #[arg(short, value_name = "N", default_value = "20", value_parser = parse_listed, help_heading = "More results")]
    pub n: usize,

    /// Also the loss with a floor on the probabilities, as --clip does it
    /// [default: 1e-15,1e-12,1e-9,1e-6,1e-4,1e-3,1e-2]
    #[arg(long, value_name = "EPS,…", num_args = 0.., require_equals = true, value_delimiter = ',', value_parser = parse_clip, help_heading = "More results")]
    pub floors: Option<Vec<f64>>,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputArg {
    Probabilities,
    LogProbabilities,
    Logits,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PeerArg {
    Sklearn,
    Yardstick,
    Torchmetrics,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MissingArg {
    Error,
    Drop,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SumsArg {
    Strict,
    Normalize,
    AsIs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    Table,
    Json,
    Csv,
    Md,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormatArg {
    Csv,
    Tsv,
    Jsonl,
    Parquet,
    Arrow,
    Npy,
    Npz,
    Safetensors,
    Svmlight,
}

pub fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>().map_err(|_| "not a number".to_owned())
}

fn parse_clip(text: &str) -> Result<f64, String> {
    let x = number(text)?;
    if x > 0.0 && x < 0.5 { Ok(x) } else { Err("must be above 0 and below 0.5".to_owned()) }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let x = number(text)?;
    if (0.0..1.0).contains(&x) { Ok(x) } else { Err("must be from 0 to below 1".to_owned()) }
}

pub fn parse_level(text: &str) -> Result<f64, String> {
    let x = number(text)?;
    if x > 0.0 && x < 1.0 { Ok(x) } else { Err("must be between 0 and 1, such as 0.95".to_owned()) }
}

fn parse_listed(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=100_000) => Ok(n),
        _ => Err("must be from 1 to 100000".to_owned()),
    }
}

pub fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err("must be from 1 to 1024".to_owned()),
    }
}
