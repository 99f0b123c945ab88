//! The header of a `.npy` file: element type, order, shape.

use crate::error::{Fault, show};
use crate::guard::damaged;

/// The most bytes of a header.
pub(super) const MAX_HEADER: usize = 1 << 20;

/// What the elements of an array are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Float(usize),
    /// The upper half of a 32-bit float.
    Brain,
    Signed(usize),
    Unsigned(usize),
    Boolean,
    /// UCS-4 text of so many characters.
    Unicode(usize),
    /// Text of so many bytes.
    Ascii(usize),
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Element::Float(n) | Element::Signed(n) | Element::Unsigned(n) | Element::Ascii(n) => n,
            Element::Boolean => 1,
            Element::Brain => 2,
            Element::Unicode(n) => 4 * n,
        }
    }

    pub fn is_text(self) -> bool {
        matches!(self, Element::Unicode(_) | Element::Ascii(_))
    }
}

/// A checked header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub element: Element,
    pub big_endian: bool,
    pub fortran: bool,
    pub rows: u64,
    /// Elements in a row; `None` for a one-dimensional array.
    pub width: Option<usize>,
    /// Where the elements start.
    pub start: u64,
}

impl Header {
    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.element.size() * self.width.unwrap_or(1)
    }

    /// Bytes of the whole array, if that fits.
    pub fn bytes(&self) -> Option<u64> {
        self.rows.checked_mul(self.row_bytes() as u64)
    }
}

/// Bytes of the header in all, given the first 12 bytes of the file.
pub(super) fn length(head: &[u8]) -> Result<usize, Fault> {
    let cut = || damaged("its header is cut");
    if !head.starts_with(b"\x93NUMPY") {
        return Err(damaged("it does not start as a NumPy array does"));
    }
    let version = *head.get(6).ok_or_else(cut)?;
    let length = match version {
        1 => {
            10 + usize::from(u16::from_le_bytes([
                *head.get(8).ok_or_else(cut)?,
                *head.get(9).ok_or_else(cut)?,
            ]))
        }
        2 | 3 => {
            let bytes: [u8; 4] = head.get(8..12).and_then(|b| b.try_into().ok()).ok_or_else(cut)?;
            12usize.saturating_add(u32::from_le_bytes(bytes) as usize)
        }
        other => return Err(damaged(&format!("its version is {other}, not 1 to 3"))),
    };
    if length > MAX_HEADER {
        return Err(damaged("its header is longer than 1 MiB"));
    }
    Ok(length)
}

/// Reads a whole header.
pub(super) fn parse(header: &[u8]) -> Result<Header, Fault> {
    let length = length(header)?;
    let text = header.get(..length).ok_or_else(|| damaged("its header is cut"))?;
    let text = &text[if text[6] == 1 { 10 } else { 12 }..];
    let text = std::str::from_utf8(text).map_err(|_| damaged("its header is no text"))?;
    let descr = value(text, "descr")?;
    let (element, big_endian) = element(descr)?;
    let fortran = match value(text, "fortran_order")? {
        v if v.starts_with("True") => true,
        v if v.starts_with("False") => false,
        _ => return Err(damaged("its header has no valid fortran_order")),
    };
    let shape = shape(value(text, "shape")?)?;
    let (rows, width) = match shape[..] {
        [rows] => (rows, None),
        [rows, width] => {
            let width = usize::try_from(width).map_err(|_| damaged("a row is too long"))?;
            (rows, Some(width))
        }
        _ => {
            return Err(Fault::new(format!(
                "has {} dimensions; xent reads arrays of one or two",
                shape.len()
            ))
            .hint("save an array of shape (rows, classes)"));
        }
    };
    if width.is_some_and(|w| w.checked_mul(element.size()).is_none_or(|b| b > 1 << 30)) {
        return Err(Fault::new("has rows of more than 1 GiB"));
    }
    if width.is_some() && element.is_text() {
        return Err(Fault::new("holds text in two dimensions; xent reads text in one"));
    }
    let header = Header { element, big_endian, fortran, rows, width, start: length as u64 };
    if header.bytes().and_then(|b| b.checked_add(length as u64)).is_none() {
        return Err(damaged("its shape is too large to be true"));
    }
    Ok(header)
}

