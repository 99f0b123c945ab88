//! Labels, and which columns hold them.

use super::{Case, rows, score};

pub fn cases() -> Vec<Case> {
    let many: String = (0..50).map(|i| format!("p_c{i},")).collect();
    let even: String = "0.02,".repeat(50);
    vec![
        rows("an unknown class", "0.5,0.5,cat\n0.5,0.5,dgo\n", "p.csv:3: column label is \"dgo\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("another case", "0.5,0.5,cat\n0.5,0.5,Dog\n", "p.csv:3: column label is \"Dog\", which is not a class", "did you mean dog? the classes are cat, dog"),
        rows("an empty label", "0.5,0.5,cat\n0.5,0.5,\n", "p.csv:3: column label is empty", "leave such rows out with --missing drop"),
        rows("a label of blanks", "0.5,0.5,cat\n0.5,0.5,\"  \"\n", "p.csv:3: column label is empty", "leave such rows out with --missing drop"),
        rows("a label with a dot", "0.5,0.5,cat\n0.5,0.5,dog.\n", "p.csv:3: column label is \"dog.\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows(
            "a label with a trailing no-break space",
            "0.5,0.5,cat\n0.5,0.5,dog\u{a0}x\n",
            "p.csv:3: column label is \"dog x\", which is not a class",
            "classes are named by the prediction columns: the classes are cat, dog",
        ),
        rows("a label in another writing", "0.5,0.5,cat\n0.5,0.5,ＤＯＧ\n", "p.csv:3: column label is \"ＤＯＧ\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("a label with another accent", "0.5,0.5,cat\n0.5,0.5,do\u{301}g\n", "p.csv:3: column label is \"dóg\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("a number for a name", "0.5,0.5,0\n0.5,0.5,1\n", "p.csv:2: column label is \"0\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows("no label is a class", "0.5,0.5,x\n0.5,0.5,y\n", "p.csv:2: column label is \"x\", which is not a class", "classes are named by the prediction columns: the classes are cat, dog"),
        rows(
            "a label of 1 MB",
            &format!("0.5,0.5,cat\n0.5,0.5,{}\n", "x".repeat(1_000_000)),
            "p.csv:3: column label is \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\", which is not a class",
            "classes are named by the prediction columns: the classes are cat, dog",
        ),
        score(
            "a class without a column",
            "p.csv",
            "p_cat,p_dog,label\n.5,.5,cat\n.5,.5,horse\n",
            "p.csv:3: column label is \"horse\", which is not a class",
            "classes are named by the prediction columns: the classes are cat, dog",
        ),
        score(
            "an unknown class among fifty",
            "p.csv",
            format!("{many}y\n{even}c3\n{even}c50\n"),
            "p.csv:3: column y is \"c50\", which is not a class",
            "classes are named by the prediction columns: the classes are c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, …",
        ),
        score(
            "a label beyond the classes",
            "p.csv",
            "p_0,p_1,p_2,y\n.2,.3,.5,2\n.2,.3,.5,3\n",
            "p.csv:3: column y is \"3\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1, 2",
        ),
        score(
            "labels that count from 1",
            "p.jsonl",
            "{\"p\":[.5,.5],\"y\":1}\n{\"p\":[.5,.5],\"y\":2}\n".replace("[.5,.5]", "[0.5,0.5]"),
            "p.jsonl:2: column y is \"2\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1",
        ),
        score("a negative label", "p.csv", "p_0,p_1,y\n.5,.5,0\n.5,.5,-1\n", "p.csv:3: column y is \"-1\", which is not a class", "classes are named by the prediction columns: the classes are 0, 1"),
        score("a label between two classes", "p.csv", "p_0,p_1,y\n.5,.5,0\n.5,.5,0.5\n", "p.csv:3: column y is \"0.5\", which is not a class", "classes are named by the prediction columns: the classes are 0, 1"),
        score("a third label for one column", "p.csv", "p,y\n.5,0\n.5,1\n.5,2\n", "p.csv: column p does not say which class it is about", "name the positive class with --positive"),
        score(
            "a label that is neither yes nor no",
            "p.csv",
            "p_yes,y\n.5,no\n.5,yes\n.5,maybe\n",
            "p.csv:4: column y is \"maybe\", which is not a class",
            "classes are named by the prediction columns: the classes are no, yes",
        ),
        score("minus one for no", "p.csv", "p,y\n.5,-1\n.5,1\n", "p.csv: column p does not say which class it is about", "name the positive class with --positive"),
        score("no label column", "p.csv", "p_cat,p_dog\n0.5,0.5\n", "p.csv: no label column found", "name it with --label; the columns are p_cat, p_dog"),
        score("no label among numbers", "p.csv", "p_cat,p_dog,age\n0.5,0.5,33\n", "p.csv: no label column found", "name it with --label; the columns are p_cat, p_dog, age"),
        score(
            "two columns that could be the label",
            "p.csv",
            "p_cat,p_dog,a,b\n.5,.5,cat,dog\n.5,.5,dog,dog\n",
            "p.csv: columns a and b both hold class names",
            "name the label with --label",
        ),
        score(
            "two columns with a label's name",
            "p.csv",
            "p_cat,p_dog,label,target\n.5,.5,cat,dog\n",
            "p.csv: columns label and target could both be the label",
            "name it with --label",
        ),
        score("no predictions", "p.csv", "id,label\n1,cat\n2,dog\n", "p.csv: no prediction columns found", "name them with --proba, such as --proba 'p_*'; the columns are id, label"),
        score(
            "predictions under unknown names",
            "p.csv",
            "first,second,label\n.5,.5,cat\n.5,.5,dog\n",
            "p.csv: no prediction columns found",
            "name them with --proba, such as --proba 'p_*'; the columns are first, second, label",
        ),
        score(
            "two sets of predictions",
            "p.csv",
            "p_a,p_b,prob_a,prob_b,y\n.5,.5,.5,.5,a\n",
            "p.csv: both p_a and prob_a could be predictions",
            "name them with --proba",
        ),
        score(
            "two list columns",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"q\":[0.5,0.5],\"y\":0}\n",
            "p.jsonl: several columns are lists of numbers",
            "name the predictions with --proba",
        ),
        score("one column that names no class", "p.csv", "score,y\n0.5,cat\n0.5,dog\n", "p.csv: column score does not say which class it is about", "name the positive class with --positive"),
        score("two columns for one class", "p.csv", "p_1,p_1.0,y\n0.5,0.5,1\n", "p.csv: class 1 has two prediction columns", "name the columns with --proba"),
    ]
}
