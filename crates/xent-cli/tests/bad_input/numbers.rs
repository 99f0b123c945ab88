//! What stands where a number belongs.

use super::{Case, case, rows};

pub fn cases() -> Vec<Case> {
    let at = |value: &str| format!("0.5,0.5,cat\n{value},0.5,cat\n");
    let third =
        |name: &str, value: &str, error: &str, hint: &str| rows(name, &at(value), error, hint);
    vec![
        third("NaN", "NaN", "p.csv:3: column p_cat is NaN", "leave such rows out with --missing drop"),
        third("NA", "NA", "p.csv:3: column p_cat is NaN", "leave such rows out with --missing drop"),
        third("null", "null", "p.csv:3: column p_cat is NaN", "leave such rows out with --missing drop"),
        third("blank", "", "p.csv:3: column p_cat is empty", "leave such rows out with --missing drop"),
        third("a blank and spaces", "  ", "p.csv:3: column p_cat is empty", "leave such rows out with --missing drop"),
        third("infinity", "inf", "p.csv:3: column p_cat is inf, not a probability", "for scores before a softmax use --input logits, for logarithms --input log-probabilities"),
        third("minus infinity", "-Infinity", "p.csv:3: column p_cat is -inf, not a probability", "for scores before a softmax use --input logits, for logarithms --input log-probabilities"),
        third("beyond the largest number", "1e999", "p.csv:3: column p_cat is \"1e999\", too large for a 64-bit number", "write inf if infinity is meant"),
        third("beyond the lowest number", "-1e999", "p.csv:3: column p_cat is \"-1e999\", too large for a 64-bit number", "write inf if infinity is meant"),
        third("a quoted decimal comma", "\"0,5\"", "p.csv:3: column p_cat is \"0,5\", not a number", "write decimals with a point, 0.5 and not 0,5"),
        third("a percentage", "50%", "p.csv:3: column p_cat is \"50%\", not a number", "divide percentages by 100"),
        third("hexadecimal", "0x1p-1", "p.csv:3: column p_cat is \"0x1p-1\", not a number", "write numbers in decimal, not in hexadecimal"),
        third("a lone point", ".", "p.csv:3: column p_cat is \".\", not a number", "leave a missing value empty, or write NaN"),
        third("an exponent cut off", "0.1e", "p.csv:3: column p_cat is \"0.1e\", not a number", "the exponent is cut off"),
        third("a lone minus", "-", "p.csv:3: column p_cat is \"-\", not a number", "leave a missing value empty, or write NaN"),
        third("two points", "0.5.0", "p.csv:3: column p_cat is \"0.5.0\", not a number", "write numbers as in 0.25 or 2.5e-1"),
        third("two signs", "--0.5", "p.csv:3: column p_cat is \"--0.5\", not a number", "write numbers as in 0.25 or 2.5e-1"),
        third("a fraction", "1/2", "p.csv:3: column p_cat is \"1/2\", not a number", "write fractions as decimals"),
        third("separated thousands", "1_000", "p.csv:3: column p_cat is \"1_000\", not a number", "write numbers without separators between the thousands"),
        third("a currency", "$0.5", "p.csv:3: column p_cat is \"$0.5\", not a number", "write numbers without a currency"),
        third("a word", "half", "p.csv:3: column p_cat is \"half\", not a number", "leave a missing value empty, or write NaN"),
        third("a unit", "0.5 bits", "p.csv:3: column p_cat is \"0.5 bits\", not a number", "one field holds one number"),
        third("full-width digits", "０.５", "p.csv:3: column p_cat is \"０.５\", not a number", "leave a missing value empty, or write NaN"),
        third("Chinese", "一半", "p.csv:3: column p_cat is \"一半\", not a number", "leave a missing value empty, or write NaN"),
        third("a spreadsheet's error", "#DIV/0!", "p.csv:3: column p_cat is \"#DIV/0!\", not a number", "write fractions as decimals"),
        third("a formula", "=1/2", "p.csv:3: column p_cat is \"=1/2\", not a number", "write fractions as decimals"),
        third("a complex number", "0.5+0j", "p.csv:3: column p_cat is \"0.5+0j\", not a number", "write numbers as in 0.25 or 2.5e-1"),
        third("a minus sign that is no hyphen", "−0.5", "p.csv:3: column p_cat is \"−0.5\", not a number", "write numbers as in 0.25 or 2.5e-1"),
        third("a no-break space", "0.5\u{a0}", "p.csv:3: column p_cat is \"0.5 \", not a number", "write numbers as in 0.25 or 2.5e-1"),
        third("true", "true", "p.csv:3: column p_cat is \"true\", not a number", "leave a missing value empty, or write NaN"),
        third("a list", "\"[0.5]\"", "p.csv:3: column p_cat is \"[0.5]\", not a number", "this is a list; lists of numbers are read as one column of lists"),
        third("a very long word", &"z".repeat(5000), "p.csv:3: column p_cat is \"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...\", not a number", "leave a missing value empty, or write NaN"),
        third("a float of another language", "0.5f", "p.csv:3: column p_cat is \"0.5f\", not a number", "write numbers as in 0.25 or 2.5e-1"),
        third("slightly above 1", "1.0000001", "p.csv:3: column p_cat is 1.0000001, not a probability", "just above 1, perhaps the rounding of 32-bit numbers: use --sums normalize"),
        rows("a word in the first row", "half,0.5,cat\n0.5,0.5,cat\n", "p.csv:2: column p_cat is \"half\", not a number", "leave a missing value empty, or write NaN"),
        rows("all blank", ",,\n,,\n", "p.csv:2: column p_cat is empty", "leave such rows out with --missing drop"),
        rows("every row dropped", "nan,0.5,cat\n0.5,nan,cat\n", "p.csv: every row has weight 0 or is left out", "2 rows have missing values").with("--missing drop"),
        case("a logarithm above 0", "score l.csv --input log-probabilities", "l.csv:3: column logp_a is 0.1, not the logarithm of a probability", "for scores before a softmax use --input logits, for probabilities --input probabilities")
            .file("l.csv", "logp_a,logp_b,y\n-0.7,-0.7,a\n0.1,-2,a\n"),
        case("logits all minus infinity", "score l.csv --input logits", "l.csv:3: the logits have no softmax: 2 of them are -inf", "at least one logit must be finite, or exactly one +inf")
            .file("l.csv", "logit_a,logit_b,y\n1,2,a\n-inf,-inf,a\n"),
        case("two logits plus infinity", "score l.csv --input logits", "l.csv:3: the logits have no softmax: 2 of them are inf", "at least one logit must be finite, or exactly one +inf")
            .file("l.csv", "logit_a,logit_b,y\n1,2,a\ninf,inf,a\n"),
        case("a logit that is NaN", "score l.csv --input logits", "l.csv:3: column logit_a is NaN", "leave such rows out with --missing drop")
            .file("l.csv", "logit_a,logit_b,y\n1,2,a\nnan,0,a\n"),
        case("a calculator's word", "info entropy 0.5 half", "\"half\" is not a number", "numbers are written 0.75,0.25; for columns of a file add --file FILE"),
        case("a calculator's NaN", "info entropy 0.5 NaN", "NaN is not a number to calculate with", "leave it out, or write a number"),
        case("a calculator's sum", "info entropy 0.5 0.4", "the probabilities sum to 0.9, not 1", "probabilities must sum to 1; --normalize divides them by their sum"),
        case("a calculator's negative", "info kl 1.5,-0.5 0.5,0.5", "probability 1 is 1.5, not between 0 and 1", "scores and logits become probabilities by softmax or sigmoid, percentages by dividing by 100"),
        case("a calculator's lengths", "info kl 0.5,0.5 0.5,0.25,0.25", "3 against 2 outcomes", "both must list the same outcomes in the same order, with 0 for what cannot happen"),
        case("a calculator's probability", "info content 1.5", "1.5 is not a probability", "a probability is from 0 to 1"),
        case("a calculator's nothing", "info entropy ''", "an argument holds no number", "numbers are written 0.75,0.25"),
        case("a calculator's expectation", "info expectation 80,90 0.5,0.25,0.25", "2 against 3 outcomes", "both must list the same outcomes in the same order, with 0 for what cannot happen"),
        case("a calculator's ragged table", "info mutual-information 1,2 3", "row 2 has 1 entries, the first row 2", "every row must have an entry for every column"),
        case("a calculator's empty table", "info mutual-information 0,0 0,0", "all are 0, so there is nothing to divide by", "at least one must be above 0"),
        case("a calculator's missing column", "info entropy z --file p.csv", "p.csv: there is no column z", "the columns are x, y")
            .file("p.csv", "x,y\n0.5,a\n0.5,b\n"),
        case("a calculator's missing file", "info entropy x --file q.csv", "q.csv: no such file", "look at the path"),
        case("a calculator's softmax of infinities", "info softmax inf inf", "these scores have no softmax", "at least one must be finite, or exactly one inf"),
    ]
}
