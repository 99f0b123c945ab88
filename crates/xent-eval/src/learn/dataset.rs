//! A table held for training: features in their narrowest kinds, classes, weights.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use xent::view::View;
use xent_io::{MISSING, ScanOptions, Span, Table};
use xent_train::{Block, Category, Codes, Design, Target};

use super::cells::{Cells, Coded, Growing, in_order};
use super::columns::{Columns, FeatureRoles, Reading, TargetColumn};
use super::feature::{Feature, FeatureKind, Levels, RARE_LEVEL, Term};
use super::part::{Kept, Part};
use crate::error::Error;
use crate::roles::{canonical, short};
use crate::score::{Observer, Progress, go_on};

/// A column of texts with more levels than this, each of which occurs once, names the rows.
const NAMES: usize = 20;

/// What happens to missing values in the rows that are trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingValues {
    /// They are an error, with their counts by column.
    #[default]
    Error,
    /// Their rows are left out, and counted.
    Drop,
    /// A number is replaced by the column's mean, and a column of zeros and ones says where; a text is a level of its
    /// own. Targets and weights must be there.
    Indicator,
}

/// How a table is read for training.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Which column is what.
    pub roles: FeatureRoles,
    /// Missing values.
    pub missing: MissingValues,
    /// Reference levels, by column; the first level in order otherwise.
    pub references: Vec<(String, String)>,
    /// All classes in their order, also such that no row has; those of the rows, sorted, if empty.
    pub classes: Vec<String>,
    /// Whether steps from a given start are to be watched, which can be done over any data: one row, a column that is
    /// the same in every row, classes without rows.
    pub is_for_watching: bool,
    /// Levels of fewer rows share one coefficient.
    pub min_count: u64,
    /// Threads that decode; 0 means all.
    pub threads: usize,
    /// Rows a batch, for tests; no result depends on it.
    pub batch_rows: Option<usize>,
}

/// What each row should be.
#[derive(Clone, Debug)]
pub(crate) enum Targets {
    Classes(Vec<u32>),
    /// Row-major.
    Soft(Vec<f64>),
}

/// A feature's values, or a part of them.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// Row-major, of so many columns.
    Numbers(Cells, usize),
    Codes {
        codes: OwnedCodes,
        n_codes: usize,
        reference: Option<usize>,
    },
}

/// Codes as narrow as the number of levels allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OwnedCodes {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
}

impl OwnedCodes {
    fn new(codes: impl Iterator<Item = u32>, levels: usize) -> Self {
        match levels {
            0..=256 => Self::U8(codes.map(|c| c as u8).collect()),
            257..=65_536 => Self::U16(codes.map(|c| c as u16).collect()),
            _ => Self::U32(codes.collect()),
        }
    }

    fn codes(&self) -> Codes<'_> {
        match self {
            Self::U8(codes) => Codes::U8(codes),
            Self::U16(codes) => Codes::U16(codes),
            Self::U32(codes) => Codes::U32(codes),
        }
    }
}

/// A table held in memory for training.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The table as the user named it.
    pub source: String,
    /// Rows to train on.
    pub rows: usize,
    /// Rows left out for missing values.
    pub dropped: u64,
    /// The classes in their order.
    pub classes: Vec<String>,
    /// The target as messages name it.
    pub target_name: String,
    /// Columns of soft targets, in the order of the classes; none if targets are classes.
    pub target_columns: Vec<String>,
    /// The weight column.
    pub weight_name: Option<String>,
    /// The features of the model.
    pub features: Vec<Feature>,
    /// What was done with the columns, in sentences.
    pub notes: Vec<String>,
    /// In the order of the design's blocks.
    pub(crate) values: Vec<Values>,
    pub(crate) targets: Targets,
    pub(crate) weights: Option<Vec<f64>>,
    /// Columns of offsets: name, class, numbers.
    pub(crate) offsets: Vec<(String, String, Vec<f64>)>,
    pub(crate) ids: Vec<(String, Vec<String>)>,
    pub(crate) group: Option<Vec<u32>>,
    /// Ranks; equal times share one.
    pub(crate) time: Option<Vec<u32>>,
}

/// A feature whose rows are still coming.
enum Growth {
    Numbers(Growing, usize, Vec<u64>),
    Texts(Coded),
}

