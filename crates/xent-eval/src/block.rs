//! From a batch of a table to scored rows: labels bound by name, weights checked, losses computed.

use std::collections::HashMap;
use std::sync::Mutex;

use xent::rows::{
    Input, Matrix, Oddity, Problem, RowProblem, RowScores, Rules, Target, predictions_in,
};
use xent_io::{Batch, Column, MISSING, Numbers, ReadAs, Request, RowError, Table, TextColumn};

use crate::classes::Classes;
use crate::error::Error;
use crate::logits;
use crate::predictions::Predictions;
use crate::roles::{Binding, ModelColumns, PredictionColumns, TargetColumns};

/// What happens to a row with a missing prediction, label or weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is an error naming the row.
    #[default]
    Error,
    /// It is left out, and counted.
    Drop,
}

/// Some consecutive rows, scored.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Rows of the table, those left out included.
    pub rows: usize,
    /// The true class of each row, or the distributions, row-major.
    pub target: OwnedTarget,
    /// Weight of each row.
    pub weights: Option<Vec<f64>>,
    /// Identity of each row.
    pub ids: Option<Vec<String>>,
    /// Slice of each row: an index into the keys.
    pub slices: Option<(Vec<u32>, Vec<Vec<String>>)>,
    /// Model of each row, where models are stacked.
    pub models: Option<Vec<String>>,
    /// Rows that are left out for a missing value; `None` if there are none.
    pub absent: Option<Vec<bool>>,
    /// The losses under each model.
    pub scores: Vec<RowScores>,
    /// The predictions of each model, as scored; empty unless [`Scorer::with_predictions`].
    pub predictions: Vec<Predictions>,
    /// For each model the rows' numbers in its own file, from 1, where they are not consecutive.
    pub numbers: Vec<Vec<u64>>,
}

/// A target that owns its numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedTarget {
    /// The true class of each row.
    Classes(Vec<u32>),
    /// Row-major distributions.
    Distributions {
        /// The numbers, row after row.
        values: Vec<f64>,
        /// Classes.
        width: usize,
    },
}

impl Default for OwnedTarget {
    fn default() -> Self {
        Self::Classes(Vec::new())
    }
}

impl OwnedTarget {
    /// Borrowed.
    pub fn target(&self) -> Target<'_> {
        match self {
            Self::Classes(classes) => Target::Classes(classes),
            Self::Distributions { values, width } => {
                Target::Distributions(Matrix::Rows { values, width: *width })
            }
        }
    }

    /// The rows at `indices`.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(indices.iter().map(|&i| classes[i]).collect()),
            Self::Distributions { values, width } => Self::Distributions {
                values: indices
                    .iter()
                    .flat_map(|&i| values[i * width..(i + 1) * width].iter().copied())
                    .collect(),
                width: *width,
            },
        }
    }

    /// Appends rows.
    pub fn append(&mut self, other: &Self) {
        if let Self::Classes(classes) = self
            && classes.is_empty()
        {
            self.clone_from(other);
            return;
        }
        if let (Self::Classes(mine), Self::Classes(theirs)) = (&mut *self, other) {
            mine.extend_from_slice(theirs);
            return;
        }
        let width = self.width().max(other.width());
        let mut values = self.to_distributions(width);
        values.extend(other.to_distributions(width));
        *self = Self::Distributions { values, width };
    }

    /// Numbers a row; 0 for classes.
    pub fn width(&self) -> usize {
        match self {
            Self::Classes(_) => 0,
            Self::Distributions { width, .. } => *width,
        }
    }

    fn to_distributions(&self, width: usize) -> Vec<f64> {
        match self {
            Self::Classes(classes) => {
                let mut values = vec![0.0; classes.len() * width];
                for (i, &class) in classes.iter().enumerate() {
                    values[i * width + class as usize] = 1.0;
                }
                values
            }
            Self::Distributions { values, .. } => values.clone(),
        }
    }

    /// Whether row `i` here and row `j` there have the same truth.
    pub fn same(&self, i: usize, other: &Self, j: usize) -> bool {
        match (self, other) {
            (Self::Classes(a), Self::Classes(b)) => a[i] == b[j],
            _ => {
                let width = self.width().max(other.width());
                (0..width).all(|c| self.at(i, c) == other.at(j, c))
            }
        }
    }

    pub(crate) fn at(&self, row: usize, class: usize) -> f64 {
        match self {
            Self::Classes(classes) => f64::from(u8::from(classes[row] as usize == class)),
            Self::Distributions { values, width } => values[row * width + class],
        }
    }

    /// The truth of a row in words.
    pub fn describe(&self, row: usize, classes: &[String]) -> String {
        match self {
            Self::Classes(labels) => classes[labels[row] as usize].clone(),
            Self::Distributions { values, width } => {
                let row = &values[row * width..(row + 1) * width];
                let parts: Vec<String> =
                    classes.iter().zip(row).map(|(c, t)| format!("{c} {t}")).collect();
                parts.join(" ")
            }
        }
    }
}

