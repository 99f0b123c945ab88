//! What rows of several models must have in common.

use crate::block::Block;
use crate::error::Error;

pub(super) fn either(a: Option<Vec<bool>>, b: Option<Vec<bool>>) -> Option<Vec<bool>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(&a, b)| a || b).collect()),
        (a, b) => a.or(b),
    }
}

pub(super) fn same_truth(a: &Block, b: &Block, row: usize) -> bool {
    is_left_out(a, b, row) || a.target.same(row, &b.target, row)
}

fn is_left_out(a: &Block, b: &Block, row: usize) -> bool {
    [a, b].iter().any(|block| block.absent.as_ref().is_some_and(|absent| absent[row]))
}

pub(super) fn labels_differ(of: [&str; 2], place: &str, labels: [String; 2], hint: &str) -> Error {
    Error::new(format!(
        "the labels differ in {place}: {} in {}, {} in {}",
        xent_io::show(&labels[0]),
        of[0],
        xent_io::show(&labels[1]),
        of[1]
    ))
    .with_hint(hint)
}

pub(super) fn check_weights(
    a: &Block,
    b: &Block,
    of: [&str; 2],
    place: impl Fn(usize) -> String + Copy,
) -> Result<(), Error> {
    let (Some(x), Some(y)) = (&a.weights, &b.weights) else { return Ok(()) };
    // A row that is left out under one model has no weight there.
    match (0..x.len()).find(|&i| x[i] != y[i] && !is_left_out(a, b, i)) {
        None => Ok(()),
        Some(i) => Err(Error::new(format!(
            "the weights differ in {}: {} in {}, {} in {}",
            place(i),
            x[i],
            of[0],
            y[i],
            of[1]
        ))
        .with_hint("models are compared on the same rows with the same weights")),
    }
}

pub(super) fn check_slices(
    a: &Block,
    b: &Block,
    of: [&str; 2],
    place: impl Fn(usize) -> String + Copy,
) -> Result<(), Error> {
    let (Some((x, x_keys)), Some((y, y_keys))) = (&a.slices, &b.slices) else { return Ok(()) };
    let key = |of: &[u32], keys: &'_ [Vec<String>], i: usize| keys[of[i] as usize].join(", ");
    match (0..x.len()).find(|&i| x_keys[x[i] as usize] != y_keys[y[i] as usize]) {
        None => Ok(()),
        Some(i) => Err(Error::new(format!(
            "the slices differ in {}: {} in {}, {} in {}",
            place(i),
            xent_io::show(key(x, x_keys, i)),
            of[0],
            xent_io::show(key(y, y_keys, i)),
            of[1]
        ))
        .with_hint("models are compared on the same rows; match rows by a column with --id")),
    }
}
