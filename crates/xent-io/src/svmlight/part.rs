//! Parsing a chunk of lines: the hot loop.

use super::{Dictionary, label_fault};
use crate::chunk::{Chunk, MAX_RECORD, count_lines};
use crate::csv::skip_mark;
use crate::error::{Fault, show};
use crate::number;

/// Powers of ten that are exact.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The largest whole number up to which every one is exact.
const EXACT: u64 = 1 << 53;

/// The rows of a chunk.
#[derive(Debug)]
pub(super) struct Part {
    pub file: usize,
    /// Where each row ends in `indices`.
    pub ends: Vec<usize>,
    /// As they are written.
    pub indices: Vec<u32>,
    /// One an index; none as long as each is 1.
    pub values: Vec<f64>,
    pub is_f32: bool,
    /// Whether each is 1.
    pub is_ones: bool,
    /// Where the features are, if not here.
    pub place: usize,
    /// Indices, wherever they are held.
    pub n_values: usize,
    pub has_zero: bool,
    pub largest: Option<u32>,
    pub labels: Dictionary,
    pub codes: Vec<u32>,
    pub queries: Vec<u64>,
    /// Row and line of the first row without a query.
    pub without_query: Option<(u64, u64)>,
    /// Lines in the chunk.
    pub lines: u64,
    /// What is wrong with the row after the last.
    pub fault: Option<Fault>,
}

impl Default for Part {
    fn default() -> Part {
        Part {
            file: 0,
            ends: Vec::new(),
            indices: Vec::new(),
            values: Vec::new(),
            is_f32: true,
            is_ones: true,
            place: 0,
            n_values: 0,
            has_zero: false,
            largest: None,
            labels: Dictionary::default(),
            codes: Vec::new(),
            queries: Vec::new(),
            without_query: None,
            lines: 0,
            fault: None,
        }
    }
}

/// Parses the lines of a chunk up to the first faulty one.
pub(super) fn parse(file: usize, chunk: &Chunk, is_first: bool) -> Part {
    let data = &chunk.data[..];
    let mut part = Part { file, lines: count_lines(data), ..Part::default() };
    part.indices.reserve_exact(memchr::memchr_iter(b':', data).count());
    let mut at = 0;
    if is_first {
        match skip_mark(data) {
            Ok(start) => at = start,
            Err(fault) => return Part { fault: Some(fault), ..part },
        }
    }
    while at < data.len() {
        let start = at;
        let result = part.line(data, start);
        let fault = match result {
            Ok(next) if next >= data.len() && chunk.too_long => {
                Fault::new(format!("a line is longer than {} MiB", MAX_RECORD >> 20))
                    .hint("end every row with a line feed")
            }
            Ok(next) => {
                at = next;
                continue;
            }
            Err(fault) => fault,
        };
        let row = Some(part.ends.len() as u64);
        part.fault = Some(Fault { row, ..fault.line(count_lines(&data[..start])) });
        break;
    }
    (part.is_ones, part.n_values) = (part.values.is_empty(), part.indices.len());
    part.indices.shrink_to_fit();
    part.values.shrink_to_fit();
    part
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a byte ends a word.
fn is_end(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'#')
}

/// Where the word at `at` ends; there is a line feed before the end of the data.
fn word_end(data: &[u8], mut at: usize) -> usize {
    while !is_end(data[at]) {
        at += 1;
    }
    at
}

fn skip_spaces(data: &[u8], mut at: usize) -> usize {
    while is_space(data[at]) {
        at += 1;
    }
    at
}

/// Where the next line starts, if nothing but a comment is left of this one.
fn line_end(data: &[u8], at: usize) -> Option<usize> {
    match data[at] {
        b'\n' => Some(at + 1),
        b'\r' if data[at + 1] == b'\n' => Some(at + 2),
        b'#' => memchr::memchr(b'\n', &data[at..]).map(|length| at + length + 1),
        _ => None,
    }
}

impl Part {
    /// Reads the line at `start`; where the next one starts. A faulty row may leave features behind its
    /// last whole row.
    fn line(&mut self, data: &[u8], start: usize) -> Result<usize, Fault> {
        let mut at = skip_spaces(data, start);
        if let Some(next) = line_end(data, at) {
            return Ok(next);
        }
        let end = word_end(data, at);
        let label = &data[at..end];
        if label.is_empty() {
            return Err(lone_return());
        }
        if !self.labels.has(label)
            && let Some(fault) = label_fault(label)
        {
            return Err(fault);
        }
        let code =
            self.labels.code(label).ok_or_else(|| Fault::new("there are too many labels"))?;
        at = skip_spaces(data, end);
        let mut query = None;
        if data[at..].starts_with(b"qid:") {
            let end = word_end(data, at);
            query = Some(query_of(&data[at..end])?);
            at = end;
        }
        let next = self.features(data, at)?;
        match query {
            Some(query) => self.queries.push(query),
            None if self.without_query.is_none() => {
                let line = count_lines(&data[..start]);
                self.without_query = Some((self.ends.len() as u64, line));
            }
            None => {}
        }
        self.codes.push(code);
        self.ends.push(self.indices.len());
        Ok(next)
    }

