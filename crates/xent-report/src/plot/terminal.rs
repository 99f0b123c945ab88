//! The chart as text: Braille dots, or plain ASCII.
//!
//! Colours only repeat what the markers say. Width is counted in columns of the terminal, so that
//! Chinese titles and names stay in place.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Paint};

use super::Chart;
use super::axis::Tick;
use super::figure::{Drawn, Figure, Line};
use crate::text::{display_width, escape_terminal, truncate_middle, wrap};

mod canvas;

use canvas::{Canvas, Cell};

/// What stands for a width or height of 0.
const DEFAULT: (usize, usize) = (80, 16);
/// Smallest and largest plane, in columns and lines.
const PLANE: ((usize, usize), (usize, usize)) = ((8, 3), (1000, 300));
/// Lines of a histogram.
const STRIP: usize = 2;
/// Columns of a name in the legend.
const NAME: usize = 28;
/// Markers on a long line.
const MARKERS: usize = 5;

/// Better, worse and warning have their own colours elsewhere: those come last.
const COLOURS: [AnsiColor; 8] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::BrightBlue,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Red,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightCyan,
];
const MARKS: [char; 8] = ['●', '■', '▲', '◆', 'x', '+', '▼', '○'];
const ASCII_MARKS: [char; 8] = ['o', '#', '^', '*', 'x', '+', 'v', '@'];
/// ASCII lines where they are not marked.
const ASCII_LINES: [char; 8] = ['-', '=', '~', '"', '\'', ';', ',', '`'];
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BLOCKS: [char; 3] = ['.', ':', '#'];

const BOLD: Paint = Paint::new().bold();
const DIM: Paint = Paint::new().dimmed();

/// Returns the chart as text, `width` columns wide, with a plane of `height` lines; every line ends in a
/// line break.
///
/// A width of 0 is 80 columns, a height of 0 is 16 lines. Title, legend and notes come on top of the height.
/// `unicode` draws with Braille dots, boxes and shapes, otherwise everything but the texts is ASCII.
/// `colour` writes ANSI colours.
///
/// ```
/// use xent_report::plot::{Curves, Series, render_terminal};
///
/// let points = vec![(0.0, 1.0), (4.0, 0.2)];
/// let series = vec![Series { name: "loss".to_owned(), points }];
/// let chart = Curves { series, ..Curves::default() };
/// let text = render_terminal(&chart, 24, 5, true, false);
/// assert!(text.ends_with(" ● loss\n"));
/// ```
pub fn render_terminal(
    chart: &impl Chart,
    width: usize,
    height: usize,
    unicode: bool,
    colour: bool,
) -> String {
    let width = if width == 0 { DEFAULT.0 } else { width };
    let height = if height == 0 { DEFAULT.1 } else { height };
    let mut screen = Screen { out: String::new(), width, unicode, colour };
    screen.draw(&chart.figure(), height);
    screen.out
}

struct Screen {
    out: String,
    width: usize,
    unicode: bool,
    colour: bool,
}

impl Screen {
    fn draw(&mut self, figure: &Figure<'_>, height: usize) {
        self.paragraph(figure.title, BOLD);
        self.paragraph(figure.y.1, DIM);
        let height = height.clamp(PLANE.0.1, PLANE.1.1);
        let y_ticks = figure.y.0.ticks_that(height.div_ceil(2).min(6), |ticks| {
            // No two labels on one line.
            ticks.windows(2).all(|pair| line_of(&pair[0], height) > line_of(&pair[1], height))
        });
        let gutter = y_ticks.iter().map(|tick| tick.label.len()).max().unwrap_or(0) + 1;
        let width = self.width.saturating_sub(gutter + 2).clamp(PLANE.0.0, PLANE.1.0);
        // A cell is about twice as high as wide.
        let width = if figure.is_square { width.min(2 * height + 1) } else { width };
        self.plane(figure, &y_ticks, gutter, width, height);
        self.x_axis(figure, gutter, width);
        self.legend(figure);
        self.paragraph(figure.description, Paint::new());
        for note in figure.notes {
            self.paragraph(note, DIM);
        }
    }

