//! Labels, and which columns hold them.

use super::{Case, rows, score};

pub fn cases() -> Vec<Case> {
    let many: String = (0..50).map(|i| format!("p_c{i},")).collect();
    let even: String = "0.02,".repeat(50);
    vec![
        rows("an unknown class", "0.5,0.5,cat\n0.5,0.5,dgo\n", "?", "?"),
        rows("another case", "0.5,0.5,cat\n0.5,0.5,Dog\n", "?", "?"),
        rows("an empty label", "0.5,0.5,cat\n0.5,0.5,\n", "?", "?"),
        rows("a label of blanks", "0.5,0.5,cat\n0.5,0.5,\"  \"\n", "?", "?"),
        rows("a label with a dot", "0.5,0.5,cat\n0.5,0.5,dog.\n", "?", "?"),
        rows(
            "a label with a trailing no-break space",
            "0.5,0.5,cat\n0.5,0.5,dog\u{a0}x\n",
            "?",
            "?",
        ),
        rows("a label in another writing", "0.5,0.5,cat\n0.5,0.5,ＤＯＧ\n", "?", "?"),
        rows("a label with another accent", "0.5,0.5,cat\n0.5,0.5,do\u{301}g\n", "?", "?"),
        rows("a number for a name", "0.5,0.5,0\n0.5,0.5,1\n", "?", "?"),
        rows("no label is a class", "0.5,0.5,x\n0.5,0.5,y\n", "?", "?"),
        rows(
            "a label of 1 MB",
            &format!("0.5,0.5,cat\n0.5,0.5,{}\n", "x".repeat(1_000_000)),
            "?",
            "?",
        ),
        score(
            "a class without a column",
            "p.csv",
            "p_cat,p_dog,label\n.5,.5,cat\n.5,.5,horse\n",
            "?",
            "?",
        ),
        score(
            "an unknown class among fifty",
            "p.csv",
            format!("{many}y\n{even}c3\n{even}c50\n"),
            "?",
            "?",
        ),
        score(
            "a label beyond the classes",
            "p.csv",
            "p_0,p_1,p_2,y\n.2,.3,.5,2\n.2,.3,.5,3\n",
            "?",
            "?",
        ),
        score(
            "labels that count from 1",
            "p.jsonl",
            "{\"p\":[.5,.5],\"y\":1}\n{\"p\":[.5,.5],\"y\":2}\n".replace("[.5,.5]", "[0.5,0.5]"),
            "?",
            "?",
        ),
        score("a negative label", "p.csv", "p_0,p_1,y\n.5,.5,0\n.5,.5,-1\n", "?", "?"),
        score("a label between two classes", "p.csv", "p_0,p_1,y\n.5,.5,0\n.5,.5,0.5\n", "?", "?"),
        score("a third label for one column", "p.csv", "p,y\n.5,0\n.5,1\n.5,2\n", "?", "?"),
        score(
            "a label that is neither yes nor no",
            "p.csv",
            "p_yes,y\n.5,no\n.5,yes\n.5,maybe\n",
            "?",
            "?",
        ),
        score("minus one for no", "p.csv", "p,y\n.5,-1\n.5,1\n", "?", "?"),
        score("no label column", "p.csv", "p_cat,p_dog\n0.5,0.5\n", "?", "?"),
        score("no label among numbers", "p.csv", "p_cat,p_dog,age\n0.5,0.5,33\n", "?", "?"),
        score(
            "two columns that could be the label",
            "p.csv",
            "p_cat,p_dog,a,b\n.5,.5,cat,dog\n.5,.5,dog,dog\n",
            "?",
            "?",
        ),
        score(
            "two columns with a label's name",
            "p.csv",
            "p_cat,p_dog,label,target\n.5,.5,cat,dog\n",
            "?",
            "?",
        ),
        score("no predictions", "p.csv", "id,label\n1,cat\n2,dog\n", "?", "?"),
        score(
            "predictions under unknown names",
            "p.csv",
            "first,second,label\n.5,.5,cat\n.5,.5,dog\n",
            "?",
            "?",
        ),
        score(
            "two sets of predictions",
            "p.csv",
            "p_a,p_b,prob_a,prob_b,y\n.5,.5,.5,.5,a\n",
            "?",
            "?",
        ),
        score(
            "two list columns",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"q\":[0.5,0.5],\"y\":0}\n",
            "?",
            "?",
        ),
        score("one column that names no class", "p.csv", "score,y\n0.5,cat\n0.5,dog\n", "?", "?"),
        score("two columns for one class", "p.csv", "p_1,p_1.0,y\n0.5,0.5,1\n", "?", "?"),
    ]
}
