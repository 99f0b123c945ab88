//! Rows of probabilities, and weights.

use super::{Case, case, rows, score};

/// Three good rows, then one with a weight.
fn weight(name: &str, value: &str, error: &str, hint: &str) -> Case {
    let text = format!("p_cat,p_dog,label,w\n0.5,0.5,cat,1\n0.5,0.5,cat,2\n0.5,0.5,cat,{value}\n");
    score(name, "p.csv", text, error, hint).with("--weight w")
}

pub fn cases() -> Vec<Case> {
    vec![
        rows("a sum of 1.02", "0.5,0.5,cat\n0.52,0.5,cat\n", "p.csv:3: the probabilities sum to 1.02, not 1", "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?"),
        rows("a sum of 0.98", "0.5,0.5,cat\n0.48,0.5,cat\n", "p.csv:3: the probabilities sum to 0.98, not 1", "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is a class column missing?"),
        rows("a sum off by 1e-2 and a bit", "0.5,0.5,cat\n0.5101,0.5,cat\n", "p.csv:3: the probabilities sum to 1.0101, not 1", "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?"),
        rows("a negative probability", "0.5,0.5,cat\n-0.1,1.1,cat\n", "p.csv:3: column p_cat is -0.1, not a probability", "for scores before a softmax use --input logits, for logarithms --input log-probabilities"),
        rows("a slightly negative probability", "0.5,0.5,cat\n1,-1e-12,cat\n", "p.csv:3: column p_dog is -0.000000000001, not a probability", "for scores before a softmax use --input logits, for logarithms --input log-probabilities"),
        rows("a probability above 1", "0.5,0.5,cat\n1.2,0,cat\n", "p.csv:3: column p_cat is 1.2, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        rows("all zero", "0.5,0.5,cat\n0,0,cat\n", "p.csv:3: the probabilities sum to 0, not 1", "a row of zeros predicts nothing: leave it out, or write its probabilities"),
        rows("all one", "0.5,0.5,cat\n1,1,cat\n", "p.csv:3: the probabilities sum to 2, not 1", "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?"),
        rows("logits", "2.5,-1.25,cat\n-0.5,3,dog\n", "p.csv:2: column p_cat is 2.5, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        rows("logarithms", "-0.69,-0.69,cat\n-1.2,-0.35,dog\n", "p.csv:2: column p_cat is -0.69, not a probability", "these look like logarithms of probabilities: with --input log-probabilities the cross entropy of the first 2 rows is 0.750 bits"),
        rows("percentages", "60,40,cat\n30,70,dog\n", "p.csv:2: column p_cat is 60, not a probability", "these look like percentages: divide them by 100; read so, the cross entropy of the first 2 rows is 0.626 bits"),
        rows("one row of percentages", "0.5,0.5,cat\n60,40,cat\n", "p.csv:3: column p_cat is 60, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        rows(
            "logits that know the labels",
            &"4.5,-1.25,cat\n-0.5,3,dog\n".repeat(20),
            "p.csv:2: column p_cat is 4.5, not a probability",
            "these look like logits, scores before a softmax: with --input logits the cross entropy of the first 40 rows is 0.024 bits",
        ),
        score(
            "labels that count from 1",
            "p.csv",
            format!("p_0,p_1,label\n{}", "0.9,0.1,1\n0.25,0.75,2\n".repeat(600)),
            "p.csv:3: column label is \"2\", which is not a class",
            "the labels look off by one: with 1 taken from each, the cross entropy of the first 1,000 rows is 0.284 bits",
        ),
        score(
            "percentages in one column",
            "p.csv",
            format!("p,label\n{}", "90,1\n20,0\n5,0\n".repeat(12)),
            "p.csv:2: column p is 90, not a probability",
            "these look like percentages: divide them by 100; read so, the cross entropy of the first 36 rows is 0.183 bits",
        ),
        rows("counts", "3,7,cat\n9,1,dog\n", "p.csv:2: column p_cat is 3, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        rows("all zero cannot be normalized", "0.5,0.5,cat\n0,0,cat\n", "p.csv:3: the probabilities sum to 0, not 1", "a row of zeros predicts nothing: leave it out, or write its probabilities")
            .with("--sums normalize"),
        rows("a negative cannot be normalized", "0.5,0.5,cat\n-1,2,cat\n", "p.csv:3: column p_cat is -1, not a probability", "for scores before a softmax use --input logits, for logarithms --input log-probabilities")
            .with("--sums normalize"),
        rows("above 1 cannot stand as it is", "0.5,0.5,cat\n1.5,0.5,cat\n", "p.csv:3: column p_cat is 1.5, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100")
            .with("--sums as-is"),
        rows("clipping does not hide a negative", "0.5,0.5,cat\n-0.1,1.1,cat\n", "p.csv:3: column p_cat is -0.1, not a probability", "for scores before a softmax use --input logits, for logarithms --input log-probabilities")
            .with("--clip 0.001"),
        rows(
            "a bad row far down",
            &format!("{}0.9,0.9,dog\n", "0.5,0.5,cat\n".repeat(30_000)),
            "p.csv:30002: the probabilities sum to 1.8, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?",
        ),
        rows("the first of two bad rows", "0.5,0.5,cat\n2,0,cat\n-1,2,cat\n", "p.csv:3: column p_cat is 2, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        score(
            "a class column is missing",
            "p.csv",
            "p_a,p_b,label\n0.2,0.3,a\n0.1,0.2,b\n",
            "p.csv:2: the probabilities sum to 0.5, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is a class column missing?",
        ),
        score(
            "a class column is missing by name",
            "p.csv",
            "a,b,label\n0.2,0.3,a\n0.1,0.2,b\n",
            "p.csv: no prediction columns found: the columns named as labels do not sum to 1",
            "name them with --proba; the columns are a, b, label",
        ),
        score("a positive column above 1", "p.csv", "p,y\n0.5,1\n1.5,0\n", "p.csv:3: column p is 1.5, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        score("a positive column of percentages", "p.csv", "p,y\n50,1\n15,0\n", "p.csv:2: column p is 50, not a probability", "for scores before a softmax use --input logits; percentages must be divided by 100"),
        score(
            "a list that does not sum to 1",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,0.4],\"y\":1}\n",
            "p.jsonl:2: the probabilities sum to 0.9, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is a class column missing?",
        ),
        score(
            "a list with a number above 1",
            "p.jsonl",
            "{\"p\":[0.5,0.5],\"y\":0}\n{\"p\":[0.5,1.5],\"y\":1}\n",
            "p.jsonl:2: column p at position 1 is 1.5, not a probability",
            "for scores before a softmax use --input logits; percentages must be divided by 100",
        ),
        score(
            "soft targets that do not sum to 1",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,.5,.5\n.5,.5,.5,.4\n",
            "p.csv:3: the targets sum to 0.9, not 1",
            "soft targets are probabilities over the classes",
        )
        .with("--targets t_*"),
        score(
            "a soft target above 1",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,.5,.5\n.5,.5,1.5,-.5\n",
            "p.csv:3: column t_a is 1.5, not a probability",
            "soft targets are probabilities over the classes",
        )
        .with("--targets t_*"),
        score(
            "a soft target that is blank",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,.5,.5\n.5,.5,1,\n",
            "p.csv:3: column t_b is empty",
            "leave such rows out with --missing drop",
        )
        .with("--targets t_*"),
        score(
            "one-hot rows of zeros",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,1,0\n.5,.5,0,0\n",
            "p.csv:3: the targets sum to 0, not 1",
            "soft targets are probabilities over the classes",
        )
        .with("--targets t_*"),
        score(
            "one-hot rows with two ones",
            "p.csv",
            "p_a,p_b,t_a,t_b\n.5,.5,1,0\n.5,.5,1,1\n",
            "p.csv:3: the targets sum to 2, not 1",
            "soft targets are probabilities over the classes",
        )
        .with("--targets t_*"),
        score("targets for other classes", "p.csv", "p_a,p_b,t_a,t_c\n.5,.5,1,0\n", "p.csv: there is no column for class b", "the classes are a, b")
            .with("--targets t_*"),
        score(
            "fewer targets than classes",
            "p.csv",
            "p_a,p_b,p_c,t_a,t_b\n.5,.3,.2,1,0\n",
            "p.csv: there is no column for class c",
            "the classes are a, b, c",
        )
        .with("--targets t_*"),
        weight("a negative weight", "-1", "p.csv:4: column w is -1, not a weight", "weights are numbers from 0 to 1e15"),
        weight("a weight that is NaN", "NaN", "p.csv:4: column w is NaN", "leave such rows out with --missing drop"),
        weight("a blank weight", "", "p.csv:4: column w is empty", "leave such rows out with --missing drop"),
        weight("an infinite weight", "inf", "p.csv:4: column w is inf, not a weight", "weights are numbers from 0 to 1e15"),
        weight("a weight that is text", "heavy", "p.csv:4: column w is \"heavy\", not a number", "leave a missing value empty, or write NaN"),
        weight("a weight beyond 1e15", "1e16", "p.csv:4: column w is 10000000000000000, not a weight", "weights are numbers from 0 to 1e15"),
        weight("a weight beyond any number", "1e400", "p.csv:4: column w is \"1e400\", too large for a 64-bit number", "write inf if infinity is meant"),
        score("all weights 0", "p.csv", "p_a,p_b,y,w\n.5,.5,a,0\n.5,.5,b,0\n", "p.csv: all weights are 0", "at least one row needs a positive weight")
            .with("--weight w"),
        score("a text column as weights", "p.csv", "p_a,p_b,y,w\n.5,.5,a,x\n.5,.5,b,z\n", "p.csv:2: column w is \"x\", not a number", "leave a missing value empty, or write NaN")
            .with("--weight w"),
        case("a bad row under one of two models", "compare a.csv b.csv", "b.csv:3: the probabilities sum to 1.4, not 1", "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?")
            .file("a.csv", "p_a,p_b,y\n.5,.5,a\n.5,.5,b\n")
            .file("b.csv", "p_a,p_b,y\n.5,.5,a\n.5,.9,b\n"),
    ]
}
