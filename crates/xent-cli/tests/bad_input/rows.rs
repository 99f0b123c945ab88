//! Rows of probabilities, and weights.

use super::{Case, case, rows, score};

/// Three good rows, then one with a weight.
fn weight(name: &str, value: &str, error: &str, hint: &str) -> Case {
    let text = format!("p_cat,p_dog,label,w\n0.5,0.5,cat,1\n0.5,0.5,cat,2\n0.5,0.5,cat,{value}\n");
    score(name, "p.csv", text, error, hint).with("--weight w")
}

pub fn cases() -> Vec<Case> {
    vec![
        rows("a sum of 1.02", "0.5,0.5,cat\n0.52,0.5,cat\n", "?", "?"),
        rows("a sum of 0.98", "0.5,0.5,cat\n0.48,0.5,cat\n", "?", "?"),
        rows("a sum off by 1e-2 and a bit", "0.5,0.5,cat\n0.5101,0.5,cat\n", "?", "?"),
        rows("a negative probability", "0.5,0.5,cat\n-0.1,1.1,cat\n", "?", "?"),
        rows("a slightly negative probability", "0.5,0.5,cat\n1,-1e-12,cat\n", "?", "?"),
        rows("a probability above 1", "0.5,0.5,cat\n1.2,0,cat\n", "?", "?"),
        rows("all zero", "0.5,0.5,cat\n0,0,cat\n", "?", "?"),
        rows("all one", "0.5,0.5,cat\n1,1,cat\n", "?", "?"),
        rows("logits", "2.5,-1.25,cat\n-0.5,3,dog\n", "?", "?"),
        rows("logarithms", "-0.69,-0.69,cat\n-1.2,-0.35,dog\n", "?", "?"),
        rows("percentages", "60,40,cat\n30,70,dog\n", "?", "?"),
        rows("one row of percentages", "0.5,0.5,cat\n60,40,cat\n", "?", "?"),
        rows("counts", "3,7,cat\n9,1,dog\n", "?", "?"),
        rows("all zero cannot be normalized", "0.5,0.5,cat\n0,0,cat\n", "?", "?")
            .with("--sums normalize"),
        rows("a negative cannot be normalized", "0.5,0.5,cat\n-1,2,cat\n", "?", "?")
            .with("--sums normalize"),
        rows("above 1 cannot stand as it is", "0.5,0.5,cat\n1.5,0.5,cat\n", "?", "?")
            .with("--sums as-is"),
        rows("clipping does not hide a negative", "0.5,0.5,cat\n-0.1,1.1,cat\n", "?", "?")
            .with("--clip 0.001"),
        rows(
            "a bad row far down",
            &format!("{}0.9,0.9,dog\n", "0.5,0.5,cat\n".repeat(30_000)),
            "?",
            "?",
        ),
        rows("the first of two bad rows", "0.5,0.5,cat\n2,0,cat\n-1,2,cat\n", "?", "?"),
        score(
            "a class column is missing",
            "p.csv",
            "p_a,p_b,label\n0.2,0.3,a\n0.1,0.2,b\n",
            "?",
            "?",
        ),
        score(
            "a class column is missing by name",
            "p.csv",
            "a,b,label\n0.2,0.3,a\n0.1,0.2,b\n",
            "?",
            "?",
        ),
        score("a positive column above 1", "p.csv", "p,y\n0.5,1\n1.5,0\n", "?", "?"),
        score("a positive column of percentages", "p.csv", "p,y\n50,1\n15,0\n", "?", "?"),
        score(
            "a list that does not sum to 1",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,0.4],\"y\":1}\n",
            "?",
            "?",
        ),
        score(
            "a list with a number above 1",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,1.5],\"y\":1}\n",
            "?",
            "?",
        ),
        score(
            "soft targets that do not sum to 1",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,.5,.5\n.5,.5,.5,.4\n",
            "?",
            "?",
        )
        .with("--targets t_*"),
        score(
            "a soft target above 1",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,.5,.5\n.5,.5,1.5,-.5\n",
            "?",
            "?",
        )
        .with("--targets t_*"),
        score(
            "a soft target that is blank",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,.5,.5\n.5,.5,1,\n",
            "?",
            "?",
        )
        .with("--targets t_*"),
        score(
            "one-hot rows of zeros",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,1,0\n.5,.5,0,0\n",
            "?",
            "?",
        )
        .with("--targets t_*"),
        score(
            "one-hot rows with two ones",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,1,0\n.5,.5,1,1\n",
            "?",
            "?",
        )
        .with("--targets t_*"),
        score("targets for other classes", "p.csv", "p_a,p_b,t_a,t_c\n.5,.5,1,0\n", "?", "?")
            .with("--targets t_*"),
        score(
            "fewer targets than classes",
            "p.csv",
            "p_a,p_b,p_c,t_a,t_b\n.5,.3,.2,1,0\n",
            "?",
            "?",
        )
        .with("--targets t_*"),
        weight("a negative weight", "-1", "?", "?"),
        weight("a weight that is NaN", "NaN", "?", "?"),
        weight("a blank weight", "", "?", "?"),
        weight("an infinite weight", "inf", "?", "?"),
        weight("a weight that is text", "heavy", "?", "?"),
        weight("a weight beyond 1e15", "1e16", "?", "?"),
        weight("a weight beyond any number", "1e400", "?", "?"),
        score("all weights 0", "p.csv", "p_a,p_b,y,w\n.5,.5,a,0\n.5,.5,b,0\n", "?", "?")
            .with("--weight w"),
        score("a text column as weights", "p.csv", "p_a,p_b,y,w\n.5,.5,a,x\n.5,.5,b,z\n", "?", "?")
            .with("--weight w"),
        case("a bad row under one of two models", "compare a.csv b.csv", "?", "?")
            .file("a.csv", "p_a,p_b,y\n.5,.5,a\n.5,.5,b\n")
            .file("b.csv", "p_a,p_b,y\n.5,.5,a\n.5,.9,b\n"),
    ]
}