/// The text behind `'key':` in a Python dictionary.
fn value<'a>(text: &'a str, key: &str) -> Result<&'a str, Fault> {
    [format!("'{key}'"), format!("\"{key}\"")]
        .iter()
        .find_map(|quoted| text.find(quoted.as_str()).map(|at| &text[at + quoted.len()..]))
        .and_then(|rest| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| damaged(&format!("its header has no {key}")))
}

fn element(descr: &str) -> Result<(Element, bool), Fault> {
    let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        return Err(Fault::new("holds records of several fields; xent reads plain arrays")
            .hint("save each field as an array of a .npz file"));
    };
    let descr = descr[1..].split(quote).next().unwrap_or("");
    let big_endian = descr.starts_with('>');
    let code = descr.trim_start_matches(['<', '>', '|', '=']);
    let mut chars = code.chars();
    let kind = chars.next().unwrap_or(' ');
    let size = chars.as_str().parse::<usize>().ok();
    let element = match (kind, size) {
        ('f', Some(n @ (2 | 4 | 8))) => Element::Float(n),
        ('i', Some(n @ (1 | 2 | 4 | 8))) => Element::Signed(n),
        ('u', Some(n @ (1 | 2 | 4 | 8))) => Element::Unsigned(n),
        ('b', Some(1)) => Element::Boolean,
        ('U', Some(n)) if n <= 1 << 20 => Element::Unicode(n),
        ('S', Some(n)) if n <= 1 << 22 => Element::Ascii(n),
        ('O', _) => {
            return Err(Fault::new("holds Python objects, which xent does not unpickle")
                .hint("save numbers, for example array.astype(float)"));
        }
        _ => {
            return Err(Fault::new(format!("has elements of type {}", show(descr)))
                .hint("xent reads floats of 16 to 64 bits, integers, booleans and text"));
        }
    };
    Ok((element, big_endian))
}

fn shape(text: &str) -> Result<Vec<u64>, Fault> {
    let bad = || damaged("its header has no valid shape");
    let inner = text.strip_prefix('(').and_then(|t| t.split_once(')')).ok_or_else(bad)?.0;
    inner
        .split(',')
        .map(|n| n.trim().trim_end_matches('L'))
        .filter(|n| !n.is_empty())
        .take(64)
        .map(|n| n.parse::<u64>().map_err(|_| bad()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(dict: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(dict.len() as u16).to_le_bytes());
        bytes.extend_from_slice(dict.as_bytes());
        bytes
    }

    #[test]
    fn headers_are_read() {
        let bytes = header("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }\n");
        let h = parse(&bytes).unwrap();
        assert_eq!((h.element, h.rows, h.width), (Element::Float(8), 3, Some(4)));
        assert_eq!(h.start, bytes.len() as u64);
        let h = parse(&header("{'descr': '>U5', 'fortran_order': True, 'shape': (7,), }")).unwrap();
        assert_eq!((h.element, h.rows, h.width), (Element::Unicode(5), 7, None));
        assert!(h.big_endian && h.fortran);
    }

    #[test]
    fn malicious_headers_are_refused() {
        for (dict, part) in [
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615, 9), }",
                "too large",
            ),
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 18446744073709551615), }",
                "1 GiB",
            ),
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
                "shape",
            ),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", "shape"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "0 dimensions"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2, 3), }", "3 dimensions"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "objects"),
            (
                "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
                "several fields",
            ),
            ("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }", "type"),
            ("{'descr': '<U99999999999', 'fortran_order': False, 'shape': (1,), }", "type"),
            ("{'fortran_order': False, 'shape': (1,), }", "descr"),
            ("{'descr'", "descr"),
            ("", "descr"),
        ] {
            let fault = parse(&header(dict)).unwrap_err();
            assert!(fault.message.contains(part), "{dict}: {}", fault.message);
        }
        assert!(parse(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").is_err());
        assert!(parse(b"\x93NUMPY\x01\x00\xff\xff{").is_err());
        assert!(parse(b"\x93NUMPY\x09\x00\x01\x00{").is_err());
        assert!(parse(b"\x93NUM").is_err());
    }
}
