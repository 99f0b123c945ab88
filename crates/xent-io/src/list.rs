//! Lists of numbers written in text, such as `[0.1, 0.7, 0.2]`.

use crate::error::{Fault, printable, show};
use crate::number::{self, BLANK};

/// Appends the list that `content` writes to `values`.
///
/// `want` is the width that the table's first rows have; a blank is `want` blanks. `width` is
/// set to it.
pub(crate) fn parse_row(
    content: &[u8],
    name: &str,
    want: Option<usize>,
    width: &mut usize,
    values: &mut Vec<f64>,
) -> Result<(), Fault> {
    *width = want.unwrap_or(0);
    let text = number::trim(content);
    if text.is_empty() {
        values.resize(values.len() + *width, BLANK);
        return Ok(());
    }
    let Some(numbers) = items(text) else {
        return Err(Fault::new(format!(
            "column {} is {}, not a list of numbers",
            printable(name),
            show(content)
        ))
        .column(name)
        .hint("write lists as [0.1, 0.7, 0.2]"));
    };
    check_width(numbers.len(), name, want)?;
    values.extend_from_slice(&numbers);
    Ok(())
}

/// The numbers of a list such as `[1, 2]`.
pub(crate) fn items(text: &[u8]) -> Option<Vec<f64>> {
    let text = number::trim(text).strip_prefix(b"[")?.strip_suffix(b"]")?;
    if number::trim(text).is_empty() {
        return Some(Vec::new());
    }
    text.split(|b| *b == b',').map(|item| number::parse(item).ok()).collect()
}

/// Refuses a list of `len` numbers where `want` are expected.
pub(crate) fn check_width(len: usize, name: &str, want: Option<usize>) -> Result<(), Fault> {
    if want == Some(len) {
        return Ok(());
    }
    let column = printable(name);
    let s = if len == 1 { "" } else { "s" };
    let message = match want {
        Some(want) => format!("column {column} has {len} number{s}, the first row has {want}"),
        None => {
            format!("column {column} has a list of {len} number{s}, the first rows have none")
        }
    };
    Err(Fault::new(message).column(name).hint("every row needs a list of the same length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_rows_of_one_width() {
        let (mut width, mut values) = (0, Vec::new());
        parse_row(b"[0.5, 0.25,1e-3]", "p", Some(3), &mut width, &mut values).unwrap();
        parse_row(b"", "p", Some(3), &mut width, &mut values).unwrap();
        assert_eq!((width, values.len()), (3, 6));
        assert_eq!(values[..3], [0.5, 0.25, 1e-3]);
        assert!(crate::is_blank(values[5]));
        let fault = parse_row(b"[1]", "p", Some(3), &mut width, &mut values).unwrap_err();
        assert_eq!(fault.message, "column p has 1 number, the first row has 3");
        assert!(parse_row(b"[1,x,2]", "p", Some(3), &mut width, &mut values).is_err());
        assert_eq!(items(b"[]"), Some(vec![]));
    }
}
