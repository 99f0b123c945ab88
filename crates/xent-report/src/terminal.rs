//! The report as text for a terminal.
//!
//! Tables have no lines, only alignment: text left, numbers on their decimal points. A table that
//! is too wide for the terminal gives way in this order: narrower gaps, headers on several lines,
//! texts cut in the middle, and at last columns in groups under each other with the first column
//! repeated. Numbers are never cut: a number that is wider than the terminal sticks out.
//!
//! Colours only repeat what the text says. Without colour the output holds no control character
//! but line breaks, whatever the labels hold.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Paint};

use crate::report::{Align, Block, Report, Row, Table, Tone};
use crate::text::{display_width, escape_terminal, wrap};

mod layout;
#[cfg(test)]
mod tests;

use layout::{Column, Layout, lay_out};

/// The width of tables in files and pipes.
const PAGE: usize = 120;
/// A message hangs under its first word only where that leaves this much room.
const MIN_HANGING: usize = 20;

/// How to render for one terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// The terminal's width in columns; 0 is for files and pipes, where text is not wrapped and only tables of many columns are broken.
    pub width: usize,
    /// Whether to write colours.
    pub color: bool,
}

/// Returns the report as text; every line ends in a line break.
///
/// ```
/// use xent_report::{Block, Cell, Header, Report, Style, Table, render_terminal};
///
/// let mut table = Table::new([Header::left(""), Header::right("model1")]);
/// table.push([Cell::text("error rate"), Cell::number("0.333", 1.0 / 3.0)]);
/// let mut report = Report::default();
/// report.push(Block::Table(table));
/// report.push(Block::Verdict("one model".to_owned()));
/// let text = "             model1\nerror rate    0.333\n\none model\n";
/// assert_eq!(render_terminal(&report, &Style::default()), text);
/// ```
pub fn render_terminal(report: &Report, style: &Style) -> String {
    let mut screen = Screen { out: String::new(), style: *style };
    let mut previous = None;
    for block in &report.blocks {
        if previous.is_some_and(|previous| is_apart(previous, block)) {
            screen.out.push('\n');
        }
        screen.block(block);
        previous = Some(block);
    }
    screen.out
}

/// Says whether an empty line stands between two blocks.
fn is_apart(before: &Block, after: &Block) -> bool {
    let is_message =
        |block: &Block| matches!(block, Block::Note(_) | Block::Warning(_) | Block::Hint(_));
    match (before, after) {
        (Block::Heading(_), _) | (Block::Text(_), Block::Text(_)) => false,
        _ => !(is_message(before) && is_message(after)),
    }
}

const PLAIN: Paint = Paint::new();
const BOLD: Paint = Paint::new().bold();
const DIM: Paint = Paint::new().dimmed();

const fn colored(color: AnsiColor) -> Paint {
    Paint::new().fg_color(Some(anstyle::Color::Ansi(color)))
}

fn paint(tone: Tone, muted: bool) -> Paint {
    match tone {
        Tone::Plain if muted => DIM,
        Tone::Plain => PLAIN,
        Tone::Better => colored(AnsiColor::Green),
        Tone::Worse => colored(AnsiColor::Red),
        Tone::Muted => DIM,
        Tone::Warning => colored(AnsiColor::Yellow),
    }
}

/// The output so far.
struct Screen {
    out: String,
    style: Style,
}

