//! The one value that every output format is rendered from.
//!
//! A [`Report`] is what a person reads, in order, together with the JSON that a program reads.
//! It holds finished text: whoever builds it has chosen the digits ([`crate::number`]) and the
//! words. Rendering only lays out, escapes and colours, so that the terminal, Markdown and CSV
//! cannot disagree about a number.
//!
//! All text in it may come from a file (labels, column names, file names) and is escaped when
//! rendered, never before: a text escaped here would be escaped twice.

use serde_json::Value;

/// What a person reads, in order, and the same result as data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The parts of the report from top to bottom.
    pub blocks: Vec<Block>,
    /// The JSON contract, printed by [`crate::render_json`]; floats go in through
    /// [`crate::json::number`].
    pub data: Value,
}

impl Report {
    /// Returns a report without blocks over its JSON.
    pub fn new(data: Value) -> Self {
        Self { blocks: Vec::new(), data }
    }

    /// Appends one block.
    pub fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }
}

/// One part of a report. Every text is one paragraph: a line break in it is shown as `\n`.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A title, in bold; what follows stands directly under it.
    Heading(String),
    /// A paragraph, wrapped; paragraphs next to each other have no empty line between them.
    Text(String),
    /// A table.
    Table(Table),
    /// Something to know: `note: …`.
    Note(String),
    /// Something that may make the result wrong or weak: `warning: …`.
    Warning(String),
    /// The answer in one sentence, in bold.
    Verdict(String),
    /// What to try next: `hint: …`.
    Hint(String),
}

/// A table: headers over rows of cells.
///
/// The first column says what a row is; it is repeated where a wide table has to be broken. Rows
/// may be shorter than the headers (the rest is empty) or longer (the rest has no header).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// A line over the table.
    pub title: Option<String>,
    /// The columns; when every header is empty no header line is printed.
    pub columns: Vec<Header>,
    /// The rows from top to bottom.
    pub rows: Vec<Row>,
}

impl Table {
    /// Returns a table without rows.
    pub fn new(columns: impl IntoIterator<Item = Header>) -> Self {
        Self { title: None, columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Returns the table under a title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Appends a row of cells.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    /// Appends a row of cells in the background: a yardstick, not a result.
    pub fn push_muted(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(Row::Muted(cells.into_iter().collect()));
    }

    /// Appends a heading over the rows that follow.
    pub fn push_group(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Group(text.into()));
    }

    /// Appends an empty line.
    pub fn push_separator(&mut self) {
        self.rows.push(Row::Separator);
    }

    /// Returns the number of columns: of the headers or of the longest row.
    pub fn width(&self) -> usize {
        let longest = self.rows.iter().map(|row| row.cells().map_or(0, <[Cell]>::len)).max();
        longest.unwrap_or(0).max(self.columns.len())
    }
}

/// The head of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its text; may be empty.
    pub text: String,
    /// How the column's cells are aligned.
    pub align: Align,
}

impl Header {
    /// Returns the head of a column of text. Its texts are shortened in the middle where the
    /// terminal is too narrow.
    pub fn left(text: impl Into<String>) -> Self {
        Self { text: text.into(), align: Align::Left }
    }

    /// Returns the head of a column of numbers. Its cells are never shortened.
    pub fn right(text: impl Into<String>) -> Self {
        Self { text: text.into(), align: Align::Right }
    }
}

/// How the cells of a column are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text: at the left edge.
    Left,
    /// Numbers: on the decimal point of the number that each cell begins with; cells that do not
    /// begin with one (`-`, `inf`, `~`) end where the numbers end. What follows a number after a
    /// space (`  ~`, ` ± 0.1`) stands to the right of all that.
    Right,
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A row of cells.
    Cells(Vec<Cell>),
    /// A row of cells in the background, such as a baseline.
    Muted(Vec<Cell>),
    /// A heading over the rows that follow; CSV repeats it in a column `group` of its own.
    Group(String),
    /// An empty line.
    Separator,
}

impl Row {
    /// Returns the row's cells, or `None` for a heading or an empty line.
    pub fn cells(&self) -> Option<&[Cell]> {
        match self {
            Self::Cells(cells) | Self::Muted(cells) => Some(cells),
            Self::Group(_) | Self::Separator => None,
        }
    }
}

/// One cell: the text that a person reads and, for a number, its full precision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// The number behind the text, which CSV prints instead of the text: shortest form that reads
    /// back as the same f64, infinities as `inf` and `-inf`, NaN as an empty field (a missing
    /// number).
    pub value: Option<f64>,
    /// The colour. It may only repeat what the text already says.
    pub tone: Tone,
}

impl Cell {
    /// Returns a cell of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None, tone: Tone::Plain }
    }

    /// Returns a cell that shows `text` and stands for `value`.
    pub fn number(text: impl Into<String>, value: f64) -> Self {
        Self { text: text.into(), value: Some(value), tone: Tone::Plain }
    }

    /// Returns the cell of a missing number: `-`, and an empty field in CSV.
    pub fn missing() -> Self {
        Self::number(crate::number::MISSING, f64::NAN)
    }

    /// Returns a cell without text.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns the cell in another tone.
    #[must_use]
    pub fn with_tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// What a cell's colour means. The text must say the same without it: a sign, `~`, a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// No colour.
    #[default]
    Plain,
    /// Green: this model is better.
    Better,
    /// Red: this model is worse.
    Worse,
    /// Dim: background.
    Muted,
    /// Yellow: look here.
    Warning,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_counts_headers_and_the_longest_row() {
        let mut table = Table::new([Header::left("a"), Header::right("b")]);
        assert_eq!(table.width(), 2);
        table.push_group("g");
        table.push([Cell::text("x")]);
        assert_eq!(table.width(), 2);
        table.push(["x", "y", "z"].map(Cell::from));
        assert_eq!(table.width(), 3);
    }

    #[test]
    fn a_missing_number_is_a_dash_with_a_nan_behind_it() {
        let cell = Cell::missing();
        assert_eq!(cell.text, "-");
        assert!(cell.value.is_some_and(f64::is_nan));
    }
}
