//! Text that is safe to print, and how wide it is.
//!
//! Labels, column names and file names come from files that nobody has checked. Printed raw they
//! could move the cursor, recolour or retitle the terminal, or reverse the reading order of a
//! line. [`escape_terminal`] makes every such character visible, and every renderer passes every
//! text through it (CSV excepted: it is data).
//!
//! Widths are columns of a terminal, not characters: 民主党 is six wide. All cutting happens
//! between clusters (a character with the marks that stand on it), whose widths add up, so that a
//! line built from pieces is as wide as the pieces.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the part cut out of a text.
const ELLIPSIS: &str = "…";

/// Closing marks, before which no line is broken inside Chinese text.
const NOT_FIRST: &str = ",.!?;:)]}%'\"，。、；：？！）」』】》〉〕］｝’”…—～％‰·・ー々";

/// Opening marks, after which no line is broken inside Chinese text.
const NOT_LAST: &str = "([{'\"$（「『【《〈〔［｛‘“￥＄";

/// Says whether a character must not reach a terminal as itself: controls (C0, DEL, C1), bidi
/// controls, line and paragraph separators, and characters without any width of their own that
/// would hide in a name (zero-width spaces and joiners, soft hyphen, byte order mark, tags).
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns the text with every unsafe character written as an escape: `\n`, `\r`, `\t`, or
/// `\u{202e}` with its code point.
///
/// A backslash stays as it is, so that paths stay readable: the text is for people and need not
/// be unambiguous.
///
/// ```
/// use xent_report::text::escape_terminal;
///
/// assert_eq!(escape_terminal("民主党"), "民主党");
/// assert_eq!(escape_terminal("a\u{1b}[2J\n"), r"a\u{1b}[2J\n");
/// ```
pub fn escape_terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Returns the text as Markdown that shows it literally, on one line, in a paragraph or in a cell
/// of a table: no emphasis, code, link, image, tag, entity, formula, strike-through or list.
///
/// ```
/// use xent_report::text::escape_markdown;
///
/// assert_eq!(escape_markdown("a|b_c <img>"), r"a\|b\_c &lt;img&gt;");
/// assert_eq!(escape_markdown("- 3"), r"\- 3");
/// ```
pub fn escape_markdown(text: &str) -> String {
    let text = escape_terminal(text.trim());
    let mut out = String::with_capacity(text.len() + 8);
    // A line that starts as a heading, a list or a rule; "1." is a list as well, "1.5" is not.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut list = None;
    if text.starts_with(['#', '-', '+', '=']) && !starts_a_number(&text) {
        list = Some(0);
    } else if digits > 0
        && text[digits..].starts_with(['.', ')'])
        && !text[digits + 1..].starts_with(|c: char| c.is_ascii_digit())
    {
        list = Some(digits);
    }
    for (at, c) in text.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => {
                if list == Some(at) {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out
}

/// Returns how many terminal columns the text takes. The text must be escaped already.
///
/// ```
/// use xent_report::text::display_width;
///
/// assert_eq!(display_width("democrat"), 8);
/// assert_eq!(display_width("民主党"), 6);
/// assert_eq!(display_width("e\u{301}"), 1);
/// ```
pub fn display_width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { clusters(text).map(|(_, width)| width).sum() }
}

/// Returns the text cut in the middle to at most `width` columns, `…` standing for what is gone.
///
/// ```
/// use xent_report::text::truncate_middle;
///
/// assert_eq!(truncate_middle("logistic_regression", 10), "logis…sion");
/// assert_eq!(truncate_middle("logistic", 10), "logistic");
/// ```
pub fn truncate_middle(text: &str, width: usize) -> Cow<'_, str> {
    if display_width(text) <= width {
        return Cow::Borrowed(text);
    }
    if width == 0 {
        return Cow::Borrowed("");
    }
    let pieces: Vec<(&str, usize)> = clusters(text).collect();
    let room = width - 1;
    let (head, used) = fill(pieces.iter(), room.div_ceil(2));
    let (tail, _) = fill(pieces.iter().rev(), room - used);
    Cow::Owned(format!("{}{ELLIPSIS}{}", &text[..head], &text[text.len() - tail..]))
}