impl Screen {
    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(text) | Block::Verdict(text) => self.paragraph(text, BOLD),
            Block::Text(text) => self.paragraph(text, PLAIN),
            Block::Table(table) => self.table(table),
            Block::Note(text) => self.message("note:", BOLD, text),
            Block::Warning(text) => {
                self.message("warning:", colored(AnsiColor::Yellow).bold(), text);
            }
            Block::Hint(text) => self.message("hint:", colored(AnsiColor::Cyan), text),
        }
    }

    /// Writes text in a style; the style ends where the text ends, so that no pager or cut line
    /// leaks it.
    fn write(&mut self, text: &str, paint: Paint) {
        if !self.style.color || paint == PLAIN || text.is_empty() {
            self.out.push_str(text);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "{paint}{text}{paint:#}");
        }
    }

    fn paragraph(&mut self, text: &str, paint: Paint) {
        for line in wrap(&escape_terminal(text), self.style.width) {
            self.write(&line, paint);
            self.out.push('\n');
        }
    }

    /// Writes a message after its prefix, later lines under the first word.
    fn message(&mut self, prefix: &str, paint: Paint, text: &str) {
        let text = escape_terminal(text);
        let mut indent = prefix.len() + 1;
        let lines = match self.style.width {
            0 => wrap(&text, 0),
            width if width >= indent + MIN_HANGING => wrap(&text, width - indent),
            width => {
                // Too narrow to hang: the prefix is wrapped with the text.
                indent = 0;
                wrap(&format!("{prefix} {text}"), width)
            }
        };
        for (i, line) in lines.iter().enumerate() {
            if i == 0 && indent > 0 {
                self.write(prefix, paint);
                self.out.push(' ');
            } else {
                self.out.extend(std::iter::repeat_n(' ', indent));
            }
            self.out.push_str(line);
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
    }

    fn table(&mut self, table: &Table) {
        if let Some(title) = &table.title {
            self.paragraph(title, BOLD);
        }
        let mut columns: Vec<Column> =
            (0..table.width()).map(|at| Column::new(table, at)).collect();
        let mut width = self.style.width;
        if width == 0 && columns.iter().all(|column| column.is_narrow(PAGE)) {
            // What a program or a file gets is not cut.
            columns.iter_mut().for_each(Column::keep_texts);
            width = PAGE;
        }
        for (i, layout) in lay_out(&columns, width).iter().enumerate() {
            if i > 0 {
                self.out.push('\n');
            }
            self.part(table, &columns, layout);
        }
    }

    /// Writes the columns of one layout, all rows.
    fn part(&mut self, table: &Table, columns: &[Column], layout: &Layout) {
        let heads: Vec<Vec<String>> =
            layout.columns.iter().map(|&(at, width)| columns[at].header_lines(width)).collect();
        let height = heads.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let mut row = Line::default();
            let mut start = 0;
            for (&(at, width), head) in layout.columns.iter().zip(&heads) {
                // The last lines of all headers stand side by side.
                if let Some(text) =
                    (line + head.len()).checked_sub(height).and_then(|i| head.get(i))
                {
                    let text_width = display_width(text);
                    let shift = match columns[at].align {
                        Align::Left => 0,
                        Align::Right => width.saturating_sub(text_width),
                    };
                    row.put(self, start + shift, text, text_width, PLAIN);
                }
                start += width + layout.gap;
            }
            self.end_line();
        }
        for (i, row) in table.rows.iter().enumerate() {
            let muted = match row {
                Row::Separator => {
                    self.out.push('\n');
                    continue;
                }
                Row::Group(text) => {
                    self.paragraph(text, BOLD);
                    continue;
                }
                Row::Cells(_) => false,
                Row::Muted(_) => true,
            };
            let mut line = Line::default();
            let mut start = 0;
            for &(at, width) in &layout.columns {
                if let Some(piece) = &columns[at].pieces[i] {
                    let (shift, text, text_width) = columns[at].place(piece, width);
                    line.put(self, start + shift, &text, text_width, paint(piece.tone, muted));
                }
                start += width + layout.gap;
            }
            self.end_line();
        }
    }
}

/// How far the current line of a table has come.
#[derive(Default)]
struct Line {
    position: usize,
}

impl Line {
    /// Writes text at a column of the terminal; never over what stands there.
    fn put(&mut self, screen: &mut Screen, at: usize, text: &str, width: usize, paint: Paint) {
        if text.is_empty() {
            return;
        }
        screen.out.extend(std::iter::repeat_n(' ', at.saturating_sub(self.position)));
        screen.write(text, paint);
        self.position = self.position.max(at) + width;
    }
}
