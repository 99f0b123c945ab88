//! Which column is what: predictions, label, weight, slices, identity.
//!
//! Classes come from the prediction columns and are bound to labels by name, never by position or
//! by which labels happen to occur. What is not said is looked for in the column names and in the
//! first thousand rows; what is found is shown to the user, and what is ambiguous is an error.

use std::collections::{HashMap, HashSet};

use xent::rows::Input;
use xent_io::{ColumnInfo, Format, Kind, Table};

use crate::classes::{Classes, is_whole, opposite, truth};
use crate::error::Error;

/// What the user said about the columns.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// The label column.
    pub label: Option<String>,
    /// Columns of soft or one-hot targets: a glob or a list.
    pub targets: Option<String>,
    /// Prediction columns: a glob or a list, or one list column.
    pub proba: Option<String>,
    /// The class that a single prediction column is about.
    pub positive: Option<String>,
    /// Names of the classes, in the order of the predictions.
    pub classes: Option<Vec<String>>,
    /// The weight column.
    pub weight: Option<String>,
    /// Columns to slice by.
    pub by: Vec<String>,
    /// The column that identifies a row.
    pub id: Option<String>,
    /// Models side by side in one file: a name and the prediction columns of each.
    pub models: Vec<(String, String)>,
    /// The column that names the model, for models stacked in one file.
    pub model_col: Option<String>,
    /// What the predicted numbers are.
    pub input: Input,
}

/// Which columns of a table play which role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The classes, in the order of the first model's prediction columns.
    pub classes: Vec<String>,
    /// The prediction columns of each model; one, unless models stand side by side.
    pub models: Vec<ModelColumns>,
    /// What was true.
    pub target: TargetColumns,
    /// The class of label 0, of label 1 and so on, where labels are positions in [`Roles::classes`]: these are said,
    /// none of them is a number, and the labels that are looked at are whole numbers. `None` if labels are names.
    pub positions: Option<Vec<String>>,
    /// Weight column.
    pub weight: Option<usize>,
    /// Slice columns.
    pub by: Vec<usize>,
    /// Identity column.
    pub id: Option<usize>,
    /// Column that names the model.
    pub model_col: Option<usize>,
}

/// Where one model's predictions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelColumns {
    /// The model's name, where the file holds several.
    pub name: Option<String>,
    /// The columns.
    pub columns: PredictionColumns,
    /// For each class of the binding, its place in this model's own order.
    pub to_own: Vec<u32>,
}

/// The layout of predictions in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PredictionColumns {
    /// One column a class.
    PerClass(Vec<usize>),
    /// One column of lists.
    List(usize),
    /// One column, about the second of two classes.
    Positive(usize),
}

/// Where the truth is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetColumns {
    /// A column of class names.
    Label(usize),
    /// One column a class, in the order of the classes: probabilities, or 0 and 1.
    PerClass(Vec<usize>),
    /// One column of lists, each a distribution or ones and zeros.
    List {
        /// The column.
        column: usize,
        /// For each class of the binding, its place in the lists: that in [`Roles::classes`], or else that among
        /// the predictions.
        to_own: Vec<u32>,
    },
    /// Nowhere: predictions that are not scored ([`Roles::bind_unlabelled`]).
    Absent,
}

/// Names a label column may have without being named.
pub const LABEL_NAMES: [&str; 6] = ["label", "labels", "target", "y", "class", "y_true"];
/// The prefix of columns of soft targets that are not named.
pub const TARGET_PREFIX: &str = "t_";
/// Prefixes of probability columns.
const PREFIXES: [&str; 3] = ["p_", "prob_", "proba_"];
/// Prefixes of columns of logarithms.
const LOG_PREFIXES: [&str; 2] = ["logp_", "log_prob_"];
/// Prefixes of columns of logits.
const LOGIT_PREFIXES: [&str; 2] = ["logit_", "logits_"];
/// All kinds of input.
const INPUTS: [Input; 3] = [Input::Probabilities, Input::LogProbabilities, Input::Logits];
/// Names a single column of positive-class probabilities may have.
const SINGLE_NAMES: [&str; 9] =
    ["p", "prob", "proba", "probability", "y_proba", "y_prob", "y_pred", "score", "logit"];
/// Sample rows that must sum to 1 for unnamed columns to be taken as probabilities.
const SUM_TOLERANCE: f64 = 0.01;
/// Column names listed in a message.
const LISTED: usize = 12;

/// A class name in one spelling: `1`, `1.0` and `01` are the class 1, a blank around a name is not
/// part of it.
pub fn canonical(name: &str) -> String {
    let name = name.trim();
    if name.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'-' || b == b'+')
        && let Ok(x) = name.parse::<f64>()
        && x.trunc() == x
        && x.abs() < 9e15
    {
        return format!("{}", x as i64);
    }
    name.to_owned()
}