/// Returns the text broken into lines of at most `width` columns; 0 is no limit.
///
/// Lines break at spaces and, in Chinese or Japanese, between any two characters, but not before
/// a closing or after an opening mark. What is longer than a line is broken where the line ends.
/// Spaces inside a line are kept.
///
/// ```
/// use xent_report::text::wrap;
///
/// assert_eq!(wrap("no luck at all", 8), ["no luck", "at all"]);
/// assert_eq!(wrap("民主党领先。", 10), ["民主党领", "先。"]);
/// ```
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let limit = if width == 0 { usize::MAX } else { width };
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for unit in units(text) {
        if unit.gap_width.saturating_add(unit.width) <= limit.saturating_sub(used) {
            line.push_str(unit.gap);
            line.push_str(unit.text);
            used += unit.gap_width + unit.width;
            continue;
        }
        if used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for (piece, width) in clusters(unit.text) {
            if used > 0 && used + width > limit {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push_str(piece);
            used += width;
        }
    }
    lines.push(line);
    lines
}

/// A stretch of text that is kept on one line, with the spaces before it.
struct Unit<'a> {
    gap: &'a str,
    gap_width: usize,
    text: &'a str,
    width: usize,
}

/// Splits a text at the places where a line may break; spaces at the end are dropped.
fn units(text: &str) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut at = 0;
    let mut gap = (0, 0);
    let mut previous: Option<(&str, usize)> = None;
    for (piece, width) in clusters(text) {
        let end = at + piece.len();
        if is_space(piece) {
            gap.1 += width;
            previous = None;
        } else {
            match units.last_mut() {
                Some(unit) if previous.is_some_and(|last| !may_break(last, (piece, width))) => {
                    let start = at - unit.text.len();
                    unit.text = &text[start..end];
                    unit.width += width;
                }
                _ => units.push(Unit {
                    gap: &text[gap.0..at],
                    gap_width: gap.1,
                    text: &text[at..end],
                    width,
                }),
            }
            gap = (end, 0);
            previous = Some((piece, width));
        }
        at = end;
    }
    units
}

fn is_space(cluster: &str) -> bool {
    cluster == " " || cluster == "\u{3000}"
}

/// Says whether a line may break between two clusters without a space: beside a wide one, unless
/// a mark forbids it.
fn may_break(before: (&str, usize), after: (&str, usize)) -> bool {
    (before.1 > 1 || after.1 > 1)
        && !before.0.starts_with(|c| NOT_LAST.contains(c))
        && !after.0.starts_with(|c| NOT_FIRST.contains(c))
}

/// Returns how many bytes of the first clusters fit into `room` columns, and their width.
fn fill<'a>(clusters: impl Iterator<Item = &'a (&'a str, usize)>, room: usize) -> (usize, usize) {
    let (mut bytes, mut used) = (0, 0);
    for &(piece, width) in clusters {
        if used + width > room {
            break;
        }
        bytes += piece.len();
        used += width;
    }
    (bytes, used)
}

/// Splits an escaped text into clusters with their widths: a character and the marks, variation
/// selectors and skin tones that follow it.
fn clusters(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let end = chars.find(|&(_, c)| !is_attached(c)).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        let single = piece.len() == first.len_utf8();
        let width = if single { char_width(first) } else { UnicodeWidthStr::width(piece) };
        Some((piece, width))
    })
}

fn is_attached(c: char) -> bool {
    !c.is_ascii() && (char_width(c) == 0 || matches!(c, '\u{1f3fb}'..='\u{1f3ff}'))
}

fn char_width(c: char) -> usize {
    UnicodeWidthChar::width(c).unwrap_or(0)
}

