//! How wide the columns of a table are, and which stand side by side.
//!
//! Every column has three widths: `natural`, with everything on one line; `uncut`, with the
//! header on several lines; `least`, with texts cut to [`MIN_TEXT`]. The layout is the widest of
//! these that fits, and if none does, the columns are dealt out to several parts.

use std::borrow::Cow;

use crate::report::{Align, Cell, Table, Tone};
use crate::text::{display_width, escape_terminal, truncate_middle};

/// The space between columns, and what it shrinks to.
const GAPS: [usize; 2] = [3, 2];

/// A text is not cut to less than this.
const MIN_TEXT: usize = 10;

/// A text of the first column is not cut to less than this before all others are.
const MIN_NAME: usize = 20;

/// A header takes at most this many lines before it is cut.
const HEADER_LINES: usize = 3;

/// One cell, escaped and measured.
pub(super) struct Piece {
    text: String,
    width: usize,
    /// The width before the decimal point of the first number, in a column of numbers.
    point: Option<usize>,
    pub(super) tone: Tone,
}

/// One column, measured.
pub(super) struct Column {
    pub(super) align: Align,
    header: String,
    /// One for each row of the table; `None` where the row has no such cell.
    pub(super) pieces: Vec<Option<Piece>>,
    /// The widths before and after the decimal point of the numbers that are aligned on it.
    before: usize,
    after: usize,
    /// The width after the decimal point without what follows the number, such as `  ~`.
    fraction: usize,
    /// The width of the widest cell.
    body: usize,
    /// The width at which everything stands on one line, uncut.
    natural: usize,
    /// The least width at which nothing is cut.
    uncut: usize,
    /// The least width at which only texts are cut.
    least: usize,
}

impl Column {
    pub(super) fn new(table: &Table, at: usize) -> Self {
        let head = table.columns.get(at);
        let align = head.map_or(Align::Left, |head| head.align);
        let header = head.map_or(String::new(), |head| escape_terminal(&head.text).into_owned());
        let header_width = display_width(&header);
        let mut column = Self {
            align,
            pieces: Vec::with_capacity(table.rows.len()),
            before: 0,
            after: 0,
            fraction: 0,
            body: 0,
            natural: 0,
            uncut: 0,
            least: 0,
            header,
        };
        for row in &table.rows {
            let piece = row.cells().and_then(|cells| cells.get(at)).map(|cell| column.piece(cell));
            column.pieces.push(piece);
        }
        let body = column.body.max(column.before + column.after);
        column.body = body;
        if align == Align::Right {
            column.least = body;
        }
        column.natural = body.max(header_width);
        column.uncut = body.max(uncut_header_width(&column.header, header_width));
        column.least = column.least.max(header_width.min(MIN_TEXT)).min(column.uncut);
        column
    }

    /// Measures a cell and widens the column for it.
    fn piece(&mut self, cell: &Cell) -> Piece {
        let text = escape_terminal(&cell.text).into_owned();
        let width = display_width(&text);
        let point = if self.align == Align::Right { point(&text) } else { None };
        if let Some(point) = point {
            self.before = self.before.max(point);
            self.after = self.after.max(width - point);
            self.fraction = self.fraction.max(number_width(&text).saturating_sub(point));
        } else {
            self.body = self.body.max(width);
            let keep = cell.value.is_some() || is_number(&text);
            self.least = self.least.max(if keep { width } else { width.min(MIN_TEXT) });
        }
        Piece { text, width, point, tone: cell.tone }
    }

    /// Returns where in the column a cell starts, and what of it is shown.
    pub(super) fn place<'a>(&self, piece: &'a Piece, width: usize) -> (usize, Cow<'a, str>, usize) {
        if self.align == Align::Left && piece.width > width {
            let text = truncate_middle(&piece.text, width);
            let cut_width = display_width(&text);
            return (0, text, cut_width);
        }
        let start = width.saturating_sub(self.before + self.after);
        let shift = match (self.align, piece.point) {
            (Align::Left, _) => 0,
            (Align::Right, Some(point)) => start + self.before - point,
            // `inf` and `-` end where the numbers end, unless they are wider than the numbers.
            (Align::Right, None) => {
                let end = start + self.before + self.fraction;
                end.checked_sub(piece.width).unwrap_or(width.saturating_sub(piece.width))
            }
        };
        (shift, piece.text.as_str().into(), piece.width)
    }

    /// Whether two such columns stand side by side on lines of this width with nothing cut.
    pub(super) fn is_narrow(&self, width: usize) -> bool {
        self.uncut + GAPS[0] <= width / 2
    }

    /// Lets no text of the column be cut.
    pub(super) fn keep_texts(&mut self) {
        self.least = self.uncut;
    }

    /// Returns the header's lines at a width; the last one ends up beside the first row.
    pub(super) fn header_lines(&self, width: usize) -> Vec<String> {
        if self.header.is_empty() {
            return Vec::new();
        }
        let words = self.header.split(' ').map(|word| truncate_middle(word, width));
        let mut lines: Vec<String> = Vec::new();
        for word in words {
            match lines.last_mut() {
                Some(line) if display_width(line) + 1 + display_width(&word) <= width => {
                    line.push(' ');
                    line.push_str(&word);
                }
                _ => lines.push(word.into_owned()),
            }
        }
        if lines.len() > HEADER_LINES {
            lines = vec![truncate_middle(&self.header, width).into_owned()];
        }
        lines
    }

    /// Returns the width that the column really takes of the one it is given.
    fn taken(&self, width: usize) -> usize {
        if width >= self.natural {
            return self.natural;
        }
        let lines = self.header_lines(width);
        let header = lines.iter().map(|line| display_width(line)).max().unwrap_or(0);
        self.body.max(header).min(width)
    }
}

