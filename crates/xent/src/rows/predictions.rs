//! Predictions as they are scored: after the rules, row after row.

use super::{General, Input, Matrix, RowProblem, RowScores, Rules};

/// Replaces `out` by the predictions as they are scored under `rules`, `(n_samples, n_classes)`, row-major; returns
/// what the numbers are.
///
/// That is the kind that `rules` declare, but for logits that are clipped: they come out as log-probabilities. Both
/// numbers of [`Matrix::Positive`] are given: `1 - p` and `p`, `ln(1 - p)` and `ln p`, or the logits `0` and `x`.
///
/// # Errors
///
/// Where the rules change rows (`sums`, `clip`) or a class is filled in, the first row that cannot be scored, as
/// [`RowScores::score`] says. Numbers that nothing changes are copied unseen: score them first.
///
/// # Example
///
/// ```
/// use xent::rows::{Input, Matrix, Rules, Sums, predictions_in};
///
/// let scores = [1.0, 2.0, 1.0];
/// let rules = Rules { sums: Sums::Normalize, ..Rules::default() };
/// let mut out = Vec::new();
/// let input = predictions_in(Matrix::Rows { values: &scores, width: 3 }, &rules, &mut out)?;
/// assert_eq!((input, out), (Input::Probabilities, vec![0.25, 0.5, 0.25]));
/// # Ok::<(), xent::rows::RowProblem>(())
/// ```
pub fn predictions_in(
    matrix: Matrix<'_>,
    rules: &Rules,
    out: &mut Vec<f64>,
) -> Result<Input, RowProblem> {
    let (n, k) = (matrix.n_samples(), matrix.n_classes());
    out.clear();
    if rules.are_numbers_kept() {
        match matrix {
            Matrix::Rows { values, .. } => {
                out.extend_from_slice(values);
                return Ok(rules.input);
            }
            Matrix::Columns(columns) => {
                out.resize(n * k, 0.0);
                for (class, column) in columns.iter().enumerate() {
                    let slots = out[class..].iter_mut().step_by(k);
                    slots.zip(*column).for_each(|(slot, x)| *slot = *x);
                }
                return Ok(rules.input);
            }
            Matrix::Positive(_) => {}
        }
    }
    let input = match rules.input {
        Input::Logits if rules.clip > 0.0 => Input::LogProbabilities,
        input => input,
    };
    let (mut row, mut notes) = (General::new(k), RowScores::default());
    for r in 0..n {
        row.predict(&matrix, r, rules, &mut notes)
            .map_err(|problem| RowProblem { row: r, problem })?;
        match input {
            Input::Probabilities => out.extend_from_slice(&row.probability),
            // Not -0.
            Input::LogProbabilities => out.extend(row.surprisal.iter().map(|s| 0.0 - s)),
            Input::Logits => out.extend_from_slice(&row.order),
        }
        notes.odd.clear();
    }
    Ok(input)
}
