//! Two or more models that are not about the same rows.

use super::common::tables::{le_f64, npy};
use super::{Case, case, compare};

const A: &str = "id,p_x,p_y,y\n1,.5,.5,x\n2,.4,.6,y\n3,.3,.7,x\n";
const B: &str = "id,p_x,p_y,y\n1,.6,.4,x\n2,.1,.9,y\n3,.2,.8,x\n";

pub fn cases() -> Vec<Case> {
    let longer = format!("{B}4,.5,.5,x\n");
    let other_label = B.replace("2,.1,.9,y", "2,.1,.9,x");
    let other_ids = B.replace("\n1,", "\na,").replace("\n2,", "\nb,").replace("\n3,", "\nc,");
    let twice = B.replace("\n3,", "\n2,");
    let other_class = B.replace("p_y", "p_z").replace(",y\n2", ",x\n2").replace(".9,y", ".9,x");
    let more_classes = "id,p_x,p_y,p_z,y\n1,.6,.4,0,x\n2,.1,.9,0,y\n3,.2,.8,0,x\n";
    let weighted = |w: &str| format!("p_x,p_y,y,w\n.5,.5,x,1\n.5,.5,y,{w}\n");
    let long = |label: &str| format!("p_x,p_y,y\n{}.5,.5,{label}\n", ".5,.5,x\n".repeat(20_000));
    let stacked = "model,id,p_x,p_y,y\na,1,.5,.5,x\na,2,.5,.5,y\nb,1,.4,.6,x\nb,2,.3,.7,y\n";
    let one = |name: &str, args: &str, error: &str, hint: &str| {
        case(name, format!("compare {args}"), error, hint).file("a.csv", A)
    };
    let stack = |name: &str, text: String, args: &str, error: &str, hint: &str| {
        case(name, format!("compare s.csv --model-col model {args}"), error, hint)
            .file("s.csv", text)
    };
    vec![
        compare("the second is longer", A, &longer, "a.csv has 3 rows, b.csv has 4", "rows are matched by position; match them by a column with --id"),
        compare("the first is longer", &longer, A, "b.csv has 3 rows, a.csv has 4", "rows are matched by position; match them by a column with --id"),
        compare("one has no rows", A, "id,p_x,p_y,y\n", "b.csv has 0 rows, a.csv has 3", "rows are matched by position; match them by a column with --id"),
        compare("a label differs", A, &other_label, "the labels differ in row 2: \"y\" in a.csv, \"x\" in b.csv", "models are compared on the same rows; match rows by a column with --id"),
        compare("a label differs far down", &long("x"), &long("y"), "the labels differ in row 20001: \"x\" in a.csv, \"y\" in b.csv", "models are compared on the same rows; match rows by a column with --id"),
        compare("a label differs by id", A, &other_label, "the labels differ in the row with id \"2\": \"y\" in a.csv, \"x\" in b.csv", "models are compared on the same rows with the same labels").with("--id id"),
        compare("no id in common", A, &other_ids, "no id occurs under every model", "the first id is \"1\" in a.csv and \"a\" in b.csv").with("--id id"),
        compare("an id twice", A, &twice, "b.csv: rows 2 and 3 have the same id \"2\"", "ids must be unique under each model; models stacked in one file need --model-col").with("--id id"),
        compare("an empty id", A, &B.replace("\n2,", "\n,"), "b.csv:3: column id is empty", "leave such rows out with --missing drop").with("--id id"),
        compare("no such id column", A, &B.replace("id,", "key,"), "b.csv: there is no column id", "the columns are key, p_x, p_y, y").with("--id id"),
        compare("another class", A, &other_class, "b.csv: there is no class y", "all models need the same classes, in any order: x, y"),
        compare("a class more", A, more_classes, "b.csv: class z is not a class of the others", "all models need the same classes, in any order: x, y"),
        compare("a class less", more_classes, A, "b.csv: there is no class z", "all models need the same classes, in any order: x, y, z"),
        compare("the weights differ", &weighted("2"), &weighted("3"), "the weights differ in row 2: 2 in a.csv, 3 in b.csv", "models are compared on the same rows with the same weights").with("--weight w"),
        compare("only one has weights", A, &weighted("3"), "a.csv: there is no column w", "the columns are id, p_x, p_y, y").with("--weight w"),
        compare("no such baseline", A, B, "there is no model c", "the models are a, b").with("--baseline c"),
        one("one model", "a.csv", "there is only one model to compare", "name two files, or several models in one file with --models or --model-col"),
        one("one file twice", "a.csv a.csv", "two models are named a.csv: a.csv and a.csv", "give them names, as in a=a.csv b=a.csv"),
        one("one name twice", "m=a.csv m=b.csv", "two models are named m: a.csv and b.csv", "give them names, as in a=a.csv b=b.csv").file("b.csv", B),
        one("one stem twice", "a.csv d/a.csv", "a.csv has 3 rows, d/a.csv has 4", "rows are matched by position; match them by a column with --id").file("d/a.csv", &longer),
        one("a third is shorter", "a.csv b.csv c.csv", "c.csv has 1 row, a.csv has 3", "rows are matched by position; match them by a column with --id")
            .file("b.csv", B)
            .file("c.csv", "p_x,p_y,y\n.5,.5,x\n"),
        one("a third has another label", "a.csv b.csv c.csv", "the labels differ in row 2: \"y\" in a.csv, \"x\" in c.csv", "models are compared on the same rows; match rows by a column with --id")
            .file("b.csv", B)
            .file("c.csv", &other_label),
        one("a second that is missing", "a.csv b.csv", "b.csv: no such file", "did you mean a.csv?"),
        one("an array without labels", "a.csv b.npy", "b.npy: no label column found", "an array holds no labels: name their file with --labels, or put both into one .npz, as in np.savez('p.npz', proba=p, y=y)")
            .file("b.npy", npy("<f8", false, "(3, 2)", &le_f64(&[0.5; 6]))),
        stack(
            "stacked models of different lengths",
            stacked.replace("b,2,.3,.7,y\n", ""),
            "",
            "model a has 2 rows, model b has 1",
            "rows are matched by position; match them by a column with --id",
        ),
        stack(
            "stacked models with other labels",
            stacked.replace("b,2,.3,.7,y", "b,2,.3,.7,x"),
            "",
            "the labels differ in row 2 of each model: \"y\" in a, \"x\" in b",
            "models are compared on the same rows; match rows by a column with --id",
        ),
        stack("only one stacked model", stacked.replace("\nb,", "\na,"), "", "there is only one model to compare", "name two files, or several models in one file with --models or --model-col"),
        stack("a row without a model", stacked.replace("\nb,1", "\n,1"), "", "s.csv:4: column model is empty", "leave such rows out with --missing drop"),
        stack("a stacked id twice", stacked.replace("b,2", "b,1"), "--id id", "s.csv: rows 1 and 2 of model b have the same id \"1\"", "ids must be unique under each model; models stacked in one file need --model-col"),
        stack("no such model column", stacked.replace("model", "who"), "", "s.csv: there is no column model", "the columns are who, id, p_x, p_y, y"),
        case(
            "models side by side with other classes",
            "compare s.csv --models 'm=m_*,n=n_*'",
            "s.csv: there is no column for class y",
            "the classes are x, y",
        )
        .file("s.csv", "m_x,m_y,n_x,n_z,y\n.5,.5,.5,.5,x\n"),
        case("one model side by side", "compare s.csv --models 'm=m_*'", "there is only one model to compare", "name two files, or several models in one file with --models or --model-col")
            .file("s.csv", "m_x,m_y,y\n.5,.5,x\n"),
        case(
            "a model side by side that is not there",
            "compare s.csv --models 'm=m_*,n=n_*'",
            "s.csv: no column matches n_*",
            "the columns are m_x, m_y, y",
        )
        .file("s.csv", "m_x,m_y,y\n.5,.5,x\n"),
    ]
}
