//! The structure of CSV text and its encoding.

use super::common::tables::{gz, zst};
use super::{Case, case, rows, score};

const GOOD: &str = "p_cat,p_dog,label\n0.5,0.5,cat\n0.9,0.1,cat\n";

/// Text as UTF-16.
fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

pub fn cases() -> Vec<Case> {
    let many = (0..250_001).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
    let huge = format!("p_cat,p_dog,label\n0.5,0.5,{}\n", "x".repeat(65 << 20));
    let huge_quoted = format!("p_cat,p_dog,label\n0.5,0.5,\"{}", "x\n".repeat(33 << 20));
    let huge_header = format!("{},p_dog,label\n0.5,0.5,x\n", "x".repeat(65 << 20));
    let zeros = "\0".repeat(2000);
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 9].to_vec();
    let broken = |mut bytes: Vec<u8>| {
        let at = bytes.len() / 2;
        bytes[at] ^= 0xff;
        bytes
    };
    let long = format!("p_cat,p_dog,label\n{}", "0.25,0.75,dog\n0.5,0.5,cat\n".repeat(400));
    vec![
        rows("a field is missing", "0.5,0.5,cat\n0.5,0.5\n", "?", "?"),
        rows("a field too many", "0.5,0.5,cat\n0.5,0.5,cat,dog\n", "?", "?"),
        rows("the first row lacks a field", "0.5,0.5\n0.5,0.5,cat\n", "?", "?"),
        rows("a decimal comma makes a field too many", "0,5,0,5,cat\n", "?", "?"),
        rows("a delimiter at the end of a row", "0.5,0.5,cat\n0.5,0.5,cat,\n", "?", "?"),
        rows("a short row far down", &format!("{}0.5\n", "0.5,0.5,cat\n".repeat(70_000)), "?", "?"),
        rows(
            "a short row behind quoted line ends",
            "0.5,0.5,\"cat\"\n0.5,0.5,\"c\nat\n\n\"\n.5\n",
            "?",
            "?",
        ),
        rows("a quote never closed", "0.5,0.5,cat\n0.5,0.5,\"dog\n0.5,0.5,cat\n", "?", "?"),
        rows("a quote never closed in the first row", "0.5,\"0.5,cat\n0.5,0.5,cat\n", "?", "?"),
        rows("a quote inside a plain field", "0.5,0.5,ca\"t\n", "?", "?"),
        rows(
            "a quote inside a plain field far down",
            "0.5,0.5,cat\n0.5,0.5,dog\n0.5,0.5,5\" disk\n",
            "?",
            "?",
        ),
        rows("text behind a closing quote", "0.5,0.5,\"cat\"s\n", "?", "?"),
        rows("a backslash before a quote", "0.5,0.5,\"ca\\\"t\"\n", "?", "?"),
        rows("a blank before a quote", "0.5,0.5, \"cat\"\n", "?", "?"),
        rows("a NUL byte", "0.5,0.5,cat\n0.5,0.5,c\0at\n", "?", "?"),
        rows("a NUL byte in a number", "0.5,0.5,cat\n0\0.5,0.5,cat\n", "?", "?"),
        rows("carriage returns inside", "0.5,0.5,cat\r0.5,0.5,cat\r", "?", "?"),
        rows("no rows", "", "?", "?"),
        rows("no rows but blank lines", "\n\n\n", "?", "?"),
        score("an empty file", "p.csv", "", "?", "?"),
        score("only blank lines", "p.csv", "\n\r\n\n", "?", "?"),
        score("only a mark", "p.csv", "\u{feff}", "?", "?"),
        score("no header", "p.csv", "0.5,0.5,1\n0.4,0.6,0\n", "?", "?"),
        score("no header but labels", "p.csv", "0.5,0.5,cat\n0.4,0.6,dog\n", "?", "?"),
        score(
            "two columns of one name",
            "p.csv",
            "p_cat,p_dog,p_cat,label\n.2,.3,.5,cat\n",
            "?",
            "?",
        ),
        score(
            "two label columns of one name",
            "p.csv",
            "p_cat,p_dog,label,label\n.5,.5,cat,dog\n",
            "?",
            "?",
        ),
        score(
            "a quote never closed in the header",
            "p.csv",
            "p_cat,\"p_dog,label\n0.5,0.5,cat\n",
            "?",
            "?",
        ),
        score("a NUL byte in the header", "p.csv", "p_cat,p_\0dog,label\n0.5,0.5,cat\n", "?", "?"),
        score("carriage returns only", "p.csv", "p_cat,p_dog,label\r0.5,0.5,cat\r", "?", "?"),
        score("one line without an end", "p.csv", "p_cat,p_dog,label", "?", "?"),
        score(
            "not a table",
            "p.csv",
            "Dear all,\nplease find the predictions attached.\n",
            "?",
            "?",
        ),
        score("a web page", "p.csv", "<!DOCTYPE html>\n<html><body>404</body></html>\n", "?", "?"),
        score("a delimiter that is none", "p.csv", "p_cat:p_dog:label\n0.5:0.5:cat\n", "?", "?"),
        score("commas in a TSV file", "p.tsv", GOOD, "?", "?"),
        score("sep= says another delimiter", "p.csv", format!("sep=;\n{GOOD}"), "?", "?"),
        score("too many columns", "p.csv", format!("{many}\n"), "?", "?"),
        score("a field of 65 MiB", "p.csv", huge, "?", "?"),
        score("a quoted field of 66 MiB", "p.csv", huge_quoted, "?", "?"),
        score("a column name of 65 MiB", "p.csv", huge_header, "?", "?"),
        score("little-endian UTF-16", "p.csv", utf16(GOOD, u16::to_le_bytes), "?", "?"),
        score("big-endian UTF-16", "p.csv", utf16(GOOD, u16::to_be_bytes), "?", "?"),
        score("UTF-16 without a mark", "p.csv", &utf16(GOOD, u16::to_le_bytes)[2..], "?", "?"),
        score("two marks", "p.csv", format!("\u{feff}\u{feff}{GOOD}"), "?", "?"),
        score(
            "Latin-1 in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,cat\n.5,.5,caf\xe9\n",
            "?",
            "?",
        ),
        score(
            "Latin-1 in a column name",
            "p.csv",
            b"p_caf\xe9,p_dog,label\n0.5,0.5,dog\n",
            "?",
            "?",
        ),
        score(
            "Latin-1 in a number",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,cat\n.5,0\xb75,cat\n",
            "?",
            "?",
        ),
        score(
            "a cut UTF-8 sequence in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,\xe7\x8c\n",
            "?",
            "?",
        ),
        score(
            "a surrogate in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,\xed\xa0\x80\n",
            "?",
            "?",
        ),
        score(
            "an overlong sequence in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,\xc0\x80\n",
            "?",
            "?",
        ),
        score("zeros", "p.csv", zeros, "?", "?"),
        score(
            "random bytes",
            "p.csv",
            b"\x81\xf3\x00\x17\x99,\xd0\xaa\n\xb1\x02\x03,\xc4\n",
            "?",
            "?",
        ),
        score("a truncated gzip file", "p.csv.gz", cut(gz(&long)), "?", "?"),
        score("a damaged gzip file", "p.csv.gz", broken(gz(&long)), "?", "?"),
        score("an empty gzip file", "p.csv.gz", gz(""), "?", "?"),
        score("no gzip file", "p.csv.gz", "\x1f\u{8b}not gzip", "?", "?"),
        score("a truncated Zstandard file", "p.csv.zst", cut(zst(&long)), "?", "?"),
        score("a damaged Zstandard file", "p.csv.zst", broken(zst(&long)), "?", "?"),
        score("a bad row behind gzip", "p.csv.gz", gz(format!("{GOOD}1.5,0.5,dog\n")), "?", "?"),
        score("bzip2", "p.csv.bz2", b"BZh91AY&SY\0\0\0\0", "?", "?"),
        score("xz", "p.csv.xz", b"\xfd7zXZ\0\0\x04", "?", "?"),
        case("an empty pipe", "score -", "?", "?").stdin(""),
        case("a bad row in a pipe", "score -", "?", "?").stdin(format!("{GOOD}2,-1,cat\n")),
        case("a pipe with a quote never closed", "score -", "?", "?")
            .stdin(format!("{GOOD}.5,.5,\"cat\n")),
        score(
            "broken JSON",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,0.5],\"y\":\n",
            "?",
            "?",
        ),
        score("broken JSON in the first line", "p.jsonl", "{\"p\":[0.5,0.5]\n", "?", "?"),
        score(
            "a JSON array of rows",
            "p.jsonl",
            "[{\"p\":[0.5,0.5],\"y\":0},\n{\"p\":[0.5,0.5],\"y\":1}]\n",
            "?",
            "?",
        ),
        score(
            "a JSON array for a row",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n[0.5,0.5,1]\n",
            "?",
            "?",
        ),
        score(
            "a nested JSON object",
            "p.jsonl",
            "{\"p\":{\"a\":0.5,\"b\":0.5},\"y\":\"a\"}\n",
            "?",
            "?",
        ),
        score(
            "a number in quotes in JSON",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":\"half\",\"p_b\":0.5,\"y\":\"a\"}\n",
            "?",
            "?",
        ),
        score(
            "a JSON list of another length",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,0.3,0.2],\"y\":0}\n",
            "?",
            "?",
        ),
        score(
            "text in a JSON list",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,\"x\"],\"y\":0}\n",
            "?",
            "?",
        ),
        score(
            "a JSON key twice",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\",\"p_a\":0.1}\n",
            "?",
            "?",
        ),
        score(
            "a JSON key twice far down",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\",\"p_a\":0.1}\n",
            "?",
            "?",
        ),
        score(
            "NaN in JSON",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":NaN,\"p_b\":0.5,\"y\":\"a\"}\n",
            "?",
            "?",
        ),
        score(
            "a JSON key missing in a row",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":0.5,\"y\":\"a\"}\n",
            "?",
            "?",
        ),
        score("deep JSON", "p.jsonl", format!("{{\"p\":{}\n", "[".repeat(100_000)), "?", "?"),
        score("CSV called JSON Lines", "p.jsonl", GOOD, "?", "?"),
        score(
            "a large JSON number",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":1e999,\"y\":\"a\"}\n",
            "?",
            "?",
        ),
        score(
            "invalid UTF-8 in JSON",
            "p.jsonl",
            b"{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\xff\"}\n",
            "?",
            "?",
        ),
        score(
            "a lone surrogate in JSON",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"\\ud800\"}\n",
            "?",
            "?",
        ),
    ]
}
