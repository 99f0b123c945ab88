use proptest::prelude::*;

use super::{Style, render_terminal};
use crate::number::{count, fixed, p_value, signed};
use crate::report::{Block, Cell, Header, Report, Row, Table, Tone};
use crate::text::{display_width, escape_terminal, is_unsafe};

fn plain(blocks: impl IntoIterator<Item = Block>, width: usize) -> String {
    let report = Report { blocks: blocks.into_iter().collect(), ..Report::default() };
    render_terminal(&report, &Style { width, color: false })
}

fn colored(blocks: impl IntoIterator<Item = Block>, width: usize) -> String {
    let report = Report { blocks: blocks.into_iter().collect(), ..Report::default() };
    render_terminal(&report, &Style { width, color: true })
}

fn difference(x: f64, p: f64) -> Cell {
    let text = signed(x, 3);
    if p > 0.05 {
        Cell::number(format!("{text}  ~"), x)
    } else {
        Cell::number(text, x).with_tone(if x < 0.0 { Tone::Better } else { Tone::Worse })
    }
}

/// The screen of the design.
fn comparison(names: [&str; 2]) -> Table {
    let mut table = Table::new([
        Header::left(""),
        Header::right(names[0]),
        Header::right(names[1]),
        Header::right(format!("{} vs {}", names[1], names[0])),
        Header::right("p"),
    ]);
    let rows = [
        ("error rate", 0.333, 0.333, 0.0, 1.0),
        ("mean squared error", 0.807, 0.340, -0.467, 0.0341),
        ("cross entropy, bits", 1.989, 12.922, -1.067, 7.2e-11),
        ("log loss, nats", f64::INFINITY, 0.639, f64::NEG_INFINITY, f64::NAN),
    ];
    for (name, first, second, x, p) in rows {
        table.push([
            Cell::text(name),
            Cell::number(fixed(first, 3), first),
            Cell::number(fixed(second, 3), second),
            difference(x, p),
            Cell::number(p_value(p), p),
        ]);
    }
    table
}

#[test]
fn the_screen_of_the_design() {
    let blocks = [
        Block::Text("3 rows, 3 classes     label: party     input: probabilities".into()),
        Block::Table(comparison(["model1", "model2"])),
        Block::Verdict("model2 is ahead by 1.067 bits per row".into()),
        Block::Note("one".into()),
        Block::Hint("two".into()),
    ];
    let expected = "\
3 rows, 3 classes     label: party     input: probabilities

                      model1   model2   model2 vs model1       p
error rate             0.333    0.333           0.000  ~   1.000
mean squared error     0.807    0.340          -0.467      0.034
cross entropy, bits    1.989   12.922          -1.067      7e-11
log loss, nats           inf    0.639            -inf          -

model2 is ahead by 1.067 bits per row

note: one
hint: two
";
    assert_eq!(plain(blocks, 80), expected);
}

#[test]
fn chinese_labels_align() {
    let mut table = Table::new([
        Header::left("党派"),
        Header::right("行数"),
        Header::right("交叉熵"),
        Header::left("备注"),
    ])
    .with_title("各类别");
    let rows = [
        ("民主党", 25165, 0.515, "好"),
        ("共和党 (GOP)", 9, 1.7369, ""),
        ("其他", 120, 10.0, "少"),
    ];
    for (name, n, x, remark) in rows {
        table.push([
            Cell::text(name),
            Cell::number(count(n), n as f64),
            Cell::number(fixed(x, 3), x),
            Cell::text(remark),
        ]);
    }
    table.push_separator();
    table.push_group("全部");
    table.push_muted([Cell::text("基线"), Cell::missing()]);
    let expected = "\
各类别
党派             行数   交叉熵   备注
民主党         25,165    0.515   好
共和党 (GOP)        9    1.737
其他              120   10.000   少

全部
基线                -
";
    assert_eq!(plain([Block::Table(table)], 40), expected);
}

#[test]
fn a_narrow_terminal_first_wraps_headers_then_cuts_texts() {
    let table = || [Block::Table(comparison(["logistic_regression", "random_forest"]))];
    let wrapped = "
                                                               random_forest vs
                      logistic_regression   random_forest   logistic_regression       p
error rate                          0.333           0.333              0.000  ~   1.000
mean squared error                  0.807           0.340             -0.467      0.034
cross entropy, bits                 1.989          12.922             -1.067      7e-11
log loss, nats                        inf           0.639               -inf          -
";
    assert_eq!(plain(table(), 90), wrapped[1..]);
    let cut = "
                                             rando…rest
                                                     vs
                     logis…sion  rando…rest  logis…sion      p
error rate                0.333       0.333    0.000  ~  1.000
mean squared error        0.807       0.340   -0.467     0.034
cross entropy, bits       1.989      12.922   -1.067     7e-11
log loss, nats              inf       0.639     -inf         -
";
    assert_eq!(plain(table(), 62), cut[1..]);
}