impl Dataset {
    /// Reads a table.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the table, in row order; what is missing, by column; columns from which nothing can
    /// be learnt.
    pub fn read(
        table: &Table,
        options: &ReadOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let columns = options.roles.bind(table)?;
        let names = columns.names(table);
        let requests = columns.requests();
        let mut reader = Reader::new(&columns, &names);
        let scan =
            ScanOptions { threads: options.threads, batch_rows: options.batch_rows, backlog: None };
        let map = |batch: &xent_io::Batch| columns.part(batch, &names, options.missing);
        let each = |part: Part, span: Span| -> Result<(), Error> {
            let progress = Progress {
                rows: span.first_row + span.rows as u64,
                bytes: span.bytes_read,
                cross_entropy: f64::NAN,
            };
            reader.add(part);
            go_on(observer.progress(&progress))
        };
        table.scan::<Part, Error>(&requests, &scan, map, each)?;
        reader.finish(table, options)
    }

    /// The columns of coefficients, in order.
    pub fn terms(&self) -> Vec<Term> {
        self.features.iter().flat_map(Feature::terms).collect()
    }

    /// The design matrix over the columns where they lie.
    ///
    /// # Errors
    ///
    /// None for what was read; the design is checked all the same.
    pub fn design(&self) -> Result<Design<'_>, Error> {
        let blocks = self.values.iter().map(|values| values.block(self.rows));
        let blocks = blocks.collect::<Option<Vec<_>>>();
        let design = blocks.map(Design::new).transpose().ok().flatten();
        design.ok_or_else(|| Error::new(format!("{}: columns differ in length", self.source)))
    }

    /// What is fitted to.
    pub(crate) fn target(&self) -> Result<Target<'_>, Error> {
        Ok(match &self.targets {
            Targets::Classes(classes) => Target::Classes(classes),
            Targets::Soft(values) => {
                let view = View::rows_of(values, self.classes.len());
                Target::Distributions(view.map_err(|e| Error::new(e.to_string()))?)
            }
        })
    }

    /// The probability that row `row` should give class `class`.
    pub fn wanted(&self, row: usize, class: usize) -> f64 {
        match &self.targets {
            Targets::Classes(classes) => f64::from(u8::from(classes[row] as usize == class)),
            Targets::Soft(values) => values[row * self.classes.len() + class],
        }
    }

    /// The class of a row; `None` if targets are soft.
    pub fn label(&self, row: usize) -> Option<&str> {
        match &self.targets {
            Targets::Classes(classes) => Some(&self.classes[classes[row] as usize]),
            Targets::Soft(_) => None,
        }
    }

    /// The columns that identify rows, by name.
    pub fn ids(&self) -> &[(String, Vec<String>)] {
        &self.ids
    }

    /// The weight of a row.
    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }

    /// Rows of each class, weighted; of soft targets the sums of their probabilities.
    pub fn class_weights(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.classes.len()];
        for row in 0..self.rows {
            match &self.targets {
                Targets::Classes(classes) => sums[classes[row] as usize] += self.weight(row),
                Targets::Soft(_) => {
                    for (class, sum) in sums.iter_mut().enumerate() {
                        *sum += self.weight(row) * self.wanted(row, class);
                    }
                }
            }
        }
        sums
    }
}

impl Values {
    pub(crate) fn block(&self, rows: usize) -> Option<Block<'_>> {
        Some(match self {
            Self::Numbers(Cells::U8(x), width) => {
                Block::U8(View::strided(x, rows, *width, *width, 1).ok()?)
            }
            Self::Numbers(Cells::I32(x), width) => {
                Block::I32(View::strided(x, rows, *width, *width, 1).ok()?)
            }
            Self::Numbers(Cells::F32(x), width) => {
                Block::F32(View::strided(x, rows, *width, *width, 1).ok()?)
            }
            Self::Numbers(Cells::F64(x), width) => {
                Block::F64(View::strided(x, rows, *width, *width, 1).ok()?)
            }
            Self::Codes { codes, n_codes, reference } => {
                Block::Category(Category::with_reference(codes.codes(), *n_codes, *reference))
            }
        })
    }

    /// The same for equal columns; of a few rows, as most columns differ soon.
    fn hash(&self, col: usize, rows: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        for i in 0..rows.min(256) {
            hasher.write_u64(self.number(i * rows / rows.min(256), col).to_bits());
        }
        hasher.finish()
    }

    fn width(&self) -> usize {
        match self {
            Self::Numbers(_, width) => *width,
            Self::Codes { .. } => 1,
        }
    }

    fn number(&self, row: usize, col: usize) -> f64 {
        match self {
            Self::Numbers(cells, width) => cells.get(row * width + col),
            Self::Codes { codes, .. } => codes.codes().get(row) as f64,
        }
    }
}

