//! Charts of arbitrary numbers and names: always well-formed, always on the screen.

use super::*;

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-z ]{1,8}",
        Just("民主党".to_owned()),
        Just("\u{1b}[2J</svg>]]>&amp;".to_owned()),
        Just("\u{202e}\u{0}\u{ffff}\"'".to_owned()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn any_series() -> impl Strategy<Value = Series> {
    let points = prop::collection::vec((any_number(), any_number()), 0..40);
    (any_text(), points).prop_map(|(name, points)| Series { name, points })
}

fn any_curves() -> impl Strategy<Value = Curves> {
    let texts = [(); 4].map(|()| any_text());
    let notes = prop::collection::vec(any_text(), 0..3);
    (texts, scale(), scale(), prop::collection::vec(any_series(), 0..12), notes).prop_map(
        |([title, description, x_label, y_label], x_scale, y_scale, series, notes)| Curves {
            title,
            description,
            x_label,
            y_label,
            x_scale,
            y_scale,
            series,
            notes,
        },
    )
}

fn any_diagram() -> impl Strategy<Value = Diagram> {
    let texts = [(); 7].map(|()| any_text());
    let triples = || prop::collection::vec((any_number(), any_number(), any_number()), 0..30);
    let range = prop_oneof![Just((0.0, 1.0)), (any_number(), any_number())];
    (texts, range, any_series(), any_series(), any::<bool>(), triples(), triples()).prop_map(
        |(texts, range, curve, points, steps, band, bins)| {
            let [title, description, x_label, y_label, diagonal, band_name, bins_name] = texts;
            Diagram {
                title,
                description,
                x_label,
                y_label,
                range,
                curve,
                joined: if steps { Joined::Steps } else { Joined::Line },
                points,
                band: Band { name: band_name, points: band },
                diagonal,
                histogram: Histogram { name: bins_name, bins },
                notes: Vec::new(),
            }
        },
    )
}

/// Checks that a text is one well-formed XML element with finite numbers, and returns its attributes.
///
/// Strict about what charts consist of: start tags, end tags, empty tags, text and four entities.
fn attributes(svg: &str) -> Result<Vec<(String, String)>, String> {
    let mut rest = svg.trim_end();
    let (mut open, mut attributes, mut elements) = (Vec::new(), Vec::new(), 0);
    while !rest.is_empty() {
        let (text, after) = rest.split_once('<').unwrap_or((rest, ""));
        if open.is_empty() && !text.is_empty() {
            return Err(format!("text outside: {text}"));
        }
        check_text(text)?;
        let (tag, next) = after.split_once('>').ok_or("a tag without end")?;
        rest = next;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
            continue;
        }
        if open.is_empty() && elements > 0 {
            return Err("two elements".to_owned());
        }
        elements += 1;
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, mut list) = tag.split_once(' ').unwrap_or((tag, ""));
        if !name.chars().all(|c| c.is_ascii_lowercase()) || name.is_empty() {
            return Err(format!("<{name}>"));
        }
        while !list.is_empty() {
            let (key, value) = list.split_once("=\"").ok_or(format!("attributes {list}"))?;
            let (value, next) = value.split_once('"').ok_or(format!("attribute {key}"))?;
            check_text(value)?;
            attributes.push((key.trim_start().to_owned(), value.to_owned()));
            list = next;
        }
        if !is_empty {
            open.push(name);
        }
    }
    if open.is_empty() && elements > 0 { Ok(attributes) } else { Err(format!("open: {open:?}")) }
}

fn check_text(text: &str) -> Result<(), String> {
    if let Some(c) =
        text.chars().find(|&c| c != '\n' && is_unsafe(c) || matches!(c, '\u{fffe}' | '\u{ffff}'))
    {
        return Err(format!("character {c:?}"));
    }
    let entities = text.split('&').skip(1);
    match entities
        .into_iter()
        .find(|e| !["amp;", "lt;", "gt;"].iter().any(|known| e.starts_with(known)))
    {
        Some(entity) => Err(format!("&{entity}")),
        None => Ok(()),
    }
}

/// Every number in the picture's geometry is finite and near the picture.
fn check_numbers(svg: &str) -> Result<(), TestCaseError> {
    let attributes = attributes(svg).map_err(TestCaseError::fail)?;
    for (key, value) in attributes {
        if !["d", "x", "y", "width", "height", "viewBox", "font-size", "stroke-width"]
            .contains(&key.as_str())
        {
            continue;
        }
        // A minus also separates numbers.
        let value = value.replace('-', " -").replace('%', "");
        for number in
            value.split(|c: char| c.is_ascii_alphabetic() || c == ' ').filter(|n| !n.is_empty())
        {
            let x: f64 =
                number.parse().map_err(|_| TestCaseError::fail(format!("{key}: {number}")))?;
            prop_assert!((-50.0..=10_000.0).contains(&x), "{key} is {x}");
        }
    }
    Ok(())
}

/// Nothing but ASCII is drawn, nothing is wider than the screen, and nothing is invisible.
fn check_screen(text: &str, width: usize, heights: usize) -> Result<(), TestCaseError> {
    prop_assert!(text.ends_with('\n'));
    prop_assert!(!text.chars().any(|c| c != '\n' && is_unsafe(c)));
    for line in text.lines() {
        prop_assert!(display_width(line) <= width, "{line:?} is wider than {width}");
    }
    prop_assert!(text.lines().count() >= heights);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn curves_of_anything(
        chart in any_curves(), width in 30_usize..100, height in 3_usize..24, unicode in any::<bool>(),
    ) {
        let svg = render_svg(&chart);
        check_numbers(&svg)?;
        prop_assert_eq!(&svg, &render_svg(&chart.clone()));
        check_screen(&render_terminal(&chart, width, height, unicode, false), width, height + 2)?;
    }

    #[test]
    fn diagrams_of_anything(
        chart in any_diagram(), width in 30_usize..100, height in 3_usize..24, unicode in any::<bool>(),
    ) {
        check_numbers(&render_svg(&chart))?;
        check_screen(&render_terminal(&chart, width, height, unicode, false), width, height + 2)?;
    }

    /// Colours change nothing but colours, and plain charts of plain texts are ASCII.
    #[test]
    fn colours_only_repeat(mut chart in any_curves(), unicode in any::<bool>()) {
        let plain = render_terminal(&chart, 60, 8, unicode, false);
        let coloured = render_terminal(&chart, 60, 8, unicode, true);
        let mut stripped = String::new();
        for (i, part) in coloured.split('\u{1b}').enumerate() {
            stripped.push_str(if i == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        // A style may keep the spaces at the end of its line.
        let trimmed: Vec<&str> = stripped.lines().map(|line| line.trim_end_matches(' ')).collect();
        prop_assert_eq!(plain.lines().collect::<Vec<_>>(), trimmed);
        for series in &mut chart.series {
            series.name = "name".to_owned();
        }
        let chart = Curves { series: chart.series, ..Curves::default() };
        prop_assert!(render_terminal(&chart, 60, 8, false, false).is_ascii());
    }
}

#[test]
fn the_checker_refuses() {
    for bad in ["", "<a>", "<a></b>", "<a/><b/>", "<a b=c/>", "<a>&x;</a>", "<a>\u{1}</a>", "x<a/>"]
    {
        assert!(attributes(bad).is_err(), "{bad}");
    }
    assert_eq!(
        attributes("<a b=\"c d\">&lt;<e/></a>\n"),
        Ok(vec![("b".to_owned(), "c d".to_owned())])
    );
}
