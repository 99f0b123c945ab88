//! Tables from which nothing can be learnt, options that do not fit them, and model files that are none.

use super::common::Dir;
use super::{Case, case};

const ROWS: &str = "x,z,job,ok,y\n1,4,a,true,no\n2,3,b,false,yes\n3,5,a,true,no\n4,1,b,true,yes\n5,9,a,false,no\n6,2,b,true,yes\n7,7,a,false,yes\n8,6,b,true,no\n";
const SEE: &str = "see xent train --help";

fn train(name: &str, rows: &str, args: &str, error: &str, hint: &str) -> Case {
    case(name, format!("train t.csv --target y {args}"), error, hint).file("t.csv", rows)
}

fn good(name: &str, args: &str, error: &str, hint: &str) -> Case {
    train(name, ROWS, args, error, hint)
}

/// Trains `m.json`, and does something to its text.
fn with_model(dir: &Dir, change: fn(String) -> String) {
    dir.write("good.csv", ROWS);
    let ran = dir.xent("train good.csv --target y --l2 0.1 -o m.json");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = change(dir.read("m.json"));
    dir.write("m.json", text);
}

fn model(name: &str, setup: fn(&Dir), error: &str, hint: &str) -> Case {
    case(name, "show m.json", error, hint).setup(setup)
}

fn predict(name: &str, rows: &str, args: &str, error: &str, hint: &str) -> Case {
    case(name, format!("predict m.json t.csv {args}"), error, hint)
        .file("t.csv", rows)
        .setup(|dir| with_model(dir, |text| text))
}

