//! What stands where a number belongs.

use super::{Case, case, rows};

pub fn cases() -> Vec<Case> {
    let at = |value: &str| format!("0.5,0.5,cat\n{value},0.5,cat\n");
    let third =
        |name: &str, value: &str, error: &str, hint: &str| rows(name, &at(value), error, hint);
    vec![
        third("NaN", "NaN", "?", "?"),
        third("NA", "NA", "?", "?"),
        third("null", "null", "?", "?"),
        third("blank", "", "?", "?"),
        third("a blank and spaces", "  ", "?", "?"),
        third("infinity", "inf", "?", "?"),
        third("minus infinity", "-Infinity", "?", "?"),
        third("beyond the largest number", "1e999", "?", "?"),
        third("beyond the lowest number", "-1e999", "?", "?"),
        third("a quoted decimal comma", "\"0,5\"", "?", "?"),
        third("a percentage", "50%", "?", "?"),
        third("hexadecimal", "0x1p-1", "?", "?"),
        third("a lone point", ".", "?", "?"),
        third("an exponent cut off", "0.1e", "?", "?"),
        third("a lone minus", "-", "?", "?"),
        third("two points", "0.5.0", "?", "?"),
        third("two signs", "--0.5", "?", "?"),
        third("a fraction", "1/2", "?", "?"),
        third("separated thousands", "1_000", "?", "?"),
        third("a currency", "$0.5", "?", "?"),
        third("a word", "half", "?", "?"),
        third("a unit", "0.5 bits", "?", "?"),
        third("full-width digits", "０.５", "?", "?"),
        third("Chinese", "一半", "?", "?"),
        third("a spreadsheet's error", "#DIV/0!", "?", "?"),
        third("a formula", "=1/2", "?", "?"),
        third("a complex number", "0.5+0j", "?", "?"),
        third("a minus sign that is no hyphen", "−0.5", "?", "?"),
        third("a no-break space", "0.5\u{a0}", "?", "?"),
        third("true", "true", "?", "?"),
        third("a list", "\"[0.5]\"", "?", "?"),
        third("a very long word", &"z".repeat(5000), "?", "?"),
        third("a float of another language", "0.5f", "?", "?"),
        third("slightly above 1", "1.0000001", "?", "?"),
        rows("a word in the first row", "half,0.5,cat\n0.5,0.5,cat\n", "?", "?"),
        rows("all blank", ",,\n,,\n", "?", "?"),
        rows("every row dropped", "nan,0.5,cat\n0.5,nan,cat\n", "?", "?").with("--missing drop"),
        case("a logarithm above 0", "score l.csv --input log-probabilities", "?", "?")
            .file("l.csv", "logp_a,logp_b,y\n-0.7,-0.7,a\n0.1,-2,a\n"),
        case("logits all minus infinity", "score l.csv --input logits", "?", "?")
            .file("l.csv", "logit_a,logit_b,y\n1,2,a\n-inf,-inf,a\n"),
        case("two logits plus infinity", "score l.csv --input logits", "?", "?")
            .file("l.csv", "logit_a,logit_b,y\n1,2,a\ninf,inf,a\n"),
        case("a logit that is NaN", "score l.csv --input logits", "?", "?")
            .file("l.csv", "logit_a,logit_b,y\n1,2,a\nnan,0,a\n"),
        case("a calculator's word", "info entropy 0.5 half", "?", "?"),
        case("a calculator's NaN", "info entropy 0.5 NaN", "?", "?"),
        case("a calculator's sum", "info entropy 0.5 0.4", "?", "?"),
        case("a calculator's negative", "info kl 1.5,-0.5 0.5,0.5", "?", "?"),
        case("a calculator's lengths", "info kl 0.5,0.5 0.5,0.25,0.25", "?", "?"),
        case("a calculator's probability", "info content 1.5", "?", "?"),
        case("a calculator's nothing", "info entropy ''", "?", "?"),
        case("a calculator's expectation", "info expectation 80,90 0.5,0.25,0.25", "?", "?"),
        case("a calculator's ragged table", "info mutual-information 1,2 3", "?", "?"),
        case("a calculator's empty table", "info mutual-information 0,0 0,0", "?", "?"),
        case("a calculator's missing column", "info entropy z --file p.csv", "?", "?")
            .file("p.csv", "x,y\n0.5,a\n0.5,b\n"),
        case("a calculator's missing file", "info entropy x --file q.csv", "?", "?"),
        case("a calculator's softmax of infinities", "info softmax inf inf", "?", "?"),
    ]
}