#[test]
fn a_table_that_cannot_fit_is_broken_into_parts() {
    let names = ["other", "republican", "democrat", "none of these"];
    let mut table = Table::new([Header::left("truth")]);
    table.columns.extend(names.map(Header::right));
    table.push_group("rows");
    for (i, name) in names.iter().enumerate() {
        let mut cells = vec![Cell::text(*name)];
        cells.extend((0..4).map(|j| {
            let n = 10_u64.pow(3 * u32::from(i == j)) * (1 + i + j) as u64;
            Cell::number(count(n), n as f64)
        }));
        table.push(cells);
    }
    let expected = "\
truth           other
rows
other           1,000
republican          2
democrat            3
none of these       4

truth           republican
rows
other                    2
republican           3,000
democrat                 4
none of these            5

                          none
                            of
truth          democrat  these
rows
other                 3      4
republican            4      5
democrat          5,000      6
none of these         6  7,000
";
    assert_eq!(plain([Block::Table(table)], 30), expected);
}

#[test]
fn a_long_name_is_cut_in_the_middle_and_a_number_never() {
    let mut table = Table::new([Header::left("class"), Header::left("id"), Header::right("loss")]);
    table.push(["Canis lupus familiaris (domestic)", "12345678901234", "1.25"].map(Cell::from));
    table.push(["猫", "7", "0.5"].map(Cell::from));
    let expected = "\
class          id               loss
Canis …stic)   12345678901234   1.25
猫             7                0.5
";
    assert_eq!(plain([Block::Table(table)], 36), expected);
}

#[test]
fn messages_hang_and_wrap() {
    let blocks = || {
        [
            Block::Heading("preds.csv".into()),
            Block::Text("一二三四五六七八九十一二三四五六".into()),
            Block::Note("12 rows sum to between 0.99 and 1.01; the worst is row 7".into()),
            Block::Warning("模型一有 3 行的损失是无穷大，因此平均值也是无穷大。".into()),
        ]
    };
    let expected = "\
preds.csv
一二三四五六七八九十一二三四五
六

note: 12 rows sum to between
      0.99 and 1.01; the worst
      is row 7
warning: 模型一有 3 行的损失是
         无穷大，因此平均值也
         是无穷大。
";
    assert_eq!(plain(blocks(), 30), expected);
    let narrow = plain(blocks(), 12);
    assert!(narrow.contains("\nnote: 12\nrows sum to\n"), "{narrow}");
    assert!(plain(blocks(), 0).lines().count() == 5);
}

#[test]
fn colours_mean_the_same_everywhere() {
    let mut table = Table::new([Header::left(""), Header::right("x")]);
    table.push([Cell::text("a"), Cell::text("-1").with_tone(Tone::Better)]);
    table.push([Cell::text("b"), Cell::text("+1").with_tone(Tone::Worse)]);
    table.push_muted([Cell::text("c"), Cell::text("?").with_tone(Tone::Warning)]);
    let blocks = [
        Block::Heading("h".into()),
        Block::Table(table),
        Block::Verdict("v".into()),
        Block::Note("n".into()),
        Block::Warning("w".into()),
        Block::Hint("i".into()),
    ];
    let expected = "\
[1]h[0]
     x
a   [32]-1[0]
b   [31]+1[0]
[2]c[0]    [33]?[0]

[1]v[0]

[1]note:[0] n
[1][33]warning:[0] w
[36]hint:[0] i
";
    let shown = colored(blocks, 80).replace("\u{1b}[", "[");
    let mut readable = String::new();
    let mut code = false;
    for c in shown.chars() {
        match c {
            '[' => code = true,
            'm' if code => {
                code = false;
                readable.push(']');
                continue;
            }
            _ => {}
        }
        readable.push(c);
    }
    assert_eq!(readable, expected);
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(plain([], 80), "");
    assert_eq!(plain([Block::Table(Table::default())], 80), "");
}

#[test]
fn ragged_rows_lose_nothing() {
    let mut table = Table::new([Header::left("a")]);
    table.push(["x", "y"].map(Cell::from));
    table.push([]);
    assert_eq!(plain([Block::Table(table)], 80), "a\nx   y\n\n");
}

#[test]
fn a_monstrous_label_is_quick() {
    let mut table = Table::new([Header::left("x".repeat(100_000)), Header::right("n")]);
    table.push([Cell::text("民".repeat(100_000)), Cell::text("1")]);
    let screen = plain([Block::Table(table), Block::Note("y".repeat(100_000))], 40);
    assert!(screen.lines().all(|line| display_width(line) <= 40));
}

