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
        compare("the second is longer", A, &longer, "?", "?"),
        compare("the first is longer", &longer, A, "?", "?"),
        compare("one has no rows", A, "id,p_x,p_y,y\n", "?", "?"),
        compare("a label differs", A, &other_label, "?", "?"),
        compare("a label differs far down", &long("x"), &long("y"), "?", "?"),
        compare("a label differs by id", A, &other_label, "?", "?").with("--id id"),
        compare("no id in common", A, &other_ids, "?", "?").with("--id id"),
        compare("an id twice", A, &twice, "?", "?").with("--id id"),
        compare("an empty id", A, &B.replace("\n2,", "\n,"), "?", "?").with("--id id"),
        compare("no such id column", A, &B.replace("id,", "key,"), "?", "?").with("--id id"),
        compare("another class", A, &other_class, "?", "?"),
        compare("a class more", A, more_classes, "?", "?"),
        compare("a class less", more_classes, A, "?", "?"),
        compare("the weights differ", &weighted("2"), &weighted("3"), "?", "?").with("--weight w"),
        compare("only one has weights", A, &weighted("3"), "?", "?").with("--weight w"),
        compare("no such baseline", A, B, "?", "?").with("--baseline c"),
        one("one model", "a.csv", "?", "?"),
        one("one file twice", "a.csv a.csv", "?", "?"),
        one("one name twice", "m=a.csv m=b.csv", "?", "?").file("b.csv", B),
        one("one stem twice", "a.csv d/a.csv", "?", "?").file("d/a.csv", &longer),
        one("a third is shorter", "a.csv b.csv c.csv", "?", "?")
            .file("b.csv", B)
            .file("c.csv", "p_x,p_y,y\n.5,.5,x\n"),
        one("a third has another label", "a.csv b.csv c.csv", "?", "?")
            .file("b.csv", B)
            .file("c.csv", &other_label),
        one("a second that is missing", "a.csv b.csv", "?", "?"),
        one("an array without labels", "a.csv b.npy", "?", "?")
            .file("b.npy", npy("<f8", false, "(3, 2)", &le_f64(&[0.5; 6]))),
        stack(
            "stacked models of different lengths",
            stacked.replace("b,2,.3,.7,y\n", ""),
            "",
            "?",
            "?",
        ),
        stack(
            "stacked models with other labels",
            stacked.replace("b,2,.3,.7,y", "b,2,.3,.7,x"),
            "",
            "?",
            "?",
        ),
        stack("only one stacked model", stacked.replace("\nb,", "\na,"), "", "?", "?"),
        stack("a row without a model", stacked.replace("\nb,1", "\n,1"), "", "?", "?"),
        stack("a stacked id twice", stacked.replace("b,2", "b,1"), "--id id", "?", "?"),
        stack("no such model column", stacked.replace("model", "who"), "", "?", "?"),
        case(
            "models side by side with other classes",
            "compare s.csv --models 'm=m_*,n=n_*'",
            "?",
            "?",
        )
        .file("s.csv", "m_x,m_y,n_x,n_z,y\n.5,.5,.5,.5,x\n"),
        case("one model side by side", "compare s.csv --models 'm=m_*'", "?", "?")
            .file("s.csv", "m_x,m_y,y\n.5,.5,x\n"),
        case(
            "a model side by side that is not there",
            "compare s.csv --models 'm=m_*,n=n_*'",
            "?",
            "?",
        )
        .file("s.csv", "m_x,m_y,y\n.5,.5,x\n"),
    ]
}