/// Returns the least width at which a header needs no cutting.
fn uncut_header_width(header: &str, width: usize) -> usize {
    let words: Vec<usize> = header.split(' ').map(display_width).collect();
    let longest = words.iter().copied().max().unwrap_or(0);
    let lines = |limit: usize| {
        let (mut lines, mut used) = (1, None);
        for &word in &words {
            used = match used {
                Some(used) if used + 1 + word <= limit => Some(used + 1 + word),
                Some(_) => {
                    lines += 1;
                    Some(word)
                }
                None => Some(word),
            };
        }
        lines
    };
    // More room never needs more lines, so the least width can be searched for by halves.
    let (mut low, mut high) = (longest, width.max(longest));
    while low < high {
        let middle = usize::midpoint(low, high);
        if lines(middle) <= HEADER_LINES {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Returns the width of what stands before the decimal point of the text's first number, or
/// `None` if the text does not begin with a number (a sign, a bracket or `<` may stand before it).
fn point(text: &str) -> Option<usize> {
    let is_digit = |c: char| c.is_ascii_digit();
    let start = text.find(|c: char| c.is_alphanumeric())?;
    let digits = &text[start..];
    let mut whole = 0;
    for (at, c) in digits.char_indices() {
        let grouped = c == ',' && digits[at + 1..].starts_with(is_digit);
        if !is_digit(c) && !grouped {
            break;
        }
        whole = at + 1;
    }
    (whole > 0).then(|| display_width(&text[..start + whole]))
}

/// Returns the width of the number that a text begins with: up to a space, but the whole of an
/// interval.
fn number_width(text: &str) -> usize {
    let is_interval = text.starts_with(['[', '(']);
    let end = if is_interval { None } else { text.find(' ') };
    display_width(&text[..end.unwrap_or(text.len())])
}

/// Says whether a text is nothing but a number, which must not be cut.
fn is_number(text: &str) -> bool {
    text.trim().trim_end_matches('%').replace(',', "").parse::<f64>().is_ok()
}

/// Which columns stand side by side, and how wide they are.
pub(super) struct Layout {
    pub(super) columns: Vec<(usize, usize)>,
    pub(super) gap: usize,
}

/// Lays a table out: as one part if it fits, else as several that repeat the first column.
pub(super) fn lay_out(columns: &[Column], width: usize) -> Vec<Layout> {
    let all: Vec<usize> = (0..columns.len()).collect();
    if columns.is_empty() {
        return Vec::new();
    }
    if let Some(layout) = fit(columns, &all, width) {
        return vec![layout];
    }
    let gap = GAPS[GAPS.len() - 1];
    // The first column leaves half of the line to the others.
    let first = columns[0].uncut.min(columns[0].least.max(width / 2));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut used = usize::MAX;
    for (at, column) in columns.iter().enumerate().skip(1) {
        let room = width.saturating_sub(first + gap);
        let needed = gap + column.uncut.min(column.least.max(room));
        match groups.last_mut() {
            Some(group) if used + needed <= width => {
                group.push(at);
                used += needed;
            }
            _ => {
                groups.push(vec![0, at]);
                used = first + needed;
            }
        }
    }
    if groups.is_empty() {
        groups.push(vec![0]);
    }
    let narrowest = |group: &[usize]| Layout {
        columns: group.iter().map(|&at| (at, columns[at].least)).collect(),
        gap,
    };
    groups
        .iter()
        .map(|group| fit(columns, group, width).unwrap_or_else(|| narrowest(group)))
        .collect()
}

/// Returns the widths at which these columns fit, shrunk no further than needed.
fn fit(columns: &[Column], group: &[usize], width: usize) -> Option<Layout> {
    let widths = |of: fn(&Column) -> usize| -> Vec<usize> {
        group.iter().map(|&at| of(&columns[at])).collect()
    };
    let natural = widths(|column| column.natural);
    let uncut = widths(|column| column.uncut);
    let least = widths(|column| column.least);
    let layout = |widths: Vec<usize>, gap| {
        Some(Layout { columns: group.iter().copied().zip(widths).collect(), gap })
    };
    if width == 0 {
        return layout(natural, GAPS[0]);
    }
    // The names of the rows are cut after the headers.
    let mut names_last = least.clone();
    names_last[0] = names_last[0].max(uncut[0].min(MIN_NAME));
    let stages =
        [(&natural, &natural), (&natural, &uncut), (&uncut, &names_last), (&uncut, &least)];
    for (from, to) in stages {
        for gap in GAPS {
            let Some(room) = width.checked_sub(gap * (group.len() - 1)) else { continue };
            if to.iter().sum::<usize>() <= room {
                let widths = shrink(from, to, room);
                let taken = group.iter().zip(widths).map(|(&at, width)| columns[at].taken(width));
                return layout(taken.collect(), gap);
            }
        }
    }
    None
}

/// Narrows the widest columns, none below its floor, until all fit into the room.
fn shrink(widths: &[usize], floors: &[usize], room: usize) -> Vec<usize> {
    // No column is wider than the room: this keeps the loop short beside a monstrous label.
    let mut widths: Vec<usize> =
        widths.iter().zip(floors).map(|(&width, &floor)| width.min(room).max(floor)).collect();
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    while excess > 0 {
        let widest = (0..widths.len())
            .filter(|&at| widths[at] > floors[at])
            .max_by_key(|&at| (widths[at], at));
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
        excess -= 1;
    }
    widths
}
