//! Draws a chart of curves and a reliability diagram, on the screen and as SVG.
//!
//! `cargo run -p xent-report --example charts -- [DIRECTORY]` writes `curves.svg` and `diagram.svg` there.

use std::path::Path;

use xent_report::plot::{
    Band, Curves, Diagram, Histogram, Scale, Series, render_svg, render_terminal,
};

/// The squared error and the log loss of a sigmoid unit that starts confidently wrong, step by step.
fn learning() -> Curves {
    let descend = |is_squared: bool| {
        let mut z: f64 = -8.0;
        let points = (1..=3000).map(|step| {
            let p = 1.0 / (1.0 + (-z).exp());
            let slope = if is_squared { 2.0 * (p - 1.0) * p * (1.0 - p) } else { p - 1.0 };
            z -= 0.5 * slope;
            (f64::from(step), 1.0 - p)
        });
        points.collect()
    };
    Curves {
        title: "为什么用交叉熵：a sigmoid unit that starts confidently wrong".to_owned(),
        description:
            "Cross entropy learns from the first step; squared error stalls for two thousand."
                .to_owned(),
        x_label: "steps of gradient descent".to_owned(),
        y_label: "probability of the wrong class".to_owned(),
        x_scale: Scale::Log,
        y_scale: Scale::Linear,
        series: vec![
            Series { name: "squared error".to_owned(), points: descend(true) },
            Series { name: "交叉熵 cross entropy".to_owned(), points: descend(false) },
        ],
        notes: vec!["Both start at a logit of -8 and take steps of 0.5.".to_owned()],
    }
}

/// Forecasts that say too much: what is forecast as 0.9 happens in three cases of four.
fn reliability() -> Diagram {
    let happens = |p: f64| 1.0 / (1.0 + ((1.0 - p) / p).powf(0.5));
    let grid = || (1..40).map(|i| f64::from(i) / 40.0);
    let bins = (0..10).map(|i| f64::from(i) / 10.0);
    Diagram {
        title: "reliability of forest.csv".to_owned(),
        description: "The forecasts are too extreme: what is forecast as 0.9 happens in three \
                      cases of four."
            .to_owned(),
        x_label: "forecast probability".to_owned(),
        y_label: "observed frequency".to_owned(),
        curve: Series {
            name: "recalibrated".to_owned(),
            points: grid().map(|p| (p, happens(p))).collect(),
        },
        points: Series {
            name: "bins of equal width".to_owned(),
            points: bins.clone().map(|p| (p + 0.05, happens(p + 0.05) + 0.02)).collect(),
        },
        band: Band {
            name: "consistent at 90%".to_owned(),
            points: grid()
                .map(|p| (p, p - 0.16 * (p * (1.0 - p)).sqrt(), p + 0.16 * (p * (1.0 - p)).sqrt()))
                .collect(),
        },
        diagonal: "calibrated".to_owned(),
        histogram: Histogram {
            name: "forecasts".to_owned(),
            bins: bins.map(|p| (p, p + 0.1, 20.0 + 300.0 * (p - 0.4).powi(2))).collect(),
        },
        ..Diagram::default()
    }
}

#[expect(clippy::print_stdout, reason = "an example that prints")]
fn main() -> std::io::Result<()> {
    let (curves, diagram) = (learning(), reliability());
    print!(
        "{}\n{}",
        render_terminal(&curves, 80, 16, true, false),
        render_terminal(&curves, 60, 10, false, false)
    );
    println!(
        "{}\n{}",
        render_terminal(&diagram, 80, 20, true, false),
        render_terminal(&diagram, 50, 12, false, false)
    );
    if let Some(directory) = std::env::args().nth(1) {
        std::fs::write(Path::new(&directory).join("curves.svg"), render_svg(&curves))?;
        std::fs::write(Path::new(&directory).join("diagram.svg"), render_svg(&diagram))?;
    }
    Ok(())
}
