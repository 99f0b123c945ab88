//! What rows of several models must have in common.

use crate::block::Block;
use crate::error::Error;

/// One block with the scores of all; refused unless the rows, matched already, are the same cases.
///
/// `of` names two models to be told apart, `place` a row; `hint` is for labels that differ.
pub(super) fn join<'a>(
    mut blocks: Vec<Block>,
    classes: &[String],
    of: impl Fn(usize) -> [&'a str; 2],
    place: impl Fn(&Block, usize) -> String + Copy,
    hint: &str,
) -> Result<Block, Error> {
    for (i, b) in blocks.iter().enumerate().skip(1) {
        let (a, of, place) = (&blocks[0], of(i), |row: usize| place(b, row));
        check_labels(a, b, classes, of, place, hint)?;
        check_weights(a, b, of, place)?;
        check_slices(a, b, of, place)?;
    }
    let mut others = blocks.drain(..);
    let mut joined = others.next().unwrap_or_default();
    for mut block in others {
        joined.absent = either(joined.absent.take(), block.absent.take());
        joined.scores.append(&mut block.scores);
        joined.predictions.append(&mut block.predictions);
        joined.numbers.append(&mut block.numbers);
    }
    Ok(joined)
}

fn either(a: Option<Vec<bool>>, b: Option<Vec<bool>>) -> Option<Vec<bool>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(&a, b)| a || b).collect()),
        (a, b) => a.or(b),
    }
}

fn is_left_out(a: &Block, b: &Block, row: usize) -> bool {
    [a, b].iter().any(|block| block.absent.as_ref().is_some_and(|absent| absent[row]))
}

fn check_labels(
    a: &Block,
    b: &Block,
    classes: &[String],
    of: [&str; 2],
    place: impl Fn(usize) -> String,
    hint: &str,
) -> Result<(), Error> {
    let is_same = |row: usize| is_left_out(a, b, row) || a.target.same(row, &b.target, row);
    (0..b.rows).find(|&row| !is_same(row)).map_or(Ok(()), |row| {
        let labels = [a, b].map(|block| xent_io::show(block.target.describe(row, classes)));
        Err(differ("labels", &place(row), labels, of, hint))
    })
}

fn check_weights(
    a: &Block,
    b: &Block,
    of: [&str; 2],
    place: impl Fn(usize) -> String,
) -> Result<(), Error> {
    let (Some(x), Some(y)) = (&a.weights, &b.weights) else { return Ok(()) };
    // A row that is left out under one model has no weight there.
    let found = (0..x.len()).find(|&i| x[i] != y[i] && !is_left_out(a, b, i));
    found.map_or(Ok(()), |i| {
        let hint = "models are compared on the same rows with the same weights";
        Err(differ("weights", &place(i), [x[i], y[i]].map(|w| w.to_string()), of, hint))
    })
}

fn check_slices(
    a: &Block,
    b: &Block,
    of: [&str; 2],
    place: impl Fn(usize) -> String,
) -> Result<(), Error> {
    let (Some((x, x_keys)), Some((y, y_keys))) = (&a.slices, &b.slices) else { return Ok(()) };
    let found = (0..x.len()).find(|&i| x_keys[x[i] as usize] != y_keys[y[i] as usize]);
    found.map_or(Ok(()), |i| {
        let keys = [&x_keys[x[i] as usize], &y_keys[y[i] as usize]];
        let hint = "models are compared on the same rows; match rows by a column with --id";
        Err(differ("slices", &place(i), keys.map(|key| xent_io::show(key.join(", "))), of, hint))
    })
}

/// What two models say of the same row, which should be the same.
fn differ(what: &str, place: &str, values: [String; 2], of: [&str; 2], hint: &str) -> Error {
    let ([a, b], [of_a, of_b]) = (values, of);
    Error::new(format!("the {what} differ in {place}: {a} in {of_a}, {b} in {of_b}"))
        .with_hint(hint)
}