struct Reader<'a> {
    columns: &'a Columns,
    names: &'a [String],
    rows: usize,
    read: u64,
    features: Vec<Growth>,
    missing: Vec<u64>,
    classes: Coded,
    soft: Vec<f64>,
    weights: Vec<f64>,
    offsets: Vec<Vec<f64>>,
    ids: Vec<Vec<String>>,
    group: Coded,
    time: Vec<f64>,
    time_text: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(columns: &'a Columns, names: &'a [String]) -> Self {
        let growth = |reading: Reading| match reading {
            Reading::Number | Reading::Boolean => {
                Growth::Numbers(Growing::default(), 1, Vec::new())
            }
            Reading::List(width) => Growth::Numbers(Growing::default(), width, Vec::new()),
            Reading::Category => Growth::Texts(Coded::default()),
        };
        Self {
            columns,
            names,
            rows: 0,
            read: 0,
            features: columns.features.iter().map(|f| growth(f.reading)).collect(),
            missing: vec![0; names.len()],
            classes: Coded::default(),
            soft: Vec::new(),
            weights: Vec::new(),
            offsets: vec![Vec::new(); columns.offsets.len()],
            ids: vec![Vec::new(); columns.ids.len()],
            group: Coded::default(),
            time: Vec::new(),
            time_text: Vec::new(),
        }
    }

    fn add(&mut self, part: Part) {
        for (growth, kept) in self.features.iter_mut().zip(part.features) {
            match (growth, kept) {
                (Growth::Numbers(mine, width, missing), Kept::Numbers(more, its_width, places)) => {
                    *width = its_width;
                    mine.append(more);
                    missing.extend(places.into_iter().map(|i| self.rows as u64 + u64::from(i)));
                }
                (Growth::Texts(mine), Kept::Texts(more)) => mine.append(&more),
                _ => {}
            }
        }
        for (mine, more) in self.missing.iter_mut().zip(part.missing) {
            *mine += more;
        }
        self.read += part.rows as u64;
        self.rows += part.kept;
        self.classes.append(&part.classes);
        self.soft.extend(part.soft);
        self.weights.extend(part.weights);
        for (mine, more) in self.offsets.iter_mut().zip(part.offsets) {
            mine.extend(more);
        }
        for (mine, more) in self.ids.iter_mut().zip(part.ids) {
            mine.extend(more);
        }
        self.group.append(&part.group);
        self.time.extend(part.time);
        self.time_text.extend(part.time_text);
    }

    fn finish(self, table: &Table, options: &ReadOptions) -> Result<Dataset, Error> {
        let error = |message: String| Error::new(format!("{}: {message}", table.spec()));
        self.check_missing(options.missing)
            .map_err(|(message, hint)| error(message).with_hint(hint))?;
        if self.rows == 0 {
            return Err(if self.read == 0 {
                error("there are no rows".to_owned()).with_hint("a header alone is not enough")
            } else {
                error("every row has a missing value".to_owned())
                    .with_hint("leave columns out with --drop, or use --missing indicator")
            });
        }
        let mut notes = Vec::new();
        for name in &self.columns.skipped {
            notes.push(format!(
                "column {name} is left out: it holds nothing that can be learnt from"
            ));
        }
        let dropped = self.read - self.rows as u64;
        let (classes, targets, target_columns) = match &self.columns.target {
            TargetColumn::Class { .. } => {
                let (order, classes) = if options.classes.is_empty() {
                    sorted(&self.classes)
                } else {
                    declared(&self.classes, &options.classes).map_err(|(message, hint)| {
                        error(format!("column {} {message}", self.columns.target_name))
                            .with_hint(hint)
                    })?
                };
                let codes = self.classes.codes.iter().map(|&c| order[c as usize]).collect();
                (classes, Targets::Classes(codes), Vec::new())
            }
            TargetColumn::PerClass(columns) => {
                let name = |c: usize| table.columns()[c].name.clone();
                let mut order: Vec<usize> = (0..columns.len()).collect();
                let classes: Vec<String> =
                    columns.iter().map(|(_, class)| canonical(class)).collect();
                order.sort_by(|&a, &b| in_order(&classes[a], &classes[b]));
                let soft = self.soft.chunks_exact(columns.len());
                let soft = soft.flat_map(|row| order.iter().map(|&i| row[i])).collect();
                let columns = order.iter().map(|&i| name(columns[i].0)).collect();
                (order.iter().map(|&i| classes[i].clone()).collect(), Targets::Soft(soft), columns)
            }
        };
        let name = &self.columns.target_name;
        if let [only] = &classes[..] {
            return Err(error(format!(
                "column {name} is {only} in every row: there is nothing to tell apart"
            ))
            .with_hint(if options.is_for_watching {
                "name the class that no row has, too, as in --classes 0,1"
            } else {
                "a classifier needs at least two classes"
            }));
        }
        if classes.len() > NAMES && classes.len() == self.rows {
            return Err(error(format!(
                "column {name} has {} classes in {} rows",
                classes.len(),
                self.rows
            ))
            .with_hint("a target has a few classes, each of many rows"));
        }
        if self.columns.weight.is_some() && !self.weights.iter().any(|w| *w > 0.0) {
            return Err(error("all weights are 0".to_owned())
                .with_hint("at least one row needs a positive weight"));
        }
        let (mut features, mut values) = (Vec::new(), Vec::new());
        for reference in &options.references {
            if !self
                .columns
                .features
                .iter()
                .any(|f| f.name == reference.0 && f.reading == Reading::Category)
            {
                return Err(error(format!("column {} has no reference level", reference.0))
                    .with_hint(
                        "only categories have levels: text columns, and what --categorical names",
                    ));
            }
        }
        for (column, growth) in self.columns.features.iter().zip(self.features) {
            let kind = match growth {
                Growth::Numbers(growing, width, missing) => {
                    let cells = growing.finish();
                    number_feature(column.reading, cells, width, &missing, &mut values)
                }
                Growth::Texts(coded) => {
                    let said = options.references.iter().find(|(c, _)| *c == column.name);
                    let said = said.map(|(_, level)| level.as_str());
                    let levels = levels(&coded, column.is_number, options, said).map_err(
                        |(what, hint)| {
                            error(format!("column {} {what}", column.name)).with_hint(hint)
                        },
                    )?;
                    let own: HashMap<&str, u32> =
                        levels.levels.iter().map(String::as_str).zip(0..).collect();
                    let to_code: Vec<u32> = coded
                        .levels
                        .iter()
                        .map(|l| own.get(l.as_str()).copied().or(levels.rare_code()).unwrap_or(0))
                        .collect();
                    let missing = levels.missing_code().unwrap_or(0);
                    let codes = coded
                        .codes
                        .iter()
                        .map(|&c| if c == MISSING { missing } else { to_code[c as usize] });
                    let n_codes = levels.n_codes();
                    let codes = OwnedCodes::new(codes, n_codes);
                    values.push(Values::Codes {
                        codes,
                        n_codes,
                        reference: levels.reference_code(),
                    });
                    if !levels.rare.is_empty() {
                        let counts = coded.counts();
                        let rows: u64 = coded
                            .levels
                            .iter()
                            .zip(counts)
                            .filter(|(l, _)| levels.rare.contains(l))
                            .map(|(_, n)| n)
                            .sum();
                        notes.push(format!(
                            "{}: {} levels of fewer than {} rows share one coefficient, {RARE_LEVEL}: {} rows ({})",
                            column.name, levels.rare.len(), options.min_count, rows, short(&levels.rare)
                        ));
                    }
                    FeatureKind::Category(levels)
                }
            };
            features.push(Feature { column: column.name.clone(), kind });
        }
        let weight_name = self.columns.weight.map(|c| table.columns()[c].name.clone());
        let offsets = self.columns.offsets.iter().zip(self.offsets);
        let offsets = offsets
            .map(|((c, class), x)| (table.columns()[*c].name.clone(), canonical(class), x))
            .collect();
        let ids = self
            .columns
            .ids
            .iter()
            .map(|&c| table.columns()[c].name.clone())
            .zip(self.ids)
            .collect();
        let data = Dataset {
            source: table.spec().to_owned(),
            rows: self.rows,
            dropped,
            classes,
            target_name: name.clone(),
            target_columns,
            weight_name,
            features,
            notes,
            values,
            targets,
            weights: self.columns.weight.map(|_| self.weights),
            offsets,
            ids,
            group: self.columns.group.map(|_| self.group.codes),
            time: self.columns.time.map(|_| ranks(&self.time, &self.time_text)),
        };
        if !options.is_for_watching {
            data.check_constant().map_err(|(message, hint)| error(message).with_hint(hint))?;
        }
        Ok(data)
    }

    fn check_missing(&self, policy: MissingValues) -> Result<(), (String, &'static str)> {
        let first = match policy {
            MissingValues::Error => 0,
            MissingValues::Drop => return Ok(()),
            MissingValues::Indicator => self.columns.features.len(),
        };
        let is_list = |i: usize| {
            matches!(self.columns.features.get(i).map(|f| f.reading), Some(Reading::List(_)))
        };
        let counts: Vec<(&String, u64)> = self
            .names
            .iter()
            .zip(&self.missing)
            .enumerate()
            .filter(|(i, (_, n))| **n > 0 && (*i >= first || is_list(*i)))
            .map(|(_, (name, &n))| (name, n))
            .collect();
        if counts.is_empty() {
            return Ok(());
        }
        let each: Vec<String> =
            counts.iter().take(12).map(|(name, n)| format!("{name} {n}")).collect();
        let more = if counts.len() > 12 { ", …" } else { "" };
        let hint = match policy {
            MissingValues::Error => {
                "leave such rows out with --missing drop, or keep them with --missing indicator; or --drop the columns"
            }
            _ => "leave such rows out with --missing drop",
        };
        Err((
            format!(
                "values are missing, of {} rows in columns: {}{more}",
                self.read,
                each.join(", ")
            ),
            hint,
        ))
    }
}