impl Block {
    /// The rows at `indices`; their slices stay behind.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        let pick = |values: &Vec<String>| indices.iter().map(|&i| values[i].clone()).collect();
        Self {
            rows: indices.len(),
            target: self.target.take(indices),
            weights: self.weights.as_ref().map(|w| indices.iter().map(|&i| w[i]).collect()),
            ids: self.ids.as_ref().map(pick),
            slices: self
                .slices
                .as_ref()
                .map(|(of, keys)| (indices.iter().map(|&i| of[i]).collect(), keys.clone())),
            models: self.models.as_ref().map(pick),
            absent: self.absent.as_ref().map(|a| indices.iter().map(|&i| a[i]).collect()),
            scores: self.scores.iter().map(|s| s.take(indices)).collect(),
            predictions: self.predictions.iter().map(|p| p.take(indices)).collect(),
            numbers: self
                .numbers
                .iter()
                .map(|numbers| indices.iter().map(|&i| numbers[i]).collect())
                .collect(),
        }
    }

    /// Appends the rows of another block of the same columns.
    pub fn append(&mut self, mut other: Self) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        if self.absent.is_some() || other.absent.is_some() {
            let mut absent = self.absent.take().unwrap_or_else(|| vec![false; self.rows]);
            absent.extend(other.absent.take().unwrap_or_else(|| vec![false; other.rows]));
            self.absent = Some(absent);
        }
        self.rows += other.rows;
        self.target.append(&other.target);
        append(&mut self.weights, other.weights);
        append(&mut self.ids, other.ids);
        append(&mut self.models, other.models);
        for (mine, theirs) in self.numbers.iter_mut().zip(other.numbers) {
            mine.extend(theirs);
        }
        if let (Some((of, keys)), Some((their_of, their_keys))) = (&mut self.slices, other.slices) {
            let mut places: HashMap<Vec<String>, u32> = keys.iter().cloned().zip(0..).collect();
            let renumbered: Vec<u32> = their_keys
                .into_iter()
                .map(|key| {
                    *places.entry(key.clone()).or_insert_with(|| {
                        keys.push(key);
                        keys.len() as u32 - 1
                    })
                })
                .collect();
            of.extend(their_of.into_iter().map(|i| renumbered[i as usize]));
        }
        for (mine, theirs) in self.scores.iter_mut().zip(&other.scores) {
            mine.append(theirs);
        }
        for (mine, theirs) in self.predictions.iter_mut().zip(&other.predictions) {
            mine.append(theirs);
        }
    }

    /// The models in another order: the i-th is then what the `order[i]`-th was.
    pub(crate) fn reorder(&mut self, order: &[usize]) {
        fn pick<T: Default>(of: &mut Vec<T>, order: &[usize]) {
            if !of.is_empty() {
                *of = order.iter().map(|&i| std::mem::take(&mut of[i])).collect();
            }
        }
        pick(&mut self.scores, order);
        pick(&mut self.predictions, order);
    }

    /// Indices of the rows that are not left out, if some are.
    pub fn present(&self) -> Option<Vec<usize>> {
        self.absent.as_ref().map(|a| (0..self.rows).filter(|&i| !a[i]).collect())
    }
}

fn append<T>(mine: &mut Option<Vec<T>>, theirs: Option<Vec<T>>) {
    if let (Some(mine), Some(theirs)) = (mine, theirs) {
        mine.extend(theirs);
    }
}

/// Turns batches into blocks: the binding of one table with everything that is looked up once.
pub struct Scorer {
    binding: Binding,
    requests: Vec<Request>,
    /// Request of each table column.
    place: HashMap<usize, usize>,
    /// Column names for messages.
    names: Vec<String>,
    /// In the order of the results.
    classes: Classes,
    rules: Rules,
    missing: Missing,
    n_classes: usize,
    keeps_predictions: bool,
    /// Row scores and predictions whose memory is used again.
    spare: Mutex<(Vec<RowScores>, Vec<Vec<f64>>)>,
}

