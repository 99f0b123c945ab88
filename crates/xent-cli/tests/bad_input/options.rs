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
        three(
            "no such label",
            "--label party",
            "p.csv: there is no column party",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "no such weight",
            "--weight heavy",
            "p.csv: there is no column heavy",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "no such slice",
            "--by region",
            "p.csv: there is no column region",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "no such id",
            "--id key",
            "p.csv: there is no column key",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "no such predictions",
            "--proba 'q_*'",
            "p.csv: no column matches q_*",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "no such prediction",
            "--proba p_a,p_b,p_d",
            "p.csv: no column matches p_d",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "no such targets",
            "--targets 't_*'",
            "p.csv: no column matches t_*",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "another case of a column",
            "--label Y",
            "p.csv: there is no column Y",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "a bad pattern",
            "--proba 'p_['",
            "p.csv: the pattern p_[ is not a glob: invalid range pattern",
            "write a glob such as 'p_*', or a list of column names",
        ),
        three(
            "an empty pattern",
            "--proba ''",
            "p.csv: no column is named",
            "the columns are id, p_a, p_b, p_c, y, w",
        ),
        three(
            "a label of numbers",
            "--label id",
            "p.csv:2: column id is \"1\", which is not a class",
            "if labels count the classes from 0, say their order: --classes a,b,c",
        ),
        three(
            "predictions of text",
            "--proba y,p_a",
            "p.csv:2: column y is \"a\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        three(
            "a prediction for the label itself",
            "--proba p_a,p_b --label p_c",
            "p.csv:2: column p_c is \".5\", which is not a class",
            "classes are named by the prediction columns: the classes are a, b",
        ),
        three(
            "too few predictions",
            "--proba p_a,p_b",
            "p.csv:2: the probabilities sum to 0.5, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is a class column missing?",
        ),
        three(
            "too large a k",
            "--top-k 9",
            "--top-k 9 of p.csv, which has 3 classes",
            "the largest is --top-k 3",
        ),
        three(
            "one k of two too large",
            "--top-k 2,4",
            "--top-k 4 of p.csv, which has 3 classes",
            "the largest is --top-k 3",
        ),
        three(
            "a k of 0",
            "--top-k 0",
            "invalid value '0' for '--top-k <K,…>': 0 is not in 1..=4294967295",
            "see xent score --help",
        ),
        three(
            "a k of text",
            "--top-k few",
            "invalid value 'few' for '--top-k <K,…>': invalid digit found in string",
            "see xent score --help",
        ),
        three(
            "too few class names",
            "--classes a,b",
            "p.csv: 2 classes are named, but there are 3 prediction columns",
            "--classes needs a name for every prediction column",
        ),
        three(
            "too many class names",
            "--classes a,b,c,d",
            "p.csv: 4 classes are named, but there are 3 prediction columns",
            "--classes needs a name for every prediction column",
        ),
        three(
            "a class name twice",
            "--classes a,b,a",
            "p.csv: class a has two prediction columns",
            "name the columns with --proba",
        ),
        three(
            "class names that no label has",
            "--classes x,y,z",
            "p.csv:2: column y is \"a\", which is not a class",
            "classes are named by the prediction columns: the classes are x, y, z",
        ),
        three(
            "a condition without a sign",
            "--fail-if cross_entropy",
            "the condition \"cross_entropy\" has no < or >",
            "write a score, a comparison and a number, as in --fail-if 'cross_entropy > 1.2'",
        ),
        three(
            "a condition on no score",
            "--fail-if 'entropy > 1'",
            "there is no score \"entropy\" in the condition \"entropy > 1\"",
            "the scores are error_rate, mse, brier_half, cross_entropy, log_loss, perplexity and, with --top-k, top_K_error",
        ),
        three(
            "a condition without a number",
            "--fail-if 'cross_entropy > high'",
            "the condition \"cross_entropy > high\" does not end in a number",
            "write a score, a comparison and a number, as in --fail-if 'cross_entropy > 1.2'",
        ),
        three(
            "a condition on NaN",
            "--fail-if 'cross_entropy > nan'",
            "the condition \"cross_entropy > nan\" does not end in a number",
            "write a score, a comparison and a number, as in --fail-if 'cross_entropy > 1.2'",
        ),
        three(
            "a condition with two signs",
            "--fail-if 'cross_entropy >> 1'",
            "the condition \"cross_entropy >> 1\" does not end in a number",
            "write a score, a comparison and a number, as in --fail-if 'cross_entropy > 1.2'",
        ),
        three(
            "a condition on a k not asked for",
            "--fail-if 'top_2_error > 1'",
            "there is no score \"top_2_error\" in the condition \"top_2_error > 1\"",
            "the scores are error_rate, mse, brier_half, cross_entropy, log_loss, perplexity and, with --top-k, top_K_error",
        ),
        three(
            "a condition of compare",
            "--fail-if worse",
            "the condition \"worse\" has no < or >",
            "write a score, a comparison and a number, as in --fail-if 'cross_entropy > 1.2'",
        ),
        three(
            "a clip of 1",
            "--clip 1",
            "invalid value '1' for '--clip <EPS>': must be above 0 and below 0.5",
            "see xent score --help",
        ),
        three(
            "a clip of text",
            "--clip x",
            "invalid value 'x' for '--clip <EPS>': not a number",
            "see xent score --help",
        ),
        three(
            "a negative clip",
            "--clip=-0.1",
            "invalid value '-0.1' for '--clip <EPS>': must be above 0 and below 0.5",
            "see xent score --help",
        ),
        three(
            "a smoothing of 1",
            "--label-smoothing 1",
            "invalid value '1' for '--label-smoothing <E>': must be from 0 to below 1",
            "see xent score --help",
        ),
        three(
            "a level of 95",
            "--level 95",
            "invalid value '95' for '--level <L>': must be between 0 and 1, such as 0.95",
            "see xent score --help",
        ),
        three(
            "no threads",
            "--threads 0",
            "invalid value '0' for '--threads <N>': must be from 1 to 1024",
            "see xent score --help",
        ),
        three(
            "too many threads",
            "--threads 5000",
            "invalid value '5000' for '--threads <N>': must be from 1 to 1024",
            "see xent score --help",
        ),
        three(
            "an unknown option",
            "--lable y",
            "unexpected argument '--lable' found",
            "a similar argument exists: '--label'",
        ),
        three(
            "an unknown sums",
            "--sums loose",
            "invalid value 'loose' for '--sums <SUMS>'",
            "the choices are strict, normalize, as-is",
        ),
        three(
            "an unknown input",
            "--input odds",
            "invalid value 'odds' for '--input <INPUT>'",
            "the choices are probabilities, log-probabilities, logits",
        ),
        three(
            "an option without a value",
            "--weight",
            "a value is required for '--weight <COL>' but none was supplied",
            "see xent score --help",
        ),
        three(
            "label and targets",
            "--label y --targets 't_*'",
            "the argument '--label <COL>' cannot be used with '--targets <GLOB|LIST>'",
            "see xent score --help",
        ),
        three(
            "models and predictions",
            "--models 'm=p_*' --proba 'p_*'",
            "the argument '--models <NAME=GLOB,…>' cannot be used with '--proba <GLOB|LIST>'",
            "see xent score --help",
        ),
        three(
            "a bad model",
            "--models 'p_*'",
            "--models \"p_*\" is not name=columns",
            "write --models 'm1=p1_*,m2=p2_*'",
        ),
        three(
            "a model without a name",
            "--models '=p_*'",
            "--models \"=p_*\" is not name=columns",
            "write --models 'm1=p1_*,m2=p2_*'",
        ),
        three(
            "a model of one name twice",
            "--models 'm=p_*,m=p_*'",
            "--models names two models m",
            "give every model its own name",
        ),
        three(
            "normalized logits",
            "--input logits --sums normalize",
            "--sums normalize has no meaning for logits",
            "a softmax sums to 1 by itself",
        ),
        one(
            "a positive class that nothing names",
            "",
            "p.csv: column p does not say which class it is about",
            "name the positive class with --positive",
        ),
        one(
            "a positive class that is no label",
            "--positive maybe",
            "p.csv:3: column y is \"yes\", which is not a class",
            "classes are named by the prediction columns: the classes are no, maybe",
        ),
        one(
            "one class name for one column",
            "--classes yes",
            "p.csv: one prediction column needs exactly two classes",
            "name the negative and the positive class, as in --classes no,yes",
        ),
        one(
            "three class names for one column",
            "--classes no,yes,maybe",
            "p.csv: one prediction column needs exactly two classes",
            "name the negative and the positive class, as in --classes no,yes",
        ),
        one(
            "class names that are not the labels",
            "--classes 0,1",
            "p.csv:2: column y is \"no\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1",
        ),
        three(
            "a positive class among three columns",
            "--positive a",
            "p.csv: a positive class is named, but the predictions are of 3",
            "--positive goes with one prediction column: name it with --proba",
        ),
        case(
            "two scored models of one name",
            "score m=p.csv m=q.csv",
            "two models are named m: p.csv and q.csv",
            "give them names, as in a=p.csv b=q.csv",
        )
        .file("p.csv", THREE)
        .file("q.csv", THREE),
        case(
            "no file",
            "score",
            "the following required arguments were not provided: <PREDICTIONS>...",
            "see xent score --help",
        ),
        case(
            "an unknown command",
            "scores p.csv",
            "unrecognized subcommand 'scores'",
            "some similar subcommands exist: 'worst', 'compare', 'score'",
        ),
        case(
            "a baseline of score",
            "score p.csv --baseline a",
            "unexpected argument '--baseline' found",
            "a similar argument exists: '--as'",
        )
        .file("p.csv", THREE),
        case(
            "a confusion matrix of compare",
            "compare p.csv p.csv --confusion",
            "unexpected argument '--confusion' found",
            "see xent compare --help",
        )
        .file("p.csv", THREE),
        case(
            "too many slices",
            "score p.csv --by id",
            "p.csv: more than 20000 slices",
            "slice by columns with few distinct values",
        )
        .file(
            "p.csv",
            (0..20_001).fold("id,p_a,p_b,y\n".to_owned(), |text, i| format!("{text}{i},.5,.5,a\n")),
        ),
        case(
            "an unknown calculator",
            "info entropie 0.5 0.5",
            "unrecognized subcommand 'entropie'",
            "a similar subcommand exists: 'entropy'",
        ),
        case(
            "an unknown base",
            "info entropy 0.5 0.5 --base 3",
            "invalid value '3' for '--base <BASE>'",
            "the choices are 2, e, 10",
        ),
        case(
            "one argument of two",
            "info kl 0.5,0.5",
            "the following required arguments were not provided: <Q>",
            "see xent info --help",
        ),
    ]
}
