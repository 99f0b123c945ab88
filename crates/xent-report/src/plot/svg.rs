//! The chart as a static SVG picture.
//!
//! Everything is set by attributes and classes, never by `style` attributes, and the style sheet is the
//! same for every chart: a page with a strict content policy allows it by one hash, and several charts
//! in one page do not disturb each other. Attributes repeat the light colours for viewers that do not
//! know CSS variables. Widths of texts are estimated, generously: no font is asked.

use std::fmt::Write as _;

use super::Chart;
use super::axis::Tick;
use super::figure::{COLUMNS, Drawn, Figure, Line};
use crate::text::{display_width, escape_terminal, truncate_middle, wrap};

/// Pixels of a column of text at the size of most texts.
const COLUMN: f64 = 7.2;
/// From line to line.
const LINE: f64 = 18.0;
const MARGIN: f64 = 16.0;
/// Width of all charts but square ones.
const WIDTH: f64 = 720.0;
/// Height of the plane of curves.
const HEIGHT: f64 = 320.0;
/// Side of a square plane.
const SIDE: f64 = 360.0;
/// Height of the strip of a histogram, and the room above it.
const STRIP: (f64, f64) = (48.0, 8.0);
/// Columns of a name beside a line or in a legend.
const NAME: usize = 28;
/// Markers on a long line.
const MARKERS: usize = 8;

/// Light and dark colour of each series: contrast of at least 4.5 to the background.
const COLOURS: [(&str, &str); 8] = [
    ("#0067b0", "#5ab0f2"),
    ("#b34700", "#f5935a"),
    ("#00735a", "#3fc79a"),
    ("#96388a", "#e08fd0"),
    ("#766000", "#d9bc4a"),
    ("#00707f", "#4fc7d8"),
    ("#b3262e", "#ff8a8f"),
    ("#55595e", "#b4b8bd"),
];
/// Dashes of lines; coprime to the colours, so that forty series differ.
const DASHES: [&str; 5] = ["", "8 4", "2 4", "9 4 2 4", "16 4"];

const INK: (&str, &str) = ("#1f2328", "#e6edf3");
const MUTED: (&str, &str) = ("#59636e", "#9aa4af");
const GRID: (&str, &str) = ("#d8dee4", "#30363d");
const PAPER: (&str, &str) = ("#ffffff", "#14181d");

/// Returns the chart as an SVG document of one element, which can also stand inside a page.
///
/// ```
/// use xent_report::plot::{Curves, render_svg};
///
/// let svg = render_svg(&Curves { title: "a < b".to_owned(), ..Curves::default() });
/// assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" "));
/// assert!(svg.contains(">a &lt; b</title>"));
/// ```
pub fn render_svg(chart: &impl Chart) -> String {
    let figure = chart.figure();
    let mut picture = Picture { out: String::new(), y: MARGIN };
    let width = if figure.is_square { SIDE + 2.0 * MARGIN + 80.0 } else { WIDTH };
    picture.draw(&figure, width);
    let height = picture.y + MARGIN;
    // Names of the title and description must differ between the charts of a page.
    let id = format!("xp-{:016x}", fingerprint(&picture.out));
    let mut out = String::with_capacity(picture.out.len() + 4096);
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"xp\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{desc}</desc>\n",
        w = number(width),
        h = number(height),
        title = escape(figure.title),
        desc = escape(figure.description),
    );
    out.push_str(&style());
    let _ = writeln!(
        out,
        "<rect class=\"xp-paper\" width=\"100%\" height=\"100%\" fill=\"{}\"/>",
        PAPER.0
    );
    out.push_str(&picture.out);
    out.push_str("</svg>\n");
    out
}

