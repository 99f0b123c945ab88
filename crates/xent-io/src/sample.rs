//! The first rows of a table, kept to decide what its columns are.

use crate::column::Kind;
use crate::list;
use crate::number::{self, is_missing_word};

/// The most rows in a sample.
pub(crate) const SAMPLE_ROWS: usize = 1000;
/// The most bytes of text, roughly, and of numbers.
const SAMPLE_BYTES: usize = 1 << 20;

/// The first rows of a table: at most 1000, and about 1 MB.
#[derive(Debug, Clone, Default)]
pub struct Sample(Store);

#[derive(Debug, Clone)]
enum Store {
    Text(TextCells),
    Columns {
        rows: usize,
        columns: Vec<Cells>,
    },
    /// The second one's columns are numbered from `split`.
    Beside(Box<[Sample; 2]>, usize),
}

impl Default for Store {
    fn default() -> Store {
        Store::Columns { rows: 0, columns: Vec::new() }
    }
}

/// The sampled values of a column of a typed format.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    Numbers(Vec<f64>),
    Text(Vec<Option<String>>),
    Lists { width: usize, values: Vec<f64> },
    Unreadable,
}

impl Sample {
    pub(crate) fn from_text(cells: TextCells) -> Sample {
        Sample(Store::Text(cells))
    }

    pub(crate) fn from_columns(rows: usize, columns: Vec<Cells>) -> Sample {
        Sample(Store::Columns { rows, columns })
    }

    /// Two samples side by side; the second one's columns are numbered from `split`.
    pub(crate) fn beside(one: Sample, other: Sample, split: usize) -> Sample {
        Sample(Store::Beside(Box::new([one, other]), split))
    }

    /// Whose sample holds `column`, and its number there.
    fn at(both: &[Sample; 2], split: usize, column: usize) -> (&Sample, usize) {
        if column < split { (&both[0], column) } else { (&both[1], column - split) }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        match &self.0 {
            Store::Text(cells) => cells.rows(),
            Store::Columns { rows, .. } => *rows,
            Store::Beside(both, _) => both[0].rows().min(both[1].rows()),
        }
    }

    /// The numbers of `column`, one a row, or `None` if one of them is no number. Missing values
    /// are NaN, see [`crate::is_blank`].
    pub fn numbers(&self, column: usize) -> Option<Vec<f64>> {
        let parse = |text: Option<&str>| number::parse(text.unwrap_or("").as_bytes()).ok();
        match &self.0 {
            Store::Text(cells) => cells.column(column).map(parse).collect(),
            Store::Columns { columns, .. } => match columns.get(column)? {
                Cells::Numbers(numbers) => Some(numbers.clone()),
                Cells::Text(texts) => texts.iter().map(|t| parse(t.as_deref())).collect(),
                Cells::Lists { .. } | Cells::Unreadable => None,
            },
            Store::Beside(both, split) => {
                let (sample, column) = Sample::at(both, *split, column);
                let mut numbers = sample.numbers(column)?;
                numbers.truncate(self.rows());
                Some(numbers)
            }
        }
    }

    /// The texts of `column`, one a row; `None` is missing. Empty for what is no text.
    pub fn text(&self, column: usize) -> Vec<Option<String>> {
        match &self.0 {
            Store::Text(cells) => cells.column(column).map(|t| t.map(String::from)).collect(),
            Store::Columns { columns, .. } => match columns.get(column) {
                Some(Cells::Text(texts)) => texts.clone(),
                Some(Cells::Numbers(numbers)) => {
                    numbers.iter().map(|x| (!x.is_nan()).then(|| number::text_of(*x))).collect()
                }
                _ => Vec::new(),
            },
            Store::Beside(both, split) => {
                let (sample, column) = Sample::at(both, *split, column);
                let mut texts = sample.text(column);
                texts.truncate(self.rows());
                texts
            }
        }
    }

    /// Width and values, shape `(rows, width)` row-major, of a column of lists; `None` if it is
    /// no such column or the widths differ.
    pub fn lists(&self, column: usize) -> Option<(usize, Vec<f64>)> {
        match &self.0 {
            Store::Text(cells) => {
                let Kind::List { width: Some(width) } = cells.kind(column) else { return None };
                let (mut w, mut values) = (width, Vec::new());
                for text in cells.column(column) {
                    let text = text.unwrap_or("").as_bytes();
                    list::parse_row(text, "", Some(width), &mut w, &mut values).ok()?;
                }
                Some((width, values))
            }
            Store::Columns { columns, .. } => match columns.get(column)? {
                Cells::Lists { width, values } => Some((*width, values.clone())),
                _ => None,
            },
            Store::Beside(both, split) => {
                let (sample, column) = Sample::at(both, *split, column);
                let (width, mut values) = sample.lists(column)?;
                values.truncate(self.rows() * width);
                Some((width, values))
            }
        }
    }
}

