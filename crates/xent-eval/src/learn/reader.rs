//! A table read for training: the parts that workers made of it, put together.
//!
//! What grows with the rows lies in memory or, out of core, in a temporary file that is mapped at the end. A
//! column that lies in its file as the design matrix takes it stays there, unless rows are left out.

use std::collections::HashMap;

use xent_io::{MISSING, Plain, ScanOptions, Span, Spill, Table};

use super::cells::{Cells, Growing};
use super::coded::{Texts, in_order};
use super::columns::{Columns, FeatureColumn, Reading, TargetColumn};
use super::dataset::{Dataset, MissingValues, ReadOptions, Targets};
use super::feature::{Feature, FeatureKind, Levels, RARE_LEVEL};
use super::in_place::InPlace;
use super::levels::{NAMES, declared, levels, not_a_time, ranks, sorted};
use super::lot::{Lot, Pile};
use super::part::{Kept, Part};
use super::values::{OwnedCodes, Shape, Values};
use crate::error::Error;
use crate::roles::{canonical, short};
use crate::score::{Observer, Progress, go_on};

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
        let mut in_place = Vec::with_capacity(columns.features.len());
        for feature in &columns.features {
            in_place.push(InPlace::of(table, feature)?);
        }
        let has_any = in_place.iter().any(Option::is_some);
        let reader = Reader::run(table, &columns, in_place, options, observer)?;
        if !has_any || reader.rows as u64 == reader.read {
            return reader.finish(table, options);
        }
        // Rows are left out, so nothing can stay where it is.
        let in_place = columns.features.iter().map(|_| None).collect();
        Reader::run(table, &columns, in_place, options, observer)?.finish(table, options)
    }
}

/// A feature whose rows are still coming.
enum Growth {
    /// With the rows in which a number is missing.
    Numbers(Growing, usize, Vec<u64>),
    Texts(Texts),
}

struct Reader<'a> {
    /// All of them.
    columns: &'a Columns,
    /// What is missing is counted under these names: those of the features that are read, then the others.
    names: Vec<String>,
    /// What is not in place of the features, in their order.
    scanned: Columns,
    in_place: Vec<Option<InPlace>>,
    spill: Option<Spill>,
    rows: usize,
    read: u64,
    features: Vec<Growth>,
    missing: Vec<u64>,
    classes: Texts,
    /// The order of the classes of soft targets.
    soft_order: Vec<usize>,
    soft: Pile<f64>,
    weights: Pile<f64>,
    offsets: Vec<Pile<f64>>,
    ids: Vec<Vec<String>>,
    group: Texts,
    time: Vec<f64>,
    time_text: Vec<String>,
}

impl<'a> Reader<'a> {
    fn run(
        table: &Table,
        columns: &'a Columns,
        in_place: Vec<Option<InPlace>>,
        options: &ReadOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let mut reader = Self::new(table, columns, in_place, options.out_of_core)?;
        let (scanned, names) = (reader.scanned.clone(), reader.names.clone());
        let scan =
            ScanOptions { threads: options.threads, batch_rows: options.batch_rows, backlog: None };
        let map = |batch: &xent_io::Batch| scanned.part(batch, &names, options.missing);
        let each = |part: Part, span: Span| -> Result<(), Error> {
            let progress = Progress {
                rows: span.first_row + span.rows as u64,
                bytes: span.bytes_read,
                cross_entropy: f64::NAN,
            };
            reader.add(part)?;
            go_on(observer.progress(&progress))
        };
        table.scan::<Part, Error>(&scanned.requests(), &scan, map, each)?;
        Ok(reader)
    }

    fn new(
        table: &Table,
        columns: &'a Columns,
        in_place: Vec<Option<InPlace>>,
        out_of_core: bool,
    ) -> Result<Self, Error> {
        let growth = |reading: Reading| match reading {
            Reading::Number | Reading::Boolean => {
                Growth::Numbers(Growing::default(), 1, Vec::new())
            }
            Reading::List(width) => Growth::Numbers(Growing::default(), width, Vec::new()),
            Reading::Category => Growth::Texts(Texts::default()),
        };
        let mut scanned = columns.clone();
        let mut is_in_place = in_place.iter().map(Option::is_some);
        scanned.features.retain(|_| is_in_place.next() != Some(true));
        let soft_order = match &columns.target {
            TargetColumn::Class { .. } => Vec::new(),
            TargetColumn::PerClass(columns) => {
                let mut order: Vec<usize> = (0..columns.len()).collect();
                order.sort_by(|&a, &b| {
                    in_order(&canonical(&columns[a].1), &canonical(&columns[b].1))
                });
                order
            }
        };
        let names = scanned.names(table);
        Ok(Self {
            columns,
            features: scanned.features.iter().map(|f| growth(f.reading)).collect(),
            missing: vec![0; names.len()],
            names,
            scanned,
            in_place,
            spill: out_of_core.then(Spill::create).transpose()?,
            rows: 0,
            read: 0,
            classes: Texts::default(),
            soft_order,
            soft: Pile::default(),
            weights: Pile::default(),
            offsets: columns.offsets.iter().map(|_| Pile::default()).collect(),
            ids: vec![Vec::new(); columns.ids.len()],
            group: Texts::default(),
            time: Vec::new(),
            time_text: Vec::new(),
        })
    }