impl Roles {
    /// Finds the columns of a table.
    ///
    /// # Errors
    ///
    /// A column that is not there, no or several candidates for a role, classes that do not fit.
    pub fn bind(&self, table: &Table) -> Result<Binding, Error> {
        Finder { roles: self, table, needs_label: true }.bind()
    }

    /// The same, for predictions that need not be scored: what was true is [`TargetColumns::Absent`] if no
    /// column of it is found.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), but for a missing label.
    pub fn bind_unlabelled(&self, table: &Table) -> Result<Binding, Error> {
        Finder { roles: self, table, needs_label: false }.bind()
    }
}

struct Finder<'a> {
    roles: &'a Roles,
    table: &'a Table,
    needs_label: bool,
}

fn error(table: &Table, message: impl std::fmt::Display) -> Error {
    Error::new(format!("{}: {message}", table.spec()))
}

/// The columns for a hint, at most a dozen.
pub(crate) fn list_columns(table: &Table) -> String {
    let columns = table.columns();
    let names: Vec<&str> = columns.iter().take(LISTED).map(|c| c.name.as_str()).collect();
    let more = if columns.len() > LISTED { ", …" } else { "" };
    format!("the columns are {}{more}", names.join(", "))
}

/// The column of a name.
pub(crate) fn find_column(table: &Table, name: &str) -> Result<usize, Error> {
    table.columns().iter().position(|c| c.name == name).ok_or_else(|| {
        error(table, format_args!("there is no column {name}")).with_hint(list_columns(table))
    })
}

/// Columns by a glob or a comma-separated list, each once, and what the pattern's star stands for in each.
pub(crate) fn select_columns(table: &Table, spec: &str) -> Result<Vec<(usize, String)>, Error> {
    let mut chosen: Vec<(usize, String)> = Vec::new();
    let mut seen: HashSet<usize> = HashSet::new();
    for part in spec.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        if let Some(column) = table.columns().iter().position(|c| c.name == part) {
            seen.insert(column);
            chosen.push((column, part.to_owned()));
            continue;
        }
        let pattern = glob::Pattern::new(part).map_err(|e| {
            error(table, format_args!("the pattern {part} is not a glob: {}", e.msg))
                .with_hint("write a glob such as 'p_*', or a list of column names")
        })?;
        let before = chosen.len();
        for (column, info) in table.columns().iter().enumerate() {
            if pattern.matches(&info.name) && seen.insert(column) {
                chosen.push((column, strip(part, &info.name).to_owned()));
            }
        }
        if chosen.len() == before {
            return Err(error(table, format_args!("no column matches {part}"))
                .with_hint(list_columns(table)));
        }
    }
    if chosen.is_empty() {
        return Err(error(table, "no column is named").with_hint(list_columns(table)));
    }
    Ok(chosen)
}

/// The same for columns that are one a class: a plain list of names still may share a prefix.
pub(crate) fn select_classes(table: &Table, spec: &str) -> Result<Vec<(usize, String)>, Error> {
    let mut chosen = select_columns(table, spec)?;
    let mut prefixes = all_prefixes().chain([TARGET_PREFIX]);
    if chosen.len() > 1
        && chosen.iter().all(|(c, n)| table.columns()[*c].name == *n)
        && let Some(prefix) = prefixes.find(|prefix| {
            chosen.iter().all(|(_, n)| n.len() > prefix.len() && n.starts_with(prefix))
        })
    {
        for (_, name) in &mut chosen {
            *name = name[prefix.len()..].to_owned();
        }
    }
    Ok(chosen)
}

/// Prediction columns found, with the class names they carry.
struct Found {
    columns: PredictionColumns,
    classes: Vec<String>,
}

