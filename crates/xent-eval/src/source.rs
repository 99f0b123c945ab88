//! A table with the name of its model.

use std::path::Path;

use xent_io::{ColumnInfo, Format, Kind, OpenOptions, Table};

use crate::error::Error;

/// A table of predictions and the name of the model that made them.
pub struct Source {
    /// The model's name: given as `name=path`, else the file's stem.
    pub name: String,
    /// The table.
    pub table: Table,
}

impl Source {
    /// Opens `path`, `name=path`, a glob, a directory of part files, or `-` for standard input.
    ///
    /// # Errors
    ///
    /// What is wrong with the table, with a hint.
    pub fn open(spec: &str, options: &OpenOptions) -> Result<Self, Error> {
        if spec.is_empty() {
            return Err(Error::new("the name of a file is empty")
                .with_hint("write a path, or - for standard input"));
        }
        let (name, path) = match spec.split_once('=') {
            // A file that is really called so is that file.
            Some((name, path)) if !name.contains('/') && !Path::new(spec).exists() => {
                if name.is_empty() || path.is_empty() {
                    return Err(Error::new(format!("{spec} is neither a path nor name=path"))
                        .with_hint("write a path, or name=path to name the model"));
                }
                (Some(name), path)
            }
            _ => (None, spec),
        };
        let table = Table::open(path, options)?;
        let name = name.map_or_else(|| table.name().to_owned(), str::to_owned);
        Ok(Self { name, table })
    }

    /// Opens several; where file stems are the same, the models are named by their paths.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), for the first that cannot be opened; two models of one name.
    pub fn open_all(specs: &[String], options: &OpenOptions) -> Result<Vec<Self>, Error> {
        let is_stdin = |spec: &&String| *spec == "-" || spec.ends_with("=-");
        if specs.iter().filter(is_stdin).count() > 1 {
            return Err(read_twice());
        }
        let mut sources =
            specs.iter().map(|s| Self::open(s, options)).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = sources.iter().map(|s| s.name.clone()).collect();
        for (source, spec) in sources.iter_mut().zip(specs) {
            let shared = names.iter().filter(|n| **n == source.name).count() > 1;
            if shared && spec == source.table.spec() {
                spec.clone_into(&mut source.name);
            }
        }
        for (i, source) in sources.iter().enumerate() {
            if let Some(other) = sources[..i].iter().find(|other| other.name == source.name) {
                return Err(same_name(&source.name, other.table.spec(), source.table.spec()));
            }
        }
        Ok(sources)
    }
}

/// Puts the columns of the file `spec` beside those of every source, row by row, as for labels that
/// lie in a file of their own.
///
/// The name of the file's only column, which is then meant as the label; `None` if there are several.
/// The column of a `.npy` file, which has no name of its own, is named `label`. Only where soft targets are named
/// (`has_targets`) a file may hold nothing but lists.
///
/// # Errors
///
/// What is wrong with the file; a column that a source has too; standard input for several sources.
pub fn put_beside(
    sources: &mut [Source],
    spec: &str,
    has_targets: bool,
) -> Result<Option<String>, Error> {
    if spec == "-" && sources.len() > 1 {
        return Err(Error::new(
            "labels on standard input can be read for one prediction file only",
        )
        .with_hint("save them to a file first"));
    }
    if spec == "-" && sources.iter().any(|s| s.table.spec() == "-") {
        return Err(read_twice());
    }
    let mut only = None;
    for source in sources {
        let other =
            Table::open(spec, &OpenOptions::default()).map_err(|e| labels_error(e, source))?;
        let mut names: Vec<String> = other.columns().iter().map(|c| c.name.clone()).collect();
        if other.format() == Format::Npy {
            names.fill("label".to_owned());
        }
        if let ([ColumnInfo { kind: Kind::List { .. }, .. }], false) =
            (other.columns(), has_targets)
        {
            let name = &names[0];
            return Err(Error::new(format!(
                "{spec}: column {name} holds lists of numbers, not labels"
            ))
            .with_hint(format!(
                "a label is one class a row; for one-hot or soft targets add --targets {name}"
            )));
        }
        only = match &names[..] {
            [one] => Some(one.clone()),
            _ => None,
        };
        source.table.put_beside(other, names)?;
    }
    Ok(only)
}

/// A column that was taken for a file, perhaps.
fn labels_error(error: xent_io::Error, source: &Source) -> Error {
    match source.table.column(error.file()) {
        Some(_) if error.message() == "no such file" => {
            let column = error.file().to_owned();
            Error::from(error)
                .with_hint(format!("--labels names a file, --label the column {column}"))
        }
        _ => error.into(),
    }
}

fn read_twice() -> Error {
    Error::new("standard input is named twice, and can be read only once")
        .with_hint("save it to a file first")
}

pub(crate) fn same_name(name: &str, a: &str, b: &str) -> Error {
    Error::new(format!("two models are named {name}: {a} and {b}"))
        .with_hint(format!("give them names, as in a={a} b={b}"))
}
