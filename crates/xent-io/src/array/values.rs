//! Elements of arrays as numbers and as text.

use half::{bf16, f16};

use super::npy::{Element, Header};
use crate::error::{Fault, printable};
use crate::number::{is_missing_word, text_of};

/// A fault at an element of an array.
pub(super) type AtElement = (usize, Fault);

/// Calls `f` with the elements of `N` bytes, in little-endian order.
fn elements<const N: usize, T>(
    bytes: &[u8],
    big_endian: bool,
    f: impl Fn([u8; N]) -> T,
) -> impl Iterator<Item = T> {
    bytes.as_chunks::<N>().0.iter().map(move |element| {
        let mut element = *element;
        if big_endian {
            element.reverse();
        }
        f(element)
    })
}

/// 64-bit integers as they are; everything else fits f64.
fn integers(header: &Header, bytes: &[u8]) -> Option<Vec<i128>> {
    let big = header.big_endian;
    Some(match header.element {
        Element::Signed(1) => elements(bytes, big, |b| i8::from_le_bytes(b).into()).collect(),
        Element::Signed(2) => elements(bytes, big, |b| i16::from_le_bytes(b).into()).collect(),
        Element::Signed(4) => elements(bytes, big, |b| i32::from_le_bytes(b).into()).collect(),
        Element::Signed(_) => elements(bytes, big, |b| i64::from_le_bytes(b).into()).collect(),
        Element::Unsigned(1) => elements(bytes, big, |b| u8::from_le_bytes(b).into()).collect(),
        Element::Unsigned(2) => elements(bytes, big, |b| u16::from_le_bytes(b).into()).collect(),
        Element::Unsigned(4) => elements(bytes, big, |b| u32::from_le_bytes(b).into()).collect(),
        Element::Unsigned(_) => elements(bytes, big, |b| u64::from_le_bytes(b).into()).collect(),
        _ => return None,
    })
}

pub(super) fn numbers(header: &Header, bytes: &[u8], name: &str) -> Result<Vec<f64>, AtElement> {
    let big = header.big_endian;
    Ok(match header.element {
        Element::Float(8) => elements(bytes, big, f64::from_le_bytes).collect(),
        Element::Float(4) => elements(bytes, big, |b| f32::from_le_bytes(b).into()).collect(),
        Element::Float(_) => elements(bytes, big, |b| f16::from_le_bytes(b).into()).collect(),
        Element::Brain => elements(bytes, big, |b| bf16::from_le_bytes(b).into()).collect(),
        Element::Boolean => bytes.iter().map(|b| f64::from(u8::from(*b != 0))).collect(),
        Element::Signed(_) | Element::Unsigned(_) => {
            let mut values = Vec::new();
            for (i, x) in integers(header, bytes).unwrap_or_default().into_iter().enumerate() {
                if (x as f64) as i128 != x {
                    let fault = Fault::new(format!(
                        "column {} is {x}, an integer that a 64-bit number cannot hold exactly",
                        printable(name)
                    ));
                    return Err((i, fault.column(name).hint("integers up to 2^53 are exact")));
                }
                values.push(x as f64);
            }
            values
        }
        Element::Unicode(_) | Element::Ascii(_) => {
            return Err((0, Fault::new(format!("column {} is text", printable(name)))));
        }
    })
}

/// Numbers written as text.
pub(super) fn parsed(header: &Header, bytes: &[u8], name: &str) -> Result<Vec<f64>, AtElement> {
    let mut values = Vec::new();
    for (i, text) in texts(header, bytes, name)?.iter().enumerate() {
        let text = text.as_deref().unwrap_or("");
        values.push(crate::number::parse(text.as_bytes()).map_err(|e| {
            let fault = Fault::new(format!("column {} {}", printable(name), e.message));
            (i, Fault { hint: e.hint, ..fault.column(name) })
        })?);
    }
    Ok(values)
}

pub(super) fn texts(
    header: &Header,
    bytes: &[u8],
    name: &str,
) -> Result<Vec<Option<String>>, AtElement> {
    let size = header.element.size();
    let bad = |i| {
        let fault = Fault::new(format!("column {} is no valid text", printable(name)));
        (i, fault.column(name))
    };
    let some = |text: String| (!text.is_empty()).then_some(text);
    if let Some(integers) = integers(header, bytes) {
        return Ok(integers.iter().map(|x| Some(x.to_string())).collect());
    }
    match header.element {
        Element::Boolean => {
            Ok(bytes.iter().map(|b| Some(if *b == 0 { "false" } else { "true" }.into())).collect())
        }
        Element::Unicode(0) | Element::Ascii(0) => Ok(Vec::new()),
        Element::Unicode(_) => {
            let text = |(i, element): (usize, &[u8])| {
                let codes = elements(element, header.big_endian, u32::from_le_bytes);
                let chars: Option<String> =
                    codes.map(|c| char::from_u32(c).ok_or(())).collect::<Result<_, _>>().ok();
                chars.map(|t| some(t.trim_end_matches('\0').to_string())).ok_or_else(|| bad(i))
            };
            bytes.chunks_exact(size).enumerate().map(text).collect()
        }
        Element::Ascii(_) => {
            let text = |(i, element): (usize, &[u8])| {
                let text = std::str::from_utf8(element).map_err(|_| bad(i))?;
                Ok(some(text.trim_end_matches('\0').to_string()))
            };
            bytes.chunks_exact(size).enumerate().map(text).collect()
        }
        Element::Float(_) | Element::Brain => {
            let values = numbers(header, bytes, name)?;
            let text = |x: f64| {
                let is_long = header.element.size() == 8;
                if is_long || x.trunc() == x { text_of(x) } else { format!("{:?}", x as f32) }
            };
            let texts = values.into_iter().map(|x| (!x.is_nan()).then(|| text(x)));
            Ok(texts.map(|t| t.filter(|t| !is_missing_word(t.as_bytes()))).collect())
        }
        Element::Signed(_) | Element::Unsigned(_) => Ok(Vec::new()),
    }
}
