//! Which columns of a table are learnt from, and which are learnt.

use std::collections::HashSet;

use xent_io::{Kind, ReadAs, Request, Table};

use crate::error::Error;
use crate::learn::feature::INTERCEPT;
use crate::roles::{find_column, list_columns, select_classes, select_columns};

/// What the user said about the columns of a table to train on.
#[derive(Clone, Debug, Default)]
pub struct FeatureRoles {
    /// The column of the classes.
    pub target: Option<String>,
    /// Columns of soft targets, one a class: a glob or a list.
    pub targets: Option<String>,
    /// The features: globs or a list; all columns without another role if there are none.
    pub features: Option<String>,
    /// Columns that are no features: globs or a list.
    pub drop: Option<String>,
    /// Columns of numbers that are categories: globs or a list.
    pub categorical: Option<String>,
    /// The weight column.
    pub weight: Option<String>,
    /// Columns added to the scores: one, or one a class.
    pub offset: Option<String>,
    /// Columns that identify a row, kept in out-of-fold predictions.
    pub id: Vec<String>,
    /// Rows of the same value are never divided between training and test.
    pub group: Option<String>,
    /// Rows are tested by models of earlier rows only.
    pub time: Option<String>,
}

/// How a feature column is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A number a row.
    Number,
    /// True or false a row.
    Boolean,
    /// Numbers a row.
    List(usize),
    /// A text a row; numbers are spelt in one way.
    Category,
}

/// A feature column of a table.
#[derive(Clone, Debug)]
pub(crate) struct FeatureColumn {
    pub column: usize,
    pub name: String,
    pub reading: Reading,
    /// Whether the file has numbers there.
    pub is_number: bool,
}

/// Where the target is.
#[derive(Clone, Debug)]
pub(crate) enum TargetColumn {
    Class { column: usize, may_be_fraction: bool },
    PerClass(Vec<(usize, String)>),
}

/// Which columns of a table play which role.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub target: TargetColumn,
    /// As messages and results name it.
    pub target_name: String,
    pub features: Vec<FeatureColumn>,
    pub weight: Option<usize>,
    /// With the class that each is of, if it is one of several.
    pub offsets: Vec<(usize, String)>,
    pub ids: Vec<usize>,
    pub group: Option<usize>,
    pub time: Option<(usize, ReadAs)>,
    /// Columns that could not be read, and were not asked for.
    pub skipped: Vec<String>,
}

