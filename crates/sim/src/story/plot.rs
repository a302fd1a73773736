//! Lines and bands over time as SVG: just what the page of a story draws.

use std::fmt::Write;
use std::time::Duration;

/// Widths and heights of a picture. **Units:** pixels.
const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 20.0;

/// Lines across a picture.
const GRID_LINES: u32 = 4;

/// Colours that differ for most eyes. Source: Okabe and Ito, "Color Universal Design", 2008.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f"];

/// The colour of the n-th thing.
#[must_use]
pub fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

/// A picture whose x axis is the time of a story.
pub struct Plot {
    body: String,
    height: f64,
    end: f64,
    top: f64,
}

impl Plot {
    /// An empty picture up to a time and up to a value.
    #[must_use]
    pub fn new(height: f64, end: Duration, top: f64) -> Self {
        let (end, top) = (end.as_secs_f64().max(1e-9), if top > 0.0 { top } else { 1.0 });
        Self { body: String::new(), height, end, top }
    }

    /// Marks a moment with a word.
    pub fn moment(&mut self, at: Duration, word: &str) {
        let (x, bottom) = (self.x(at), self.height - BOTTOM);
        self.add(format_args!(
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" class=\"moment\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" class=\"word\">{}</text>",
            x + 3.0,
            TOP + 9.0,
            escaped(word)
        ));
    }

    /// A line through points; a gap where there is no value.
    pub fn line(&mut self, colour: &str, points: impl Iterator<Item = (Duration, Option<f64>)>) {
        let mut path = String::new();
        let mut is_down = false;
        for (at, value) in points {
            let Some(value) = value else {
                is_down = false;
                continue;
            };
            let command = if is_down { 'L' } else { 'M' };
            path.push_str(&format!("{command}{:.1} {:.1}", self.x(at), self.y(value)));
            is_down = true;
        }
        self.add(format_args!("<path d=\"{path}\" stroke=\"{colour}\" class=\"line\"/>"));
    }

    /// A coloured stretch of time over the whole height, with words that a pointer shows.
    pub fn band(&mut self, colour: &str, from: Duration, until: Duration, words: &str) {
        let (left, right) = (self.x(from), self.x(until));
        let (width, height) = ((right - left).max(0.5), self.height - TOP - BOTTOM);
        self.add(format_args!(
            "<rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{colour}\"><title>{}</title></rect>",
            escaped(words)
        ));
    }

    /// The picture with its axes; `unit` belongs to the values, none for bands.
    #[must_use]
    pub fn svg(mut self, unit: Option<&str>) -> String {
        self.time_axis();
        if let Some(unit) = unit {
            self.value_axis(unit);
        }
        let (height, body) = (self.height, self.body);
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">{body}</svg>\n")
    }

    fn time_axis(&mut self) {
        let y = self.height - 5.0;
        for step in 0..=2 * GRID_LINES {
            let share = f64::from(step) / f64::from(2 * GRID_LINES);
            let seconds = self.end * share;
            let x = LEFT + share * (WIDTH - LEFT - RIGHT);
            self.add(format_args!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"tick\">{seconds:.0} s</text>"
            ));
        }
    }

    fn value_axis(&mut self, unit: &str) {
        for step in 0..=GRID_LINES {
            let value = self.top * f64::from(step) / f64::from(GRID_LINES);
            let (y, right) = (self.y(value), WIDTH - RIGHT);
            self.add(format_args!(
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" class=\"grid\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"value\">{value:.1} {unit}</text>",
                LEFT - 4.0,
                y + 3.0
            ));
        }
    }

    fn x(&self, at: Duration) -> f64 {
        LEFT + (at.as_secs_f64() / self.end).min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value / self.top).clamp(0.0, 1.0);
        self.height - BOTTOM - share * (self.height - TOP - BOTTOM)
    }

    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        self.body.write_fmt(what).expect("a String takes everything");
    }
}

/// Text that is only text in a page.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
