//! Two tables side by side, as one table of two models.

use xent_io::{Batch, ReadAs, Request, RowError, Table};

use crate::block::Block;
use crate::classes::Classes;
use crate::error::Error;
use crate::roles::{Binding, ModelColumns, PredictionColumns, Roles, TargetColumns};
use crate::score::Shape;
use crate::source::Source;

/// What must be the same in both tables.
#[derive(Default)]
pub(super) struct Checks {
    /// The second table's first column, its name, and the columns of its label (or targets) and id.
    second: Option<(usize, String)>,
    target: Vec<usize>,
    id: Option<usize>,
    /// Their places in a batch.
    places: Vec<usize>,
    names: Vec<String>,
    /// How the second table's label or targets are read.
    read_as: Option<ReadAs>,
    /// Its classes, in the order of the results.
    classes: Classes,
    /// The place of each of them in its lists of targets.
    to_own: Vec<u32>,
}

/// The first table with the second one's columns beside it, and where its models are.
pub(super) fn join(
    sources: Vec<Source>,
    roles: &Roles,
) -> Result<(Source, Binding, Checks), Error> {
    let mut sources = sources.into_iter();
    let Some(mut first) = sources.next() else { return Err(Error::new("there is no table")) };
    let mut binding = roles.bind(&first.table)?;
    let Some(second) = sources.next() else { return Ok((first, binding, Checks::default())) };
    if sources.next().is_some() {
        return Err(Error::new(
            "the worst rows are those of one file, or of two that are compared",
        )
        .with_hint("name one or two files"));
    }
    let mut roles = roles.clone();
    roles.by.clear();
    roles.weight = None;
    let has_id = roles.id.as_ref().is_some_and(|id| second.table.column(id).is_some());
    if !has_id {
        roles.id = None;
    }
    let theirs = roles.bind(&second.table)?;
    if binding.models.len() > 1 || theirs.models.len() > 1 {
        return Err(Error::new("two files that are compared hold one model each")
            .with_hint("name one file with --models, or two files without"));
    }
    if first.name == second.name {
        return Err(crate::source::same_name(&first.name, first.table.spec(), second.table.spec()));
    }
    let order = crate::roles::order(&binding.classes, &theirs.classes).map_err(|_| {
        Error::new(format!("{}: the classes differ", second.table.spec())).with_hint(format!(
            "both models need the same classes, in any order: {}",
            crate::roles::short(&binding.classes)
        ))
    })?;
    let own = first.table.columns().len();
    let move_to = |column: usize| column + own;
    let model = &theirs.models[0];
    binding.models[0].name = Some(first.name.clone());
    binding.models.push(ModelColumns {
        name: Some(second.name.clone()),
        columns: match &model.columns {
            PredictionColumns::PerClass(columns) => {
                PredictionColumns::PerClass(columns.iter().map(|&c| move_to(c)).collect())
            }
            PredictionColumns::List(column) => PredictionColumns::List(move_to(*column)),
            PredictionColumns::Positive(column) => PredictionColumns::Positive(move_to(*column)),
        },
        to_own: order.iter().map(|&i| model.to_own[i as usize]).collect(),
    });
    let mut to_own = Vec::new();
    let (target, read_as) = match &theirs.target {
        TargetColumns::Label(column) => (vec![move_to(*column)], Some(ReadAs::Text)),
        TargetColumns::Absent => (Vec::new(), None),
        TargetColumns::PerClass(columns) => {
            let columns = order.iter().map(|&i| move_to(columns[i as usize])).collect();
            (columns, Some(ReadAs::Numbers))
        }
        TargetColumns::List { column, to_own: own } => {
            to_own = order.iter().map(|&i| own[i as usize]).collect();
            (vec![move_to(*column)], Some(ReadAs::List))
        }
    };
    if first.table.beside().is_some() || second.table.beside().is_some() {
        return Err(Error::new("a table that has labels beside it cannot stand beside another")
            .with_hint("put the labels into both tables"));
    }
    let spec = second.table.spec().to_owned();
    // A name of its own for each column: messages say whose it is.
    let names: Vec<String> =
        second.table.columns().iter().map(|c| format!("{} of {spec}", c.name)).collect();
    let checks = Checks {
        second: Some((own, spec)),
        target,
        id: theirs.id.filter(|_| has_id).map(move_to),
        places: Vec::new(),
        names: Vec::new(),
        read_as,
        classes: Classes::new(&binding.classes, theirs.positions.as_deref()),
        to_own,
    };
    first.table.put_beside(second.table, names)?;
    Ok((first, binding, checks))
}