impl FeatureRoles {
    pub(crate) fn bind(&self, table: &Table) -> Result<Columns, Error> {
        let one = |name: &Option<String>| name.as_ref().map(|n| find_column(table, n)).transpose();
        let error = |message: String| Error::new(format!("{}: {message}", table.spec()));
        let info = |c: usize| &table.columns()[c];
        let (target, target_name) = match (&self.target, &self.targets) {
            (Some(name), None) => {
                let column = find_column(table, name)?;
                let kind = info(column).kind;
                if matches!(kind, Kind::List { .. } | Kind::Unsupported) {
                    return Err(error(format!("column {name} holds no classes"))
                        .with_hint("a target is the name or the number of a class; soft targets are several columns: --targets 't_*'"));
                }
                let may_be_fraction = kind == Kind::Number;
                (TargetColumn::Class { column, may_be_fraction }, name.clone())
            }
            (None, Some(spec)) => {
                let chosen = select_classes(table, spec)?;
                if chosen.len() < 2 {
                    return Err(error(format!("only one column matches {spec}"))
                        .with_hint("soft targets need a column for each class"));
                }
                (TargetColumn::PerClass(chosen), spec.clone())
            }
            _ => {
                return Err(error("no target is named".to_owned())
                    .with_hint(format!("name it with --target; {}", list_columns(table))));
            }
        };
        let weight = one(&self.weight)?;
        let group = one(&self.group)?;
        let time = one(&self.time)?.map(|c| match info(c).kind {
            Kind::Number | Kind::Integer => (c, ReadAs::Numbers),
            _ => (c, ReadAs::Text),
        });
        let ids = self.id.iter().map(|n| find_column(table, n)).collect::<Result<Vec<_>, _>>()?;
        let offsets = match &self.offset {
            Some(spec) => select_columns(table, spec)?,
            None => Vec::new(),
        };
        let targets: Vec<usize> = match &target {
            TargetColumn::Class { column, .. } => vec![*column],
            TargetColumn::PerClass(columns) => columns.iter().map(|(c, _)| *c).collect(),
        };
        let set = |spec: &Option<String>| -> Result<HashSet<usize>, Error> {
            match spec {
                Some(spec) => {
                    Ok(select_columns(table, spec)?.into_iter().map(|(c, _)| c).collect())
                }
                None => Ok(HashSet::new()),
            }
        };
        let (dropped, categorical) = (set(&self.drop)?, set(&self.categorical)?);
        let mut taken: HashSet<usize> = targets.iter().copied().collect();
        taken.extend([weight, group, time.map(|t| t.0)].into_iter().flatten());
        taken.extend(offsets.iter().map(|(c, _)| *c));
        let (chosen, said) = match &self.features {
            Some(spec) => {
                let mut seen = HashSet::new();
                let mut chosen = select_columns(table, spec)?;
                chosen.retain(|(c, _)| seen.insert(*c));
                (chosen.into_iter().map(|(c, _)| c).collect::<Vec<_>>(), true)
            }
            None => {
                taken.extend(&ids);
                ((0..table.columns().len()).filter(|c| !taken.contains(c)).collect(), false)
            }
        };
        if said && let Some(&c) = chosen.iter().find(|c| targets.contains(c)) {
            return Err(error(format!("column {} is both target and feature", info(c).name))
                .with_hint("leave it out of --features"));
        }
        let (mut features, mut skipped) = (Vec::new(), Vec::new());
        for column in chosen.into_iter().filter(|c| !dropped.contains(c)) {
            let name = info(column).name.clone();
            let kind = info(column).kind;
            let is_number = matches!(kind, Kind::Number | Kind::Integer);
            let reading = match kind {
                _ if categorical.contains(&column) => Reading::Category,
                Kind::Number | Kind::Integer => Reading::Number,
                Kind::Boolean => Reading::Boolean,
                Kind::Text => Reading::Category,
                Kind::List { width: Some(width) } => Reading::List(width),
                Kind::List { width: None } | Kind::Unsupported if !said => {
                    skipped.push(name);
                    continue;
                }
                Kind::List { width: None } | Kind::Unsupported => {
                    return Err(error(format!("column {name} holds nothing that can be learnt from"))
                        .with_hint("features are numbers, true and false, texts, or lists of numbers of one length"));
                }
            };
            features.push(FeatureColumn { column, name, reading, is_number });
        }
        if let Some(&c) = categorical.iter().find(|c| !features.iter().any(|f| f.column == **c)) {
            return Err(error(format!("column {} is no feature", info(c).name))
                .with_hint("--categorical names columns that are among the features"));
        }
        if features.iter().any(|f| f.name == INTERCEPT) {
            return Err(error(format!("column {INTERCEPT} has the name of the intercept"))
                .with_hint("give it another name, or leave it out with --drop"));
        }
        if features.is_empty() {
            return Err(
                error("no column is left to learn from".to_owned()).with_hint(list_columns(table))
            );
        }
        Ok(Columns { target, target_name, features, weight, offsets, ids, group, time, skipped })
    }
}

impl FeatureColumn {
    pub(crate) fn request(&self) -> Request {
        let read_as = match self.reading {
            Reading::Number => ReadAs::Numbers,
            Reading::Boolean | Reading::Category => ReadAs::Text,
            Reading::List(_) => ReadAs::Tensor,
        };
        Request { column: self.column, read_as }
    }
}

impl Columns {
    /// What to read: features first, then target, weight, offsets, ids, group and time.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let numbers = |column: usize| Request { column, read_as: ReadAs::Numbers };
        let text = |column: usize| Request { column, read_as: ReadAs::Text };
        let mut requests: Vec<Request> = self.features.iter().map(FeatureColumn::request).collect();
        match &self.target {
            TargetColumn::Class { column, .. } => requests.push(text(*column)),
            TargetColumn::PerClass(columns) => {
                requests.extend(columns.iter().map(|(c, _)| numbers(*c)));
            }
        }
        requests.extend(self.weight.map(numbers));
        requests.extend(self.offsets.iter().map(|(c, _)| numbers(*c)));
        requests.extend(self.ids.iter().map(|&c| text(c)));
        requests.extend(self.group.map(text));
        requests.extend(self.time.map(|(column, read_as)| Request { column, read_as }));
        requests
    }
}