impl Scorer {
    /// Prepares for batches of `table`; `classes` are the classes in the order of the results, which
    /// must be those of the binding in some order.
    ///
    /// # Errors
    ///
    /// Classes that differ.
    pub fn new(
        table: &Table,
        mut binding: Binding,
        classes: &[String],
        rules: &Rules,
        missing: Missing,
    ) -> Result<Self, Error> {
        let order =
            crate::roles::order(classes, &binding.classes).map_err(|(missing, extra)| {
                let what = match (missing, extra) {
                    (Some(class), _) => format!("{}: there is no class {class}", table.spec()),
                    (None, Some(class)) => {
                        format!("{}: class {class} is not a class of the others", table.spec())
                    }
                    (None, None) => format!("{}: the classes differ", table.spec()),
                };
                Error::new(what).with_hint(format!(
                    "all models need the same classes, in any order: {}",
                    crate::roles::short(classes)
                ))
            })?;
        for model in &mut binding.models {
            model.to_own = order.iter().map(|&i| model.to_own[i as usize]).collect();
            // Columns are read in the order of the results: sums over the classes of a row then
            // have the same bits, and a tie goes to the same class, under every model.
            if let PredictionColumns::PerClass(columns) = &mut model.columns {
                *columns = model.to_own.iter().map(|&own| columns[own as usize]).collect();
                model.to_own = (0..order.len() as u32).collect();
            }
        }
        if let TargetColumns::PerClass(columns) = &mut binding.target {
            *columns = order.iter().map(|&i| columns[i as usize]).collect();
        }
        if let TargetColumns::List { to_own, .. } = &mut binding.target {
            *to_own = order.iter().map(|&i| to_own[i as usize]).collect();
        }
        let mut scorer = Self {
            requests: Vec::new(),
            place: HashMap::new(),
            names: table.columns().iter().map(|c| c.name.clone()).collect(),
            classes: Classes::new(classes, binding.positions.as_deref()),
            rules: rules.clone(),
            missing,
            n_classes: classes.len(),
            keeps_predictions: false,
            spare: Mutex::default(),
            binding,
        };
        scorer.request_columns();
        Ok(scorer)
    }

    /// The same, with the predictions kept in every block: [`Block::predictions`].
    #[must_use]
    pub fn with_predictions(mut self) -> Self {
        self.keeps_predictions = true;
        self
    }

    fn request_columns(&mut self) {
        let binding = self.binding.clone();
        for model in &binding.models {
            match &model.columns {
                PredictionColumns::PerClass(columns) => {
                    columns.iter().for_each(|&c| self.request(c, ReadAs::Numbers));
                }
                PredictionColumns::List(column) => {
                    self.request(*column, self.read_list(model));
                }
                PredictionColumns::Positive(column) => self.request(*column, ReadAs::Numbers),
            }
        }
        match &binding.target {
            TargetColumns::Label(column) => self.request(*column, ReadAs::Text),
            TargetColumns::PerClass(columns) => {
                columns.iter().for_each(|&c| self.request(c, ReadAs::Numbers));
            }
            TargetColumns::List { column, .. } => self.request(*column, ReadAs::List),
            TargetColumns::Absent => {}
        }
        if let Some(column) = binding.weight {
            self.request(column, ReadAs::Numbers);
        }
        let texts = binding.by.iter().copied().chain(binding.id).chain(binding.model_col);
        for column in texts {
            self.request(column, ReadAs::Text);
        }
    }

    /// Logits that nothing changes are scored as they are stored; see [`logits`].
    fn read_list(&self, model: &ModelColumns) -> ReadAs {
        let is_label = matches!(self.binding.target, TargetColumns::Label(_));
        if is_label && logits::is_plain(&self.rules) && is_identity(&model.to_own) {
            ReadAs::Tensor
        } else {
            ReadAs::List
        }
    }

    /// A column may have two roles; read in two ways it is requested twice.
    fn request(&mut self, column: usize, read_as: ReadAs) {
        if !self.place.contains_key(&key(column, read_as)) {
            self.place.insert(key(column, read_as), self.requests.len());
            self.requests.push(Request { column, read_as });
        }
    }

