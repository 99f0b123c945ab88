//! Options that do not fit the files or each other.

use super::{Case, case};

const THREE: &str = "id,p_a,p_b,p_c,y,w\n1,.2,.3,.5,a,1\n2,.2,.3,.5,b,1\n";

fn three(name: &str, args: &str, error: &str, hint: &str) -> Case {
    case(name, format!("score p.csv {args}"), error, hint).file("p.csv", THREE)
}

fn one(name: &str, args: &str, error: &str, hint: &str) -> Case {
    case(name, format!("score p.csv {args}"), error, hint).file("p.csv", "p,y\n.2,no\n.3,yes\n")
}

pub fn cases() -> Vec<Case> {
    vec![
        three("no such label", "--label party", "?", "?"),
        three("no such weight", "--weight heavy", "?", "?"),
        three("no such slice", "--by region", "?", "?"),
        three("no such id", "--id key", "?", "?"),
        three("no such predictions", "--proba 'q_*'", "?", "?"),
        three("no such prediction", "--proba p_a,p_b,p_d", "?", "?"),
        three("no such targets", "--targets 't_*'", "?", "?"),
        three("another case of a column", "--label Y", "?", "?"),
        three("a bad pattern", "--proba 'p_['", "?", "?"),
        three("an empty pattern", "--proba ''", "?", "?"),
        three("a label of numbers", "--label id", "?", "?"),
        three("predictions of text", "--proba y,p_a", "?", "?"),
        three("a prediction for the label itself", "--proba p_a,p_b --label p_c", "?", "?"),
        three("too few predictions", "--proba p_a,p_b", "?", "?"),
        three("too large a k", "--top-k 9", "?", "?"),
        three("one k of two too large", "--top-k 2,4", "?", "?"),
        three("a k of 0", "--top-k 0", "?", "?"),
        three("a k of text", "--top-k few", "?", "?"),
        three("too few class names", "--classes a,b", "?", "?"),
        three("too many class names", "--classes a,b,c,d", "?", "?"),
        three("a class name twice", "--classes a,b,a", "?", "?"),
        three("class names that no label has", "--classes x,y,z", "?", "?"),
        three("a condition without a sign", "--fail-if cross_entropy", "?", "?"),
        three("a condition on no score", "--fail-if 'entropy > 1'", "?", "?"),
        three("a condition without a number", "--fail-if 'cross_entropy > high'", "?", "?"),
        three("a condition on NaN", "--fail-if 'cross_entropy > nan'", "?", "?"),
        three("a condition with two signs", "--fail-if 'cross_entropy >> 1'", "?", "?"),
        three("a condition on a k not asked for", "--fail-if 'top_2_error > 1'", "?", "?"),
        three("a condition of compare", "--fail-if worse", "?", "?"),
        three("a clip of 1", "--clip 1", "?", "?"),
        three("a clip of text", "--clip x", "?", "?"),
        three("a negative clip", "--clip=-0.1", "?", "?"),
        three("a smoothing of 1", "--label-smoothing 1", "?", "?"),
        three("a level of 95", "--level 95", "?", "?"),
        three("no threads", "--threads 0", "?", "?"),
        three("too many threads", "--threads 5000", "?", "?"),
        three("an unknown option", "--lable y", "?", "?"),
        three("an unknown sums", "--sums loose", "?", "?"),
        three("an unknown input", "--input odds", "?", "?"),
        three("an option without a value", "--weight", "?", "?"),
        three("label and targets", "--label y --targets 't_*'", "?", "?"),
        three("models and predictions", "--models 'm=p_*' --proba 'p_*'", "?", "?"),
        three("a bad model", "--models 'p_*'", "?", "?"),
        three("a model without a name", "--models '=p_*'", "?", "?"),
        three("a model of one name twice", "--models 'm=p_*,m=p_*'", "?", "?"),
        three("normalized logits", "--input logits --sums normalize", "?", "?"),
        three("logits that have no such columns", "--input logits", "?", "?"),
        one("a positive class that nothing names", "", "?", "?"),
        one("a positive class that is no label", "--positive maybe", "?", "?"),
        one("one class name for one column", "--classes yes", "?", "?"),
        one("three class names for one column", "--classes no,yes,maybe", "?", "?"),
        one("class names that are not the labels", "--classes 0,1", "?", "?"),
        three("a positive class among three columns", "--positive a", "?", "?"),
        case("no file", "score", "?", "?"),
        case("an unknown command", "scores p.csv", "?", "?"),
        case("a baseline of score", "score p.csv --baseline a", "?", "?").file("p.csv", THREE),
        case("a confusion matrix of compare", "compare p.csv p.csv --confusion", "?", "?")
            .file("p.csv", THREE),
        case("too many slices", "score p.csv --by id", "?", "?").file(
            "p.csv",
            (0..20_000).fold("id,p_a,p_b,y\n".to_owned(), |text, i| format!("{text}{i},.5,.5,a\n")),
        ),
        case("an unknown calculator", "info entropie 0.5 0.5", "?", "?"),
        case("an unknown base", "info entropy 0.5 0.5 --base 3", "?", "?"),
        case("one argument of two", "info kl 0.5,0.5", "?", "?"),
    ]
}
