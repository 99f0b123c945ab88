//! How losses fall step by step: the curves of `xent train --plot`, and what they show in a sentence.

use xent_eval::learn::Dataset;

use crate::number::{counted, fixed, significant};
use crate::plot::{Curves, Series};

/// The steps of one fit.
#[derive(Clone, Debug)]
pub struct Course {
    loss: String,
    /// Whether a row is all there is, of two classes: its probability says everything.
    is_neuron: bool,
    /// What both losses share, by step: bits, or the probability of the second class.
    values: Vec<f64>,
    /// The gradient's norm at the start.
    gradient: f64,
}

impl Course {
    /// Begins the course of a fit by a loss.
    pub fn new(loss: &str, data: &Dataset) -> Self {
        let is_neuron = data.rows == 1 && data.classes.len() == 2;
        Self { loss: loss.to_owned(), is_neuron, values: Vec::new(), gradient: f64::NAN }
    }

    /// Whether the probability of the second class is drawn, rather than cross entropy.
    pub fn is_neuron(&self) -> bool {
        self.is_neuron
    }

    /// Adds a step: the mean cross entropy in bits or, if [`Course::is_neuron`], the probability of the second class, and
    /// the gradient's norm.
    pub fn add(&mut self, value: f64, gradient_norm: f64) {
        if self.values.is_empty() {
            self.gradient = gradient_norm;
        }
        self.values.push(value);
    }

    fn first(&self) -> f64 {
        self.values.first().copied().unwrap_or(f64::NAN)
    }

    fn last(&self) -> f64 {
        self.values.last().copied().unwrap_or(f64::NAN)
    }

    fn steps(&self) -> u64 {
        self.values.len().saturating_sub(1) as u64
    }

    /// The first step on the other side of `level`, seen from the start.
    fn crosses(&self, level: f64) -> Option<usize> {
        let is_above = self.first() > level;
        self.values.iter().position(|&value| (value > level) != is_above)
    }
}

/// The courses of one or two fits to the same rows from the same start, as a chart: mean cross entropy in bits against
/// steps, whatever was minimised; of one row of two classes the probability of the second class.
pub fn curves(courses: &[Course], data: &Dataset) -> Curves {
    let is_neuron = courses.iter().any(|c| c.is_neuron);
    let series = courses.iter().map(|course| Series {
        name: format!("by {}", course.loss),
        points: course.values.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect(),
    });
    Curves {
        title: match courses {
            [only] => format!("gradient steps by {}", only.loss),
            _ => "the same start, two losses".to_owned(),
        },
        description: finding(courses, is_neuron),
        x_label: "step".to_owned(),
        y_label: if is_neuron {
            format!("probability of class {}", data.classes[1])
        } else {
            "cross entropy, bits".to_owned()
        },
        series: series.collect(),
        ..Curves::default()
    }
}

fn shown(value: f64, is_neuron: bool) -> String {
    if is_neuron { fixed(value, 4) } else { format!("{} bits", fixed(value, 4)) }
}

/// What the curves show.
fn finding(courses: &[Course], is_neuron: bool) -> String {
    let what = if is_neuron { "the probability" } else { "cross entropy" };
    let start = courses.first().map_or(f64::NAN, Course::first);
    let ends: Vec<String> = courses
        .iter()
        .map(|course| {
            format!(
                "to {} in {} by {}",
                shown(course.last(), is_neuron),
                counted(course.steps(), "step", "steps"),
                course.loss
            )
        })
        .collect();
    let mut text = format!("{what} goes from {} {}", shown(start, is_neuron), ends.join(" and "));
    let [a, b] = courses else { return text };
    let least = a.values.iter().chain(&b.values).copied().fold(f64::INFINITY, f64::min);
    let (level, goal) = if is_neuron {
        (0.5, "it crosses 0.5".to_owned())
    } else {
        let half = 0.5 * (start + least);
        (half, format!("it is half of the way to the lowest, at {},", shown(half, false)))
    };
    let at = |course: &Course| match course.crosses(level) {
        Some(step) => format!("after {}", counted(step as u64, "step", "steps")),
        None => "never".to_owned(),
    };
    text += &format!("; {goal} {} by {} and {} by {}", at(a), a.loss, at(b), b.loss);
    let (small, large) = if b.loss == "mse" { (b, a) } else { (a, b) };
    let ratio = small.gradient / large.gradient;
    text += &format!(
        "; the gradient at the start has the norm {} by {} and {} by {}, {} times as much",
        significant(large.gradient, 4),
        large.loss,
        significant(small.gradient, 4),
        small.loss,
        significant(ratio, 4),
    );
    // Of one sigmoid without a penalty.
    if is_neuron && (ratio / (start * (1.0 - start)) - 1.0).abs() < 1e-9 {
        text += &format!(": p(1 - p) at p = {}", fixed(start, 4));
    }
    text
}