    /// The columns that [`block`](Self::block) needs.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The binding, its models' classes in the order of the results.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Takes back the memory of a block that is no longer needed.
    pub fn recycle(&self, block: Block) {
        if let Ok(mut spare) = self.spare.lock() {
            spare.0.extend(block.scores);
            spare.1.extend(block.predictions.into_iter().filter_map(Predictions::into_memory));
        }
    }

    fn numbers<'a>(&self, batch: &'a Batch, column: usize) -> &'a [f64] {
        batch.column(self.place[&key(column, ReadAs::Numbers)]).numbers().unwrap_or_default()
    }

    /// Without a copy where the decoder shares its memory.
    fn shared_numbers(&self, batch: &Batch, column: usize) -> Numbers {
        match batch.column(self.place[&key(column, ReadAs::Numbers)]) {
            Column::Numbers(numbers) => numbers.clone(),
            _ => Numbers::default(),
        }
    }

    fn text<'a>(&self, batch: &'a Batch, column: usize) -> Option<&'a TextColumn> {
        batch.column(self.place[&key(column, ReadAs::Text)]).text()
    }

    /// Scores a batch.
    ///
    /// # Errors
    ///
    /// The first row that cannot be scored: what is wrong with it, with column and value.
    pub fn block(&self, batch: &Batch) -> Result<Block, RowError> {
        let mut result = self.try_block(batch);
        // Each check reports its own first row: a row before that may have failed another one.
        while let Err(error) = &result
            && error.row > 0
        {
            match self.try_block(&batch.head(error.row)) {
                Ok(_) => break,
                earlier => result = earlier,
            }
        }
        result
    }

    fn try_block(&self, batch: &Batch) -> Result<Block, RowError> {
        if batch.columns().iter().all(|column| column.tensor().is_none()) {
            return self.attempt(batch, true);
        }
        // Who scores a tensor sees what is missing in it: it is looked for only if there is something.
        self.attempt(batch, false).or_else(|_| self.attempt(batch, true))
    }

    fn attempt(&self, batch: &Batch, tensors: bool) -> Result<Block, RowError> {
        let n = batch.rows();
        let absent = self.absent(batch, tensors)?;
        let skip = |row: usize| absent.as_ref().is_some_and(|a| a[row]);
        let target = self.target(batch, &skip)?;
        let weights = self.weights(batch, &skip)?;
        let mut block = Block {
            rows: n,
            weights,
            ids: self.ids(batch),
            slices: self.slices(batch),
            models: self.stacked_models(batch)?,
            ..Block::default()
        };
        for model in 0..self.binding.models.len() {
            let (scores, predictions) = self.score(batch, model, &target, absent.as_deref())?;
            block.scores.push(scores);
            block.predictions.extend(predictions);
        }
        block.target = target;
        block.absent = absent;
        Ok(block)
    }

    /// Rows with a missing value, if there are any; an error unless they are dropped. Those of tensors
    /// are looked at only if `tensors`.
    fn absent(&self, batch: &Batch, tensors: bool) -> Result<Option<Vec<bool>>, RowError> {
        let n = batch.rows();
        let mut first: Option<(usize, &String, &str)> = None;
        let mut absent: Option<Vec<bool>> = None;
        for (request, column) in self.requests.iter().zip(batch.columns()) {
            let copied = column.tensor().filter(|_| tensors).map(logits::copied);
            let column = copied.as_ref().unwrap_or(column);
            let is_role_of_text = self.binding.by.contains(&request.column)
                && request.read_as == ReadAs::Text
                && self.binding.target != TargetColumns::Label(request.column);
            // A missing slice value is a slice; most columns have nothing missing.
            if is_role_of_text || !may_lack(column) {
                continue;
            }
            for row in 0..n {
                let what = match column {
                    Column::Numbers(x) if x[row].is_nan() => nan_name(x[row]),
                    Column::Text(t) if t.get(row).is_none_or(|v| v.trim().is_empty()) => "empty",
                    Column::Rows { width, values } => {
                        let list = &values[row * width..(row + 1) * width];
                        match list.iter().find(|x| x.is_nan()) {
                            Some(&x) => nan_name(x),
                            None => continue,
                        }
                    }
                    _ => continue,
                };
                absent.get_or_insert_with(|| vec![false; n])[row] = true;
                if first.is_none_or(|(r, ..)| row < r) {
                    first = Some((row, &self.names[request.column], what));
                }
            }
        }
        if let (Some((row, name, what)), Missing::Error) = (first, self.missing) {
            return Err(RowError {
                row,
                column: Some(name.clone()),
                message: format!("column {name} is {what}"),
                hint: Some("leave such rows out with --missing drop".to_owned()),
            });
        }
        Ok(absent)
    }

    fn target(&self, batch: &Batch, skip: &dyn Fn(usize) -> bool) -> Result<OwnedTarget, RowError> {
        match &self.binding.target {
            // Any class serves: the predictions are checked, and the losses mean nothing.
            TargetColumns::Absent => Ok(OwnedTarget::Classes(vec![0; batch.rows()])),
            TargetColumns::Label(column) => {
                let Some(text) = self.text(batch, *column) else {
                    return Ok(OwnedTarget::default());
                };
                self.classes(text, *column, skip).map(OwnedTarget::Classes)
            }
            TargetColumns::PerClass(columns) => {
                let columns: Vec<&[f64]> =
                    columns.iter().map(|&c| self.numbers(batch, c)).collect();
                let width = columns.len();
                let mut values = vec![0.0; batch.rows() * width];
                for (c, column) in columns.iter().enumerate() {
                    for (row, &t) in column.iter().enumerate() {
                        values[row * width + c] = t;
                    }
                }
                Ok(distributions(values, width, skip))
            }
            TargetColumns::List { column, to_own } => {
                let list = batch.column(self.place[&key(*column, ReadAs::List)]);
                let Some((width, values)) = list.lists() else {
                    return Ok(OwnedTarget::default());
                };
                if width != self.n_classes {
                    return Err(self.wrong_width(*column, width));
                }
                let rows = values.chunks_exact(width);
                let values =
                    rows.flat_map(|row| to_own.iter().map(|&own| row[own as usize])).collect();
                Ok(distributions(values, width, skip))
            }
        }
    }

    fn wrong_width(&self, column: usize, width: usize) -> RowError {
        RowError {
            row: 0,
            column: Some(self.names[column].clone()),
            message: format!(
                "column {} holds lists of {width} numbers, but there are {} classes",
                self.names[column], self.n_classes
            ),
            hint: Some("name the classes with --classes".to_owned()),
        }
    }

    fn classes(
        &self,
        text: &TextColumn,
        column: usize,
        skip: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<u32>, RowError> {
        let unknown = |row: usize, label: &str| RowError {
            row,
            column: Some(self.names[column].clone()),
            message: format!(
                "column {} is {}, which is not a class",
                self.names[column],
                xent_io::show(label)
            ),
            hint: Some(self.classes.hint(label)),
        };
        if let Some(dictionary) = text.dictionary().filter(|d| d.len() <= d.codes.len()) {
            let known: Vec<u32> = (0..dictionary.len() as u32)
                .map(|code| self.classes.find(dictionary.value(code)).unwrap_or(MISSING))
                .collect();
            let class = |code: &u32| known.get(*code as usize).copied().unwrap_or(MISSING);
            let mut classes: Vec<u32> = dictionary.codes.iter().map(class).collect();
            if classes.iter().fold(false, |any, &class| any | (class == MISSING)) {
                for (row, class) in classes.iter_mut().enumerate() {
                    if *class == MISSING && !skip(row) {
                        return Err(unknown(row, text.get(row).unwrap_or_default()));
                    }
                    *class = if *class == MISSING { 0 } else { *class };
                }
            }
            return Ok(classes);
        }
        let mut classes = Vec::with_capacity(text.len());
        // Labels repeat: the few seen last are compared before the map is asked.
        let mut recent: [(&str, u32); 4] = [("", u32::MAX); 4];
        let mut oldest = 0;
        for row in 0..text.len() {
            if skip(row) {
                classes.push(0);
                continue;
            }
            let label = text.get(row).unwrap_or_default();
            if let Some((_, class)) =
                recent.iter().find(|(seen, class)| *class != u32::MAX && *seen == label)
            {
                classes.push(*class);
                continue;
            }
            let class = self.classes.find(label).ok_or_else(|| unknown(row, label))?;
            recent[oldest] = (label, class);
            oldest = (oldest + 1) % recent.len();
            classes.push(class);
        }
        Ok(classes)
    }

    fn weights(
        &self,
        batch: &Batch,
        skip: &dyn Fn(usize) -> bool,
    ) -> Result<Option<Vec<f64>>, RowError> {
        let Some(column) = self.binding.weight else { return Ok(None) };
        let mut weights = self.numbers(batch, column).to_vec();
        for (row, w) in weights.iter_mut().enumerate() {
            if skip(row) {
                *w = 0.0;
            } else if !w.is_finite() || *w < 0.0 || *w > 1e15 {
                return Err(RowError {
                    row,
                    column: Some(self.names[column].clone()),
                    message: format!("column {} is {w}, not a weight", self.names[column]),
                    hint: Some("weights are numbers from 0 to 1e15".to_owned()),
                });
            }
        }
        Ok(Some(weights))
    }

    fn ids(&self, batch: &Batch) -> Option<Vec<String>> {
        let text = self.text(batch, self.binding.id?)?;
        Some(text.iter().map(|v| v.unwrap_or_default().to_owned()).collect())
    }

    fn stacked_models(&self, batch: &Batch) -> Result<Option<Vec<String>>, RowError> {
        let Some(column) = self.binding.model_col else { return Ok(None) };
        let Some(text) = self.text(batch, column) else { return Ok(None) };
        let mut models = Vec::with_capacity(batch.rows());
        for (row, name) in text.iter().enumerate() {
            match name {
                Some(name) if !name.is_empty() => models.push(name.to_owned()),
                _ => {
                    return Err(RowError {
                        row,
                        column: Some(self.names[column].clone()),
                        message: format!("column {} names no model", self.names[column]),
                        hint: Some("every row needs the name of its model".to_owned()),
                    });
                }
            }
        }
        Ok(Some(models))
    }

    fn slices(&self, batch: &Batch) -> Option<(Vec<u32>, Vec<Vec<String>>)> {
        if self.binding.by.is_empty() {
            return None;
        }
        let texts: Vec<&TextColumn> =
            self.binding.by.iter().filter_map(|&c| self.text(batch, c)).collect();
        let mut places: HashMap<Vec<&str>, u32> = HashMap::new();
        let mut keys: Vec<Vec<String>> = Vec::new();
        let mut of = Vec::with_capacity(batch.rows());
        for row in 0..batch.rows() {
            let key: Vec<&str> = texts.iter().map(|t| t.get(row).unwrap_or("(missing)")).collect();
            let next = places.len() as u32;
            of.push(*places.entry(key).or_insert_with_key(|key| {
                keys.push(key.iter().map(|k| (*k).to_owned()).collect());
                next
            }));
        }
        Some((of, keys))
    }

    fn score(
        &self,
        batch: &Batch,
        model: usize,
        target: &OwnedTarget,
        absent: Option<&[bool]>,
    ) -> Result<(RowScores, Option<Predictions>), RowError> {
        let bound = &self.binding.models[model];
        // Only a single column keeps an order of its own: the negative class, then the positive.
        let is_positive = matches!(bound.columns, PredictionColumns::Positive(_));
        let own_target = is_positive.then(|| own_target(target, &bound.to_own)).flatten();
        let results_target = target;
        let target = own_target.as_ref().unwrap_or(target).target();
        // A row that is left out is scored as a certain success and never used.
        let filled = |values: &[f64], width: usize, own: usize, logit: bool| -> Option<Vec<f64>> {
            let absent = absent?;
            let mut values = values.to_vec();
            for row in (0..absent.len()).filter(|&r| absent[r]) {
                for c in 0..width {
                    let hit = c == own;
                    values[row * width + c] = match (hit, logit) {
                        (true, false) => 1.0,
                        (false, false) | (true, true) => 0.0,
                        (false, true) => f64::NEG_INFINITY,
                    };
                }
            }
            Some(values)
        };
        let logit = self.rules.input != Input::Probabilities;
        let spare = self.spare.lock().ok().map(|mut spare| (spare.0.pop(), spare.1.pop()));
        let (rows, memory) = spare.unwrap_or_default();
        let (mut rows, mut memory) = (rows.unwrap_or_default(), memory.unwrap_or_default());
        let mut score = |matrix: Matrix<'_>| -> Result<Option<Predictions>, RowProblem> {
            rows.score(matrix, target, &self.rules)?;
            if !self.keeps_predictions {
                return Ok(None);
            }
            let mut values = std::mem::take(&mut memory);
            let input = predictions_in(matrix, &self.rules, &mut values)?;
            Ok(Some(Predictions::of_rows(input, matrix.n_classes(), values)))
        };
        let result = match &bound.columns {
            PredictionColumns::PerClass(columns) => {
                let slices: Vec<&[f64]> = columns.iter().map(|&c| self.numbers(batch, c)).collect();
                let owned: Vec<Option<Vec<f64>>> = slices
                    .iter()
                    .enumerate()
                    .map(|(c, s)| filled(s, 1, usize::from(c != 0), logit))
                    .collect();
                let slices: Vec<&[f64]> =
                    slices.iter().zip(&owned).map(|(s, o)| o.as_deref().unwrap_or(s)).collect();
                if absent.is_none() && self.rules.are_numbers_kept() {
                    rows.score(Matrix::Columns(&slices), target, &self.rules)
                        .map_err(|problem| self.explain(&problem, bound))?;
                    let kept = self.keeps_predictions.then(|| {
                        let numbers = |&c: &usize| self.shared_numbers(batch, c);
                        let columns = columns.iter().map(numbers).collect();
                        Predictions::of_columns(self.rules.input, columns)
                    });
                    return Ok((rows, kept));
                }
                score(Matrix::Columns(&slices))
            }
            PredictionColumns::List(column) => {
                let read_as = self.read_list(bound);
                let list = batch.column(self.place[&key(*column, read_as)]);
                if let (Some(tensor), None, OwnedTarget::Classes(labels)) =
                    (list.tensor(), absent, results_target)
                    && tensor.width() == self.n_classes
                {
                    logits::score(&mut rows, tensor, labels, &self.rules)
                        .map_err(|problem| self.explain(&problem, bound))?;
                    let kept = self.keeps_predictions.then(|| Predictions::of_logits(tensor));
                    return Ok((rows, kept));
                }
                let copied = list.tensor().map(logits::copied);
                let list = copied.as_ref().unwrap_or(list);
                let Some((width, values)) = list.lists() else { return Ok((rows, None)) };
                if width != self.n_classes {
                    return Err(self.wrong_width(*column, width));
                }
                // In the order of the results, as columns are.
                let in_order: Option<Vec<f64>> = (!is_identity(&bound.to_own)).then(|| {
                    let rows = values.chunks_exact(width);
                    rows.flat_map(|row| bound.to_own.iter().map(|&own| row[own as usize])).collect()
                });
                let values = in_order.as_deref().unwrap_or(values);
                let owned = filled(values, width, 0, logit);
                let values = owned.as_deref().unwrap_or(values);
                score(Matrix::Rows { values, width })
            }
            PredictionColumns::Positive(column) => {
                let p = self.numbers(batch, *column);
                // The dummy's class is the first of the results: 1.0 or 0.0 by its place.
                let first = bound.to_own.first().map_or(0, |&c| c as usize);
                let certain = match (self.rules.input, first) {
                    (Input::Probabilities, own) => own as f64,
                    (_, 1) => 0.0,
                    _ => f64::NEG_INFINITY,
                };
                let owned = absent.map(|absent| {
                    p.iter().zip(absent).map(|(&p, &a)| if a { certain } else { p }).collect()
                });
                let owned: Option<Vec<f64>> = owned;
                let p = owned.as_deref().unwrap_or(p);
                score(Matrix::Positive(p))
            }
        };
        let mut predictions = result.map_err(|problem| self.explain(&problem, bound))?;
        if own_target.is_some() {
            reverse(&mut rows, results_target, &self.rules);
            predictions = predictions.map(Predictions::reversed);
        }
        Ok((rows, predictions))
    }

    /// Classes of the problem are in the order of the results.
    fn explain(&self, problem: &RowProblem, bound: &ModelColumns) -> RowError {
        let name = |class: usize| match &bound.columns {
            PredictionColumns::PerClass(columns) => self.names[columns[class]].clone(),
            PredictionColumns::List(column) => {
                format!("{} at position {}", self.names[*column], bound.to_own[class])
            }
            PredictionColumns::Positive(column) => self.names[*column].clone(),
        };
        let target = |class: usize| match &self.binding.target {
            TargetColumns::PerClass(columns) => self.names[columns[class]].clone(),
            TargetColumns::Label(column) => self.names[*column].clone(),
            TargetColumns::List { column, to_own } => {
                format!("{} at position {}", self.names[*column], to_own[class])
            }
            TargetColumns::Absent => String::new(),
        };
        let column =
            problem.problem.class().map(name).or(problem.problem.target_class().map(target));
        let what = problem.problem.to_string();
        let message = match &column {
            Some(column) => {
                format!("column {column} {}", what.strip_prefix("target ").unwrap_or(&what))
            }
            None => what,
        };
        let hint = match &problem.problem {
            Problem::Sum { sum } if *sum == 0.0 => {
                "a row of zeros predicts nothing: leave it out, or write its probabilities"
                    .to_owned()
            }
            Problem::Sum { sum } if (*sum - 100.0).abs() <= 1.0 => {
                "these look like percentages: divide them by 100".to_owned()
            }
            other => other.hint().to_owned(),
        };
        RowError { row: problem.row, column, message, hint: Some(hint) }
    }
}

