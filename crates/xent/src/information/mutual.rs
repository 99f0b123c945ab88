//! The mutual information of a joint table.

use super::error::InformationError;
use crate::divergence::divergence_term;
use crate::exact::ExactSum;
use crate::special::Twofold;

/// Returns the mutual information of a joint table, in nats: what knowing the row tells about the
/// column, and the column about the row.
///
/// ```text
/// I = Σ p_ij ln(p_ij / (p_i. p_.j)) = D(joint || product of the margins)
///   = H(rows) + H(columns) - H(joint)
/// ```
///
/// Shape: `joint[row][column]`, every row as long as the first. The entries may be probabilities,
/// counts or weights: they are divided by their total.
///
/// Accuracy: never negative; exactly 0 where a table of counts is the product of its margins (below
/// 2^53 in total), for the difference of the two products is exact. Relative `1e-14`, tested
/// against 50-digit values.
///
/// # Errors
///
/// A table without entries, a row of another length, an entry that is negative or not finite, or a
/// table of zeros.
///
/// # Example
///
/// ```
/// use xent::information::mutual_information;
///
/// // Two coins glued together: one bit. Two coins apart: nothing.
/// assert_eq!(mutual_information(&[[0.5, 0.0], [0.0, 0.5]])?, std::f64::consts::LN_2);
/// assert_eq!(mutual_information(&[[10.0, 20.0], [30.0, 60.0]])?, 0.0);
/// # Ok::<(), xent::information::InformationError>(())
/// ```
///
/// Source: Shannon (1948, doi:10.1002/j.1538-7305.1948.tb01338.x).
pub fn mutual_information<Row: AsRef<[f64]>>(joint: &[Row]) -> Result<f64, InformationError> {
    let n_columns = joint.first().map_or(0, |row| row.as_ref().len());
    if n_columns == 0 {
        return Err(InformationError::Empty);
    }
    let mut total = ExactSum::new();
    let mut row_sums = Vec::with_capacity(joint.len());
    let mut column_sums = vec![ExactSum::new(); n_columns];
    for (i, row) in joint.iter().enumerate() {
        let row = row.as_ref();
        if row.len() != n_columns {
            let found = row.len();
            return Err(InformationError::RaggedTable { row: i, expected: n_columns, found });
        }
        let mut row_sum = ExactSum::new();
        for (j, (&entry, column_sum)) in row.iter().zip(&mut column_sums).enumerate() {
            if !(entry >= 0.0 && entry.is_finite()) {
                return Err(InformationError::NotAnEntry { row: i, column: j, value: entry });
            }
            row_sum.add(entry);
            column_sum.add(entry);
            total.add(entry);
        }
        row_sums.push(row_sum.value());
    }
    let total = total.value();
    if total == 0.0 {
        return Err(InformationError::AllZero);
    }
    if total == f64::INFINITY {
        return Err(InformationError::TotalOverflow);
    }
    // All brought to a total between 1/2 and 1 by a power of two, so that no product overflows and
    // none is rounded.
    let (total, exponent) = libm::frexp(total);
    let scaled = |x: f64| libm::scalbn(x, -exponent);
    let column_sums: Vec<f64> = column_sums.iter().map(|sum| scaled(sum.value())).collect();
    let mut sum = ExactSum::new();
    for (row, row_sum) in joint.iter().zip(row_sums) {
        let row_sum = scaled(row_sum);
        for (&entry, &column_sum) in row.as_ref().iter().zip(&column_sums) {
            let entry = scaled(entry);
            let gap = Twofold::product(row_sum, column_sum) - Twofold::product(total, entry);
            sum.add(divergence_term(entry, row_sum * column_sum / total, gap.value() / total));
        }
    }
    Ok(sum.value() / total)
}