/// The style sheet, the same for every chart.
fn style() -> String {
    let set = |of: fn(&(&'static str, &'static str)) -> &'static str| {
        let base = [("ink", &INK), ("muted", &MUTED), ("grid", &GRID), ("paper", &PAPER)];
        let base = base.iter().map(|(name, colours)| format!("--xp-{name}:{}", of(colours)));
        let series = COLOURS.iter().enumerate().map(|(i, c)| format!("--xp-{i}:{}", of(c)));
        base.chain(series).collect::<Vec<_>>().join(";")
    };
    let mut out = format!(
        "<style>\n.xp{{{};max-width:100%;height:auto}}\n\
         @media (prefers-color-scheme:dark){{.xp{{{}}}}}\n",
        set(|colours| colours.0),
        set(|colours| colours.1)
    );
    for name in ["ink", "muted"] {
        let _ = writeln!(out, ".xp .xp-{name}{{fill:var(--xp-{name})}}");
    }
    out.push_str(".xp .xp-paper{fill:var(--xp-paper)}\n.xp .xp-grid{stroke:var(--xp-grid)}\n");
    out.push_str(".xp .xp-axis{stroke:var(--xp-muted)}\n");
    for i in 0..COLOURS.len() {
        let _ =
            writeln!(out, ".xp .xp-l{i}{{stroke:var(--xp-{i})}}.xp .xp-f{i}{{fill:var(--xp-{i})}}");
    }
    out.push_str("</style>\n");
    out
}