    fn add(&mut self, part: Part) -> Result<(), Error> {
        let spill = &mut self.spill;
        for (growth, kept) in self.features.iter_mut().zip(part.features) {
            match (growth, kept) {
                (Growth::Numbers(mine, width, missing), Kept::Numbers(more, its_width, places)) => {
                    *width = its_width;
                    mine.append(more, spill.as_mut())?;
                    missing.extend(places.into_iter().map(|i| self.rows as u64 + u64::from(i)));
                }
                (Growth::Texts(mine), Kept::Texts(more)) => mine.append(more, spill.as_mut())?,
                _ => {}
            }
        }
        for (mine, more) in self.missing.iter_mut().zip(part.missing) {
            *mine += more;
        }
        self.read += part.rows as u64;
        self.rows += part.kept;
        self.classes.append(part.classes, spill.as_mut())?;
        let order = &self.soft_order;
        let soft = part.soft.chunks_exact(order.len().max(1));
        let soft: Vec<f64> = soft.flat_map(|row| order.iter().map(|&i| row[i])).collect();
        self.soft.append(&soft, spill.as_mut())?;
        self.weights.append(&part.weights, spill.as_mut())?;
        for (mine, more) in self.offsets.iter_mut().zip(&part.offsets) {
            mine.append(more, spill.as_mut())?;
        }
        for (mine, more) in self.ids.iter_mut().zip(part.ids) {
            mine.extend(more);
        }
        self.group.append(part.group, None)?;
        self.time.extend(part.time);
        self.time_text.extend(part.time_text);
        Ok(())
    }

    fn finish(mut self, table: &Table, options: &ReadOptions) -> Result<Dataset, Error> {
        let error = |message: String| Error::new(format!("{}: {message}", table.spec()));
        self.check_missing(options.missing)
            .map_err(|(message, hint)| error(message).with_hint(hint))?;
        if let (Some((c, _)), Some(row)) = (self.columns.time, not_a_time(&self.time_text)) {
            let (name, text) = (&table.columns()[c].name, xent_io::show(&self.time_text[row]));
            return Err(error(format!("column {name} is {text}, which has no place in time"))
                .with_hint("--time takes numbers, or dates such as 2026-11-22 and 2026-11-22T08:30:00: texts in the order of time"));
        }
        if self.rows == 0 {
            return Err(if self.read == 0 {
                error("there are no rows".to_owned()).with_hint("a header alone is not enough")
            } else {
                error("every row has a missing value".to_owned())
                    .with_hint("leave columns out with --drop, or use --missing indicator")
            });
        }
        let columns = self.columns;
        let name = |c: usize| table.columns()[c].name.clone();
        let mut notes: Vec<String> = columns
            .skipped
            .iter()
            .map(|name| {
                format!("column {name} is left out: it holds nothing that can be learnt from")
            })
            .collect();
        notes.extend(self.filled(options.missing));
        let (classes, targets, target_columns) = self.targets(table, options)?;
        let (mut features, mut values) = (Vec::new(), Vec::new());
        for (column, _) in &options.references {
            let is_category =
                |f: &&FeatureColumn| f.name == *column && f.reading == Reading::Category;
            if !columns.features.iter().any(|f| is_category(&f)) {
                return Err(error(format!("column {column} has no reference level")).with_hint(
                    "only categories have levels: text columns, and what --categorical names",
                ));
            }
        }
        if options.min_count > 1 && !columns.features.iter().any(|f| f.reading == Reading::Category)
        {
            return Err(error("no feature is a category whose levels could be rare".to_owned())
                .with_hint("leave out --min-count, or name such features with --categorical"));
        }
        let mut growths = std::mem::take(&mut self.features).into_iter();
        let in_place = std::mem::take(&mut self.in_place);
        for (column, in_place) in columns.features.iter().zip(in_place) {
            let wrong = |(what, hint): (String, String)| {
                error(format!("column {} {what}", column.name)).with_hint(hint)
            };
            let kind = match in_place {
                Some(InPlace::Numbers(cells, shape)) => {
                    let width = shape.width;
                    values.push(Values::Numbers(cells, shape));
                    match column.reading {
                        Reading::List(_) => FeatureKind::List { width },
                        _ => FeatureKind::Number { fill: None },
                    }
                }
                Some(InPlace::Texts(codes, texts, to_text)) => {
                    let (levels, of_text) =
                        self.levels(column, &texts, options, &mut notes).map_err(wrong)?;
                    let to_level = to_text.iter().map(|&text| of_text[text as usize]).collect();
                    values.push(Values::Codes {
                        codes,
                        to_level: Some(to_level),
                        n_levels: levels.n_codes(),
                        reference: levels.reference_code(),
                    });
                    FeatureKind::Category(levels)
                }
                None => match growths.next() {
                    Some(Growth::Texts(texts)) => {
                        let (levels, of_text) =
                            self.levels(column, &texts, options, &mut notes).map_err(wrong)?;
                        values.push(self.codes(&levels, &of_text, texts)?);
                        FeatureKind::Category(levels)
                    }
                    Some(Growth::Numbers(growing, width, missing)) => {
                        self.numbers(column.reading, growing, width, &missing, &mut values)?
                    }
                    None => continue,
                },
            };
            features.push(Feature { column: column.name.clone(), kind });
        }
        let spill = &mut self.spill;
        let weights = match columns.weight {
            Some(_) => Some(self.weights.finish(spill.as_mut(), |w| w)?),
            None => None,
        };
        if weights.as_ref().is_some_and(|weights| !weights.iter().any(|w| *w > 0.0)) {
            return Err(error("all weights are 0".to_owned())
                .with_hint("at least one row needs a positive weight"));
        }
        let mut offsets = Vec::new();
        for ((c, class), x) in columns.offsets.iter().zip(self.offsets) {
            offsets.push((name(*c), canonical(class), x.finish(spill.as_mut(), |x| x)?));
        }
        let mut data = Dataset {
            source: table.spec().to_owned(),
            rows: self.rows,
            dropped: self.read - self.rows as u64,
            classes,
            target_name: columns.target_name.clone(),
            target_columns,
            weight_name: columns.weight.map(name),
            features,
            notes,
            values,
            targets,
            weights,
            offsets,
            ids: columns.ids.iter().map(|&c| name(c)).zip(self.ids).collect(),
            group: match columns.group {
                Some(_) => Some(self.group.codes.finish(None, |code| code)?.to_vec()),
                None => None,
            },
            time: columns.time.map(|_| ranks(&self.time, &self.time_text)),
            constants: Vec::new(),
        };
        if !options.is_for_watching {
            data.find_constants()?;
        }
        if options.roles.features.is_none() && !options.is_for_watching {
            data.note_identifiers();
        }
        Ok(data)
    }

