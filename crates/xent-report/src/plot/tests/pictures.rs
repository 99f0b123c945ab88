//! Charts as they look.

use super::*;

fn learning_curves() -> Curves {
    let exponential =
        |rate: f64| (0..=20).map(|i| (f64::from(i), 1.0 / (1.0 + rate * f64::from(i)))).collect();
    Curves {
        title: "loss of two models".to_owned(),
        description: "the second learns faster".to_owned(),
        x_label: "epoch".to_owned(),
        y_label: "log loss".to_owned(),
        series: vec![
            Series { name: "one".to_owned(), points: exponential(0.05) },
            Series { name: "two".to_owned(), points: exponential(0.5) },
        ],
        notes: vec!["20 epochs".to_owned()],
        ..Curves::default()
    }
}

fn reliability() -> Diagram {
    let grid = || (1..20).map(|i| f64::from(i) / 20.0);
    let name = str::to_owned;
    Diagram {
        title: name("森林模型的可靠性图：概率预测太极端，九成的预测只有四分之三发生"),
        description: name("The forecasts are too extreme."),
        x_label: name("预测概率"),
        y_label: name("实际频率"),
        curve: Series {
            name: name("重新校准"),
            points: grid().map(|p| (p, 0.2 + 0.6 * p)).collect(),
        },
        joined: Joined::Line,
        points: Series {
            name: name("等宽分组"), points: vec![(0.1, 0.2), (0.5, 0.6), (0.9, 0.8)]
        },
        band: Band {
            name: name("90% 一致带"),
            points: grid().map(|p| (p, p - 0.1, p + 0.1)).collect(),
        },
        diagonal: name("完全校准"),
        histogram: Histogram {
            name: name("预测"), bins: vec![(0.0, 0.25, 3.0), (0.5, 1.0, 8.0)]
        },
        ..Diagram::default()
    }
}

#[test]
fn curves_in_braille() {
    let screen = "\
loss of two models
log loss
 1.0 ┤⢖●⢄⡀
     │⠸⡀ ⠈⠉⠒⠒⠤⠤●⡀
     │ ⢇        ⠈⠉⠑⠒⠢⠤⢄●⡀
     │ ⠈⢢               ⠈⠉⠉⠉⠒⠒●⠤⠤⠤⣀⣀⣀⡀
 0.5 ┤   ⠑⠤⡀                         ⠈●⠉⠉⠑⠒⠒
     │     ■⠑⠢⢄⡀
     │         ⠈⠑⠒⠢■⢄⣀⣀⣀⡀
     │                  ⠈⠉■⠉⠒⠒⠒⠒⠒⠒■⠢⠤⠤⠤⠤⠤⠤■⠤
     └┬────────┬─────────┬────────┬────────┬
      0        5        10       15       20
                                       epoch
 ● one   ■ two
the second learns faster
20 epochs
";
    assert_eq!(render_terminal(&learning_curves(), 44, 8, true, false), screen);
}

#[test]
fn curves_in_ascii() {
    let screen = "\
loss of two models
log loss
 1.0 +=o-
     |=  ------o-
     | =         ------o-
     | ==                -----o-------
 0.5 +   ==                           o-----
     |     #===
     |         ====#=====
     |                   =#=======#=======#=
     ++--------+---------+--------+--------+
      0        5        10       15       20
                                       epoch
 -o- one   =#= two
the second learns faster
20 epochs
";
    assert_eq!(render_terminal(&learning_curves(), 44, 8, false, false), screen);
}

