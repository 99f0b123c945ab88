use super::{
    COLUMNS, DEEP, DEPTH, FEW, Packed, Side, Start, Workspace, product, product_at, side_product,
};
use crate::simd::Level;
use crate::view::{View, ViewMut};

const LEVELS: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// Of magnitudes from 2^-12 to 2^12, so that the order of additions shows.
    fn number(&mut self) -> f32 {
        let fraction = (self.next() & 0x00ff_ffff) as f32 / 16_777_216.0 - 0.5;
        fraction * f32::from_bits((127 - 12 + self.below(25) as u32) << 23)
    }

    fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.number()).collect()
    }

    /// Strides and room for a matrix: by rows, by columns, and both with gaps.
    fn layout(&mut self, rows: usize, cols: usize) -> (usize, usize, usize) {
        let gap = 1 + self.below(3);
        let (row_stride, col_stride) = match self.below(4) {
            0 => (cols, 1),
            1 => (1, rows),
            2 => (cols * gap + 2, gap),
            _ => (gap, rows * gap + 1),
        };
        (row_stride, col_stride, rows * row_stride + cols * col_stride + 1)
    }
}

/// The definition.
fn chain(a: View<'_, f32>, b: View<'_, f32>, i: usize, j: usize, start: f32) -> f32 {
    (0..a.n_cols()).fold(start, |sum, k| a.get(i, k).mul_add(b.get(k, j), sum))
}

fn same(mine: f32, expected: f32) -> bool {
    mine.to_bits() == expected.to_bits() || mine.is_nan() && expected.is_nan()
}

