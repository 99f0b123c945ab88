//! The triangular factor of a tall matrix whose rows come one after another.

use crate::solve::{dot, norm};

/// R of A = Q R, upper triangular, of all rows added so far; Q is not kept.
///
/// Rows are gathered into blocks, and each block is folded into R by Householder reflections, which touch one row of R and the
/// block (Golub and Van Loan, Matrix Computations, 4th edition, section 5.2; blocks one after another: Demmel et al. 2012,
/// doi:10.1137/080731992).
#[derive(Clone, Debug)]
pub(crate) struct Triangle {
    n: usize,
    /// Column by column, `r[j * n + i]`.
    r: Vec<f64>,
    /// Column by column, `block[j * height + i]`.
    block: Vec<f64>,
    height: usize,
    filled: usize,
    /// For each column the row of R that ends in it; none if the column is a combination of those before it.
    pivots: Vec<Option<usize>>,
    /// Of the length of each column the share that is no combination of those before it; 1 of a column of zeros.
    shares: Vec<f64>,
}

/// Of the length of a column what must be left after those before it.
pub(crate) const LEAST: f64 = 1e-13;

impl Triangle {
    pub fn new(n: usize) -> Self {
        let height = n.clamp(16, 256);
        Self {
            n,
            r: vec![0.0; n * n],
            block: vec![0.0; n * height],
            height,
            filled: 0,
            pivots: vec![None; n],
            shares: vec![1.0; n],
        }
    }

    /// Adds a row of A.
    pub fn add(&mut self, row: &[f64]) {
        for (j, x) in row.iter().enumerate() {
            self.block[j * self.height + self.filled] = *x;
        }
        self.filled += 1;
        if self.filled == self.height {
            self.fold();
        }
    }

    fn fold(&mut self) {
        let (n, height) = (self.n, self.height);
        for k in 0..n {
            let (own, later) = self.block[k * height..].split_at_mut(height);
            let below = norm(own);
            if below == 0.0 {
                continue;
            }
            // The reflection takes (r_kk, own) to (r, 0).
            let diagonal = self.r[k * n + k];
            let length = diagonal.hypot(below).copysign(-diagonal);
            let head = diagonal - length;
            own.iter_mut().for_each(|x| *x /= head);
            let beta = -head / length;
            self.r[k * n + k] = length;
            for (j, column) in (k + 1..n).zip(later.chunks_exact_mut(height)) {
                let r = &mut self.r[j * n + k];
                let share = beta * (*r + dot(own, column));
                *r -= share;
                column.iter_mut().zip(&*own).for_each(|(x, v)| *x -= share * v);
            }
        }
        self.block.fill(0.0);
        self.filled = 0;
    }

    /// Ends the adding: finds the columns that are combinations of others.
    pub fn finish(&mut self) {
        self.fold();
        let n = self.n;
        let mut row = 0;
        for j in 0..n {
            let column = &self.r[j * n..(j + 1) * n];
            let (whole, rest) = (norm(column), norm(&column[row.min(n)..]));
            if whole > 0.0 {
                self.shares[j] = rest / whole;
            }
            if row == n || rest <= LEAST * whole || whole == 0.0 {
                continue;
            }
            let mut v = column[row..].to_vec();
            let length = rest.copysign(-v[0]);
            v[0] -= length;
            let square = dot(&v, &v);
            for k in j..n {
                let other = &mut self.r[k * n + row..(k + 1) * n];
                let share = 2.0 * dot(&v, other) / square;
                other.iter_mut().zip(&v).for_each(|(x, v)| *x -= share * v);
            }
            self.pivots[j] = Some(row);
            row += 1;
        }
    }

    /// Of the length of each column the share that is no combination of those before it, once the adding has ended.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// x to (A'A)⁻¹ x. Parameters of columns that are combinations of others are left where they are.
    pub fn solve(&self, x: &mut [f64]) {
        let n = self.n;
        let kept: Vec<(usize, usize)> =
            (0..n).filter_map(|j| self.pivots[j].map(|row| (j, row))).collect();
        let mut y = vec![0.0; kept.len()];
        for &(j, row) in &kept {
            let column = &self.r[j * n..];
            y[row] = (x[j] - dot(&column[..row], &y[..row])) / column[row];
        }
        x.fill(0.0);
        for &(j, row) in kept.iter().rev() {
            let column = &self.r[j * n..];
            let value = y[row] / column[row];
            x[j] = value;
            y[..row].iter_mut().zip(column).for_each(|(y, r)| *y -= r * value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a matrix whose third column is the sum of the first two, and whose last is 0.
    fn rows() -> impl Iterator<Item = [f64; 5]> {
        (0..50).map(|i| {
            let t = f64::from(i) / 7.0;
            let (a, b) = (t.sin(), (3.0 * t).cos());
            [a, b, a + b, t, 0.0]
        })
    }

    #[test]
    fn normal_equations_are_solved_without_the_redundant_column() {
        const RELATIVE: f64 = 1e-12;
        let mut triangle = Triangle::new(5);
        rows().for_each(|row| triangle.add(&row));
        triangle.finish();
        assert_eq!(triangle.pivots, [Some(0), Some(1), None, Some(2), None]);
        let expected = [1.0, -2.0, 0.0, 0.5, 0.0];
        let mut x = vec![0.0; 5];
        for row in rows() {
            let z: f64 = row.iter().zip(expected).map(|(a, u)| a * u).sum();
            x.iter_mut().zip(row).for_each(|(x, a)| *x += a * z);
        }
        triangle.solve(&mut x);
        for (x, expected) in x.iter().zip(expected) {
            assert!((x - expected).abs() < RELATIVE, "{x} {expected}");
        }
    }
}