/// Any text, often one that breaks layouts.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,30}",
        "[民主党共和a ，]{0,20}",
        "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{202e}\u{301}\u{fe0f}x]{0,6}",
    ]
}

fn numbers() -> impl Strategy<Value = String> {
    (-1e5..1e5_f64, 0_usize..5).prop_map(|(x, decimals)| signed(x, decimals))
}

/// A table of a column of text, columns of numbers and a column of text.
fn tables() -> impl Strategy<Value = Table> {
    let row = (texts(), proptest::collection::vec(numbers(), 0..9), texts(), 0..8_u8);
    let rows = proptest::collection::vec(row, 0..6);
    (proptest::collection::vec(texts(), 11), rows).prop_map(|(headers, rows)| {
        let columns = headers.iter().enumerate();
        let mut table = Table::new(columns.map(|(i, text)| match i {
            0 | 10 => Header::left(text),
            _ => Header::right(text),
        }));
        for (first, numbers, last, kind) in rows {
            let mut cells = vec![Cell::text(&first)];
            cells.extend(numbers.into_iter().map(Cell::text));
            cells.resize(10, Cell::missing());
            cells.push(Cell::text(last));
            match kind {
                0 => table.push_group(first),
                1 => table.push_separator(),
                2 => table.push_muted(cells),
                _ => table.push(cells),
            }
        }
        table
    })
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let block = prop_oneof![
        tables().prop_map(Block::Table),
        texts().prop_map(Block::Heading),
        texts().prop_map(Block::Text),
        texts().prop_map(Block::Note),
        texts().prop_map(Block::Warning),
        texts().prop_map(Block::Verdict),
        texts().prop_map(Block::Hint),
    ];
    proptest::collection::vec(block, 0..4)
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_terminal(blocks in blocks(), width in 28_usize..150) {
        let screen = plain(blocks, width);
        for line in screen.lines() {
            prop_assert!(display_width(line) <= width, "{} > {width}: {line:?}", display_width(line));
        }
    }

    #[test]
    fn no_control_character_gets_through(blocks in blocks(), width in 0_usize..100) {
        let screen = plain(blocks.clone(), width);
        prop_assert!(!screen.replace('\n', "").contains(is_unsafe));
        prop_assert!(screen.is_empty() || screen.ends_with('\n'));
        prop_assert!(screen.lines().all(|line| !line.ends_with(' ')));
        // Colours add nothing but their own codes.
        let colored = colored(blocks, width);
        let mut stripped = String::new();
        for (i, part) in colored.split("\u{1b}[").enumerate() {
            let part = if i == 0 { part } else { part.split_once('m').unwrap().1 };
            stripped.push_str(part);
        }
        prop_assert!(!stripped.replace('\n', "").contains(is_unsafe));
        let trim = |text: &str| {
            text.lines().map(|line| line.trim_end_matches(' ').to_owned()).collect::<Vec<_>>()
        };
        prop_assert_eq!(trim(&stripped), trim(&screen));
    }

    #[test]
    fn without_a_limit_every_cell_is_whole(table in tables()) {
        let screen = plain([Block::Table(table.clone())], 0);
        // Many columns are broken into parts.
        let height = screen.lines().count();
        prop_assert!(height >= table.rows.len(), "{}", screen);
        for cell in table.rows.iter().filter_map(Row::cells).flatten() {
            prop_assert!(screen.contains(escape_terminal(&cell.text).trim_end_matches(' ')));
        }
    }

    #[test]
    fn no_number_is_cut(table in tables(), width in 28_usize..100) {
        let screen = plain([Block::Table(table.clone())], width);
        for cell in table.rows.iter().filter_map(Row::cells).flat_map(|cells| &cells[1..10]) {
            let is_there = screen.lines().any(|line| line.split("  ").any(|text| text.trim() == cell.text));
            prop_assert!(is_there, "{} not in {screen}", cell.text);
        }
    }

    #[test]
    fn points_stand_under_each_other(xs in proptest::collection::vec((-1e6..1e6_f64, 1_usize..6), 1..9)) {
        let mut table = Table::new([Header::left(""), Header::right("loss")]);
        for &(x, decimals) in &xs {
            table.push([Cell::text("民主党"), Cell::number(fixed(x, decimals), x)]);
        }
        let screen = plain([Block::Table(table)], 0);
        let mut points = screen.lines().skip(1).map(|line| display_width(line.split_once('.').unwrap().0));
        let first = points.next();
        prop_assert!(points.all(|point| Some(point) == first));
    }
}
