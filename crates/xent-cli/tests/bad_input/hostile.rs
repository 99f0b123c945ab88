//! Names and values that would take over a terminal.

use super::{Case, case, rows, score};

pub fn cases() -> Vec<Case> {
    let link = "\u{1b}]8;;http://example.com\u{1b}\\cat\u{1b}]8;;\u{1b}\\";
    vec![
        rows("ANSI colour in a label", "0.5,0.5,cat\n0.5,0.5,\u{1b}[31mdog\u{1b}[0m\n", "p.csv:3: column label is \"\\u{1b}[31mdog\\u{1b}[0m\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("a link in a label", &format!("0.5,0.5,cat\n0.5,0.5,{link}\n"), "p.csv:3: column label is \"\\u{1b}]8;;http://example.com\\u{1b}\\cat\\u{1b}]8;;\\u{1b}\\\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("a title in a number", "0.5,0.5,cat\n\u{1b}]0;owned\u{7},0.5,cat\n", "p.csv:3: column p_cat is \"\\u{1b}]0;owned\\u{7}\", not a number", "write numbers as in 0.25 or 2.5e-1"),
        rows("a direction override in a label", "0.5,0.5,cat\n0.5,0.5,\u{202e}tac\n", "p.csv:3: column label is \"\\u{202e}tac\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("isolates in a label", "0.5,0.5,cat\n0.5,0.5,\u{2066}cat\u{2069}\n", "p.csv:3: column label is \"\\u{2066}cat\\u{2069}\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows(
            "a quoted line end in a label",
            "0.5,0.5,cat\n0.5,0.5,\"x\nerror: all is well\"\n",
            "p.csv:3: column label is \"x\\nerror: all is well\", which is not a class",
            "classes are named by the prediction columns: the classes are cat, dog",
        ),
        rows("C1 controls in a label", "0.5,0.5,cat\n0.5,0.5,\u{9b}31mdog\n", "p.csv:3: column label is \"\\u{9b}31mdog\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("a delete in a label", "0.5,0.5,cat\n0.5,0.5,dog\u{7f}\u{8}\u{8}\n", "p.csv:3: column label is \"dog\\u{7f}\\u{8}\\u{8}\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows(
            "a script in a label",
            "0.5,0.5,cat\n0.5,0.5,</script><script>alert(1)</script>\n",
            "p.csv:3: column label is \"</script><script>alert(1)</script>\", which is not a class",
            "classes are named by the prediction columns: the classes are cat, dog",
        ),
        rows("zero-width characters in a label", "0.5,0.5,cat\n0.5,0.5,d\u{200b}og\n", "p.csv:3: column label is \"d\\u{200b}og\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        score(
            "ANSI in a column name",
            "p.csv",
            "p_\u{1b}[2Jcat,p_dog,label\n0.5,0.6,dog\n1.5,0,dog\n",
            "p.csv:2: the probabilities sum to 1.1, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?",
        ),
        score(
            "ANSI in a class",
            "p.csv",
            "p_\u{1b}[2Jcat,p_dog,label\n0.5,0.5,x\n0.5,0.5,dog\n",
            "p.csv:2: column label is \"x\", which is not a class",
            "classes are named by the prediction columns: the classes are \\u{1b}[2Jcat, dog",
        ),
        score(
            "an override in a column name",
            "p.csv",
            "p_\u{202e}cat,p_dog,label\nx,0.5,dog\n",
            "p.csv:2: column p_\\u{202e}cat is \"x\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        score(
            "a line end in a column name",
            "p.csv",
            "\"p_a\nerror: x\",p_dog,label\nx,0.5,dog\n",
            "p.csv:3: column p_a\\nerror: x is \"x\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        score("ANSI in the columns of a hint", "p.csv", "\u{1b}[31ma,b\n1,2\n", "p.csv: no prediction columns found", "name them with --proba, such as --proba 'p_*'; the columns are \\u{1b}[31ma, b"),
        score("ANSI in a name twice", "p.csv", "\u{1b}[31m,\u{1b}[31m\n1,2\n", "p.csv:1: columns 1 and 2 are both named \"\\u{1b}[31m\"", "give every column its own name"),
        score(
            "ANSI in a JSON key",
            "p.jsonl",
            "{\"p_\\u001b[31ma\":0.5,\"p_b\":0.6,\"y\":\"b\"}\n",
            "p.jsonl:1: the probabilities sum to 1.1, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?",
        ),
        score(
            "ANSI in broken JSON",
            "p.jsonl",
            "{\"p_\u{1b}[31ma\":0.5,\"p_b\":0.6,\"y\":\"b\"}\n",
            "p.jsonl:1: is not valid JSON at character 5: control character (\\u0000-\\u001F) found while parsing a string",
            "each line must hold one JSON object",
        ),
        case("ANSI in an option", "score p.csv --label \u{1b}[31mx", "p.csv: there is no column \\u{1b}[31mx", "the columns are p_a, p_b, y")
            .file("p.csv", "p_a,p_b,y\n.5,.5,a\n"),
        case("ANSI in a file's name", "score \u{1b}[31mx.csv", "\\u{1b}[31mx.csv: is no valid pattern: invalid range pattern", "write [[] for a bracket in a file's name"),
        case("ANSI in a bad file's name", "score \u{1b}[31mx.csv", "\\u{1b}[31mx.csv:2: the probabilities sum to 1.4, not 1", "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?")
            .file("\u{1b}[31mx.csv", "p_a,p_b,y\n.5,.9,a\n"),
        case("ANSI in an unknown option", "score p.csv --\u{1b}[31mx", "unexpected argument '--x' found", "see xent score --help"),
        case("ANSI in an option's value", "score p.csv --sums \u{1b}[31mx", "invalid value 'x' for '--sums <SUMS>'", "the choices are strict, normalize, as-is"),
        case("ANSI in a condition", "score p.csv --fail-if '\u{1b}[31mx > 1'", "there is no score \"\\u{1b}[31mx\" in the condition \"\\u{1b}[31mx > 1\"", "the scores are error_rate, mse, brier_half, cross_entropy, log_loss, perplexity and, with --top-k, top_K_error"),
        case("ANSI in a calculator's number", "info entropy \u{1b}[31m0.5", "\"\\u{1b}[31m0.5\" is not a number", "numbers are written 0.75,0.25; for columns of a file add --file FILE"),
        case("ANSI in ids", "compare a.csv b.csv --id id", "no id occurs under every model", "the first id is \"\\u{1b}[31m1\" in a.csv and \"2\" in b.csv")
            .file("a.csv", "id,p_a,p_b,y\n\u{1b}[31m1,.5,.5,a\n")
            .file("b.csv", "id,p_a,p_b,y\n2,.5,.5,a\n"),
        case("ANSI in labels that differ", "compare a.csv b.csv", "the labels differ in row 1: \"\\u{1b}[31ma\" in a.csv, \"b\" in b.csv", "models are compared on the same rows; match rows by a column with --id")
            .file("a.csv", "p_\u{1b}[31ma,p_b,y\n.5,.5,\u{1b}[31ma\n.5,.5,b\n")
            .file("b.csv", "p_\u{1b}[31ma,p_b,y\n.5,.5,b\n.5,.5,b\n"),
    ]
}
