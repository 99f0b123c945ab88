//! The tables as CSV (RFC 4180, with `\n` line ends as pandas and Polars write them).
//!
//! CSV is data: numbers have full precision and text is what the input held, quoted but not
//! escaped. Whoever prints CSV from a file that is not trusted prints that file's characters.
//!
//! Titles and separators are left out. Group headings become a first column `group`, so that
//! every line means the same on its own. Several tables are separated by an empty line.

use crate::report::{Block, Cell, Report, Row, Table};

/// The header of the column that repeats the group headings.
const GROUP: &str = "group";

/// Returns the report's tables as CSV; nothing if it has none.
///
/// ```
/// use xent_report::{Block, Cell, Header, Report, Table, render_csv};
///
/// let mut table = Table::new([Header::left("score"), Header::right("model, 1")]);
/// table.push([Cell::text("error rate"), Cell::number("0.333", 1.0 / 3.0)]);
/// let mut report = Report::default();
/// report.push(Block::Table(table));
/// assert_eq!(render_csv(&report), "score,\"model, 1\"\nerror rate,0.3333333333333333\n");
/// ```
pub fn render_csv(report: &Report) -> String {
    let mut out = String::new();
    for block in &report.blocks {
        if let Block::Table(table) = block {
            if !out.is_empty() {
                out.push('\n');
            }
            write_table(&mut out, table);
        }
    }
    out
}

fn write_table(out: &mut String, table: &Table) {
    let width = table.width();
    let grouped = table.rows.iter().any(|row| matches!(row, Row::Group(_)));
    let headers = table.columns.iter().map(|header| header.text.clone());
    write_record(out, grouped.then_some(GROUP), headers, width);
    let mut group = "";
    for row in &table.rows {
        match row {
            Row::Group(text) => group = text,
            Row::Separator => {}
            Row::Cells(cells) | Row::Muted(cells) => {
                write_record(out, grouped.then_some(group), cells.iter().map(field), width);
            }
        }
    }
}

/// Writes one line: the group if the table has groups, then `width` fields.
fn write_record(
    out: &mut String,
    group: Option<&str>,
    fields: impl Iterator<Item = String>,
    width: usize,
) {
    let start = out.len();
    if let Some(group) = group {
        write_field(out, group);
    }
    for (i, text) in fields.chain(std::iter::repeat(String::new())).take(width).enumerate() {
        if i > 0 || group.is_some() {
            out.push(',');
        }
        write_field(out, &text);
    }
    // An empty line would end the table.
    if out.len() == start {
        out.push_str("\"\"");
    }
    out.push('\n');
}

fn field(cell: &Cell) -> String {
    cell.value.map_or_else(|| cell.text.clone(), full)
}

/// Returns the shortest text that reads back as the same f64; nothing for NaN.
fn full(x: f64) -> String {
    if x.is_nan() {
        String::new()
    } else if x.is_infinite() || x == 0.0 || (1e-5..1e16).contains(&x.abs()) {
        x.to_string()
    } else {
        format!("{x:e}")
    }
}

fn write_field(out: &mut String, text: &str) {
    let quote = text.contains(['"', ',', '\n', '\r'])
        || text.starts_with([' ', '\t', '\u{feff}'])
        || text.ends_with([' ', '\t']);
    if quote {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Header;
    use proptest::prelude::*;

    fn report(tables: impl IntoIterator<Item = Table>) -> Report {
        let mut report = Report::default();
        report.push(Block::Heading("not data".to_owned()));
        report.blocks.extend(tables.into_iter().map(Block::Table));
        report
    }

    #[test]
    fn numbers_have_full_precision() {
        let expected = [
            (1.0, "1"),
            (25165.0, "25165"),
            (2.0 / 3.0, "0.6666666666666666"),
            (4.248354255291589e-18, "4.248354255291589e-18"),
            (-1e300, "-1e300"),
            (-0.0, "-0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, ""),
        ];
        for (x, text) in expected {
            assert_eq!(full(x), text);
        }
    }

    #[test]
    fn tables_groups_and_short_rows() {
        let mut first = Table::new([Header::left("分数"), Header::right("a\"b")]).with_title("t");
        first.push_group("民主党, 1");
        first.push([Cell::text("x"), Cell::missing()]);
        first.push_separator();
        first.push_group("b");
        first.push_muted([Cell::text("y\nz")]);
        let mut second = Table::new([Header::left("")]);
        second.push([Cell::empty()]);
        let expected = "group,分数,\"a\"\"b\"\n\"民主党, 1\",x,\nb,\"y\nz\",\n\n\"\"\n\"\"\n";
        assert_eq!(render_csv(&report([first, second])), expected);
        assert_eq!(render_csv(&report([])), "");
    }

    /// Reads RFC 4180 back, independently of the writer.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let mut records = vec![];
        let mut record = vec![];
        let mut field = String::new();
        let mut chars = text.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match (quoted, c) {
                (true, '"') if chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                (_, '"') => quoted = !quoted,
                (false, ',') => record.push(std::mem::take(&mut field)),
                (false, '\n') => {
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
                (_, c) => field.push(c),
            }
        }
        assert!(!quoted && field.is_empty() && record.is_empty());
        records
    }

    proptest! {
        #[test]
        fn text_and_numbers_read_back(
            rows in proptest::collection::vec(
                proptest::collection::vec((any::<String>(), any::<Option<f64>>()), 3),
                0..6,
            ),
        ) {
            let mut table = Table::new(["", "a", "b"].map(Header::left));
            for row in &rows {
                table.push(row.iter().map(|(text, value)| Cell {
                    value: *value,
                    ..Cell::text(text.clone())
                }));
            }
            let parsed = parse(&render_csv(&report([table])));
            prop_assert_eq!(parsed.len(), rows.len() + 1);
            for (record, row) in parsed[1..].iter().zip(&rows) {
                prop_assert_eq!(record.len(), 3);
                for (field, (text, value)) in record.iter().zip(row) {
                    if let Some(x) = value {
                        prop_assert_eq!(field.parse::<f64>().unwrap().to_bits(), x.to_bits());
                    } else {
                        prop_assert_eq!(field, text);
                    }
                }
            }
        }
    }
}