/// Trains `m.json` on sparse rows.
fn sparse_model(dir: &Dir) {
    dir.write("good.svm", "+1 1:2 3:1\n-1 2:1\n+1 1:1 2:3\n-1 1:1\n");
    let ran = dir.xent("train good.svm --C 1 -o m.json");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// A checkpoint of `--C 1` that something is done to, and options that do not fit it.
fn resume_hint(
    name: &str,
    change: fn(String) -> String,
    args: &str,
    error: &str,
    hint: &str,
) -> Case {
    let setup = |dir: &Dir| {
        dir.write("good.csv", ROWS);
        let ran =
            dir.xent("train good.csv --target y --C 1 --max-iterations 2 --checkpoint c.json");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    };
    good(name, &format!("--resume c.json {args}"), error, hint)
        .setup(setup)
        .change("c.json", change)
}

fn resume(name: &str, args: &str, error: &str) -> Case {
    let hint = "resume with the data and the options that it was made with, or train anew";
    resume_hint(name, |text| text, args, error, hint)
}

pub fn cases() -> Vec<Case> {
    let svm = "+1 1:2 3:1\n-1 2:1\n+1 1:1 2:3\n-1 1:1\n";
    let columns = "the columns are x, z, job, ok, y";
    let again = "write it again with xent train";
    vec![
        train(
            "a constant column",
            "x,z,y\n1,4,a\n1,2,b\n1,3,a\n",
            "",
            "t.csv: nothing can be learnt from a column that is the same in every row: x is 1",
            "leave it out: --drop 'x'",
        ),
        train(
            "two constant columns",
            "x,z,y\n1,4,a\n1,4,b\n1,4,a\n",
            "--C 1",
            "t.csv: nothing can be learnt from a column that is the same in every row: x is 1, z is 4",
            "leave them out: --drop 'x,z'",
        ),
        train(
            "a constant category",
            "x,job,y\n1,a,a\n2,a,b\n3,a,a\n",
            "",
            "t.csv: column job is a in every row",
            "leave it out with --drop",
        ),
        train(
            "the same column twice",
            "x,z,y\n1,1,a\n2,2,b\n3,3,a\n5,5,b\n",
            "",
            "t.csv: columns x and z are the same in every row: without a penalty no optimum is unique",
            "leave one out, as in --drop z, or use a penalty such as --C 1",
        ),
        train(
            "one class only",
            "x,y\n1,a\n2,a\n3,a\n",
            "",
            "t.csv: column y is a in every row: there is nothing to tell apart",
            "a classifier needs at least two classes",
        ),
        train(
            "more columns than rows",
            "a,b,c,y\n1,4,7,p\n2,3,1,q\n",
            "",
            "t.csv: 3 coefficients a class from 2 rows: without a penalty no optimum is unique",
            "use a penalty, as in --l2 0.01 or --C 1, or fewer features",
        ),
        train(
            "a header alone",
            "x,y\n",
            "",
            "t.csv: there are no rows",
            "a header alone is not enough",
        ),
        train(
            "an infinite number",
            "x,y\n1,a\ninf,b\n3,a\n",
            "",
            "t.csv:3: column x is inf, not a finite number",
            "leave such rows out of the file, or leave a missing value empty",
        ),
        train(
            "numbers too far apart",
            "x,y\n1e300,a\n-1e300,b\n3,a\n4,b\n",
            "",
            "t.csv: column x goes from -1e300 to 1e300, too far to be standardised",
            "change its unit, or leave it out with --drop",
        ),
        train(
            "text among numbers",
            &format!("x,y\n{}two,b\n", "1,a\n2,b\n".repeat(600)),
            "",
            "t.csv:1202: column x is \"two\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        train(
            "missing values",
            "x,z,y\n1,,a\n,2,b\n,3,a\n4,4,\n",
            "",
            "t.csv: values are missing, of 4 rows in columns: x 2, z 1, y 1",
            "leave such rows out with --missing drop, or keep them with --missing indicator; or --drop the columns",
        ),
        train(
            "nothing but missing values",
            "x,z,y\n1,,a\n,2,b\n",
            "--missing drop",
            "t.csv: every row has a missing value",
            "leave columns out with --drop, or use --missing indicator",
        ),
        train(
            "a missing class with indicators",
            "x,y\n1,a\n,b\n3,\n",
            "--missing indicator",
            "t.csv: values are missing, of 3 rows in columns: y 1",
            "leave such rows out with --missing drop",
        ),
        train(
            "a target that is a fraction",
            "x,y\n1,0.5\n2,1\n",
            "",
            "t.csv:2: column y is \"0.5\", not a class",
            "classes are texts, whole numbers, or true and false; columns of probabilities are named with --targets",
        ),
        train(
            "names instead of categories",
            &(0..30)
                .fold("x,who,y\n".to_owned(), |t, i| format!("{t}{},n{i},{}\n", i * i % 17, i % 2)),
            "",
            "t.csv: column who is different in each of 30 rows: it names them",
            "leave it out with --drop, or name the features with --features",
        ),
        good("no such target", "--features q", "t.csv: no column matches q", columns),
        case(
            "a target misspelt",
            "train t.csv --target why",
            "t.csv: there is no column why",
            columns,
        )
        .file("t.csv", ROWS),
        case("no target", "train t.csv", "t.csv: no target is named", &format!("name it with --target; {columns}"))
            .file("t.csv", ROWS),
        good(
            "the target as a feature",
            "--features x,y",
            "t.csv: column y is both target and feature",
            "leave it out of --features",
        ),
        good(
            "no feature left",
            "--drop x,z,job,ok",
            "t.csv: no column is left to learn from",
            columns,
        ),
        good(
            "a reference level that is none",
            "--reference job=c",
            "t.csv: column job has no level c",
            "the levels are a, b",
        ),
        good(
            "a reference of numbers",
            "--reference x=1",
            "t.csv: column x has no reference level",
            "only categories have levels: text columns, and what --categorical names",
        ),
        good(
            "levels that are all rare",
            "--min-count 5",
            "t.csv: column job has no level of 5 rows or more",
            "leave it out with --drop",
        ),
        good(
            "a factor of no feature",
            "--l2 1 --penalty-factor q=2",
            "t.csv: column q is no feature",
            "--penalty-factor names columns that are among the features",
        ),
        good(
            "a category that is no feature",
            "--features x --categorical z",
            "t.csv: column z is no feature",
            "--categorical names columns that are among the features",
        ),
        good(
            "a weight of text",
            "--weight job",
            "t.csv:2: column job is \"a\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        train(
            "a negative weight",
            "x,w,y\n1,1,a\n2,-1,b\n3,1,a\n",
            "--weight w",
            "t.csv:3: column w is -1, not a weight",
            "a weight is a finite number that is not negative",
        ),
        train(
            "weights of 0",
            "x,w,y\n1,0,a\n2,0,b\n3,0,a\n",
            "--weight w",
            "t.csv: all weights are 0",
            "at least one row needs a positive weight",
        ),
        good(
            "a class weight of no class",
            "--class-weight maybe=2",
            "t.csv: there is no class maybe",
            "the classes are no, yes",
        ),
        good(
            "class weights that are none",
            "--class-weight heavy",
            "--class-weight \"heavy\" is not a list of CLASS=WEIGHT",
            "write --class-weight balanced, or --class-weight 'cat=1,dog=2.5'",
        ),
        good(
            "a negative penalty",
            "--l2=-1",
            "invalid value '-1' for '--l2 <X>': must be finite and not negative",
            SEE,
        ),
        good(
            "two ridges",
            "--l2 1 --C 1",
            "the argument '--l2 <X>' cannot be used with '--C <C>'",
            SEE,
        ),
        good(
            "an unknown solver",
            "--solver adam",
            "invalid value 'adam' for '--solver <SOLVER>'",
            "the choices are …",
        ),
        good(
            "too many folds",
            "--folds 20 --l2 1",
            "t.csv: --folds 20 leaves a part without rows: there are 8 rows",
            "use fewer folds, or another share",
        ),
        good(
            "too many folds of groups",
            "--folds 3 --group job --l2 1",
            "t.csv: --folds 3 leaves a part without rows: there are 8 rows in 2 groups",
            "use fewer folds, or another share",
        ),
        train(
            "a class in one fold only",
            "x,y\n1,a\n2,a\n3,b\n4,a\n9,b\n5,a\n7,c\n",
            "--folds 2 --l2 1",
            "t.csv: class c has no row in what fold … is trained on",
            "divide the rows otherwise, or leave out the rows of this class",
        ),
        good(
            "a test file without a test",
            "--oof p.csv",
            "--oof is about testing, and nothing is tested",
            "add --folds 10, or --holdout 0.2",
        ),
        good(
            "the table as its own model",
            "-o t.csv",
            "the argument '--output <MODEL>' cannot be used multiple times",
            SEE,
        ),
        case(
            "soft targets that do not sum to 1",
            "train t.csv --targets 't_*' --l2 1",
            "t.csv:3: the targets sum to 0.9, not 1",
            "soft targets are probabilities, one a class",
        )
        .file("t.csv", "x,t_a,t_b\n1,0.5,0.5\n2,0.4,0.5\n"),
        case(
            "one soft target",
            "train t.csv --targets 't_*'",
            "t.csv: only one column matches t_*",
            "soft targets need a column for each class",
        )
        .file("t.csv", "x,t_a\n1,0.5\n2,0.4\n"),
        model(
            "a model that is cut",
            |dir| with_model(dir, |text| text[..text.len() / 2].to_owned()),
            "m.json: the model file ends too early",
            again,
        ),
        model(
            "a model that was edited",
            |dir| with_model(dir, |text| text.replacen("\"rows\": 8", "\"rows\": 9", 1)),
            "m.json: the model file was changed after it was written: its checksum does not fit",
            again,
        ),
        model(
            "a model of a later version",
            |dir| with_model(dir, |text| text.replace("xent.model/1", "xent.model/2")),
            "m.json: is a model of version 2; this xent reads version 1",
            "use the xent that wrote it, or a later one",
        ),
        model(
            "a model that is a table",
            |dir| {
                dir.write("m.json", ROWS);
            },
            "m.json: is no model file: not valid JSON in line 1, column 1",
            "xent train -o model.json writes one",
        ),
        model(
            "a model that is other JSON",
            |dir| {
                dir.write("m.json", "{\"schema\": \"xent.score/1\"}");
            },
            "m.json: is no model file",
            "xent train -o model.json writes one",
        ),
        model(
            "an empty model",
            |dir| {
                dir.write("m.json", "");
            },
            "m.json: the model file ends too early",
            again,
        ),
        case(
            "no model",
            "show m.json",
            "m.json: cannot read: no such file",
            "look at the path and at what it names",
        ),
        predict(
            "a column of the model that is not there",
            "x,job,ok\n1,a,true\n",
            "",
            "t.csv: the model needs column z",
            "the columns are x, job, ok",
        ),
        predict(
            "two columns that are not there",
            "x,job\n1,a\n",
            "",
            "t.csv: the model needs columns z, ok",
            "the columns are x, job",
        ),
        predict(
            "text instead of numbers",
            "x,z,job,ok\nnew,1,a,true\n",
            "",
            "t.csv: column x holds text, the model was trained on numbers",
            "predict on a table like the one that was trained on",
        ),
        predict(
            "a new level",
            "x,z,job,ok\n1,2,a,true\n1,2,clerk,true\n",
            "",
            "t.csv:3: column job is \"clerk\", a level that was not in training",
            "with --unseen reference it counts as a; the levels are a, b",
        ),
        predict(
            "a missing value that was never missing",
            "x,z,job,ok\n1,2,a,true\n1,,a,true\n",
            "",
            "t.csv:3: column z is empty, and was never in training",
            "leave such rows out with --missing drop",
        ),
        predict(
            "an infinite number to predict",
            "x,z,job,ok\n1,inf,a,true\n",
            "",
            "t.csv:2: column z is inf, not a finite number",
            "leave such rows out of the file, or leave a missing value empty",
        ),
        predict(
            "nothing to predict",
            "x,z,job,ok\n",
            "",
            "t.csv: there are no rows",
            "a header alone is not enough",
        ),
        predict(
            "an id that is not there",
            "x,z,job,ok\n1,2,a,true\n",
            "--id case",
            "t.csv: there is no column case",
            "the columns are x, z, job, ok",
        ),
        predict(
            "an id named as a prediction",
            "x,z,job,ok,p_no\n1,2,a,true,9\n",
            "--id p_no",
            "two columns of the output would be named p_no",
            "rename the column in the table",
        ),
        case(
            "a column of sparse rows",
            "train t.svm --drop 3",
            "t.svm: --drop is about columns, and an svmlight file has none",
            "its label is the target, and its features are numbered; --group qid keeps queries together",
        )
        .file("t.svm", svm),
        case(
            "sparse rows of one class",
            "train t.svm --C 1",
            "t.svm: the label is 1 in every row: there is nothing to tell apart",
            "a classifier needs at least two classes",
        )
        .file("t.svm", "+1 1:2\n1 2:1\n"),
        case(
            "a label that is a fraction",
            "train t.svm --C 1",
            "t.svm: row 2: the label is 0.5, not a class",
            "classes are whole numbers or words",
        )
        .file("t.svm", "1 1:2\n0.5 2:1\n"),
        case(
            "sparse rows without a feature",
            "train t.svm --C 1",
            "t.svm: no row has a feature",
            "a row is: label index:value index:value ...",
        )
        .file("t.svm", "1\n2\n"),
        case(
            "queries that are not there",
            "train t.svm --C 1 --folds 2 --group qid",
            "t.svm: its rows have no qid",
            "a row with a query is: label qid:7 index:value ...",
        )
        .file("t.svm", svm),
        case(
            "an index that is the same in every row",
            "train t.svm",
            "t.svm: column 2 is 1 in every row that is trained on",
            "leave it out of the file, or use a penalty such as --C 1",
        )
        .file("t.svm", "1 1:2 2:1\n-1 1:1 2:1\n1 2:1\n-1 1:3 2:1\n1 1:1 2:1\n"),
        case(
            "labels beside sparse rows",
            "train t.svm --labels l.csv",
            "an svmlight file has its labels in it",
            "leave out --labels",
        )
        .file("t.svm", svm)
        .file("l.csv", "y\n1\n2\n"),
        case(
            "a line that is not svmlight",
            "train t.svm --C 1",
            "t.svm:2: …",
            "…",
        )
        .file("t.svm", "1 1:2\n-1 2=1\n"),
        case(
            "an index that training did not see",
            "predict m.json t.svm",
            "t.svm:2: index 7 was not in training",
            "with --unseen reference such an index counts for nothing; training saw 3 indices from 1 to 3",
        )
        .file("t.svm", "1 1:2\n-1 2:1 7:1\n")
        .setup(sparse_model),
        case(
            "an index 0 where training counted from 1",
            "predict m.json t.svm",
            "t.svm:1: index 0 was not in training",
            "…",
        )
        .file("t.svm", "1 0:2\n-1 2:1\n")
        .setup(sparse_model),
        case(
            "a table for a model of sparse rows",
            "predict m.json t.csv",
            "t.csv: is a table, and the model was trained on an svmlight file",
            "say --input-format svmlight if it is such a file under another name",
        )
        .file("t.csv", ROWS)
        .setup(sparse_model),
        case(
            "sparse rows for a model of a table",
            "predict m.json t.svm",
            "t.svm: is an svmlight file, and the model was trained on a table",
            "predict on a table like the one that was trained on",
        )
        .file("t.svm", svm)
        .setup(|dir| with_model(dir, |text| text)),
        case(
            "labels of other rows",
            "train t.csv --labels l.csv --drop job,ok,y --C 1",
            "l.csv: has 3 rows, t.csv has more",
            "both files must hold the same rows in the same order",
        )
        .file("t.csv", ROWS)
        .file("l.csv", "label\na\nb\na\n"),
        case(
            "labels of several columns",
            "train t.csv --labels l.csv --C 1",
            "t.csv: no target is named",
            "name it with --target; the columns are x, z, job, ok, y, label, note",
        )
        .file("t.csv", ROWS)
        .file("l.csv", "label,note\na,1\nb,2\na,3\n"),
        good(
            "a picture that is no SVG",
            "--plot curves.png",
            "curves.png: --plot writes .svg files only",
            "name it curves.svg",
        ),
        good(
            "a picture without an ending",
            "--plot curves",
            "curves: --plot writes .svg files only",
            "name it curves.svg",
        ),
        good(
            "a history that is no CSV",
            "--history steps.parquet",
            "steps.parquet: --history writes .csv files only",
            "name it steps.csv",
        ),
        good(
            "a checkpoint of two fits",
            "--loss cross-entropy,mse --checkpoint c.json",
            "…",
            "…",
        ),
        good("no checkpoint", "--resume c.json --C 1", "c.json: cannot read: no such file", "look at the path and at what it names"),
        resume("a checkpoint of another penalty" , "--C 2", "c.json: the checkpoint is of another fit: C was 1.0, and is 2.0"),
        resume("a checkpoint of another solver" , "--C 1 --solver newton", "c.json: the checkpoint is of another fit: solver was auto, and is newton"),
        resume("a checkpoint of other columns" , "--C 1 --drop job", "c.json: the checkpoint is of another fit: other columns"),
        resume("a checkpoint of other rows" , "--C 1 --class-weight yes=2", "c.json: the checkpoint is of another fit: other numbers, labels or weights"),
        resume_hint("a checkpoint that is cut", |text| text[..text.len() / 2].to_owned(), "--C 1", "c.json: the checkpoint ends too early", "xent train --checkpoint writes one"),
        resume_hint("a checkpoint that was edited", |text| text.replacen("\"rows\": 8", "\"rows\": 9", 1), "--C 1", "c.json: the checkpoint was changed after it was written: its checksum does not fit", "train anew"),
        resume_hint("a checkpoint of a later version", |text| text.replace("xent.checkpoint/1", "xent.checkpoint/2"), "--C 1", "c.json: is a checkpoint of version 2; this xent reads version 1", "use the xent that wrote it, or train anew"),
        resume_hint("a checkpoint that is a table", |_| ROWS.to_owned(), "--C 1", "c.json: is no checkpoint: not valid JSON", "xent train --checkpoint writes one"),
        resume_hint("a checkpoint that is a model", |_| "{\"schema\": \"xent.model/1\"}".to_owned(), "--C 1", "c.json: is no checkpoint", "xent train --checkpoint writes one"),
    ]
}