impl Finder<'_> {
    fn bind(&self) -> Result<Binding, Error> {
        let roles = self.roles;
        let optional = |name: &Option<String>| name.as_ref().map(|n| self.column(n)).transpose();
        let weight = optional(&roles.weight)?;
        let id = optional(&roles.id)?;
        let model_col = optional(&roles.model_col)?;
        let by = roles.by.iter().map(|n| self.column(n)).collect::<Result<Vec<_>, _>>()?;
        let targets = roles.targets.as_ref().map(|t| select_classes(self.table, t)).transpose()?;
        let mut label = self.named_label()?;
        // A slice column may be the label as well, if nothing else can be.
        let mut taken: Vec<usize> = [weight, id, model_col, label].into_iter().flatten().collect();
        taken.extend(targets.iter().flat_map(|t| t.iter().map(|(c, _)| *c)));

        let found: Vec<(Option<String>, Found)> = if roles.models.is_empty() {
            vec![(None, self.predictions(roles.proba.as_deref(), &taken, &mut label)?)]
        } else {
            let each = |(name, spec): &(String, String)| {
                let found = self.predictions(Some(spec), &taken, &mut label.clone())?;
                Ok((Some(name.clone()), found))
            };
            roles.models.iter().map(each).collect::<Result<Vec<_>, Error>>()?
        };
        if roles.positive.is_some()
            && let Some((_, several)) =
                found.iter().find(|(_, f)| !matches!(f.columns, PredictionColumns::Positive(_)))
        {
            let n = several.classes.len();
            return Err(self
                .error(format_args!("a positive class is named, but the predictions are of {n}"))
                .with_hint("--positive goes with one prediction column: name it with --proba"));
        }
        let classes = found[0].1.classes.clone();
        let target = if let Some(targets) = targets {
            self.target_columns(&targets, &classes)?
        } else {
            match label.map_or_else(|| self.label_by_values(&classes, &taken), Ok) {
                Ok(label) => TargetColumns::Label(label),
                Err(error) => match self.prefixed_targets(&classes, &taken) {
                    Some(targets) => targets,
                    None if !self.needs_label => TargetColumns::Absent,
                    None => return Err(error),
                },
            }
        };
        let models = found
            .into_iter()
            .map(|(name, found)| {
                let to_own = self.order(&classes, &found.classes)?;
                Ok(ModelColumns { name, columns: found.columns, to_own })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let positions = match target {
            TargetColumns::Label(label) => self.positions(&classes, label),
            _ => None,
        };
        Ok(Binding { classes, models, target, positions, weight, by, id, model_col })
    }

    /// See [`Binding::positions`]. Decided once, so that a label is not a name here and a number there.
    fn positions(&self, classes: &[String], label: usize) -> Option<Vec<String>> {
        let said = self.roles.classes.as_ref()?;
        let are_names = classes.iter().any(|class| is_whole(class));
        (!are_names && all_present(&self.table.sample().text(label), is_whole))
            .then(|| said.clone())
    }

    fn name(&self, column: usize) -> &str {
        &self.table.columns()[column].name
    }

    fn error(&self, message: impl std::fmt::Display) -> Error {
        error(self.table, message)
    }

    fn list(&self) -> String {
        list_columns(self.table)
    }

    fn column(&self, name: &str) -> Result<usize, Error> {
        find_column(self.table, name)
    }

    fn is_numeric(&self, column: usize) -> bool {
        matches!(self.table.columns()[column].kind, Kind::Number | Kind::Integer)
    }

    fn named_label(&self) -> Result<Option<usize>, Error> {
        if let Some(name) = &self.roles.label {
            let is_file = || std::path::Path::new(name).is_file();
            return match self.column(name) {
                Err(error) if is_file() => {
                    Err(error.with_hint(format!("name a file of labels with --labels {name}")))
                }
                column => column.map(Some),
            };
        }
        if self.roles.targets.is_some() {
            return Ok(None);
        }
        let named: Vec<usize> = LABEL_NAMES
            .iter()
            .filter_map(|n| self.table.columns().iter().position(|c| c.name == *n))
            .collect();
        match named[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [a, b, ..] => Err(self
                .error(format_args!(
                    "columns {} and {} could both be the label",
                    self.name(a),
                    self.name(b)
                ))
                .with_hint("name it with --label")),
        }
    }

    /// Finds prediction columns, in the order: said, prefixed, a list, named as classes, alone.
    fn predictions(
        &self,
        spec: Option<&str>,
        taken: &[usize],
        label: &mut Option<usize>,
    ) -> Result<Found, Error> {
        if let Some(spec) = spec {
            let chosen = select_classes(self.table, spec)?;
            if let [(column, name)] = &chosen[..] {
                return self.single(*column, name, label, taken);
            }
            return self.per_class(chosen);
        }
        let free: Vec<usize> =
            (0..self.table.columns().len()).filter(|c| !taken.contains(c)).collect();
        if let Some(found) = self.prefixed(&free, label, taken)? {
            return Ok(found);
        }
        let lists: Vec<usize> = free
            .iter()
            .copied()
            .filter(|&c| matches!(self.table.columns()[c].kind, Kind::List { .. }))
            .collect();
        match lists[..] {
            [] => {}
            [one] => return self.single(one, self.name(one), label, taken),
            _ => {
                return Err(self
                    .error("several columns are lists of numbers")
                    .with_hint("name the predictions with --proba"));
            }
        }
        if let Some(found) = self.named_as_targets(&free)? {
            return Ok(found);
        }
        if let Some(found) = self.named_as_classes(&free, label)? {
            return Ok(found);
        }
        let numeric: Vec<usize> = free
            .iter()
            .copied()
            .filter(|&c| self.is_numeric(c) && !self.roles.by.iter().any(|by| by == self.name(c)))
            .collect();
        let single: Vec<usize> =
            numeric.iter().copied().filter(|&c| SINGLE_NAMES.contains(&self.name(c))).collect();
        match (&single[..], &numeric[..]) {
            ([one], _) => self.single(*one, self.name(*one), label, taken),
            ([], [one]) if self.roles.positive.is_some() || self.is_bare_array(*one) => {
                self.single(*one, self.name(*one), label, taken)
            }
            _ => {
                let hint = self.where_predictions_are(&free, &numeric, *label);
                Err(self.error("no prediction columns found").with_hint(hint))
            }
        }
    }

    /// Whether a column is the whole of a one-dimensional array, which has no name.
    fn is_bare_array(&self, column: usize) -> bool {
        self.table.format() == Format::Npy && !self.table.is_beside(column)
    }

    /// What to try where no predictions are found.
    fn where_predictions_are(
        &self,
        free: &[usize],
        numeric: &[usize],
        label: Option<usize>,
    ) -> String {
        if let Some(why) = free.iter().find_map(|&c| self.table.refusal(c)) {
            return why.to_owned();
        }
        let declared = self.roles.input;
        for input in INPUTS.into_iter().filter(|input| *input != declared) {
            let is_named = |prefix: &&&str| {
                numeric.iter().any(|&c| {
                    self.name(c).len() > prefix.len() && self.name(c).starts_with(**prefix)
                })
            };
            let Some(prefix) = prefixes(input).iter().find(is_named) else { continue };
            let holds = input.name();
            return match input {
                Input::Probabilities => format!(
                    "columns named {prefix}… hold {holds}: leave out --input {declared}; if they hold \
                     {declared}, add --proba '{prefix}*'",
                    declared = declared.name()
                ),
                _ => format!("columns named {prefix}… hold {holds}: add --input {holds}"),
            };
        }
        if let ([one], Some(label)) = (numeric, label)
            && let labels = self.table.sample().text(label)
            && let name = canonical(self.name(*one))
            && labels.iter().flatten().any(|v| canonical(v) == name)
        {
            return format!(
                "if column {name} holds the probability of class {name}, add --proba {name}"
            );
        }
        format!("name them with --proba, such as --proba 'p_*'; {}", self.list())
    }

    fn prefixed(
        &self,
        free: &[usize],
        label: &mut Option<usize>,
        taken: &[usize],
    ) -> Result<Option<Found>, Error> {
        let mut groups: Vec<Vec<(usize, String)>> = Vec::new();
        for prefix in prefixes(self.roles.input) {
            let group: Vec<(usize, String)> = free
                .iter()
                .filter(|&&c| self.name(c).len() > prefix.len() && self.name(c).starts_with(prefix))
                .map(|&c| (c, self.name(c)[prefix.len()..].to_owned()))
                .collect();
            if !group.is_empty() {
                groups.push(group);
            }
        }
        match groups.len() {
            0 => Ok(None),
            1 => {
                let group = groups.remove(0);
                if let [(column, _)] = &group[..] {
                    return self.single(*column, self.name(*column), label, taken).map(Some);
                }
                self.per_class(group).map(Some)
            }
            _ => Err(self
                .error(format_args!(
                    "both {} and {} could be predictions",
                    self.name(groups[0][0].0),
                    self.name(groups[1][0].0)
                ))
                .with_hint("name them with --proba")),
        }
    }

    /// Columns named as the classes of the targets.
    fn named_as_targets(&self, free: &[usize]) -> Result<Option<Found>, Error> {
        let Some(targets) = &self.roles.targets else { return Ok(None) };
        let classes: HashSet<String> =
            select_classes(self.table, targets)?.iter().map(|(_, name)| canonical(name)).collect();
        let chosen: Vec<(usize, String)> = free
            .iter()
            .filter(|&&c| self.is_numeric(c) && classes.contains(&canonical(self.name(c))))
            .map(|&c| (c, self.name(c).to_owned()))
            .collect();
        if chosen.len() == classes.len() { self.per_class(chosen).map(Some) } else { Ok(None) }
    }

    /// Of several candidates for the label those that are not slice columns, if there are any.
    fn not_sliced(&self, candidates: Vec<usize>) -> Vec<usize> {
        let is_sliced = |c: &usize| self.roles.by.iter().any(|by| by == self.name(*c));
        if candidates.iter().all(is_sliced) {
            return candidates;
        }
        candidates.into_iter().filter(|c| !is_sliced(c)).collect()
    }

    /// Numeric columns named as the classes: all that are free if their rows sum to 1, else those
    /// whose names occur as labels.
    fn named_as_classes(
        &self,
        free: &[usize],
        label: &mut Option<usize>,
    ) -> Result<Option<Found>, Error> {
        let numeric: Vec<usize> = free
            .iter()
            .copied()
            .filter(|&c| self.is_numeric(c) && !self.roles.by.iter().any(|by| by == self.name(c)))
            .collect();
        if numeric.len() < 2 {
            return Ok(None);
        }
        let names: HashMap<String, usize> =
            numeric.iter().map(|&c| (canonical(self.name(c)), c)).collect();
        if let Some(said) = &self.roles.classes
            && said.iter().all(|class| names.contains_key(&canonical(class)))
        {
            let said: HashSet<String> = said.iter().map(|class| canonical(class)).collect();
            let chosen = numeric.into_iter().filter(|&c| said.contains(&canonical(self.name(c))));
            let chosen = chosen.map(|c| (c, self.name(c).to_owned())).collect();
            return self.per_class(chosen).map(Some);
        }
        let own: Vec<String> = numeric.iter().map(|&c| canonical(self.name(c))).collect();
        let own = Classes::new(&own, None);
        if label.is_none() {
            let holds_names = |&c: &usize| {
                self.table.columns()[c].kind == Kind::Text
                    && all_present(&self.table.sample().text(c), |v| own.find(v).is_some())
            };
            let candidates = self.not_sliced(free.iter().copied().filter(holds_names).collect());
            match candidates[..] {
                [one] => *label = Some(one),
                [] => {}
                [a, b, ..] => return Err(self.ambiguous_label(a, b)),
            }
        }
        let Some(label) = *label else { return Ok(None) };
        let occurring: Vec<usize> = {
            let mut seen: Vec<usize> = self
                .table
                .sample()
                .text(label)
                .iter()
                .flatten()
                .filter_map(|v| own.find(v).map(|place| numeric[place as usize]))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        if occurring.is_empty() {
            return Ok(None);
        }
        let chosen = if self.sums_to_one(&numeric) {
            numeric
        } else if self.roles.input != Input::Probabilities || self.sums_to_one(&occurring) {
            occurring
        } else {
            return Err(self
                .error("no prediction columns found: the columns named as labels do not sum to 1")
                .with_hint(format!("name them with --proba; {}", self.list())));
        };
        let chosen = chosen.into_iter().map(|c| (c, self.name(c).to_owned())).collect();
        self.per_class(chosen).map(Some)
    }

    fn sums_to_one(&self, columns: &[usize]) -> bool {
        if self.roles.input != Input::Probabilities {
            return false;
        }
        let sample = self.table.sample();
        let mut sums = vec![0.0; sample.rows()];
        for &c in columns {
            let Some(values) = sample.numbers(c) else { return false };
            for (sum, x) in sums.iter_mut().zip(values) {
                *sum += x;
            }
        }
        let known: Vec<f64> = sums.into_iter().filter(|s| !s.is_nan()).collect();
        // A few bad rows must not hide the columns: they are an error with a place later.
        let good = known.iter().filter(|s| (**s - 1.0).abs() <= SUM_TOLERANCE).count();
        !known.is_empty() && 2 * good > known.len()
    }

    fn per_class(&self, chosen: Vec<(usize, String)>) -> Result<Found, Error> {
        for (column, _) in &chosen {
            if matches!(self.table.columns()[*column].kind, Kind::List { .. }) {
                return Err(self
                    .error(format_args!("column {} is a list", self.name(*column)))
                    .with_hint("name only the list column with --proba"));
            }
        }
        let classes = if let Some(classes) = &self.roles.classes {
            if classes.len() != chosen.len() {
                return Err(self
                    .error(format_args!(
                        "{} classes are named, but there are {} prediction columns",
                        classes.len(),
                        chosen.len()
                    ))
                    .with_hint("--classes needs a name for every prediction column"));
            }
            // Columns that carry these very names are bound by them, in whatever order they are said.
            let own: Vec<String> = chosen.iter().map(|(_, name)| canonical(name)).collect();
            let said: HashSet<String> = classes.iter().map(|c| canonical(c)).collect();
            if own.iter().all(|c| said.contains(c)) { own } else { classes.clone() }
        } else {
            chosen.iter().map(|(_, name)| canonical(name)).collect()
        };
        self.unique(&classes)?;
        let columns = PredictionColumns::PerClass(chosen.into_iter().map(|(c, _)| c).collect());
        Ok(Found { columns, classes })
    }

    fn unique(&self, classes: &[String]) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for class in classes {
            if !seen.insert(class) {
                return Err(self
                    .error(format_args!("class {class} has two prediction columns"))
                    .with_hint("name the columns with --proba"));
            }
        }
        Ok(())
    }

    /// One column: a list over the classes, or the probability of the positive class.
    fn single(
        &self,
        column: usize,
        name: &str,
        label: &mut Option<usize>,
        taken: &[usize],
    ) -> Result<Found, Error> {
        if let Kind::List { width } = self.table.columns()[column].kind {
            let classes = match (&self.roles.classes, width) {
                (Some(classes), _) => classes.clone(),
                (None, Some(width)) => (0..width).map(|c| c.to_string()).collect(),
                (None, None) => {
                    return Err(self
                        .error(format_args!("column {name} holds no list"))
                        .with_hint("every row needs a list of one number a class"));
                }
            };
            if width == Some(0) {
                return Err(self
                    .error(format_args!("column {name} holds empty lists"))
                    .with_hint("a list needs one number a class"));
            }
            if width.is_some_and(|w| w != classes.len()) {
                return Err(self
                    .error(format_args!(
                        "{} classes are named, but the lists have {} numbers",
                        classes.len(),
                        width.unwrap_or_default()
                    ))
                    .with_hint("--classes needs a name for every number"));
            }
            self.unique(&classes)?;
            return Ok(Found { columns: PredictionColumns::List(column), classes });
        }
        if label.is_none() {
            match self.only_text(column, taken) {
                Ok(only) => *label = Some(only),
                Err(_) if !self.needs_label => {}
                Err(error) => return Err(error),
            }
        }
        let seen = label.map(|l| self.table.sample().text(l)).unwrap_or_default();
        let seen: Vec<String> = seen.iter().flatten().map(|v| canonical(v)).collect();
        let classes = if let Some(classes) = &self.roles.classes {
            if classes.len() != 2 {
                return Err(self
                    .error("one prediction column needs exactly two classes")
                    .with_hint(
                        "name the negative and the positive class, as in --classes no,yes",
                    ));
            }
            classes.clone()
        } else {
            let positive = self.positive(name, &seen, self.is_bare_array(column))?;
            let other = opposite(&positive).filter(|_| seen.iter().all(|v| truth(v).is_some()));
            let negative = match other {
                Some(other) => other.to_owned(),
                None => seen
                    .iter()
                    .find(|v| **v != positive)
                    .cloned()
                    .unwrap_or_else(|| format!("not {positive}")),
            };
            vec![negative, positive]
        };
        Ok(Found { columns: PredictionColumns::Positive(column), classes })
    }

    fn positive(&self, name: &str, seen: &[String], is_array: bool) -> Result<String, Error> {
        if let Some(positive) = &self.roles.positive {
            return Ok(canonical(positive));
        }
        if let Some(class) = all_prefixes().find_map(|p| name.strip_prefix(p))
            && !class.is_empty()
        {
            return Ok(canonical(class));
        }
        // 0/1 and false/true say by themselves which is the positive one.
        if let Some(first) = seen.first()
            && seen.iter().all(|v| truth(v).is_some())
        {
            let positive = seen.iter().find(|v| truth(v) == Some(true)).map(String::as_str);
            return Ok(positive.or_else(|| opposite(first)).unwrap_or("true").to_owned());
        }
        if seen.iter().any(|v| v == name) && !is_array {
            return Ok(name.to_owned());
        }
        Err(self
            .error(format_args!("column {name} does not say which class it is about"))
            .with_hint("name the positive class with --positive"))
    }

    /// The label of a binary task when nothing names it: the only text column left.
    fn only_text(&self, prediction: usize, taken: &[usize]) -> Result<usize, Error> {
        let free: Vec<usize> = (0..self.table.columns().len())
            .filter(|c| *c != prediction && !taken.contains(c))
            .filter(|&c| matches!(self.table.columns()[c].kind, Kind::Text | Kind::Boolean))
            .collect();
        let free = self.not_sliced(free);
        match free[..] {
            [one] => Ok(one),
            _ => Err(self.no_label()),
        }
    }

    fn no_label(&self) -> Error {
        let hint = match self.table.format() {
            Format::Npy => "an array holds no labels: name their file with --labels, or put both \
                            into one .npz, as in np.savez('p.npz', proba=p, y=y)"
                .to_owned(),
            Format::Npz | Format::Safetensors => {
                let is_list = |c: &ColumnInfo| matches!(c.kind, Kind::List { .. });
                if self.table.columns().iter().all(is_list) {
                    "no array has one label a row: name the file of the labels with --labels"
                        .to_owned()
                } else {
                    format!("name it with --label, or its file with --labels; {}", self.list())
                }
            }
            _ => match self.like_targets() {
                Some(prefix) => format!(
                    "if the columns {prefix}… are soft targets, say --targets '{prefix}*'; else name it with --label; {}",
                    self.list()
                ),
                None => format!("name it with --label; {}", self.list()),
            },
        };
        self.error("no label column found").with_hint(hint)
    }

    /// The prefix of columns that are named after the same classes as predictions, by a name that predictions do not have.
    fn like_targets(&self) -> Option<&str> {
        let names: Vec<&str> = self.table.columns().iter().map(|c| c.name.as_str()).collect();
        let classes = |prefix: &str| -> Vec<&str> {
            names.iter().filter_map(|name| name.strip_prefix(prefix)).collect()
        };
        let predicted =
            all_prefixes().map(classes).find(|classes| classes.len() > 1).unwrap_or_default();
        let first = predicted.first()?;
        let prefixes = names.iter().filter_map(|name| name.strip_suffix(first));
        prefixes
            .filter(|prefix| prefix.ends_with('_') && all_prefixes().all(|p| p != *prefix))
            .find(|prefix| predicted.iter().all(|class| classes(prefix).contains(class)))
    }

    fn ambiguous_label(&self, a: usize, b: usize) -> Error {
        self.error(format_args!(
            "columns {} and {} both hold class names",
            self.name(a),
            self.name(b)
        ))
        .with_hint("name the label with --label")
    }

    /// The one column that is not numeric and whose sampled values are all class names.
    fn label_by_values(&self, classes: &[String], taken: &[usize]) -> Result<usize, Error> {
        let known = Classes::new(classes, None);
        let is_class = |v: &str| known.find(v).is_some();
        let candidates: Vec<usize> = (0..self.table.columns().len())
            .filter(|c| !taken.contains(c))
            .filter(|&c| matches!(self.table.columns()[c].kind, Kind::Text | Kind::Boolean))
            .filter(|&c| all_present(&self.table.sample().text(c), is_class))
            .collect();
        let candidates = self.not_sliced(candidates);
        match candidates[..] {
            [one] => Ok(one),
            [] => {
                // A column in which only some labels are unknown is meant: the row will be named.
                let partly: Vec<usize> = (0..self.table.columns().len())
                    .filter(|c| !taken.contains(c))
                    .filter(|&c| self.table.columns()[c].kind == Kind::Text)
                    .filter(|&c| self.table.sample().text(c).iter().flatten().any(|v| is_class(v)))
                    .collect();
                if let [one] = partly[..] { Ok(one) } else { Err(self.no_label()) }
            }
            [a, b, ..] => Err(self.ambiguous_label(a, b)),
        }
    }

    /// Soft targets where nothing else can be the label: a column [`TARGET_PREFIX`]`CLASS` for each class.
    fn prefixed_targets(&self, classes: &[String], taken: &[usize]) -> Option<TargetColumns> {
        let of = |class: &String| {
            (0..self.table.columns().len()).find(|&c| {
                let name = self.name(c).strip_prefix(TARGET_PREFIX);
                name.is_some_and(|name| canonical(name) == *class)
                    && self.is_numeric(c)
                    && !taken.contains(&c)
            })
        };
        classes.iter().map(of).collect::<Option<_>>().map(TargetColumns::PerClass)
    }

    /// Soft targets: one column a class by their names, or one column of lists.
    fn target_columns(
        &self,
        targets: &[(usize, String)],
        classes: &[String],
    ) -> Result<TargetColumns, Error> {
        let width = |column: usize| match self.table.columns()[column].kind {
            Kind::List { width } => Some(width),
            _ => None,
        };
        if let [(column, _)] = targets
            && let Some(width) = width(*column)
        {
            if let Some(width) = width
                && width != classes.len()
            {
                return Err(self
                    .error(format_args!(
                        "column {} holds lists of {width} numbers, but there are {} classes",
                        self.name(*column),
                        classes.len()
                    ))
                    .with_hint(format!(
                        "a list of targets has one number a class; the classes are {}",
                        short(classes)
                    )));
            }
            let said = self.roles.classes.as_deref().unwrap_or(classes);
            let to_own = places(classes, said);
            return Ok(TargetColumns::List { column: *column, to_own });
        }
        if let Some((column, _)) = targets.iter().find(|(c, _)| width(*c).is_some()) {
            return Err(self
                .error(format_args!("column {} is a list", self.name(*column)))
                .with_hint("name only the list column with --targets"));
        }
        self.order_targets(targets, classes).map(TargetColumns::PerClass)
    }

    fn order_targets(
        &self,
        targets: &[(usize, String)],
        classes: &[String],
    ) -> Result<Vec<usize>, Error> {
        let names: Vec<String> = targets.iter().map(|(_, n)| canonical(n)).collect();
        // Listed one by one they may still be named t_cat, t_dog.
        let bare = names.first().and_then(|first| {
            classes.iter().filter_map(|class| first.strip_suffix(class.as_str())).find_map(|p| {
                let bare: Option<Vec<String>> =
                    names.iter().map(|n| n.strip_prefix(p).map(canonical)).collect();
                bare.and_then(|bare| order(classes, &bare).ok())
            })
        });
        let order = match bare {
            Some(order) => order,
            None => self.order(classes, &names)?,
        };
        Ok(order.into_iter().map(|i| targets[i as usize].0).collect())
    }

    /// For each of `classes` its place among `own`; both hold the same names.
    fn order(&self, classes: &[String], own: &[String]) -> Result<Vec<u32>, Error> {
        order(classes, own).map_err(|(missing, extra)| {
            let what = match (missing, extra) {
                (Some(class), _) => format!("there is no column for class {class}"),
                (None, Some(class)) => format!("class {class} has no prediction column"),
                (None, None) => "classes differ in number".to_owned(),
            };
            self.error(what).with_hint(format!("the classes are {}", short(classes)))
        })
    }
}

/// For each of `classes` its place among names that are the same but for their spelling.
pub(crate) fn places(classes: &[String], said: &[String]) -> Vec<u32> {
    let of: HashMap<String, u32> = said.iter().map(|name| canonical(name)).zip(0..).collect();
    classes.iter().filter_map(|class| of.get(&canonical(class)).copied()).collect()
}

/// For each of `classes` its place among `own`, or the first class missing in either.
pub(crate) fn order(
    classes: &[String],
    own: &[String],
) -> Result<Vec<u32>, (Option<String>, Option<String>)> {
    let places: HashMap<&String, u32> = own.iter().zip(0..).collect();
    let missing = classes.iter().find(|c| !places.contains_key(c)).cloned();
    let known: HashSet<&String> = classes.iter().collect();
    let extra = own.iter().find(|c| !known.contains(c)).cloned();
    if missing.is_some() || extra.is_some() || classes.len() != own.len() {
        return Err((missing, extra));
    }
    Ok(classes.iter().map(|c| places[c]).collect())
}

/// Names for a message, at most a dozen.
pub(crate) fn short(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", "))
}