    /// The classes in their order, what each row should be, and the columns that say it, if they are several.
    fn targets(
        &mut self,
        table: &Table,
        options: &ReadOptions,
    ) -> Result<(Vec<String>, Targets, Vec<String>), Error> {
        let error = |message: String| Error::new(format!("{}: {message}", table.spec()));
        let name = &self.columns.target_name;
        if let TargetColumn::PerClass(columns) = &self.columns.target {
            let order = &self.soft_order;
            let classes = order.iter().map(|&i| canonical(&columns[i].1)).collect();
            let names = order.iter().map(|&i| table.columns()[columns[i].0].name.clone());
            let soft = std::mem::take(&mut self.soft).finish(self.spill.as_mut(), |x| x)?;
            return Ok((classes, Targets::Soft(soft), names.collect()));
        }
        let texts = std::mem::take(&mut self.classes);
        let (order, classes) = class_order(&texts, options)
            .map_err(|(what, hint)| error(format!("column {name} {what}")).with_hint(hint))?;
        let codes = texts.codes.finish(self.spill.as_mut(), |code| order[code as usize])?;
        Ok((classes, Targets::Classes(codes), Vec::new()))
    }

    /// The values of numbers, and of the indicator of missing ones.
    fn numbers(
        &mut self,
        reading: Reading,
        growing: Growing,
        width: usize,
        missing: &[u64],
        values: &mut Vec<Values>,
    ) -> Result<FeatureKind, Error> {
        let (cells, fill) = growing.finish(self.spill.as_mut(), missing)?;
        values.push(Values::Numbers(cells, Shape::rows_of(width)));
        if fill.is_some() {
            let mut flags = vec![0; self.rows];
            missing.iter().for_each(|&row| flags[row as usize] = 1);
            let flags = Cells::U8(laid(flags, self.spill.as_mut())?);
            values.push(Values::Numbers(flags, Shape::rows_of(1)));
        }
        Ok(match reading {
            Reading::Boolean => FeatureKind::Boolean { fill },
            Reading::List(_) => FeatureKind::List { width },
            Reading::Number | Reading::Category => FeatureKind::Number { fill },
        })
    }

