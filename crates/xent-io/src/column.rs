//! The values of a batch of rows: numbers, texts, and rows of numbers.

use std::ops::Deref;

use arrow_array::{Array, ArrayRef, cast::AsArray};
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;

use crate::tensor::Tensor;

/// A column's name and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// The name in the file; `column 3` where a CSV header leaves it empty.
    pub name: String,
    /// What the column holds.
    pub kind: Kind,
}

/// What a column holds. For text formats this is inferred from the sample rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbers, not all of them integers.
    Number,
    /// Integers.
    Integer,
    /// True and false.
    Boolean,
    /// Text, and what reads best as text (dates, decimals).
    Text,
    /// Lists of numbers.
    List {
        /// Numbers in each list, if known: all rows must agree.
        width: Option<usize>,
    },
    /// Something xent does not read, such as a nested structure. Requesting it is an error.
    Unsupported,
}

/// A column asked for in a scan, and how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Index in [`crate::Table::columns`].
    pub column: usize,
    /// How to read it.
    pub read_as: ReadAs,
}

/// How to read a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAs {
    /// As f64; gives [`Column::Numbers`]. Text is parsed.
    Numbers,
    /// As text; gives [`Column::Text`]. Integers print as `3`, floats in shortest form.
    Text,
    /// As lists of numbers of one width; gives [`Column::Rows`].
    List,
    /// As [`ReadAs::List`], but a matrix of floats in a NumPy or safetensors file is given in its own
    /// type, without a copy where its place in the file allows: [`Column::Tensor`]. Everything
    /// else gives [`Column::Rows`].
    Tensor,
}

/// Bytes of text that a worker keeps for the next batch.
const LARGE_TEXT: usize = 4 << 20;

/// Some consecutive rows of the requested columns.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<Column>,
}

impl Batch {
    /// The number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The column of request `i`.
    ///
    /// # Panics
    ///
    /// If there were not more than `i` requests.
    pub fn column(&self, i: usize) -> &Column {
        &self.columns[i]
    }

    /// All columns, in order of the requests.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The first `rows` rows, or all if there are fewer.
    #[must_use]
    pub fn head(&self, rows: usize) -> Batch {
        let mut head = self.clone();
        head.truncate(rows);
        head
    }

    /// Gives back the memory of unusually large columns.
    pub(crate) fn trim(&mut self) {
        for column in &mut self.columns {
            if let Column::Text(TextColumn(Texts::Plain { text, .. })) = column
                && text.capacity() > LARGE_TEXT
            {
                *column = Column::Text(TextColumn::default());
            }
        }
    }

    /// Drops what the columns hold of a row that was not finished.
    pub(crate) fn drop_unfinished(&mut self) {
        let rows = self.rows;
        self.rows += 1;
        self.truncate(rows);
    }

    /// Keeps the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows < self.rows {
            self.rows = rows;
            for column in &mut self.columns {
                column.truncate(rows);
            }
        }
    }
}

/// The values of one requested column in a batch.
#[derive(Debug, Clone)]
pub enum Column {
    /// One number a row; missing values are NaN, see [`crate::is_blank`].
    Numbers(Numbers),
    /// One text a row.
    Text(TextColumn),
    /// A list of numbers a row.
    Rows {
        /// Numbers in each row.
        width: usize,
        /// Shape `(rows, width)`, row-major. A missing list is `width` blanks.
        values: Numbers,
    },
    /// A list of numbers a row, as the file stores them. None is missing, though some may be NaN.
    Tensor(Tensor),
}

impl Column {
    /// The numbers of a [`Column::Numbers`].
    pub fn numbers(&self) -> Option<&[f64]> {
        match self {
            Column::Numbers(n) => Some(n),
            _ => None,
        }
    }

    /// The texts of a [`Column::Text`].
    pub fn text(&self) -> Option<&TextColumn> {
        match self {
            Column::Text(t) => Some(t),
            _ => None,
        }
    }

    /// Width and values, shape `(rows, width)`, of a [`Column::Rows`].
    pub fn lists(&self) -> Option<(usize, &[f64])> {
        match self {
            Column::Rows { width, values } => Some((*width, values)),
            _ => None,
        }
    }

    /// The matrix of a [`Column::Tensor`].
    pub fn tensor(&self) -> Option<&Tensor> {
        match self {
            Column::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// An empty column to be filled for `read_as`.
    pub(crate) fn empty(read_as: ReadAs) -> Column {
        match read_as {
            ReadAs::Numbers => Column::Numbers(Numbers::default()),
            ReadAs::Text => Column::Text(TextColumn::default()),
            ReadAs::List | ReadAs::Tensor => Column::Rows { width: 0, values: Numbers::default() },
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Column::Numbers(n) | Column::Rows { values: n, .. } => n.owned().clear(),
            Column::Text(t) => t.clear(),
            Column::Tensor(t) => *t = t.slice(0, 0),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Column::Numbers(n) => n.truncate(rows),
            Column::Text(t) => t.truncate(rows),
            Column::Rows { width, values } => values.truncate(rows * *width),
            Column::Tensor(t) => *t = t.slice(0, rows),
        }
    }
}

/// Numbers that are owned or shared with the decoder's memory; reads as `[f64]`.
#[derive(Debug, Clone)]
pub struct Numbers(Store);

#[derive(Debug, Clone)]
enum Store {
    Owned(Vec<f64>),
    Shared(ScalarBuffer<f64>),
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers(Store::Owned(Vec::new()))
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(values: Vec<f64>) -> Numbers {
        Numbers(Store::Owned(values))
    }
}

impl From<ScalarBuffer<f64>> for Numbers {
    fn from(values: ScalarBuffer<f64>) -> Numbers {
        Numbers(Store::Shared(values))
    }
}

impl Deref for Numbers {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        match &self.0 {
            Store::Owned(v) => v,
            Store::Shared(v) => v,
        }
    }
}

impl Numbers {
    /// The numbers as an owned vector that can be filled.
    pub(crate) fn owned(&mut self) -> &mut Vec<f64> {
        if let Store::Shared(shared) = &self.0 {
            self.0 = Store::Owned(shared.to_vec());
        }
        match &mut self.0 {
            Store::Owned(v) => v,
            Store::Shared(_) => unreachable!("made owned above"),
        }
    }

    fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Store::Owned(v) => v.truncate(len),
            Store::Shared(v) => *v = v.slice(0, len.min(v.len())),
        }
    }
}

/// The texts of a batch; `None` is a missing text.
#[derive(Debug, Clone)]
pub struct TextColumn(Texts);

#[derive(Debug, Clone)]
enum Texts {
    /// Ranges into one string; [`MISSING`] starts a missing text.
    Plain { text: String, ranges: Vec<(u32, u32)> },
    /// An Arrow array of Utf8.
    Arrow(ArrayRef),
    /// Codes into an Arrow array of Utf8.
    Dictionary { codes: Vec<u32>, values: ArrayRef },
}

/// The code of a missing text in [`Dictionary::codes`].
pub const MISSING: u32 = u32::MAX;

impl Default for TextColumn {
    fn default() -> TextColumn {
        TextColumn(Texts::Plain { text: String::new(), ranges: Vec::new() })
    }
}

impl<'a> FromIterator<Option<&'a str>> for TextColumn {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(iter: I) -> TextColumn {
        let mut column = TextColumn::default();
        for item in iter {
            column.push(item);
        }
        column
    }
}

impl TextColumn {
    pub(crate) fn from_arrow(array: ArrayRef) -> TextColumn {
        debug_assert!(array.data_type() == &DataType::Utf8);
        TextColumn(Texts::Arrow(array))
    }

    pub(crate) fn from_dictionary(codes: Vec<u32>, values: ArrayRef) -> TextColumn {
        debug_assert!(values.data_type() == &DataType::Utf8);
        TextColumn(Texts::Dictionary { codes, values })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match &self.0 {
            Texts::Plain { ranges, .. } => ranges.len(),
            Texts::Arrow(array) => array.len(),
            Texts::Dictionary { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of row `i`, 0-based, or `None` if it is missing.
    ///
    /// # Panics
    ///
    /// If `i` is not below [`TextColumn::len`].
    pub fn get(&self, i: usize) -> Option<&str> {
        match &self.0 {
            Texts::Plain { text, ranges } => {
                let (start, end) = ranges[i];
                (start != MISSING).then(|| &text[start as usize..end as usize])
            }
            Texts::Arrow(array) => {
                let array = array.as_string::<i32>();
                array.is_valid(i).then(|| array.value(i))
            }
            Texts::Dictionary { codes, values } => {
                let code = codes[i];
                (code != MISSING).then(|| values.as_string::<i32>().value(code as usize))
            }
        }
    }

    /// The texts of all rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The codes and distinct values, where the file stores the column so.
    ///
    /// The values may repeat and may contain values that no row has.
    pub fn dictionary(&self) -> Option<Dictionary<'_>> {
        match &self.0 {
            Texts::Dictionary { codes, values } => Some(Dictionary { codes, values }),
            _ => None,
        }
    }

    pub(crate) fn push(&mut self, value: Option<&str>) {
        if let Texts::Plain { text, ranges } = &mut self.0 {
            match value {
                None => ranges.push((MISSING, MISSING)),
                Some(value) => {
                    let start = text.len() as u32;
                    text.push_str(value);
                    ranges.push((start, text.len() as u32));
                }
            }
        }
    }

    fn clear(&mut self) {
        match &mut self.0 {
            Texts::Plain { text, ranges } => {
                text.clear();
                ranges.clear();
            }
            _ => *self = TextColumn::default(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.0 {
            Texts::Plain { ranges, .. } => ranges.truncate(rows),
            Texts::Arrow(array) => *array = array.slice(0, rows.min(array.len())),
            Texts::Dictionary { codes, .. } => codes.truncate(rows),
        }
    }
}

/// A text column as codes into distinct values.
#[derive(Debug, Clone, Copy)]
pub struct Dictionary<'a> {
    /// One code a row, below [`Dictionary::len`], or [`MISSING`].
    pub codes: &'a [u32],
    values: &'a ArrayRef,
}

impl<'a> Dictionary<'a> {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The text of `code`.
    ///
    /// # Panics
    ///
    /// If `code` is not below [`Dictionary::len`].
    pub fn value(&self, code: u32) -> &'a str {
        self.values.as_string::<i32>().value(code as usize)
    }
}
