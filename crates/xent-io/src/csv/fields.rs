//! Splitting a record into fields, after RFC 4180.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// A field of a record in a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// The content, without the quotes around it.
    pub start: usize,
    pub end: usize,
    pub quoted: bool,
    /// Where the next field or record starts.
    pub next: usize,
    /// The field ends its record.
    pub last: bool,
}

impl Field {
    /// The content; quotes written twice become one.
    pub fn content<'a>(&self, data: &'a [u8]) -> Cow<'a, [u8]> {
        let raw = &data[self.start..self.end];
        if !self.quoted || memchr(b'"', raw).is_none() {
            return Cow::Borrowed(raw);
        }
        let mut out = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(i) = memchr(b'"', rest) {
            out.extend_from_slice(&rest[..=i]);
            rest = rest.get(i + 2..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        Cow::Owned(out)
    }
}

/// A break of the rules inside a record, at a position in the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A quote inside a field that does not start with one.
    StrayQuote(usize),
    /// Something behind the closing quote.
    AfterQuote(usize),
    /// A quote that is never closed.
    OpenQuote(usize),
    /// A carriage return that no line feed follows.
    LoneReturn(usize),
}

/// What is known of a whole chunk, to skip checks that cannot fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Splitter {
    pub delimiter: u8,
    pub has_quotes: bool,
    pub has_returns: bool,
}

impl Splitter {
    pub fn new(delimiter: u8, data: &[u8]) -> Splitter {
        Splitter {
            delimiter,
            has_quotes: memchr(b'"', data).is_some(),
            has_returns: memchr(b'\r', data).is_some(),
        }
    }

    /// The field that starts at `start`. `data` ends in a newline.
    #[inline]
    pub fn field(&self, data: &[u8], start: usize) -> Result<Field, Broken> {
        if self.has_quotes && data[start] == b'"' {
            return self.quoted(data, start);
        }
        let end = match memchr2(self.delimiter, b'\n', &data[start..]) {
            Some(i) => start + i,
            None => data.len() - 1,
        };
        let last = data[end] == b'\n';
        let mut field = Field { start, end, quoted: false, next: end + 1, last };
        if self.has_quotes || self.has_returns {
            check_plain(data, &mut field)?;
        }
        Ok(field)
    }

    fn quoted(&self, data: &[u8], open: usize) -> Result<Field, Broken> {
        let start = open + 1;
        let mut at = start;
        let end = loop {
            let Some(i) = memchr(b'"', &data[at..]) else { return Err(Broken::OpenQuote(open)) };
            let quote = at + i;
            if data.get(quote + 1) == Some(&b'"') {
                at = quote + 2;
            } else {
                break quote;
            }
        };
        let after = end + 1;
        match data.get(after) {
            Some(&b'\n') => Ok(Field { start, end, quoted: true, next: after + 1, last: true }),
            Some(&b'\r') if data.get(after + 1) == Some(&b'\n') => {
                Ok(Field { start, end, quoted: true, next: after + 2, last: true })
            }
            Some(&b) if b == self.delimiter => {
                Ok(Field { start, end, quoted: true, next: after + 1, last: false })
            }
            // The newline that the chunker adds at the end of a file is inside the quotes then.
            None => Err(Broken::OpenQuote(open)),
            Some(&b'\r') => Err(Broken::LoneReturn(after)),
            Some(_) => Err(Broken::AfterQuote(after)),
        }
    }

    /// Where the record that starts at `start` ends, and how many fields it has.
    pub fn record_end(&self, data: &[u8], start: usize) -> Result<(usize, usize), Broken> {
        let mut next = start;
        let mut fields = 0;
        loop {
            let field = self.field(data, next)?;
            fields += 1;
            next = field.next;
            if field.last {
                return Ok((next, fields));
            }
        }
    }
}

/// The start of the first record at or behind `at`, past blank lines.
#[inline]
pub(crate) fn skip_blank_lines(data: &[u8], mut at: usize) -> usize {
    loop {
        match data.get(at) {
            Some(b'\n') => at += 1,
            Some(b'\r') if data.get(at + 1) == Some(&b'\n') => at += 2,
            _ => return at,
        }
    }
}

/// The checks of an unquoted field that a chunk without quotes and returns does not need.
fn check_plain(data: &[u8], field: &mut Field) -> Result<(), Broken> {
    if field.last && field.end > field.start && data[field.end - 1] == b'\r' {
        field.end -= 1;
    }
    match memchr2(b'"', b'\r', &data[field.start..field.end]) {
        None => Ok(()),
        Some(i) if data[field.start + i] == b'"' => Err(Broken::StrayQuote(field.start + i)),
        Some(i) => Err(Broken::LoneReturn(field.start + i)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Result<Vec<String>, Broken> {
        let data = text.as_bytes();
        let splitter = Splitter::new(b',', data);
        let mut fields = Vec::new();
        let mut at = 0;
        loop {
            let field = splitter.field(data, at)?;
            fields.push(String::from_utf8(field.content(data).into_owned()).unwrap());
            at = field.next;
            if field.last {
                return Ok(fields);
            }
        }
    }

    #[test]
    fn fields_follow_rfc_4180() {
        assert_eq!(split("a,b,c\n").unwrap(), ["a", "b", "c"]);
        assert_eq!(split("a,,\r\n").unwrap(), ["a", "", ""]);
        assert_eq!(split("\"a,\"\"b\"\"\nc\",\"\"\r\n").unwrap(), ["a,\"b\"\nc", ""]);
        assert_eq!(split("\n").unwrap(), [""]);
    }

    #[test]
    fn what_breaks_the_rules_is_found_where_it_is() {
        assert_eq!(split("a\"b,c\n"), Err(Broken::StrayQuote(1)));
        assert_eq!(split("\"a\" ,c\n"), Err(Broken::AfterQuote(3)));
        assert_eq!(split("x,\"a,c\n"), Err(Broken::OpenQuote(2)));
        assert_eq!(split("a\rb,c\n"), Err(Broken::LoneReturn(1)));
        assert_eq!(split("\"a\"\rb,c\n"), Err(Broken::LoneReturn(3)));
    }
}
