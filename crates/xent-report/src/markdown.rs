//! The report as Markdown (GitHub's dialect, for its tables).
//!
//! Nothing is cut: whoever shows Markdown scrolls. Tones are left out, because a text says
//! everything without its colour.

use crate::report::{Align, Block, Cell, Report, Row, Table};
use crate::text::escape_markdown;

/// Returns the report as Markdown, its blocks separated by empty lines.
///
/// ```
/// use xent_report::{Block, Cell, Header, Report, Table, render_markdown};
///
/// let mut table = Table::new([Header::left(""), Header::right("model1")]);
/// table.push([Cell::text("error_rate"), Cell::number("0.333", 1.0 / 3.0)]);
/// let mut report = Report::default();
/// report.push(Block::Table(table));
/// let text = "|  | model1 |\n| :--- | ---: |\n| error\\_rate | 0.333 |\n";
/// assert_eq!(render_markdown(&report), text);
/// ```
pub fn render_markdown(report: &Report) -> String {
    let mut parts = Vec::new();
    for block in &report.blocks {
        match block {
            Block::Heading(text) => parts.push(format!("## {}\n", escape_markdown(text))),
            Block::Text(text) => parts.push(format!("{}\n", escape_markdown(text))),
            Block::Table(table) => {
                parts.extend(table.title.as_deref().and_then(bold));
                parts.extend(render_table(table));
            }
            Block::Note(text) => parts.push(message("note", text)),
            Block::Warning(text) => parts.push(message("warning", text)),
            Block::Hint(text) => parts.push(message("hint", text)),
            Block::Verdict(text) => parts.extend(bold(text)),
        }
    }
    parts.join("\n")
}

fn message(kind: &str, text: &str) -> String {
    format!("**{kind}:** {}\n", escape_markdown(text))
}

/// Returns a paragraph in bold, or nothing for an empty text, which would be a rule.
fn bold(text: &str) -> Option<String> {
    let text = escape_markdown(text);
    (!text.is_empty()).then(|| format!("**{text}**\n"))
}

/// Returns a table, or nothing if it has no columns.
fn render_table(table: &Table) -> Option<String> {
    let width = table.width();
    if width == 0 {
        return None;
    }
    let mut out = String::new();
    write_row(&mut out, table.columns.iter().map(|header| escape_markdown(&header.text)), width);
    let rules = table.columns.iter().map(|header| match header.align {
        Align::Left => ":---".to_owned(),
        Align::Right => "---:".to_owned(),
    });
    let rules = rules.chain(std::iter::repeat_n(":---".to_owned(), width));
    write_row(&mut out, rules, width);
    for row in &table.rows {
        match row {
            Row::Cells(cells) | Row::Muted(cells) => {
                write_row(&mut out, cells.iter().map(cell_text), width);
            }
            Row::Group(text) => {
                let text = escape_markdown(text);
                let text = if text.is_empty() { text } else { format!("**{text}**") };
                write_row(&mut out, std::iter::once(text), width);
            }
            Row::Separator => {}
        }
    }
    Some(out)
}

/// Returns a cell's text: lists and headings do not exist inside a cell, and the lone `-` of a
/// missing number should not look escaped.
fn cell_text(cell: &Cell) -> String {
    if cell.text == crate::number::MISSING {
        cell.text.clone()
    } else {
        escape_markdown(&cell.text)
    }
}

fn write_row(out: &mut String, cells: impl Iterator<Item = String>, width: usize) {
    for cell in cells.chain(std::iter::repeat(String::new())).take(width) {
        out.push_str("| ");
        out.push_str(&cell);
        out.push(' ');
    }
    out.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Header;
    use crate::text::is_unsafe;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_block() {
        let mut table =
            Table::new([Header::left(""), Header::right("模型_1")]).with_title("Scores");
        table.push_group("all");
        table.push([Cell::text("a|b"), Cell::number("-1.067", -1.067)]);
        table.push_separator();
        table.push_muted([Cell::text("baseline"), Cell::missing()]);
        table.push([Cell::text("x")]);
        let report = Report {
            blocks: vec![
                Block::Heading("party.csv".to_owned()),
                Block::Text("3 rows".to_owned()),
                Block::Table(table),
                Block::Note("n".to_owned()),
                Block::Warning("<w>".to_owned()),
                Block::Verdict("民主党 is ahead".to_owned()),
                Block::Hint("try `--by`".to_owned()),
                Block::Verdict(String::new()),
                Block::Table(Table::default()),
            ],
            ..Report::default()
        };
        let expected = r"## party.csv

3 rows

**Scores**

|  | 模型\_1 |
| :--- | ---: |
| **all** |  |
| a\|b | -1.067 |
| baseline | - |
| x |  |

**note:** n

**warning:** &lt;w&gt;

**民主党 is ahead**

**hint:** try \`--by\`
";
        assert_eq!(render_markdown(&report), expected);
    }

    /// Counts the bars that divide cells.
    fn bars(line: &str) -> usize {
        let mut escaped = false;
        let mut bars = 0;
        for c in line.chars() {
            bars += usize::from(c == '|' && !escaped);
            escaped = c == '\\' && !escaped;
        }
        bars
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_table(texts in proptest::collection::vec(any::<String>(), 6)) {
            let mut table = Table::new(texts[..2].iter().map(Header::left));
            table.push(texts[2..4].iter().map(Cell::text));
            table.push_group(&texts[4]);
            let mut report = Report::default();
            report.push(Block::Table(table));
            report.push(Block::Note(texts[5].clone()));
            let markdown = render_markdown(&report);
            prop_assert!(!markdown.replace('\n', "").contains(is_unsafe));
            let lines: Vec<&str> = markdown.lines().collect();
            prop_assert_eq!(lines.len(), 6);
            prop_assert!(lines[..4].iter().all(|line| bars(line) == 3), "{}", markdown);
            prop_assert!(!markdown.contains('<'));
        }
    }
}