/// All levels, views and packed factors, from zero and from a present result: the bits of the
/// definition, and no other number touched.
fn check(random: &mut Random, (m, k, n): (usize, usize, usize), workspace: &mut Workspace) {
    let (ar, ac, room) = random.layout(m, k);
    let a = random.numbers(room);
    let a = View::strided(&a, m, k, ar, ac).unwrap();
    let (br, bc, room) = random.layout(k, n);
    let b = random.numbers(room);
    let b = View::strided(&b, k, n, br, bc).unwrap();
    let (cr, cc, room) = random.layout(m, n);
    let before = random.numbers(room);
    for start in [Start::Zero, Start::Present] {
        let mut expected = before.clone();
        for i in 0..m {
            for j in 0..n {
                let c = &mut expected[i * cr + j * cc];
                *c = chain(a, b, i, j, if start == Start::Zero { 0.0 } else { *c });
            }
        }
        for level in LEVELS {
            let (mut left, mut right) = (Packed::default(), Packed::default());
            left.left(level, a);
            right.right(level, b);
            for way in 0..4 {
                let mut c = before.clone();
                let view = ViewMut::strided(&mut c, m, n, cr, cc).unwrap();
                let a = if way & 1 == 0 { Side::View(a) } else { Side::Packed(&left) };
                let b = if way & 2 == 0 { Side::View(b) } else { Side::Packed(&right) };
                match (a, b) {
                    (Side::View(a), Side::View(b)) => {
                        product_at(level, a, b, view, start, workspace);
                    }
                    _ => side_product(level, a, b, view, start, workspace),
                }
                for (place, (&mine, &expected)) in c.iter().zip(&expected).enumerate() {
                    assert!(
                        same(mine, expected),
                        "{m} x {k} x {n}, strides {cr} {cc}, {level:?}, {start:?}, way {way}, {place}: {mine:e} for {expected:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn bits_of_the_plain_loop_for_small_shapes() {
    let mut random = Random(1);
    let mut workspace = Workspace::new();
    for _ in 0..150 {
        let shape = (1 + random.below(40), 1 + random.below(20), 1 + random.below(80));
        check(&mut random, shape, &mut workspace);
    }
    for side in [1, 4, 6, 12, 13, 32, 33] {
        for shape in [(side, 1, 1), (1, side, 1), (1, 1, side), (12, side, 32), (side, 3, 64)] {
            check(&mut random, shape, &mut workspace);
        }
    }
}

#[test]
fn bits_of_the_plain_loop_across_blocks() {
    let mut random = Random(2);
    let mut workspace = Workspace::new();
    let shapes = [
        (13, DEPTH + 1, 33),
        (5, 2 * DEPTH - 1, COLUMNS + 1),
        (25, 7, 2 * COLUMNS + 31),
        (FEW, 7, 2 * COLUMNS + 31),
        (FEW + 5, DEPTH + 3, COLUMNS + 40),
        (FEW + 1, DEPTH - 80, COLUMNS + 140),
        (3, DEEP + DEPTH + 5, 40),
        (2, 2 * DEEP, 2),
        (1500, 5, 3),
    ];
    for shape in shapes {
        check(&mut random, shape, &mut workspace);
    }
}

/// More rows than are copied at once.
#[test]
fn bits_of_the_plain_loop_for_many_rows() {
    let mut random = Random(3);
    let (m, k, n) = (3001, 700, 2);
    let (a, b) = (random.numbers(m * k), random.numbers(k * n));
    let (a, b) = (View::rows_of(&a, k).unwrap(), View::rows_of(&b, n).unwrap());
    let mut c = vec![0.0; m * n];
    let view = ViewMut::rows_of(&mut c, n).unwrap();
    product(a, b, view, Start::Zero, &mut Workspace::new());
    for i in 0..m {
        for j in 0..n {
            assert_eq!(c[i * n + j].to_bits(), chain(a, b, i, j, 0.0).to_bits(), "{i} {j}");
        }
    }
}

/// Rows, columns and depth in parts of any size give the bits of the whole.
#[test]
fn parts_have_the_bits_of_the_whole() {
    let mut random = Random(4);
    let (m, k, n) = (61, 501, 77);
    let (a, b) = (random.numbers(m * k), random.numbers(k * n));
    let (a, b) = (View::rows_of(&a, k).unwrap(), View::columns_of(&b, k).unwrap());
    let mut whole = vec![0.0; m * n];
    let mut workspace = Workspace::new();
    product(a, b, ViewMut::rows_of(&mut whole, n).unwrap(), Start::Zero, &mut workspace);
    for _ in 0..20 {
        let mut parts = vec![0.0; m * n];
        let steps = [m, k, n].map(|side| 1 + random.below(side));
        let ranges = |side: usize, step: usize| {
            (0..side).step_by(step).map(move |start| start..side.min(start + step))
        };
        for rows in ranges(m, steps[0]) {
            for cols in ranges(n, steps[2]) {
                for depth in ranges(k, steps[1]) {
                    let a = a.rows(rows.clone()).cols(depth.clone());
                    let b = b.rows(depth).cols(cols.clone());
                    let c = ViewMut::rows_of(&mut parts, n).unwrap();
                    let c = c.rows(rows.clone()).cols(cols.clone());
                    product(a, b, c, Start::Present, &mut workspace);
                }
            }
        }
        assert!(parts.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()), "{steps:?}");
    }
}

/// A NaN or an infinity stays in its row or column, though slivers are padded with zeros.
#[test]
fn special_values_stay_in_their_place() {
    let mut workspace = Workspace::new();
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-42, f32::MAX];
    for level in LEVELS {
        for value in special {
            let (mut a, mut b) = (vec![1.0; 13 * 3], vec![1e-3; 3 * 35]);
            a[12 * 3 + 1] = value;
            b[2 * 35 + 34] = value;
            let a = View::rows_of(&a, 3).unwrap();
            let b = View::rows_of(&b, 35).unwrap();
            let mut c = vec![7.0; 13 * 35];
            let view = ViewMut::rows_of(&mut c, 35).unwrap();
            product_at(level, a, b, view, Start::Zero, &mut workspace);
            for i in 0..13 {
                for j in 0..35 {
                    assert!(same(c[i * 35 + j], chain(a, b, i, j, 0.0)), "{value} {i} {j}");
                }
            }
        }
    }
}

#[test]
fn empty_sides() {
    let mut workspace = Workspace::new();
    let (empty, four) = ([], [1.0; 4]);
    let mut c = [5.0; 4];
    let (a, b) =
        (View::strided(&empty, 2, 0, 0, 1).unwrap(), View::strided(&empty, 0, 2, 2, 1).unwrap());
    let result = ViewMut::rows_of(&mut c, 2).unwrap();
    product(a, b, result, Start::Present, &mut workspace);
    assert_eq!(c, [5.0; 4]);
    product(a, b, ViewMut::rows_of(&mut c, 2).unwrap(), Start::Zero, &mut workspace);
    assert_eq!(c, [0.0; 4]);
    let four = View::rows_of(&four, 2).unwrap();
    let none = four.rows(2..2);
    let result = ViewMut::strided(&mut c, 0, 2, 2, 1).unwrap();
    product(none, four, result, Start::Zero, &mut workspace);
    assert_eq!(c, [0.0; 4]);
}

#[test]
#[should_panic(expected = "a product of 2 x 2 by 1 x 2 into 2 x 2")]
fn shapes_that_do_not_fit() {
    let four = [1.0; 4];
    let a = View::rows_of(&four, 2).unwrap();
    let mut c = [0.0; 4];
    let c = ViewMut::rows_of(&mut c, 2).unwrap();
    product(a, a.rows(0..1), c, Start::Zero, &mut Workspace::new());
}