fn is_identity(order: &[u32]) -> bool {
    order.iter().zip(0..).all(|(&own, class)| own == class)
}

/// Two classes whose own order is the reverse of the results': predictions are renamed, and a tie
/// goes to the first class of the results, as under every other model.
fn reverse(rows: &mut RowScores, target: &OwnedTarget, rules: &Rules) {
    for predicted in &mut rows.predicted {
        *predicted = 1 - *predicted;
    }
    let tied: Vec<usize> =
        rows.odd.iter().filter(|o| o.what == Oddity::Tied).map(|o| o.row).collect();
    for row in tied {
        rows.predicted[row] = 0;
        rows.error[row] = 1.0 - target.at(row, 0);
        for (errors, &k) in rows.top_k.iter_mut().zip(&rules.top_k) {
            errors[row] = if k > 1 { 0.0 } else { rows.error[row] };
        }
    }
}

/// The target in a model's own class order, where that differs.
fn own_target(target: &OwnedTarget, to_own: &[u32]) -> Option<OwnedTarget> {
    if is_identity(to_own) {
        return None;
    }
    Some(match target {
        OwnedTarget::Classes(labels) => {
            OwnedTarget::Classes(labels.iter().map(|&l| to_own[l as usize]).collect())
        }
        OwnedTarget::Distributions { values, width } => {
            let mut own = vec![0.0; values.len()];
            for (i, &t) in values.iter().enumerate() {
                own[i / width * width + to_own[i % width] as usize] = t;
            }
            OwnedTarget::Distributions { values: own, width: *width }
        }
    })
}