/// The values of numbers, and of the indicator of missing ones.
fn number_feature(
    reading: Reading,
    mut cells: Cells,
    width: usize,
    missing: &[u64],
    values: &mut Vec<Values>,
) -> FeatureKind {
    let mut fill = None;
    let mut indicator = None;
    if !missing.is_empty() {
        let present = cells.len() - missing.len();
        let mean = cells.iter().map(|x| x / present.max(1) as f64).sum::<f64>();
        let mean = cells.rounded(mean);
        let mut flags = vec![0; cells.len()];
        for &row in missing {
            cells.put(row as usize, mean);
            flags[row as usize] = 1;
        }
        fill = Some(mean);
        indicator = Some(Values::Numbers(Cells::U8(flags), 1));
    }
    values.push(Values::Numbers(cells, width));
    values.extend(indicator);
    match reading {
        Reading::Boolean => FeatureKind::Boolean { fill },
        Reading::List(_) => FeatureKind::List { width },
        Reading::Number | Reading::Category => FeatureKind::Number { fill },
    }
}

/// Where each level goes, and the levels in their order.
type Sorted = (Vec<u32>, Vec<String>);

/// The levels that occur.
fn sorted(coded: &Coded) -> Sorted {
    let counts = coded.counts();
    let mut occurring: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] > 0).collect();
    occurring.sort_by(|&a, &b| in_order(&coded.levels[a], &coded.levels[b]));
    let mut order = vec![0; counts.len()];
    for (place, &i) in occurring.iter().enumerate() {
        order[i] = place as u32;
    }
    (order, occurring.into_iter().map(|i| coded.levels[i].clone()).collect())
}

