//! Logits scored as the file stores them, without a copy of the matrix.

use xent::element::Element;
use xent::rows::{Input, Problem, RowProblem, RowScores, Rules};
use xent::view::View;
use xent_io::{Column, Elements, Tensor};

/// Whether rows are scored as they are: nothing clips or smooths them.
pub(crate) fn is_plain(rules: &Rules) -> bool {
    rules.input == Input::Logits && rules.clip == 0.0 && rules.label_smoothing == 0.0
}

/// The losses of rows of logits, one class each; `rules` are plain. The bits are those of the same
/// numbers given as f64.
pub(crate) fn score(
    rows: &mut RowScores,
    logits: &Tensor,
    labels: &[u32],
    rules: &Rules,
) -> Result<(), RowProblem> {
    match logits.elements() {
        Elements::F64(x) => score_view(rows, logits, x, labels, rules),
        Elements::F32(x) => score_view(rows, logits, x, labels, rules),
        Elements::F16(x) => score_view(rows, logits, x, labels, rules),
        Elements::Bf16(x) => score_view(rows, logits, x, labels, rules),
    }
}

fn score_view<T: Element>(
    rows: &mut RowScores,
    logits: &Tensor,
    elements: &[T],
    labels: &[u32],
    rules: &Rules,
) -> Result<(), RowProblem> {
    let strides = (logits.row_stride(), logits.column_stride());
    let view = View::strided(elements, logits.rows(), logits.width(), strides.0, strides.1)
        .map_err(|_| RowProblem { row: 0, problem: Problem::Shape })?;
    rows.score_logits(view, labels, rules)
}

/// The same numbers as a column of lists.
pub(crate) fn copied(tensor: &Tensor) -> Column {
    let mut values = Vec::new();
    tensor.numbers_in(&mut values);
    Column::Rows { width: tensor.width(), values: values.into() }
}