    fn plane(
        &mut self,
        figure: &Figure<'_>,
        y_ticks: &[Tick],
        gutter: usize,
        width: usize,
        height: usize,
    ) {
        let mut canvas = Canvas::new(width, height, self.unicode);
        for run in &figure.band {
            canvas.shade(run);
        }
        if !figure.diagonal.is_empty() {
            canvas.diagonal();
        }
        for line in figure.lines.iter().filter(|line| line.drawn != Drawn::Loose) {
            for run in &line.runs {
                canvas.line(&line.corners(run), line.slot);
            }
        }
        for line in &figure.lines {
            for place in line.marked(MARKERS, figure.lines.len()) {
                canvas.mark(place, line.slot);
            }
        }
        for y in 0..height {
            let tick = y_ticks.iter().find(|tick| line_of(tick, height) == y);
            let label = tick.map_or("", |tick| &tick.label);
            let axis = match (self.unicode, tick.is_some()) {
                (true, true) => '┤',
                (true, false) => '│',
                (false, true) => '+',
                (false, false) => '|',
            };
            self.write(&format!("{label:>gutter$} {axis}"), DIM);
            self.cells(canvas.row(y));
            self.end_line();
        }
    }

    /// Writes cells, neighbours of one colour together.
    fn cells(&mut self, cells: &[Cell]) {
        let (mut text, mut paint) = (String::new(), Paint::new());
        for cell in cells {
            let (c, of_cell) = self.cell(*cell);
            if of_cell != paint {
                self.write(&text, paint);
                text.clear();
                paint = of_cell;
            }
            text.push(c);
        }
        self.write(&text, paint);
    }

    fn cell(&self, cell: Cell) -> (char, Paint) {
        match cell {
            Cell::Empty => (' ', Paint::new()),
            Cell::Shade if self.unicode => ('░', Paint::new()),
            Cell::Shade => (':', Paint::new()),
            Cell::Diagonal(dots) => (if self.unicode { braille(dots) } else { '.' }, Paint::new()),
            Cell::Line(dots, slot) => {
                let c = if self.unicode { braille(dots) } else { ASCII_LINES[slot % 8] };
                (c, paint(slot))
            }
            Cell::Mark(slot) => (self.mark(slot), paint(slot)),
        }
    }

    fn mark(&self, slot: usize) -> char {
        (if self.unicode { MARKS } else { ASCII_MARKS })[slot % 8]
    }

    /// The strip of the histogram, the x axis, its labels and its name.
    fn x_axis(&mut self, figure: &Figure<'_>, gutter: usize, width: usize) {
        let column = |tick: &Tick| ((tick.at * width as f64) as usize).min(width - 1);
        let place = |tick: &Tick| {
            // Centred, but on the screen.
            let middle = (gutter + 2 + column(tick)).saturating_sub(tick.label.len() / 2);
            middle.min((gutter + 2 + width).saturating_sub(tick.label.len()))
        };
        let ticks = figure.x.0.ticks_that((width / 5).clamp(2, 10), |ticks| {
            ticks
                .windows(2)
                .all(|pair| place(&pair[0]) + pair[0].label.len() + 2 <= place(&pair[1]))
        });
        let (corner, level, mark) =
            if self.unicode { ('└', '─', '┬') } else { ('+', '-', '+') };
        let mut axis = vec![level; width];
        for tick in &ticks {
            axis[column(tick)] = mark;
        }
        let axis: String = axis.into_iter().collect();
        self.write(&format!("{:gutter$} {corner}{axis}", ""), DIM);
        self.end_line();
        if let Some(histogram) = figure.histogram {
            let heights = histogram.columns(&figure.x.0, width);
            for row in (0..STRIP).rev() {
                let bars: String = heights.iter().map(|&height| self.block(height, row)).collect();
                self.write(&format!("{:gutter$}  {bars}", ""), Paint::new());
                self.end_line();
            }
        }
        let mut labels = String::new();
        for tick in &ticks {
            labels.extend(std::iter::repeat_n(' ', place(tick).saturating_sub(labels.len())));
            labels.push_str(&tick.label);
        }
        self.write(&labels, DIM);
        self.end_line();
        let room = (gutter + 2 + width).min(self.width.max(1));
        let label = escape_terminal(figure.x.1);
        let label = truncate_middle(&label, room);
        if !label.is_empty() {
            let indent = (gutter + 2 + width).saturating_sub(display_width(&label));
            self.write(&format!("{:indent$}{label}", ""), DIM);
            self.end_line();
        }
    }