/// The prefixes of columns that hold this kind of numbers.
fn prefixes(input: Input) -> &'static [&'static str] {
    match input {
        Input::Probabilities => &PREFIXES,
        Input::LogProbabilities => &LOG_PREFIXES,
        Input::Logits => &LOGIT_PREFIXES,
    }
}

/// Those of all kinds: columns that are named say what they are about under any of them.
fn all_prefixes() -> impl Iterator<Item = &'static str> {
    INPUTS.into_iter().flat_map(|input| prefixes(input).iter().copied())
}

fn all_present(values: &[Option<String>], mut good: impl FnMut(&str) -> bool) -> bool {
    let mut any = false;
    for value in values.iter().flatten() {
        if !good(value) {
            return false;
        }
        any = true;
    }
    any
}

/// What the pattern's wildcards stand for: the name without the literal text around them.
fn strip<'a>(pattern: &str, name: &'a str) -> &'a str {
    let Some(start) = pattern.find(['*', '?', '[']) else { return name };
    let end = pattern.rfind(['*', '?', ']']).map_or(start, |e| e + 1);
    let suffix = &pattern[end..];
    let inner = name.strip_prefix(&pattern[..start]).unwrap_or(name);
    let inner = inner.strip_suffix(suffix).unwrap_or(inner);
    if inner.is_empty() { name } else { inner }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_a_class() {
        assert_eq!(canonical("1.0"), "1");
        assert_eq!(canonical(" 1 "), "1");
        assert_eq!(canonical("-0"), "0");
        assert_eq!(canonical("1.5"), "1.5");
        assert_eq!(canonical("inf"), "inf");
        assert_eq!(canonical("democrat"), "democrat");
    }

    #[test]
    fn wildcards_name_classes() {
        assert_eq!(strip("p_*", "p_cat"), "cat");
        assert_eq!(strip("p1_*_x", "p1_cat_x"), "cat");
        assert_eq!(strip("cat", "cat"), "cat");
        assert_eq!(strip("*", "cat"), "cat");
    }
}