impl Checks {
    /// Whether a column of the joined table is the second table's.
    pub fn is_theirs(&self, column: usize) -> bool {
        self.second.as_ref().is_some_and(|(own, _)| column >= *own)
    }

    /// The table of model `model` as the user named it.
    pub fn spec(&self, model: usize, table: &Table) -> String {
        match &self.second {
            Some((_, spec)) if model == 1 => spec.clone(),
            _ => table.spec().to_owned(),
        }
    }

    /// A shape with the column names that the files have.
    pub fn shape(&self, mut shape: Shape) -> Shape {
        if let Some((_, spec)) = &self.second {
            let of = format!(" of {spec}");
            shape.predictions = shape.predictions.replace(&of, "");
            for name in &mut shape.prediction_columns {
                *name = name.replace(&of, "");
            }
        }
        shape
    }

    /// Asks for the columns to be checked.
    #[must_use]
    pub fn request(mut self, table: &Table, requests: &mut Vec<Request>) -> Self {
        let read_as = self.read_as.unwrap_or(ReadAs::Text);
        let columns = self.target.iter().map(|&column| Request { column, read_as });
        let id = self.id.map(|column| Request { column, read_as: ReadAs::Text });
        for request in columns.chain(id) {
            self.places.push(requests.len());
            self.names.push(table.columns()[request.column].name.clone());
            requests.push(request);
        }
        self
    }

    /// The first row whose label or id is another in the second table.
    pub fn check(&self, batch: &Batch, block: &Block, classes: &[String]) -> Result<(), RowError> {
        if self.second.is_none() {
            return Ok(());
        }
        let differ = |row: usize, place: usize, mine: &str, theirs: &str| RowError {
            row,
            column: Some(self.names[place].clone()),
            message: format!(
                "column {} is {}, in the first file it is {}",
                self.names[place],
                xent_io::show(theirs),
                xent_io::show(mine)
            ),
            hint: Some("both files must hold the same rows in the same order".to_owned()),
        };
        for row in 0..block.rows {
            if block.absent.as_ref().is_some_and(|a| a[row]) {
                continue;
            }
            for (place, &at) in self.places.iter().enumerate() {
                let column = batch.column(at);
                if let Some(x) = column.numbers() {
                    let mine = block.target.at(row, place);
                    if x[row] != mine {
                        return Err(differ(row, place, &mine.to_string(), &x[row].to_string()));
                    }
                    continue;
                }
                if let Some((width, values)) = column.lists() {
                    let differs = |class: &usize| {
                        let place = row * width + self.to_own[*class] as usize;
                        values.get(place).is_none_or(|&t| t != block.target.at(row, *class))
                    };
                    if (0..self.to_own.len()).any(|class| differs(&class)) {
                        let list = values.get(row * width..(row + 1) * width).unwrap_or_default();
                        let mine = block.target.describe(row, classes);
                        return Err(differ(row, place, &mine, &format!("{list:?}")));
                    }
                    continue;
                }
                let theirs = column.text().and_then(|t| t.get(row)).unwrap_or_default();
                let is_label = place < self.target.len();
                let mine = if is_label {
                    block.target.describe(row, classes)
                } else {
                    block.ids.as_ref().map_or_else(String::new, |ids| ids[row].clone())
                };
                let is_mine = |class: u32| block.target.at(row, class as usize) == 1.0;
                let same = if is_label {
                    self.classes.find(theirs).is_some_and(is_mine)
                } else {
                    theirs == mine
                };
                if !same {
                    return Err(differ(row, place, &mine, theirs));
                }
            }
        }
        Ok(())
    }
}