/// Says whether a text that starts with a sign is a signed number.
fn starts_a_number(text: &str) -> bool {
    text.len() > 1 && text[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_unsafe_character_is_escaped() {
        let hidden = "\0\u{7}\u{1b}\u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\
                      \u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{ad}\u{e0041}";
        for c in hidden.chars() {
            let text = c.to_string();
            assert_eq!(escape_terminal(&text), format!("\\u{{{:x}}}", u32::from(c)));
        }
        assert_eq!(escape_terminal("a\r\n\tb"), r"a\r\n\tb");
    }

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in ["", "C:\\data", "naïve e\u{301}", "民主党", "❤\u{fe0f}", "العربية"]
        {
            assert!(matches!(escape_terminal(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn widths_of_clusters() {
        let expected =
            [("", 0), ("a民b", 4), ("❤\u{fe0f}", 2), ("👍\u{1f3fd}", 2), ("ｶ", 1), ("한", 2)];
        for (text, width) in expected {
            assert_eq!(display_width(text), width, "{text}");
        }
    }

    #[test]
    fn truncation_keeps_both_ends_and_whole_clusters() {
        let expected = [
            ("abcdef", 0, ""),
            ("abcdef", 1, "…"),
            ("abcdef", 2, "a…"),
            ("abcdef", 5, "ab…ef"),
            ("民主党共和党", 7, "民…和党"),
            ("民主党共和党", 2, "…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ];
        for (text, width, cut) in expected {
            assert_eq!(truncate_middle(text, width), cut, "{text} to {width}");
        }
    }

    #[test]
    fn wrapping_keeps_inner_spaces_and_breaks_long_words() {
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("a   b", 5), ["a   b"]);
        assert_eq!(wrap("a   b", 4), ["a", "b"]);
        assert_eq!(wrap("label: x     input: y  ", 0), ["label: x     input: y"]);
        assert_eq!(wrap("to abcdefgh x", 5), ["to", "abcde", "fgh x"]);
        assert_eq!(wrap("民", 1), ["民"]);
    }

    #[test]
    fn wrapping_chinese_minds_opening_and_closing_marks() {
        assert_eq!(
            wrap("模型二（森林）更好，差距明显。", 8),
            ["模型二", "（森林）", "更好，差", "距明显。"]
        );
        assert_eq!(wrap("共 25,165 行", 8), ["共", "25,165", "行"]);
    }

    #[test]
    fn markdown_is_literal() {
        let expected = [
            ("**b** `c` ~~d~~", r"\*\*b\*\* \`c\` \~\~d\~\~"),
            ("[x](y) ![z]", r"\[x\](y) !\[z\]"),
            ("&lt; $x$", r"&amp;lt; \$x\$"),
            ("C:\\a\n", r"C:\\a"),
            ("a\nb", r"a\\nb"),
            ("# a", r"\# a"),
            ("1. a", r"1\. a"),
            ("1.5", "1.5"),
            ("-1.067", "-1.067"),
            ("+0.338", "+0.338"),
            ("-", r"\-"),
            ("3 rows, 3 classes", "3 rows, 3 classes"),
        ];
        for (text, markdown) in expected {
            assert_eq!(escape_markdown(text), markdown);
        }
    }

    /// Text with a generous share of what breaks layouts.
    fn wild() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            "[a-z ]{1,8}",
            "[民主党共和，。（）]{1,6}",
            proptest::sample::select(vec![
                "\u{301}",
                "\u{fe0f}",
                "👍\u{1f3fd}",
                "\u{1f1e8}",
                "\u{200d}"
            ])
            .prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn escaped_text_is_safe_and_stays(text in wild()) {
            let once = escape_terminal(&text).into_owned();
            prop_assert!(!once.contains(is_unsafe));
            prop_assert_eq!(escape_terminal(&once), once.as_str());
        }

        #[test]
        fn truncated_text_fits(text in wild(), width in 0_usize..20) {
            let text = escape_terminal(&text);
            let cut = truncate_middle(&text, width);
            prop_assert!(display_width(&cut) <= width);
            prop_assert!(cut == text || cut.contains(ELLIPSIS) || width == 0);
        }

        #[test]
        fn wrapped_text_fits_and_loses_only_spaces(text in wild(), width in 2_usize..20) {
            let text = escape_terminal(&text);
            let lines = wrap(&text, width);
            let bare = |text: &str| text.replace([' ', '\u{3000}'], "");
            prop_assert!(lines.iter().all(|line| display_width(line) <= width), "{lines:?}");
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
