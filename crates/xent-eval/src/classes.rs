//! From a label to its class: by name, by truth, or by position.

use std::collections::HashMap;

use crate::roles::{canonical, places};

/// Booleans as programs write them, the false one first.
const TRUTHS: [[&str; 2]; 4] =
    [["0", "1"], ["false", "true"], ["False", "True"], ["FALSE", "TRUE"]];

/// What a name says if it is that of a boolean, in any case.
pub(crate) fn truth(name: &str) -> Option<bool> {
    let is = |place: usize| TRUTHS.iter().any(|pair| pair[place].eq_ignore_ascii_case(name));
    if is(1) { Some(true) } else { is(0).then_some(false) }
}

/// The other boolean, written as this one is.
pub(crate) fn opposite(name: &str) -> Option<&'static str> {
    let other = |[no, yes]: &[&'static str; 2]| match name {
        _ if name == *no => Some(*yes),
        _ if name == *yes => Some(*no),
        _ => None,
    };
    TRUTHS.iter().find_map(other)
}

/// Whether a name is a whole number.
pub(crate) fn is_whole(name: &str) -> bool {
    canonical(name).parse::<i64>().is_ok()
}

/// The classes of a table, found by their labels.
///
/// A label is the name of a class. Where there are two classes, called as booleans are, every way to write a boolean is a name of
/// theirs. Where labels are positions ([`crate::Binding::positions`]), they are that and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    names: Vec<String>,
    by_name: HashMap<String, u32>,
    /// The class of false and that of true.
    booleans: Option<[u32; 2]>,
    /// The class of each position.
    positions: Option<Vec<u32>>,
}

impl Classes {
    pub fn new(names: &[String], positions: Option<&[String]>) -> Self {
        let by_name: HashMap<String, u32> = names.iter().cloned().zip(0..).collect();
        let booleans = match names {
            [a, b] => match (truth(a), truth(b)) {
                (Some(false), Some(true)) => Some([0, 1]),
                (Some(true), Some(false)) => Some([1, 0]),
                _ => None,
            },
            _ => None,
        };
        let positions = positions.map(|said| places(said, names));
        Self { names: names.to_vec(), by_name, booleans, positions }
    }

    /// The class of a label.
    pub fn find(&self, label: &str) -> Option<u32> {
        if let Some(positions) = &self.positions {
            return positions.get(canonical(label).parse::<usize>().ok()?).copied();
        }
        if let Some(&class) = self.by_name.get(label) {
            return Some(class);
        }
        let name = canonical(label);
        let by_truth = || Some(self.booleans?[usize::from(truth(&name)?)]);
        self.by_name.get(&name).copied().or_else(by_truth)
    }

    /// What to try where a label is none of them.
    pub fn hint(&self, label: &str) -> String {
        let list = format!("the classes are {}", crate::roles::short(&self.names));
        if canonical(label) == "-100" {
            return "PyTorch ignores rows of label -100: leave them out of the predictions and of the labels"
                .to_owned();
        }
        if let Some(positions) = &self.positions {
            let said: Vec<String> =
                positions.iter().map(|&class| self.names[class as usize].clone()).collect();
            let order = crate::roles::short(&said);
            return format!(
                "labels are positions in --classes, 0 to {}: {order}",
                said.len().saturating_sub(1)
            );
        }
        let spelled = label.trim().to_lowercase();
        if let Some(class) = self.names.iter().find(|c| c.to_lowercase() == spelled) {
            return format!("did you mean {class}? {list}");
        }
        let position = canonical(label).parse::<usize>().ok();
        let counts = position.is_some_and(|position| position < self.names.len())
            && !self.names.iter().any(|name| is_whole(name));
        // Names that would have to be quoted, or are many, are not written out.
        let is_plain =
            |name: &String| name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
        if counts && self.names.len() <= 8 && self.names.iter().all(is_plain) {
            let order = self.names.join(",");
            return format!(
                "if labels count the classes from 0, say their order: --classes {order}"
            );
        }
        if counts {
            return format!(
                "if labels count the classes from 0, name these in their order with --classes; {list}"
            );
        }
        format!("classes are named by the prediction columns: {list}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(names: &[&str], positions: Option<&[&str]>) -> Classes {
        let own = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        Classes::new(&own(names), positions.map(own).as_deref())
    }

    #[test]
    fn booleans_are_the_names_of_two_classes_called_so() {
        for names in [["False", "True"], ["0", "1"], ["FALSE", "true"]] {
            let found = classes(&names, None);
            for label in ["1", "1.0", "true", "True", "TRUE"] {
                assert_eq!(found.find(label), Some(1), "{label} of {names:?}");
            }
            for label in ["0", "-0", "false", "False", "FALSE"] {
                assert_eq!(found.find(label), Some(0), "{label} of {names:?}");
            }
            assert_eq!(found.find("2"), None);
        }
        assert_eq!(classes(&["true", "false"], None).find("1"), Some(0));
        assert_eq!(classes(&["no", "yes"], None).find("true"), None);
        assert_eq!(classes(&["0", "1", "2"], None).find("true"), None);
        assert_eq!(classes(&["0", "2"], None).find("false"), None);
    }

    #[test]
    fn positions_count_in_the_order_that_is_said() {
        let found = classes(&["dog", "cat", "horse"], Some(&["cat", "dog", "horse"]));
        assert_eq!(["0", "1.0", " 2 "].map(|label| found.find(label)), [Some(1), Some(0), Some(2)]);
        assert_eq!(["3", "-1", "0.5", "cat"].map(|label| found.find(label)), [None; 4]);
        assert_eq!(found.hint("3"), "labels are positions in --classes, 0 to 2: cat, dog, horse");
    }
}