/// FNV-1a.
fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// A coordinate, to a tenth of a pixel.
fn number(x: f64) -> String {
    let text = format!("{x:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text as the content of an element: controls visible, nothing that XML forbids.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in escape_terminal(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Where a text stands beside its place.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// The plane of a chart in pixels.
#[derive(Clone, Copy)]
struct Plane {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Plane {
    fn x(&self, at: f64) -> f64 {
        self.left + at * self.width
    }

    fn y(&self, at: f64) -> f64 {
        self.top + (1.0 - at) * self.height
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn point(&self, (x, y): (f64, f64)) -> String {
        format!("{} {}", number(self.x(x)), number(self.y(y)))
    }
}

/// The elements so far, and where the next lines go.
struct Picture {
    out: String,
    y: f64,
}

impl Picture {
    fn draw(&mut self, figure: &Figure<'_>, width: f64) {
        self.paragraph(figure.title, width, "xp-ink", INK.0, " font-weight=\"600\"");
        self.paragraph(figure.description, width, "xp-muted", MUTED.0, "");
        self.y += 6.0;
        self.paragraph(figure.y.1, width, "xp-muted", MUTED.0, "");
        let plane = self.plane(figure, width);
        let y_ticks = figure.y.0.ticks(if figure.is_square { 6 } else { 7 });
        let below = figure.histogram.map_or(0.0, |_| STRIP.0 + STRIP.1);
        let x_ticks = figure.x.0.ticks_that(9, |ticks| fit(ticks, plane.width));
        self.grid(&plane, &x_ticks, &y_ticks, below);
        self.band(figure, &plane);
        if !figure.diagonal.is_empty() {
            let _ = writeln!(
                self.out,
                "<path class=\"xp-axis\" d=\"M{}L{}\" stroke=\"{}\" stroke-dasharray=\"4 4\"/>",
                plane.point((0.0, 0.0)),
                plane.point((1.0, 1.0)),
                MUTED.0
            );
        }
        for line in &figure.lines {
            self.line(line, &plane, figure.lines.len());
        }
        if !figure.is_square {
            self.end_labels(figure, &plane);
        }
        self.y = plane.bottom();
        if let Some(histogram) = figure.histogram {
            self.y += STRIP.0 + STRIP.1;
            let heights = histogram.columns(&figure.x.0, COLUMNS);
            let base = number(self.y);
            let mut d = format!("M{} {base}", number(plane.left));
            for (i, height) in heights.iter().enumerate() {
                let y = number(self.y - height * STRIP.0);
                let _ = write!(d, "V{y}H{}", number(plane.x((i + 1) as f64 / COLUMNS as f64)));
            }
            let _ = writeln!(
                self.out,
                "<path class=\"xp-muted\" d=\"{d}V{base}Z\" fill=\"{}\" fill-opacity=\"0.6\"/>",
                MUTED.0
            );
        }
        self.y += LINE;
        for tick in &x_ticks {
            self.text(plane.x(tick.at), self.y, &tick.label, Anchor::Middle);
        }
        if !figure.x.1.is_empty() {
            self.y += LINE;
            let label = truncate_middle(&escape_terminal(figure.x.1), columns(width)).into_owned();
            let half = display_width(&label) as f64 * COLUMN / 2.0;
            let centre =
                (plane.left + plane.width / 2.0).min(width - MARGIN - half).max(MARGIN + half);
            self.text(centre, self.y, &label, Anchor::Middle);
        }
        if figure.is_square {
            self.legend(figure, width);
        }
        self.y += 4.0;
        for note in figure.notes {
            self.paragraph(note, width, "xp-muted", MUTED.0, "");
        }
    }

    /// Finds room for the plane between the labels.
    fn plane(&mut self, figure: &Figure<'_>, width: f64) -> Plane {
        let ticks = figure.y.0.ticks(7);
        let widest = ticks.iter().map(|tick| display_width(&tick.label)).max().unwrap_or(0);
        let left = MARGIN + widest as f64 * COLUMN + 10.0;
        let names = figure.lines.iter().map(|line| display_width(&name(line.name))).max();
        let (right, height) = match names {
            _ if figure.is_square => (width - MARGIN - 16.0, SIDE),
            Some(columns) if columns > 0 => {
                (width - MARGIN - 34.0 - columns as f64 * COLUMN, HEIGHT)
            }
            _ => (width - MARGIN - 16.0, HEIGHT),
        };
        let width = if figure.is_square { SIDE.min(right - left) } else { right - left };
        let height = if figure.is_square { width } else { height };
        Plane { left, top: self.y + 10.0, width, height }
    }

    fn grid(&mut self, plane: &Plane, x_ticks: &[Tick], y_ticks: &[Tick], below: f64) {
        let (left, bottom) = (number(plane.left), number(plane.bottom()));
        let mut d = String::new();
        for tick in y_ticks {
            let _ = write!(d, "M{left} {}h{}", number(plane.y(tick.at)), number(plane.width));
        }
        for tick in x_ticks {
            let _ = write!(
                d,
                "M{} {}V{}",
                number(plane.x(tick.at)),
                number(plane.top),
                number(plane.bottom() + below)
            );
        }
        if !d.is_empty() {
            let _ = writeln!(self.out, "<path class=\"xp-grid\" d=\"{d}\" stroke=\"{}\"/>", GRID.0);
        }
        let _ = writeln!(
            self.out,
            "<path class=\"xp-axis\" d=\"M{left} {}V{bottom}h{}\" fill=\"none\" stroke=\"{}\"/>",
            number(plane.top),
            number(plane.width),
            MUTED.0
        );
        for tick in y_ticks {
            self.text(plane.left - 8.0, plane.y(tick.at) + 4.5, &tick.label, Anchor::End);
        }
    }

    fn band(&mut self, figure: &Figure<'_>, plane: &Plane) {
        let mut d = String::new();
        for run in &figure.band {
            let upper = run.iter().map(|&[x, _, high]| (x, high));
            let lower = run.iter().rev().map(|&[x, low, _]| (x, low));
            for (i, place) in upper.chain(lower).enumerate() {
                let _ = write!(d, "{}{}", if i == 0 { "M" } else { "L" }, plane.point(place));
            }
            d.push('Z');
        }
        if !d.is_empty() {
            let _ = writeln!(
                self.out,
                "<path class=\"xp-muted\" d=\"{d}\" fill=\"{}\" fill-opacity=\"0.22\"/>",
                MUTED.0
            );
        }
    }

    fn line(&mut self, line: &Line<'_>, plane: &Plane, of_lines: usize) {
        let (colour, light) = colour(line.slot);
        let mut d = String::new();
        for run in line.runs.iter().filter(|_| line.drawn != Drawn::Loose) {
            for (i, place) in line.corners(run).into_iter().enumerate() {
                let _ = write!(d, "{}{}", if i == 0 { "M" } else { "L" }, plane.point(place));
            }
            if run.len() == 1 {
                // A dot, by its round ends.
                d.push_str("h0");
            }
        }
        if !d.is_empty() {
            let _ = writeln!(
                self.out,
                "<path class=\"xp-l{colour}\" d=\"{d}\" fill=\"none\" stroke=\"{light}\" \
                 stroke-width=\"2\" stroke-linecap=\"round\" stroke-linejoin=\"round\"{}/>",
                dash(line.slot)
            );
        }
        let marks = line.marked(MARKERS, of_lines);
        let places: Vec<(f64, f64)> =
            marks.iter().map(|&(x, y)| (plane.x(x), plane.y(y))).collect();
        self.markers(line.slot, &places);
    }

    /// Draws the marker of a series at several places.
    fn markers(&mut self, slot: usize, places: &[(f64, f64)]) {
        if places.is_empty() {
            return;
        }
        let (colour, light) = colour(slot);
        let mut d = String::new();
        for &(x, y) in places {
            let _ = match slot % 8 {
                0 | 7 => {
                    write!(d, "M{} {}a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z", number(x - 4.0), number(y))
                }
                1 => write!(d, "M{} {}h7v7h-7Z", number(x - 3.5), number(y - 3.5)),
                2 => write!(d, "M{} {}l4.5 8h-9Z", number(x), number(y - 5.0)),
                3 => write!(d, "M{} {}l4.5 4.5l-4.5 4.5l-4.5-4.5Z", number(x), number(y - 4.5)),
                4 => write!(d, "M{} {}l8 8m0-8l-8 8", number(x - 4.0), number(y - 4.0)),
                5 => write!(d, "M{} {}v10m-5-5h10", number(x), number(y - 5.0)),
                _ => write!(d, "M{} {}l4.5-8h-9Z", number(x), number(y + 5.0)),
            };
        }
        let (class, fill) = if slot % 8 == 7 {
            ("xp-paper".to_owned(), PAPER.0)
        } else {
            (format!("xp-f{colour}"), light)
        };
        let _ = writeln!(
            self.out,
            "<path class=\"xp-l{colour} {class}\" d=\"{d}\" fill=\"{fill}\" stroke=\"{light}\" \
             stroke-width=\"1.5\"/>"
        );
    }

    /// Writes the names of lines to the right of the plane, each at the height of its line's end or as near
    /// as the others allow, and joined to it.
    fn end_labels(&mut self, figure: &Figure<'_>, plane: &Plane) {
        let ends = |line: &Line<'_>| line.runs.last().and_then(|run| run.last()).copied();
        let mut labels: Vec<(f64, &Line<'_>)> = figure
            .lines
            .iter()
            .filter(|line| !line.name.is_empty())
            .map(|line| (ends(line).map_or(plane.bottom(), |end| plane.y(end.1)), line))
            .collect();
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let gap = (plane.height / labels.len().max(1) as f64).min(17.0);
        spread(&mut labels, gap, plane.top, plane.bottom());
        let x = plane.left + plane.width;
        for &(y, line) in &labels {
            let (colour, light) = colour(line.slot);
            if let Some((end_x, end_y)) = ends(line) {
                let from = (plane.x(end_x), plane.y(end_y));
                if (from.1 - y).abs() > 1.0 || x - from.0 > 1.0 {
                    let _ = writeln!(
                        self.out,
                        "<path class=\"xp-l{colour}\" d=\"M{} {}L{} {}\" fill=\"none\" \
                         stroke=\"{light}\" stroke-opacity=\"0.5\" stroke-dasharray=\"1 3\"/>",
                        number(from.0),
                        number(from.1),
                        number(x + 10.0),
                        number(y)
                    );
                }
            }
            self.markers(line.slot, &[(x + 18.0, y)]);
            let size = if gap < 17.0 {
                format!(" font-size=\"{}\"", number(gap * 0.75))
            } else {
                String::new()
            };
            let _ = writeln!(
                self.out,
                "<text class=\"xp-f{colour}\" x=\"{}\" y=\"{}\" fill=\"{light}\"{size}>{}</text>",
                number(x + 28.0),
                number(y + gap * 0.26),
                escape(&name(line.name))
            );
        }
    }

    /// Writes what is drawn and how, below a diagram.
    fn legend(&mut self, figure: &Figure<'_>, width: f64) {
        enum Swatch<'a> {
            Line(&'a Line<'a>),
            Band,
            Diagonal,
            Histogram,
        }
        let mut entries: Vec<(Swatch<'_>, &str)> =
            figure.lines.iter().map(|line| (Swatch::Line(line), line.name)).collect();
        if !figure.band.is_empty() {
            entries.push((Swatch::Band, figure.band_name));
        }
        entries.push((Swatch::Diagonal, figure.diagonal));
        if let Some(histogram) = figure.histogram {
            entries.push((Swatch::Histogram, &histogram.name));
        }
        entries.retain(|entry| !entry.1.is_empty());
        let mut x = MARGIN;
        for (i, (swatch, text)) in entries.iter().enumerate() {
            let room = 46.0 + display_width(&name(text)) as f64 * COLUMN;
            if i == 0 || x + room > width - MARGIN {
                self.y += if i == 0 { LINE + 6.0 } else { LINE };
                x = MARGIN;
            }
            let (left, y) = (number(x), self.y - 4.5);
            match swatch {
                Swatch::Line(line) => {
                    let (colour, light) = colour(line.slot);
                    if line.drawn != Drawn::Loose {
                        let _ = writeln!(
                            self.out,
                            "<path class=\"xp-l{colour}\" d=\"M{left} {}h24\" stroke=\"{light}\" \
                             stroke-width=\"2\"{}/>",
                            number(y),
                            dash(line.slot)
                        );
                    }
                    if line.drawn != Drawn::Plain {
                        self.markers(line.slot, &[(x + 12.0, y)]);
                    }
                }
                Swatch::Diagonal => {
                    let _ = writeln!(
                        self.out,
                        "<path class=\"xp-axis\" d=\"M{left} {}h24\" stroke=\"{}\" \
                         stroke-dasharray=\"4 4\"/>",
                        number(y),
                        MUTED.0
                    );
                }
                Swatch::Band | Swatch::Histogram => {
                    let opacity = if matches!(swatch, Swatch::Band) { 0.22 } else { 0.6 };
                    let _ = writeln!(
                        self.out,
                        "<path class=\"xp-muted\" d=\"M{left} {}h24v10h-24Z\" fill=\"{}\" \
                         fill-opacity=\"{opacity}\"/>",
                        number(y - 5.0),
                        MUTED.0
                    );
                }
            }
            self.text(x + 30.0, self.y, &name(text), Anchor::Start);
            x += room;
        }
    }

    /// Writes a text as lines that fit the width.
    fn paragraph(&mut self, text: &str, width: f64, class: &str, colour: &str, more: &str) {
        if text.is_empty() {
            return;
        }
        for line in wrap(&escape_terminal(text), columns(width)) {
            self.y += LINE;
            let (x, y) = (number(MARGIN), number(self.y));
            let line = escape(&line);
            let _ = writeln!(
                self.out,
                "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" fill=\"{colour}\"{more}>{line}</text>"
            );
        }
    }

    /// Writes a short text.
    fn text(&mut self, x: f64, y: f64, text: &str, anchor: Anchor) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = writeln!(
            self.out,
            "<text class=\"xp-muted\" x=\"{}\" y=\"{}\" fill=\"{}\"{anchor}>{}</text>",
            number(x),
            number(y),
            MUTED.0,
            escape(text)
        );
    }
}

/// Columns of text between the margins.
fn columns(width: f64) -> usize {
    ((width - 2.0 * MARGIN) / COLUMN) as usize
}

/// A name of at most [`NAME`] columns.
fn name(text: &str) -> String {
    truncate_middle(&escape_terminal(text), NAME).into_owned()
}

/// The number of a series' colour, and the light colour.
fn colour(slot: usize) -> (usize, &'static str) {
    let colour = slot % COLOURS.len();
    (colour, COLOURS[colour].0)
}

fn dash(slot: usize) -> String {
    match DASHES[slot % DASHES.len()] {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
}

/// Whether the labels of an x axis stand apart.
fn fit(ticks: &[Tick], width: f64) -> bool {
    ticks.windows(2).all(|pair| {
        let half = |tick: &Tick| display_width(&tick.label) as f64 * COLUMN / 2.0;
        (pair[1].at - pair[0].at) * width >= half(&pair[0]) + half(&pair[1]) + 2.0 * COLUMN
    })
}

/// Moves ascending places apart to at least `gap`, within `top` and `bottom`.
fn spread<T>(places: &mut [(f64, T)], gap: f64, top: f64, bottom: f64) {
    let mut least = top;
    for (y, _) in places.iter_mut() {
        *y = y.max(least);
        least = *y + gap;
    }
    let mut most = bottom;
    for (y, _) in places.iter_mut().rev() {
        *y = y.min(most);
        most = *y - gap;
    }
}