    /// Reads the features up to the end of the line; where the next line starts.
    fn features(&mut self, data: &[u8], mut at: usize) -> Result<usize, Fault> {
        let mut before: Option<u32> = None;
        loop {
            at = skip_spaces(data, at);
            if let Some(next) = line_end(data, at) {
                if let Some(last) = before {
                    self.largest = self.largest.max(Some(last));
                }
                return Ok(next);
            }
            let start = at;
            let mut index = 0_u64;
            while data[at].is_ascii_digit() {
                index = index.wrapping_mul(10).wrapping_add(u64::from(data[at] - b'0'));
                at += 1;
            }
            let index = match u32::try_from(index) {
                Ok(index) if (1..=10).contains(&(at - start)) && data[at] == b':' => index,
                _ => return Err(not_a_pair(data, start)),
            };
            if before.is_some_and(|before| before >= index) {
                return Err(not_ascending(before.unwrap_or(0), index));
            }
            self.has_zero |= index == 0;
            before = Some(index);
            at += 1;
            if data[at] == b'1' && is_end(data[at + 1]) {
                at += 1;
                if !self.values.is_empty() {
                    self.values.push(1.0);
                }
            } else {
                let (value, end) = match short_number(data, at) {
                    Some(short) => short,
                    None => long_number(data, at, index)?,
                };
                at = end;
                if self.values.is_empty() && value != 1.0 {
                    self.values.reserve_exact(self.indices.capacity());
                    self.values.resize(self.indices.len(), 1.0);
                    self.values.push(value);
                } else if !self.values.is_empty() {
                    self.values.push(value);
                }
                self.is_f32 &= f64::from(value as f32) == value;
            }
            self.indices.push(index);
        }
    }
}

/// A number of at most 19 digits without an exponent, where one division rounds it correctly, and its end.
#[inline]
fn short_number(data: &[u8], at: usize) -> Option<(f64, usize)> {
    let is_negative = data[at] == b'-';
    let start = at + usize::from(is_negative);
    let mut at = start;
    let mut digits = 0_u64;
    while data[at].is_ascii_digit() {
        digits = digits.wrapping_mul(10).wrapping_add(u64::from(data[at] - b'0'));
        at += 1;
    }
    let mut written = at - start;
    let mut decimals = 0;
    if data[at] == b'.' {
        at += 1;
        let point = at;
        while data[at].is_ascii_digit() {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(data[at] - b'0'));
            at += 1;
        }
        decimals = at - point;
        written += decimals;
    }
    if !(1..=19).contains(&written) || digits > EXACT || !is_end(data[at]) {
        return None;
    }
    let value = digits as f64 / POWERS[decimals];
    Some((if is_negative { -value } else { value }, at))
}

/// Any number, and its end.
#[cold]
fn long_number(data: &[u8], at: usize, index: u32) -> Result<(f64, usize), Fault> {
    let end = word_end(data, at);
    let word = &data[at..end];
    if word.is_empty() {
        return Err(Fault::new(format!("feature {index} has no value"))
            .hint("write index:value without a space between them"));
    }
    if let Ok(value) = fast_float2::parse::<f64, _>(word)
        && value.is_finite()
    {
        return Ok((value, end));
    }
    let (message, hint) = match number::parse(word) {
        Ok(_) => (format!("is {}, not finite", show(word)), None),
        Err(e) => (e.message, e.hint.filter(|_| word.iter().any(u8::is_ascii_digit))),
    };
    let hint = hint.unwrap_or_else(|| "a feature that is left out is 0".to_owned());
    Err(Fault::new(format!("the value of feature {index} {message}")).hint(hint))
}

#[cold]
fn not_a_pair(data: &[u8], at: usize) -> Fault {
    let word = &data[at..word_end(data, at)];
    let form = "write features as index:value, separated by spaces";
    let Some(colon) = memchr::memchr(b':', word) else {
        if word.is_empty() {
            return lone_return();
        }
        return Fault::new(format!("{} is no index:value", show(word))).hint(form);
    };
    let index = &word[..colon];
    if index == b"qid" {
        return Fault::new(format!("{} stands among the features", show(word)))
            .hint("write it once, behind the label");
    }
    if !index.is_empty() && index.iter().all(u8::is_ascii_digit) {
        return Fault::new(format!("index {} is beyond 4,294,967,295", show(index)))
            .hint("number the features from 1");
    }
    Fault::new(format!("index {} is no whole number", show(index))).hint(form)
}

fn lone_return() -> Fault {
    Fault::new("a carriage return stands alone")
        .hint("end lines with a line feed: tr '\\r' '\\n' < old.svm > new.svm")
}

#[cold]
fn not_ascending(before: u32, index: u32) -> Fault {
    if before == index {
        return Fault::new(format!("index {index} stands twice in a line"))
            .hint("add the values up, or leave one out");
    }
    Fault::new(format!("index {index} follows index {before}"))
        .hint("sort the features of each line by their index")
}

fn query_of(word: &[u8]) -> Result<u64, Fault> {
    let digits = &word[4..];
    let number = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        Fault::new(format!("{} is no query number", show(word)))
            .hint("write qid: and a whole number of at most 64 bits")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Short numbers are rounded as the standard library rounds them.
        #[test]
        fn short_numbers_are_correctly_rounded(text in "-?[0-9]{0,12}(\\.[0-9]{0,12})?") {
            let line = format!("{text} \n");
            match (short_number(line.as_bytes(), 0), text.parse::<f64>()) {
                (Some((value, end)), Ok(expected)) => {
                    prop_assert_eq!((value.to_bits(), end), (expected.to_bits(), text.len()));
                }
                (Some(_), Err(_)) => prop_assert!(false, "{text} is no number"),
                (None, Ok(_)) => {
                    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                    prop_assert!(digits.parse::<u64>().map_or(true, |n| n > EXACT) || digits.len() > 19);
                }
                (None, Err(_)) => {}
            }
        }
    }
}