/// The cells of the first rows of a text format, row by row in one string.
#[derive(Debug, Clone)]
pub(crate) struct TextCells {
    columns: usize,
    text: String,
    /// Where each cell ends; the highest bit marks a missing one.
    ends: Vec<u32>,
}

const ABSENT: u32 = 1 << 31;

impl TextCells {
    pub fn new(columns: usize) -> TextCells {
        TextCells { columns, text: String::new(), ends: Vec::new() }
    }

    pub fn push(&mut self, cell: Option<&str>) {
        let text = cell.unwrap_or("");
        self.text.push_str(&text[..text.floor_char_boundary(SAMPLE_BYTES)]);
        let absent = if cell.is_none() { ABSENT } else { 0 };
        self.ends.push(self.text.len() as u32 | absent);
    }

    pub fn rows(&self) -> usize {
        self.ends.len() / self.columns.max(1)
    }

    /// Whether no further row should be added.
    pub fn is_full(&self) -> bool {
        let bytes = self.text.len() + 4 * self.ends.len();
        self.rows() >= SAMPLE_ROWS || bytes >= SAMPLE_BYTES
    }

    pub fn column(&self, column: usize) -> impl Iterator<Item = Option<&str>> {
        (0..self.rows()).map(move |row| self.get(row * self.columns + column))
    }

    fn get(&self, i: usize) -> Option<&str> {
        let end = self.ends[i];
        if end & ABSENT != 0 {
            return None;
        }
        let start = if i == 0 { 0 } else { self.ends[i - 1] & !ABSENT };
        Some(&self.text[start as usize..end as usize])
    }

    /// What the column holds, as far as these rows tell.
    pub fn kind(&self, column: usize) -> Kind {
        kind_of(self.column(column).flatten())
    }
}

/// What a column of texts holds; missing ones are left out.
pub(crate) fn kind_of<'a>(texts: impl Iterator<Item = &'a str>) -> Kind {
    let (mut integers, mut numbers, mut booleans, mut missing, mut any) =
        (true, true, true, true, false);
    let mut width = None;
    let mut lists = true;
    for text in texts {
        let text = number::trim(text.as_bytes());
        if text.is_empty() {
            continue;
        }
        any = true;
        let is_missing = is_missing_word(text);
        missing &= is_missing;
        if is_missing {
            continue;
        }
        numbers = numbers && number::parse(text).is_ok();
        integers = integers && numbers && is_integer(text);
        booleans =
            booleans && (text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false"));
        lists = lists
            && text.starts_with(b"[")
            && list::items(text).is_some_and(|items| {
                width.get_or_insert(items.len());
                true
            });
        if !numbers && !booleans && !lists {
            return Kind::Text;
        }
    }
    match () {
        () if !any => Kind::Number,
        () if missing => Kind::Text,
        () if integers => Kind::Integer,
        () if numbers => Kind::Number,
        () if booleans => Kind::Boolean,
        () => Kind::List { width },
    }
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_what_the_texts_look_like() {
        let kind = |texts: &[&str]| kind_of(texts.iter().copied());
        assert_eq!(kind(&["1", "", "-2"]), Kind::Integer);
        assert_eq!(kind(&["1", "NaN", "0.5"]), Kind::Number);
        assert_eq!(kind(&["", ""]), Kind::Number);
        assert_eq!(kind(&["true", "False"]), Kind::Boolean);
        assert_eq!(kind(&["cat", "1"]), Kind::Text);
        assert_eq!(kind(&["None", "None"]), Kind::Text);
        assert_eq!(kind(&["[1, 2]", "[3,4]"]), Kind::List { width: Some(2) });
        assert_eq!(kind(&["[1, 2]", "x"]), Kind::Text);
    }

    #[test]
    fn cells_come_back_by_column() {
        let mut cells = TextCells::new(2);
        for cell in [Some("a"), None, Some(""), Some("bc")] {
            cells.push(cell);
        }
        assert_eq!(cells.column(0).collect::<Vec<_>>(), [Some("a"), Some("")]);
        assert_eq!(cells.column(1).collect::<Vec<_>>(), [None, Some("bc")]);
    }
}
