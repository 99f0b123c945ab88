//! Charts without a dependency: curves and reliability diagrams, for a terminal and as SVG.
//!
//! A chart is plain data with finished texts: [`Curves`] or a [`Diagram`]. [`render_terminal`] draws
//! it with Braille dots or in plain ASCII, [`render_svg`] as a static picture. The same chart gives
//! the same bytes on every machine: logarithms are the library's own, and coordinates are rounded.
//!
//! The SVG has no script, no inline style and no reference to anything outside, so it stands in a
//! page with a strict content policy. Its colours are CSS variables with a dark set for
//! `prefers-color-scheme`. Series differ by colour, dash and marker, so no reader depends on
//! colour; markers and colours repeat after eight series. `<title>` and `<desc>` are what a screen reader says; a page that shows a chart should
//! have its numbers in a table beside it.
//!
//! Data may be anything. Points that have no place (NaN, infinities, what is not positive on a
//! logarithmic axis, what lies outside a diagram's range) are gaps in the line; [`Curves::hidden`]
//! counts them for a note. At most 2,000 points of a series are drawn: of more, the first, the last,
//! the lowest and the highest of each of 500 stretches, so that no peak is lost. Texts are escaped.
//!
//! ```
//! use xent_report::plot::{Curves, Series, render_terminal};
//!
//! let chart = Curves {
//!     title: "entropy of a coin".to_owned(),
//!     x_label: "probability".to_owned(),
//!     y_label: "bits".to_owned(),
//!     series: vec![Series {
//!         name: "entropy".to_owned(),
//!         points: vec![(0.0, 0.0), (0.1, 0.47), (0.3, 0.88), (0.5, 1.0), (0.7, 0.88), (0.9, 0.47), (1.0, 0.0)],
//!     }],
//!     ..Curves::default()
//! };
//! let screen = "\
//! entropy of a coin
//! bits
//!  1.0 +       o-----o----o
//!      |     --            --
//!      |   --                --
//!  0.5 +  o                    o
//!      | -                      -
//!  0.0 +o                        o
//!      ++------------+-----------+
//!      0.0          0.5        1.0
//!                      probability
//!  -o- entropy
//! ";
//! assert_eq!(render_terminal(&chart, 32, 6, false, false), screen);
//! ```

mod axis;
mod figure;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;
mod thin;

pub use svg::render_svg;
pub use terminal::render_terminal;

/// How an axis is divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equal lengths.
    #[default]
    Linear,
    /// Equal ratios are equal lengths; only positive numbers have a place.
    Log,
}

/// A named line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its points `(x, y)` in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

/// Lines over a common pair of axes: loss against epochs, a ROC curve, a path of penalties.
///
/// The axes span the points that are drawn, and a little more above and below.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    /// What the chart shows.
    pub title: String,
    /// One sentence that states the finding.
    pub description: String,
    /// Quantity and unit along x.
    pub x_label: String,
    /// Quantity and unit along y.
    pub y_label: String,
    /// How x is divided.
    pub x_scale: Scale,
    /// How y is divided.
    pub y_scale: Scale,
    /// The lines; later ones are drawn over earlier ones.
    pub series: Vec<Series>,
    /// Sentences below the chart.
    pub notes: Vec<String>,
}

impl Curves {
    /// Returns how many points have no place on the axes and are gaps: not finite, or not positive
    /// on a logarithmic axis.
    ///
    /// ```
    /// use xent_report::plot::{Curves, Scale, Series};
    ///
    /// let points = vec![(1.0, 0.5), (2.0, f64::INFINITY), (3.0, 0.0)];
    /// let series = vec![Series { name: "loss".to_owned(), points }];
    /// let chart = Curves { series, y_scale: Scale::Log, ..Curves::default() };
    /// assert_eq!(chart.hidden(), 2);
    /// ```
    pub fn hidden(&self) -> usize {
        let points = self.series.iter().flat_map(|series| &series.points);
        points.filter(|&&(x, y)| !(self.x_scale.has(x) && self.y_scale.has(y))).count()
    }
}

/// How a diagram's curve goes from point to point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Joined {
    /// Straight.
    #[default]
    Line,
    /// Level up to the next x, then up or down.
    Steps,
}

/// Where a curve may lie by chance: for each x, ascending, a lower and an upper y.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Band {
    /// What the legend calls it.
    pub name: String,
    /// `(x, lower, upper)`.
    pub points: Vec<(f64, f64, f64)>,
}

/// How often each x occurs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// What the legend calls it.
    pub name: String,
    /// `(from, to, count or weight)`: the bars' areas are the counts, so bins of different widths may
    /// stand side by side. A bin without width is a single value.
    pub bins: Vec<(f64, f64, f64)>,
}

/// A reliability diagram: what happened against what was forecast, on equal axes.
///
/// Whatever is empty is not drawn, and not in the legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagram {
    /// What the chart shows.
    pub title: String,
    /// One sentence that states the finding.
    pub description: String,
    /// The forecast, along x.
    pub x_label: String,
    /// The frequency of what was forecast, along y.
    pub y_label: String,
    /// What both axes span; (0, 1) unless forecasts are rare. An empty or infinite range is (0, 1).
    pub range: (f64, f64),
    /// The recalibrated forecast as a function of the forecast.
    pub curve: Series,
    /// How the curve's points are joined.
    pub joined: Joined,
    /// Single points, such as the frequencies of bins.
    pub points: Series,
    /// Where the curve would lie if the forecasts were calibrated.
    pub band: Band,
    /// What the legend calls the diagonal.
    pub diagonal: String,
    /// The distribution of the forecasts, drawn in a strip below.
    pub histogram: Histogram,
    /// Sentences below the chart.
    pub notes: Vec<String>,
}

impl Default for Diagram {
    fn default() -> Diagram {
        Diagram {
            title: String::new(),
            description: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            range: (0.0, 1.0),
            curve: Series::default(),
            joined: Joined::default(),
            points: Series::default(),
            band: Band::default(),
            diagonal: String::new(),
            histogram: Histogram::default(),
            notes: Vec::new(),
        }
    }
}

/// What can be drawn: [`Curves`] and [`Diagram`].
pub trait Chart: figure::Draw {}

impl Chart for Curves {}

impl Chart for Diagram {}
