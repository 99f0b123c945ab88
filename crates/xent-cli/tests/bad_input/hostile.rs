//! Names and values that would take over a terminal.

use super::{Case, case, rows, score};

pub fn cases() -> Vec<Case> {
    let link = "\u{1b}]8;;http://example.com\u{1b}\\cat\u{1b}]8;;\u{1b}\\";
    vec![
        rows("ANSI colour in a label", "0.5,0.5,cat\n0.5,0.5,\u{1b}[31mdog\u{1b}[0m\n", "?", "?"),
        rows("a link in a label", &format!("0.5,0.5,cat\n0.5,0.5,{link}\n"), "?", "?"),
        rows("a title in a number", "0.5,0.5,cat\n\u{1b}]0;owned\u{7},0.5,cat\n", "?", "?"),
        rows("a direction override in a label", "0.5,0.5,cat\n0.5,0.5,\u{202e}tac\n", "?", "?"),
        rows("isolates in a label", "0.5,0.5,cat\n0.5,0.5,\u{2066}cat\u{2069}\n", "?", "?"),
        rows(
            "a quoted line end in a label",
            "0.5,0.5,cat\n0.5,0.5,\"x\nerror: all is well\"\n",
            "?",
            "?",
        ),
        rows("C1 controls in a label", "0.5,0.5,cat\n0.5,0.5,\u{9b}31mdog\n", "?", "?"),
        rows("a delete in a label", "0.5,0.5,cat\n0.5,0.5,dog\u{7f}\u{8}\u{8}\n", "?", "?"),
        rows(
            "a script in a label",
            "0.5,0.5,cat\n0.5,0.5,</script><script>alert(1)</script>\n",
            "?",
            "?",
        ),
        rows("zero-width characters in a label", "0.5,0.5,cat\n0.5,0.5,d\u{200b}og\n", "?", "?"),
        score(
            "ANSI in a column name",
            "p.csv",
            "p_\u{1b}[2Jcat,p_dog,label\n0.5,0.6,dog\n1.5,0,dog\n",
            "?",
            "?",
        ),
        score(
            "ANSI in a class",
            "p.csv",
            "p_\u{1b}[2Jcat,p_dog,label\n0.5,0.5,x\n0.5,0.5,dog\n",
            "?",
            "?",
        ),
        score(
            "an override in a column name",
            "p.csv",
            "p_\u{202e}cat,p_dog,label\nx,0.5,dog\n",
            "?",
            "?",
        ),
        score(
            "a line end in a column name",
            "p.csv",
            "\"p_a\nerror: x\",p_dog,label\nx,0.5,dog\n",
            "?",
            "?",
        ),
        score("ANSI in the columns of a hint", "p.csv", "\u{1b}[31ma,b\n1,2\n", "?", "?"),
        score("ANSI in a name twice", "p.csv", "\u{1b}[31m,\u{1b}[31m\n1,2\n", "?", "?"),
        score(
            "ANSI in a JSON key",
            "p.jsonl",
            "{\"p_\\u001b[31ma\":0.5,\"p_b\":0.6,\"y\":\"b\"}\n",
            "?",
            "?",
        ),
        score(
            "ANSI in broken JSON",
            "p.jsonl",
            "{\"p_\u{1b}[31ma\":0.5,\"p_b\":0.6,\"y\":\"b\"}\n",
            "?",
            "?",
        ),
        case("ANSI in an option", "score p.csv --label \u{1b}[31mx", "?", "?")
            .file("p.csv", "p_a,p_b,y\n.5,.5,a\n"),
        case("ANSI in a file's name", "score \u{1b}[31mx.csv", "?", "?"),
        case("ANSI in a bad file's name", "score \u{1b}[31mx.csv", "?", "?")
            .file("\u{1b}[31mx.csv", "p_a,p_b,y\n.5,.9,a\n"),
        case("ANSI in an unknown option", "score p.csv --\u{1b}[31mx", "?", "?"),
        case("ANSI in an option's value", "score p.csv --sums \u{1b}[31mx", "?", "?"),
        case("ANSI in a condition", "score p.csv --fail-if '\u{1b}[31mx > 1'", "?", "?"),
        case("ANSI in a calculator's number", "info entropy \u{1b}[31m0.5", "?", "?"),
        case("ANSI in ids", "compare a.csv b.csv --id id", "?", "?")
            .file("a.csv", "id,p_a,p_b,y\n\u{1b}[31m1,.5,.5,a\n")
            .file("b.csv", "id,p_a,p_b,y\n2,.5,.5,a\n"),
        case("ANSI in labels that differ", "compare a.csv b.csv", "?", "?")
            .file("a.csv", "p_\u{1b}[31ma,p_b,y\n.5,.5,\u{1b}[31ma\n.5,.5,b\n")
            .file("b.csv", "p_\u{1b}[31ma,p_b,y\n.5,.5,b\n.5,.5,b\n"),
    ]
}