/// Where each level goes among the classes that were named; what is wrong, and a hint.
fn declared(coded: &Coded, named: &[String]) -> Result<Sorted, (String, &'static str)> {
    let place = |level: &String| {
        let is = |name: &String| name.trim() == level || canonical(name) == *level;
        named.iter().position(is)
    };
    let mut classes: Vec<String> = named.iter().map(|name| name.trim().to_owned()).collect();
    if classes.iter().any(String::is_empty) {
        return Err(("is said to have a class without a name".to_owned(), "write --classes a,b"));
    }
    let mut order = vec![0; coded.levels.len()];
    for (i, (level, count)) in coded.levels.iter().zip(coded.counts()).enumerate() {
        let Some(class) = place(level) else {
            if count == 0 {
                continue;
            }
            return Err((
                format!("has the class {level}, which is not among those named"),
                "--classes names all of them",
            ));
        };
        order[i] = class as u32;
        classes[class].clone_from(level);
    }
    if let Some(twice) = (1..classes.len()).find(|&i| classes[..i].contains(&classes[i])) {
        let hint = "--classes names each of them once";
        return Err((format!("is said to have the class {} twice", classes[twice]), hint));
    }
    Ok((order, classes))
}

/// The levels of a category; what is wrong with them, and a hint.
fn levels(
    coded: &Coded,
    is_number: bool,
    options: &ReadOptions,
    said: Option<&str>,
) -> Result<Levels, (String, String)> {
    let counts = coded.counts();
    let rows = coded.codes.len();
    let has_missing = coded.codes.contains(&MISSING);
    let (order, all) = sorted(coded);
    let mut of_level = vec![0; all.len()];
    for (i, &count) in counts.iter().enumerate() {
        if count > 0 {
            of_level[order[i] as usize] = count;
        }
    }
    if all.len() > NAMES && all.len() == rows {
        let hint = "leave it out with --drop, or name the features with --features";
        return Err((
            format!("is different in each of {rows} rows: it names them"),
            hint.to_owned(),
        ));
    }
    let reference =
        said.map(|level| if is_number { canonical(level) } else { level.trim().to_owned() });
    if let Some(reference) = &reference
        && !all.contains(reference)
    {
        return Err((
            format!("has no level {reference}"),
            format!("the levels are {}", short(&all)),
        ));
    }
    let is_rare =
        |level: &String, count: u64| count < options.min_count && reference.as_ref() != Some(level);
    let (mut own, mut rare) = (Vec::new(), Vec::new());
    for (level, count) in all.into_iter().zip(of_level) {
        if is_rare(&level, count) { rare.push(level) } else { own.push(level) }
    }
    let codes = own.len() + usize::from(!rare.is_empty()) + usize::from(has_missing);
    if codes < 2 || own.is_empty() {
        let what = match &own[..] {
            [only] => format!("is {only} in every row"),
            _ => format!("has no level of {} rows or more", options.min_count),
        };
        return Err((what, "leave it out with --drop".to_owned()));
    }
    let reference = reference.unwrap_or_else(|| own[0].clone());
    Ok(Levels { is_number, levels: own, reference, rare, has_missing })
}