fn key(column: usize, read_as: ReadAs) -> usize {
    column * 4
        + match read_as {
            ReadAs::Numbers => 0,
            ReadAs::Text => 1,
            ReadAs::List => 2,
            ReadAs::Tensor => 3,
        }
}

/// Whether a value may be missing: a quick look at the whole column.
fn may_lack(column: &Column) -> bool {
    let any_nan = |x: &[f64]| x.iter().fold(false, |any, x| any | x.is_nan());
    match column {
        Column::Numbers(x) => any_nan(x),
        Column::Rows { values, .. } => any_nan(values),
        // Who scores it finds out.
        Column::Tensor(_) => false,
        Column::Text(text) => match text.dictionary() {
            Some(d) if d.len() <= d.codes.len() => {
                d.codes.iter().fold(false, |any, &code| any | (code == MISSING))
                    || (0..d.len() as u32).any(|code| d.value(code).trim().is_empty())
            }
            _ => text.iter().any(|v| v.is_none_or(|v| v.trim().is_empty())),
        },
    }
}

fn nan_name(x: f64) -> &'static str {
    if xent_io::is_blank(x) { "empty" } else { "NaN" }
}

/// Distributions row after row, as classes if all are ones and zeros; rows that are left out are of the first class.
fn distributions(mut values: Vec<f64>, width: usize, skip: &dyn Fn(usize) -> bool) -> OwnedTarget {
    for (row, values) in values.chunks_exact_mut(width).enumerate() {
        if skip(row) {
            values.fill(0.0);
            values[0] = 1.0;
        }
    }
    one_hot(&values, width)
        .map_or(OwnedTarget::Distributions { values, width }, OwnedTarget::Classes)
}

/// The classes, if every row is a one and zeros.
fn one_hot(values: &[f64], width: usize) -> Option<Vec<u32>> {
    values
        .chunks_exact(width)
        .map(|row| {
            let one = row.iter().position(|&t| t == 1.0)?;
            row.iter().enumerate().all(|(c, &t)| c == one || t == 0.0).then_some(one as u32)
        })
        .collect()
}