    /// What a column of a histogram shows in a line of the strip, 0 the lowest.
    fn block(&self, height: f64, row: usize) -> char {
        let blocks: &[char] = if self.unicode { &BLOCKS } else { &ASCII_BLOCKS };
        // What is there at all is seen.
        let filled = (height * (STRIP * blocks.len()) as f64).ceil() as usize;
        match filled.saturating_sub(row * blocks.len()) {
            0 => ' ',
            n => blocks[n.min(blocks.len()) - 1],
        }
    }

    fn legend(&mut self, figure: &Figure<'_>) {
        let mut entries: Vec<(String, &str, Paint)> = Vec::new();
        for line in &figure.lines {
            entries.push((self.swatch(line), line.name, paint(line.slot)));
        }
        let (shade, diagonal, bars) =
            if self.unicode { ("░░", "⡀⠠⠐", "▂▅▇") } else { ("::", "..", ".:#") };
        if !figure.band.is_empty() {
            entries.push((shade.to_owned(), figure.band_name, Paint::new()));
        }
        entries.push((diagonal.to_owned(), figure.diagonal, Paint::new()));
        if let Some(histogram) = figure.histogram {
            entries.push((bars.to_owned(), &histogram.name, Paint::new()));
        }
        entries.retain(|entry| !entry.1.is_empty());
        let mut used = 0;
        for (swatch, name, paint) in &entries {
            let room = self.width.saturating_sub(display_width(swatch) + 2).clamp(1, NAME);
            let name = escape_terminal(name);
            let name = truncate_middle(&name, room);
            let width = display_width(swatch) + 1 + display_width(&name);
            if used > 0 && used + 3 + width > self.width {
                self.end_line();
                used = 0;
            }
            let gap = if used == 0 { 1 } else { 3 };
            self.out.extend(std::iter::repeat_n(' ', gap));
            self.write(swatch, *paint);
            self.out.push(' ');
            self.out.push_str(&name);
            used += gap + width;
        }
        if used > 0 {
            self.end_line();
        }
    }

    /// What stands for a series in the legend.
    fn swatch(&self, line: &Line<'_>) -> String {
        let mark = self.mark(line.slot);
        let level = ASCII_LINES[line.slot % 8];
        match (line.drawn, self.unicode) {
            (Drawn::Plain, true) => "⣀⠤⠒".to_owned(),
            (Drawn::Plain, false) => format!("{level}{level}"),
            (Drawn::Marked, false) => format!("{level}{mark}{level}"),
            _ => mark.to_string(),
        }
    }

    fn paragraph(&mut self, text: &str, paint: Paint) {
        if text.is_empty() {
            return;
        }
        for line in wrap(&escape_terminal(text), self.width) {
            self.write(&line, paint);
            self.end_line();
        }
    }

    /// Writes text in a style, which ends where the text ends.
    fn write(&mut self, text: &str, paint: Paint) {
        if !self.colour || paint == Paint::new() || text.trim().is_empty() {
            self.out.push_str(text);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "{paint}{text}{paint:#}");
        }
    }

    fn end_line(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
    }
}

fn paint(slot: usize) -> Paint {
    Paint::new().fg_color(Some(anstyle::Color::Ansi(COLOURS[slot % COLOURS.len()])))
}

fn braille(dots: u8) -> char {
    char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ')
}

/// The line of the plane in which a tick stands, 0 at the top.
fn line_of(tick: &Tick, height: usize) -> usize {
    canvas::cell(1.0 - tick.at, height)
}
