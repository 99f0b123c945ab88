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
        rows("a field is missing", "0.5,0.5,cat\n0.5,0.5\n", "p.csv:3: 2 fields, expected 3 as in the header", "every line needs a field for every column, be it empty"),
        rows("a field too many", "0.5,0.5,cat\n0.5,0.5,cat,dog\n", "p.csv:3: 4 fields, expected 3 as in the header", "quote fields that contain the delimiter"),
        rows("the first row lacks a field", "0.5,0.5\n0.5,0.5,cat\n", "p.csv:2: 2 fields, expected 3 as in the header", "every line needs a field for every column, be it empty"),
        rows("a decimal comma makes a field too many", "0,5,0,5,cat\n", "p.csv:2: 5 fields, expected 3 as in the header", "quote fields that contain the delimiter"),
        rows("a delimiter at the end of a row", "0.5,0.5,cat\n0.5,0.5,cat,\n", "p.csv:3: 4 fields, expected 3 as in the header", "quote fields that contain the delimiter"),
        rows("a short row far down", &format!("{}0.5\n", "0.5,0.5,cat\n".repeat(70_000)), "p.csv:70002: 1 field, expected 3 as in the header", "every line needs a field for every column, be it empty"),
        rows(
            "a short row behind quoted line ends",
            "0.5,0.5,\"cat\"\n0.5,0.5,\"c\nat\n\n\"\n.5\n",
            "p.csv:3: column label is \"c\\nat\\n\\n\", which is not a class",
            "classes are named by the prediction columns: the classes are cat, dog",
        ),
        rows("a quote never closed", "0.5,0.5,cat\n0.5,0.5,\"dog\n0.5,0.5,cat\n", "p.csv:3: a quote opens here and is never closed", "write quotes inside a quoted field twice"),
        rows("a quote never closed in the first row", "0.5,\"0.5,cat\n0.5,0.5,cat\n", "p.csv:2: a quote opens here and is never closed", "write quotes inside a quoted field twice"),
        rows("a quote inside a plain field", "0.5,0.5,ca\"t\n", "p.csv:2: a quote stands inside a field that is not quoted", "put the whole field in quotes and write each quote in it twice"),
        rows(
            "a quote inside a plain field far down",
            "0.5,0.5,cat\n0.5,0.5,dog\n0.5,0.5,5\" disk\n",
            "p.csv:4: a quote stands inside a field that is not quoted",
            "put the whole field in quotes and write each quote in it twice",
        ),
        rows("text behind a closing quote", "0.5,0.5,\"cat\"s\n", "p.csv:2: text follows a closing quote", "write quotes inside a quoted field twice, and no space around the quotes"),
        rows("a backslash before a quote", "0.5,0.5,\"ca\\\"t\"\n", "p.csv:2: text follows a closing quote", "write quotes inside a quoted field twice, and no space around the quotes"),
        rows("a blank before a quote", "0.5,0.5, \"cat\"\n", "p.csv:2: a quote stands inside a field that is not quoted", "put the whole field in quotes and write each quote in it twice"),
        rows("a NUL byte", "0.5,0.5,cat\n0.5,0.5,c\0at\n", "p.csv:3: has a NUL byte", "this may be no text file, or be UTF-16 text"),
        rows("a NUL byte in a number", "0.5,0.5,cat\n0\0.5,0.5,cat\n", "p.csv:3: has a NUL byte", "this may be no text file, or be UTF-16 text"),
        rows("carriage returns inside", "0.5,0.5,cat\r0.5,0.5,cat\r", "p.csv:2: a carriage return stands alone", "end lines with a line feed: tr '\\r' '\\n' < old.csv > new.csv"),
        rows("no rows", "", "p.csv: there are no rows", "a header alone is not enough"),
        rows("no rows but blank lines", "\n\n\n", "p.csv: there are no rows", "a header alone is not enough"),
        score("an empty file", "p.csv", "", "p.csv: is empty", "the first line must name the columns"),
        score("only blank lines", "p.csv", "\n\r\n\n", "p.csv: is empty", "the first line must name the columns"),
        score("only a mark", "p.csv", "\u{feff}", "p.csv: is empty", "the first line must name the columns"),
        score("no header", "p.csv", "0.5,0.5,1\n0.4,0.6,0\n", "p.csv:1: no header: the first line holds only numbers, \"0.5\" first", "add a first line that names the columns"),
        score("no header but labels", "p.csv", "0.5,0.5,cat\n0.4,0.6,dog\n", "p.csv:1: columns 1 and 2 are both named \"0.5\"", "give every column its own name"),
        score(
            "two columns of one name",
            "p.csv",
            "p_cat,p_dog,p_cat,label\n.2,.3,.5,cat\n",
            "p.csv:1: columns 1 and 3 are both named \"p_cat\"",
            "give every column its own name",
        ),
        score(
            "two label columns of one name",
            "p.csv",
            "p_cat,p_dog,label,label\n.5,.5,cat,dog\n",
            "p.csv:1: columns 3 and 4 are both named \"label\"",
            "give every column its own name",
        ),
        score(
            "a quote never closed in the header",
            "p.csv",
            "p_cat,\"p_dog,label\n0.5,0.5,cat\n",
            "p.csv:1: a quote opens here and is never closed",
            "write quotes inside a quoted field twice",
        ),
        score("a NUL byte in the header", "p.csv", "p_cat,p_\0dog,label\n0.5,0.5,cat\n", "p.csv:1: has a NUL byte", "this may be no text file, or be UTF-16 text"),
        score("carriage returns only", "p.csv", "p_cat,p_dog,label\r0.5,0.5,cat\r", "p.csv:1: a carriage return stands alone", "end lines with a line feed: tr '\\r' '\\n' < old.csv > new.csv"),
        score("one line without an end", "p.csv", "p_cat,p_dog,label", "p.csv: there are no rows", "a header alone is not enough"),
        score(
            "not a table",
            "p.csv",
            "Dear all,\nplease find the predictions attached.\n",
            "p.csv:2: 1 field, expected 2 as in the header",
            "every line needs a field for every column, be it empty",
        ),
        score("a web page", "p.csv", "<!DOCTYPE html>\n<html><body>404</body></html>\n", "p.csv: no prediction columns found", "name them with --proba, such as --proba 'p_*'; the columns are <!DOCTYPE html>"),
        score("a delimiter that is none", "p.csv", "p_cat:p_dog:label\n0.5:0.5:cat\n", "p.csv: no label column found", "name it with --label; the columns are p_cat:p_dog:label"),
        score("commas in a TSV file", "p.tsv", GOOD, "p.tsv: no label column found", "name it with --label; the columns are p_cat,p_dog,label"),
        score("sep= says another delimiter", "p.csv", format!("sep=;\n{GOOD}"), "p.csv: no label column found", "name it with --label; the columns are p_cat,p_dog,label"),
        score("too many columns", "p.csv", format!("{many}\n"), "p.csv:1: has more than 250000 columns", "store wide rows as lists, in Parquet or NumPy files"),
        score("a field of 65 MiB", "p.csv", huge, "p.csv:2: a record is longer than 32 MiB", "look for a quote that is never closed, or a line without an end"),
        score("a quoted field of 66 MiB", "p.csv", huge_quoted, "p.csv:2: a record is longer than 32 MiB", "look for a quote that is never closed, or a line without an end"),
        score("a column name of 65 MiB", "p.csv", huge_header, "p.csv:1: a record is longer than 32 MiB", "look for a quote that is never closed, or a line without an end"),
        score("little-endian UTF-16", "p.csv", utf16(GOOD, u16::to_le_bytes), "p.csv: is UTF-16 text", "save it as UTF-8"),
        score("big-endian UTF-16", "p.csv", utf16(GOOD, u16::to_be_bytes), "p.csv: is UTF-16 text", "save it as UTF-8"),
        score("UTF-16 without a mark", "p.csv", &utf16(GOOD, u16::to_le_bytes)[2..], "p.csv:1: has a NUL byte", "this may be no text file, or be UTF-16 text"),
        score("two marks", "p.csv", format!("\u{feff}\u{feff}{GOOD}"), "p.csv:1: starts with two byte-order marks", "save it as UTF-8 once, without a byte-order mark"),
        score(
            "Latin-1 in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,cat\n.5,.5,caf\xe9\n",
            "p.csv:3: column label is not UTF-8 text (byte 0xE9 at character 4)",
            "save the file as UTF-8",
        ),
        score(
            "Latin-1 in a column name",
            "p.csv",
            b"p_caf\xe9,p_dog,label\n0.5,0.5,dog\n",
            "p.csv:1: the name of column 1 is not UTF-8 text (byte 0xE9)",
            "save the file as UTF-8",
        ),
        score(
            "Latin-1 in a number",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,cat\n.5,0\xb75,cat\n",
            "p.csv:3: column p_dog is \"0�5\", not a number",
            "write numbers as in 0.25 or 2.5e-1",
        ),
        score(
            "a cut UTF-8 sequence in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,\xe7\x8c\n",
            "p.csv:2: column label is not UTF-8 text (byte 0xE7 at character 1)",
            "save the file as UTF-8",
        ),
        score(
            "a surrogate in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,\xed\xa0\x80\n",
            "p.csv:2: column label is not UTF-8 text (byte 0xED at character 1)",
            "save the file as UTF-8",
        ),
        score(
            "an overlong sequence in a label",
            "p.csv",
            b"p_cat,p_dog,label\n.5,.5,\xc0\x80\n",
            "p.csv:2: column label is not UTF-8 text (byte 0xC0 at character 1)",
            "save the file as UTF-8",
        ),
        score("zeros", "p.csv", zeros, "p.csv:1: has a NUL byte", "this may be no text file, or be UTF-16 text"),
        score(
            "random bytes",
            "p.csv",
            b"\x81\xf3\x00\x17\x99,\xd0\xaa\n\xb1\x02\x03,\xc4\n",
            "p.csv:1: has a NUL byte",
            "this may be no text file, or be UTF-16 text",
        ),
        score("a truncated gzip file", "p.csv.gz", cut(gz(&long)), "p.csv.gz: cannot read: it ends too early", "the file is cut or damaged: write or fetch it again"),
        score("a damaged gzip file", "p.csv.gz", broken(gz(&long)), "p.csv.gz: cannot read: corrupt deflate stream", "the file is cut or damaged: write or fetch it again"),
        score("an empty gzip file", "p.csv.gz", gz(""), "p.csv.gz: is empty", "the first line must name the columns"),
        score("no gzip file", "p.csv.gz", "\x1f\u{8b}not gzip", "p.csv.gz: no prediction columns found", "name them with --proba, such as --proba 'p_*'; the columns are \\u{1f}\\u{8b}not gzip"),
        score("a truncated Zstandard file", "p.csv.zst", cut(zst(&long)), "p.csv.zst: cannot read: it ends too early", "the file is cut or damaged: write or fetch it again"),
        score("a damaged Zstandard file", "p.csv.zst", broken(zst(&long)), "p.csv.zst:2: column p_cat is \"0�25\", not a number", "write numbers as in 0.25 or 2.5e-1"),
        score("a bad row behind gzip", "p.csv.gz", gz(format!("{GOOD}1.5,0.5,dog\n")), "p.csv.gz:4: column p_cat is 1.5, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        score("bzip2", "p.csv.bz2", b"BZh91AY&SY\0\0\0\0", "p.csv.bz2: is compressed with bzip2, which xent does not read", "decompress it first: bunzip2"),
        score("xz", "p.csv.xz", b"\xfd7zXZ\0\0\x04", "p.csv.xz: is compressed with xz, which xent does not read", "decompress it first: unxz"),
        case("an empty pipe", "score -", "stdin: is empty", "the first line must name the columns").stdin(""),
        case("a bad row in a pipe", "score -", "stdin:4: column p_cat is 2, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100").stdin(format!("{GOOD}2,-1,cat\n")),
        case("a pipe with a quote never closed", "score -", "stdin:4: a quote opens here and is never closed", "write quotes inside a quoted field twice")
            .stdin(format!("{GOOD}.5,.5,\"cat\n")),
        score(
            "broken JSON",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,0.5],\"y\":\n",
            "p.jsonl:2: is not valid JSON at character 0: EOF while parsing a value",
            "each line must hold one whole object: jq -c . old.json > new.jsonl",
        ),
        score("broken JSON in the first line", "p.jsonl", "{\"p\":[0.5,0.5]\n", "p.jsonl:1: is not valid JSON at character 0: EOF while parsing an object", "each line must hold one whole object: jq -c . old.json > new.jsonl"),
        score(
            "a JSON array of rows",
            "p.jsonl",
            "[{\"p\":[0.5,0.5],\"y\":0},\n{\"p\":[0.5,0.5],\"y\":1}]\n",
            "p.jsonl:1: is not valid JSON at character 0: EOF while parsing a value",
            "each line must hold one whole object: jq -c . old.json > new.jsonl",
        ),
        score(
            "a JSON array for a row",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n[0.5,0.5,1]\n",
            "p.jsonl:2: is a JSON array; xent reads JSON Lines, one object a line",
            "convert it: jq -c '.[]' old.json > new.jsonl",
        ),
        score(
            "a nested JSON object",
            "p.jsonl",
            "{\"p\":{\"a\":0.5,\"b\":0.5},\"y\":\"a\"}\n",
            "p.jsonl: no prediction columns found",
            "name them with --proba, such as --proba 'p_*'; the columns are p, y",
        ),
        score(
            "a number in quotes in JSON",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":\"half\",\"p_b\":0.5,\"y\":\"a\"}\n",
            "p.jsonl:2: column p_a is \"half\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        score(
            "a JSON list of another length",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,0.3,0.2],\"y\":0}\n",
            "p.jsonl:2: column p has 3 numbers, the first row has 2",
            "every row needs a list of the same length",
        ),
        score(
            "text in a JSON list",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,\"x\"],\"y\":0}\n",
            "p.jsonl:2: column p is \"x\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        score(
            "a JSON key twice",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\",\"p_a\":0.1}\n",
            "p.jsonl:1: key \"p_a\" stands twice in one object",
            "write every key once",
        ),
        score(
            "a JSON key twice far down",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\",\"p_a\":0.1}\n",
            "p.jsonl:2: key \"p_a\" stands twice in one object",
            "write every key once",
        ),
        score(
            "NaN in JSON",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":NaN,\"p_b\":0.5,\"y\":\"a\"}\n",
            "p.jsonl:2: is not valid JSON at character 8: expected value",
            "JSON has no NaN or Infinity: write null, or \"inf\" in quotes",
        ),
        score(
            "a JSON key missing in a row",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"p_a\":0.5,\"y\":\"a\"}\n",
            "p.jsonl:2: column p_b is empty",
            "leave such rows out with --missing drop",
        ),
        score("deep JSON", "p.jsonl", format!("{{\"p\":{}\n", "[".repeat(100_000)), "p.jsonl:1: is not valid JSON at character 132: recursion limit exceeded", "each line must hold one JSON object"),
        score("CSV called JSON Lines", "p.jsonl", GOOD, "p.jsonl:1: is not valid JSON at character 1: expected value", "each line must hold one JSON object"),
        score(
            "a large JSON number",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":1e999,\"y\":\"a\"}\n",
            "p.jsonl:1: is not valid JSON at character 22: number out of range",
            "each line must hold one JSON object",
        ),
        score(
            "invalid UTF-8 in JSON",
            "p.jsonl",
            b"{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\xff\"}\n",
            "p.jsonl:1: is not valid JSON at character 28: invalid unicode code point",
            "save the file as UTF-8",
        ),
        score(
            "a lone surrogate in JSON",
            "p.jsonl",
            "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"\\ud800\"}\n",
            "p.jsonl:1: is not valid JSON at character 33: unexpected end of hex escape",
            "each line must hold one JSON object",
        ),
    ]
}