    /// The levels of a category, and the code of each of its texts; what is wrong with them, and a hint.
    fn levels(
        &self,
        column: &FeatureColumn,
        texts: &Texts,
        options: &ReadOptions,
        notes: &mut Vec<String>,
    ) -> Result<(Levels, Vec<u32>), (String, String)> {
        let said = options.references.iter().find(|(c, _)| *c == column.name);
        let said = said.map(|(_, level)| level.as_str());
        let levels = levels(texts, self.rows, column.is_number, options, said)?;
        if !levels.rare.is_empty() {
            let each = texts.levels().iter().zip(texts.counts());
            let rows: u64 = each.filter(|(l, _)| levels.rare.contains(l)).map(|(_, n)| n).sum();
            notes.push(format!(
                "{}: {} of fewer than {} rows share one coefficient, {RARE_LEVEL}: {} ({})",
                column.name,
                counted(levels.rare.len() as u64, "level", "levels"),
                options.min_count,
                counted(rows, "row", "rows"),
                short(&levels.rare)
            ));
        }
        let own: HashMap<&str, u32> = levels.levels.iter().map(String::as_str).zip(0..).collect();
        let rare = levels.rare_code();
        // What no row has is no level; its code stands nowhere.
        let to_code = |l: &String| own.get(l.as_str()).copied().or(rare).unwrap_or(0);
        let of_text = texts.levels().iter().map(to_code).collect();
        Ok((levels, of_text))
    }

    /// The codes of a category whose texts were read.
    fn codes(&mut self, levels: &Levels, of_text: &[u32], texts: Texts) -> Result<Values, Error> {
        let missing = levels.missing_code().unwrap_or(0);
        let of = |c: u32| if c == MISSING { missing } else { of_text[c as usize] };
        let (n_levels, spill) = (levels.n_codes(), self.spill.as_mut());
        let codes = match n_levels {
            0..=256 => OwnedCodes::U8(texts.codes.finish(spill, |c| of(c) as u8)?),
            257..=65_536 => OwnedCodes::U16(texts.codes.finish(spill, |c| of(c) as u16)?),
            _ => OwnedCodes::U32(texts.codes.finish(spill, of)?),
        };
        Ok(Values::Codes { codes, to_level: None, n_levels, reference: levels.reference_code() })
    }

    /// Says how many values were filled in, by column.
    fn filled(&self, policy: MissingValues) -> Option<String> {
        let counts: Vec<String> = self
            .scanned
            .features
            .iter()
            .zip(&self.missing)
            .filter(|(_, n)| **n > 0 && policy == MissingValues::Indicator)
            .map(|(feature, n)| format!("{} {n}", feature.name))
            .collect();
        (!counts.is_empty()).then(|| {
            format!(
                "missing values: {}; each such column has an indicator or a level (missing)",
                short(&counts)
            )
        })
    }

    fn check_missing(&self, policy: MissingValues) -> Result<(), (String, &'static str)> {
        let first = match policy {
            MissingValues::Error => 0,
            MissingValues::Drop => return Ok(()),
            MissingValues::Indicator => self.scanned.features.len(),
        };
        let is_list = |i: usize| {
            matches!(self.scanned.features.get(i).map(|f| f.reading), Some(Reading::List(_)))
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
        let is_feature = |name: &String| self.scanned.features.iter().any(|f| f.name == *name);
        let hint = match policy {
            MissingValues::Error if !counts.iter().any(|(name, _)| is_feature(name)) => {
                "leave such rows out with --missing drop"
            }
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

/// `1 row`, `2 rows`.
pub(super) fn counted(n: u64, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

/// Numbers as they are, or in the spill.
fn laid<T: Plain>(numbers: Vec<T>, spill: Option<&mut Spill>) -> Result<Lot<T>, Error> {
    let Some(spill) = spill else { return Ok(Lot::Held(numbers)) };
    let mut extent = spill.begin()?;
    spill.push(&mut extent, &numbers)?;
    Ok(Lot::Mapped(spill.map(extent)?))
}

/// Where each text goes among the classes, and these in their order; what is wrong with them, and a hint.
pub(crate) fn class_order(
    texts: &Texts,
    options: &ReadOptions,
) -> Result<(Vec<u32>, Vec<String>), (String, String)> {
    let (order, classes) = if options.classes.is_empty() {
        sorted(texts)
    } else {
        declared(texts, &options.classes).map_err(|(what, hint)| (what, hint.to_owned()))?
    };
    if let [only] = &classes[..] {
        let hint = if options.is_for_watching {
            "name the class that no row has, too, as in --classes 0,1"
        } else {
            "a classifier needs at least two classes"
        };
        let what = format!("is {only} in every row: there is nothing to tell apart");
        return Err((what, hint.to_owned()));
    }
    if classes.len() > NAMES && classes.len() == texts.codes.len() {
        let what = format!("has {} classes in {} rows", classes.len(), texts.codes.len());
        return Err((what, "a target has a few classes, each of many rows".to_owned()));
    }
    Ok((order, classes))
}
