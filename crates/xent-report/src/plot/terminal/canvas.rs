//! Cells of the terminal, drawn on in dots: two by four in a cell with Braille, one without.

use crate::plot::thin::Place;

/// Dots of a Braille cell, by line and column: bits of the character's number.
const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// Dots of the diagonal, drawn and left out.
const DASH: (usize, usize) = (1, 2);

/// What a cell shows; the later variants cover the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Empty,
    Shade,
    Diagonal(u8),
    Line(u8, usize),
    Mark(usize),
}

/// The plane of a chart.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    /// Dots of a cell across and down.
    dots: (usize, usize),
    cells: Vec<Cell>,
}

/// Which of `n` equal parts a place from 0 to 1 is in.
pub(super) fn cell(at: f64, n: usize) -> usize {
    ((at * n as f64) as usize).min(n - 1)
}

impl Canvas {
    pub fn new(width: usize, height: usize, unicode: bool) -> Canvas {
        let dots = if unicode { (2, 4) } else { (1, 1) };
        Canvas { width, height, dots, cells: vec![Cell::Empty; width * height] }
    }

    pub fn row(&self, y: usize) -> &[Cell] {
        &self.cells[y * self.width..(y + 1) * self.width]
    }

    /// Shades the cells whose middle is in a band.
    pub fn shade(&mut self, run: &[[f64; 3]]) {
        for column in 0..self.width {
            let x = (column as f64 + 0.5) / self.width as f64;
            let Some((low, high)) = edges(run, x) else { continue };
            for line in 0..self.height {
                let y = 1.0 - (line as f64 + 0.5) / self.height as f64;
                if (low..=high).contains(&y) {
                    self.cells[line * self.width + column] = Cell::Shade;
                }
            }
        }
    }

    /// Draws the line from corner to corner, dotted.
    pub fn diagonal(&mut self) {
        let (drawn, left_out) = DASH;
        let corners = (self.dot((0.0, 0.0)), self.dot((1.0, 1.0)));
        for (i, dot) in between(corners.0, corners.1).enumerate() {
            if self.dots.0 == 1 || i % (drawn + left_out) < drawn {
                let (at, bit) = self.place(dot);
                self.cells[at] = match self.cells[at] {
                    Cell::Diagonal(dots) => Cell::Diagonal(dots | bit),
                    _ => Cell::Diagonal(bit),
                };
            }
        }
    }

    pub fn line(&mut self, corners: &[Place], slot: usize) {
        let dots: Vec<(usize, usize)> = corners.iter().map(|&place| self.dot(place)).collect();
        if let [dot] = dots[..] {
            self.draw(dot, slot);
        }
        for pair in dots.windows(2) {
            for dot in between(pair[0], pair[1]) {
                self.draw(dot, slot);
            }
        }
    }

    fn draw(&mut self, dot: (usize, usize), slot: usize) {
        let (at, bit) = self.place(dot);
        let dots = match self.cells[at] {
            Cell::Line(dots, _) => dots,
            _ => 0,
        };
        self.cells[at] = Cell::Line(dots | bit, slot);
    }

    pub fn mark(&mut self, place: Place, slot: usize) {
        let (at, _) = self.place(self.dot(place));
        self.cells[at] = Cell::Mark(slot);
    }

    /// The dot of a place, from the top left.
    fn dot(&self, (x, y): Place) -> (usize, usize) {
        (cell(x, self.width * self.dots.0), cell(1.0 - y, self.height * self.dots.1))
    }

    /// The cell of a dot, and its bit there.
    fn place(&self, (x, y): (usize, usize)) -> (usize, u8) {
        let (across, down) = self.dots;
        (y / down * self.width + x / across, DOTS[y % down][x % across])
    }
}

/// The edges of a band at x, between its entries straight.
fn edges(run: &[[f64; 3]], x: f64) -> Option<(f64, f64)> {
    run.windows(2).find_map(|pair| {
        let [[from, low, high], [to, next_low, next_high]] = [pair[0], pair[1]];
        if !(from..=to).contains(&x) {
            return None;
        }
        let share = if to > from { (x - from) / (to - from) } else { 0.0 };
        Some((low + share * (next_low - low), high + share * (next_high - high)))
    })
}

/// The dots of a straight line, both ends included (Bresenham).
fn between(from: (usize, usize), to: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    let (dx, dy) = (from.0.abs_diff(to.0), from.1.abs_diff(to.1));
    let step = |at: usize, to: usize| match at.cmp(&to) {
        std::cmp::Ordering::Less => at + 1,
        std::cmp::Ordering::Equal => at,
        std::cmp::Ordering::Greater => at - 1,
    };
    let (mut x, mut y) = from;
    let mut error = dx as isize - dy as isize;
    (0..=dx.max(dy)).map(move |_| {
        let dot = (x, y);
        let twice = 2 * error;
        if twice > -(dy as isize) {
            error -= dy as isize;
            x = step(x, to.0);
        }
        if twice < dx as isize {
            error += dx as isize;
            y = step(y, to.1);
        }
        dot
    })
}