#[test]
fn curves_in_colour() {
    let mut chart = learning_curves();
    chart.series.iter_mut().for_each(|series| series.points.truncate(2));
    let screen = "\
\u{1b}[1mloss of two models\u{1b}[0m
\u{1b}[2mlog loss\u{1b}[0m
\u{1b}[2m 1.0 ┤\u{1b}[0m\u{1b}[35m■⠛⠭⢕⡒\u{1b}[0m\u{1b}[36m⠒⠒⠒⠒⠒⠢⠤⠤●\u{1b}[0m
\u{1b}[2m 0.8 ┤\u{1b}[0m    \u{1b}[35m⠈⠉⠒⠤⣀⡀\u{1b}[0m
\u{1b}[2m     │\u{1b}[0m         \u{1b}[35m⠈⠑⠒⠤■\u{1b}[0m
\u{1b}[2m     └┬────────────┬\u{1b}[0m
\u{1b}[2m      0            1\u{1b}[0m
\u{1b}[2m               epoch\u{1b}[0m
 \u{1b}[36m●\u{1b}[0m one   \u{1b}[35m■\u{1b}[0m two
the second learns
faster
\u{1b}[2m20 epochs\u{1b}[0m
";
    assert_eq!(render_terminal(&chart, 20, 3, true, true), screen);
}

#[test]
fn a_chinese_diagram_in_braille() {
    let screen = "\
森林模型的可靠性图：概率预测太极端，九成的预
测只有四分之三发生
实际频率
 1.0 ┤                  ░⠠
     │                ░░■░
     │              ░⠄⠈⢀⡠⠔
     │            ░⠐⢀⡠⠊⠁
     │         ░■⡠⠔⠊⠁
 0.5 ┤       ⣀⠤⠒⠉░
     │    ⣀⠔⠉⠐░
     │ ⠤⠒⠉⠠░⠁
     │ ░■⠂░
 0.0 ┤⡀⠈░
     └┬─────────┬─────────┬
      ▄▄▄▄▄      ██████████
      █████▃    ███████████
     0.0       0.5      1.0
                   预测概率
 ⣀⠤⠒ 重新校准   ■ 等宽分组   ░░ 90% 一致带
 ⡀⠠⠐ 完全校准   ▂▅▇ 预测
The forecasts are too extreme.
";
    assert_eq!(render_terminal(&reliability(), 44, 10, true, false), screen);
}

#[test]
fn a_chinese_diagram_in_ascii() {
    let screen = "\
森林模型的可靠性图：概率预测太极端，九成的预
测只有四分之三发生
实际频率
 1.0 +                  :..
     |                :.#:
     |              :..---
     |            :.---
     |         :#---
 0.5 +       ----:
     |    ---.:
     | ---..:
     | :#.:
 0.0 +..:
     ++---------+---------+
      :::::      ##########
      #####:    ###########
     0.0       0.5      1.0
                   预测概率
 -- 重新校准   # 等宽分组   :: 90% 一致带
 .. 完全校准   .:# 预测
The forecasts are too extreme.
";
    assert_eq!(render_terminal(&reliability(), 44, 10, false, false), screen);
}

#[test]
fn steps_go_level_then_up() {
    let curve = Series { name: String::new(), points: vec![(0.0, 0.0), (0.5, 0.75), (1.0, 1.0)] };
    let chart =
        Diagram { curve, title: "steps".to_owned(), joined: Joined::Steps, ..Diagram::default() };
    let screen = "\
steps
 1.0 +          -
     |     ------
 0.5 +     -
     |     -
 0.0 +------
     ++---------+
      0         1
";
    assert_eq!(render_terminal(&chart, 40, 5, false, false), screen);
}

#[test]
fn curves_as_svg() {
    let points = vec![(1.0, 1.0), (10.0, f64::NAN), (100.0, 0.1), (1000.0, 0.01)];
    let chart = Curves {
        title: "loss <1>".to_owned(),
        description: "it falls".to_owned(),
        x_label: "step".to_owned(),
        y_label: "nats".to_owned(),
        x_scale: Scale::Log,
        y_scale: Scale::Log,
        series: vec![Series { name: "a & b".to_owned(), points }],
        notes: Vec::new(),
    };
    let expected = include_str!("curves.svg");
    assert_eq!(render_svg(&chart), expected);
}

#[test]
fn a_diagram_as_svg() {
    let chart = Diagram {
        title: "reliability".to_owned(),
        curve: Series { name: "curve".to_owned(), points: vec![(0.0, 0.5), (1.0, 0.75)] },
        joined: Joined::Steps,
        points: Series { name: "bins".to_owned(), points: vec![(0.5, 0.5)] },
        band: Band { name: "band".to_owned(), points: vec![(0.0, 0.0, 0.25), (1.0, 0.5, 1.0)] },
        diagonal: "calibrated".to_owned(),
        ..Diagram::default()
    };
    let expected = include_str!("diagram.svg");
    assert_eq!(render_svg(&chart), expected);
}

/// The contrast of two colours by WCAG 2.2: 4.5 is enough for text, 3 for lines.
fn contrast(a: &str, b: &str) -> f64 {
    let luminance = |colour: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn colours_can_be_read_in_both_modes() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-12);
    let svg = render_svg(&Curves::default());
    let sets: Vec<&str> = svg.lines().filter(|line| line.contains("--xp-paper:")).collect();
    assert_eq!(sets.len(), 2);
    for set in sets {
        let colour = |name: &str| {
            let at = set.find(&format!("--xp-{name}:")).unwrap() + name.len() + 6;
            set[at..at + 7].to_owned()
        };
        for name in ["ink", "muted", "0", "1", "2", "3", "4", "5", "6", "7"] {
            let contrast = contrast(&colour(name), &colour("paper"));
            assert!(contrast >= 4.5, "{name} in {set}: {contrast}");
        }
    }
}

#[test]
fn an_svg_asks_for_nothing_and_runs_nothing() {
    let nasty = "<script>alert(1)</script>\" onload=\"x";
    let series = vec![Series { name: nasty.to_owned(), points: vec![(0.0, 1.0)] }];
    let chart = Curves { title: nasty.to_owned(), series, ..Curves::default() };
    let svg = render_svg(&chart);
    for word in ["<script", "href", "url(", "@import", "style=", "\" on"] {
        let count = svg.matches(word).count();
        assert_eq!(
            count,
            if word == "\" on" { svg.matches("&gt;\" onload").count() } else { 0 },
            "{word}"
        );
    }
    // Charts of one page have different names, equal charts the same.
    let id = |svg: &str| svg.split("aria-labelledby=\"").nth(1).unwrap()[..19].to_owned();
    assert_eq!(id(&svg), id(&render_svg(&chart)));
    assert_ne!(id(&svg), id(&render_svg(&learning_curves())));
}