/// Places in time: equal times have equal ranks.
fn ranks(numbers: &[f64], texts: &[String]) -> Vec<u32> {
    if texts.is_empty() {
        let mut all = numbers.to_vec();
        all.sort_by(f64::total_cmp);
        all.dedup();
        return numbers.iter().map(|x| all.partition_point(|y| y < x) as u32).collect();
    }
    let mut all: Vec<&String> = texts.iter().collect();
    all.sort();
    all.dedup();
    texts.iter().map(|x| all.partition_point(|y| *y < x) as u32).collect()
}

impl Dataset {
    /// Columns whose numbers do not differ: their coefficients would be any.
    fn check_constant(&self) -> Result<(), (String, &'static str)> {
        let mut constant = Vec::new();
        for (name, values, col) in self.dense() {
            let first = values.number(0, col);
            let mut weighted = (0..self.rows).filter(|&row| self.weight(row) > 0.0);
            if weighted.all(|row| values.number(row, col) == first) {
                constant.push(format!("{name} is {first}"));
            }
        }
        if constant.is_empty() {
            return Ok(());
        }
        let more = if constant.len() > 12 { ", …" } else { "" };
        constant.truncate(12);
        Err((
            format!(
                "nothing can be learnt from a column that is the same in every row: {}{more}",
                constant.join(", ")
            ),
            "leave such columns out with --drop",
        ))
    }

    /// The columns of numbers, with their names.
    fn dense(&self) -> impl Iterator<Item = (String, &Values, usize)> {
        let mut names = self.terms().into_iter().filter(|t| !t.is_level).map(|t| t.name);
        let columns = self.values.iter().filter(|v| matches!(v, Values::Numbers(..)));
        columns
            .flat_map(|v| (0..v.width()).map(move |col| (v, col)))
            .filter_map(move |(v, col)| names.next().map(|name| (name, v, col)))
    }

    /// The first two columns of numbers that are the same in every row.
    pub(crate) fn duplicates(&self) -> Option<(String, String)> {
        let mut seen: HashMap<u64, Vec<(String, &Values, usize)>> = HashMap::new();
        for (name, values, col) in self.dense() {
            let same = seen.entry(values.hash(col, self.rows)).or_default();
            let equal = |(_, other, at): &&(String, &Values, usize)| {
                (0..self.rows).all(|row| values.number(row, col) == other.number(row, *at))
            };
            if let Some((first, ..)) = same.iter().find(equal) {
                return Some((first.clone(), name));
            }
            same.push((name, values, col));
        }
        None
    }
}
