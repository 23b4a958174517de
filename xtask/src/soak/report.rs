//! What a soak has shown: whether memory and open files grow with units, and whether children are replaced.

use super::samples::{Sample, Samples};
use crate::step::Result;

/// Of the run, from its beginning, that is not counted: pools, caches and allocators fill.
const WARM_UP: f64 = 0.2;

/// Parts of the time after it. Memory goes up and down with each part that is written, by more than a hundred times what is
/// looked for; a leak raises what is left between, so of each part of the time the least counts.
const PARTS: usize = 10;

/// Most KB of resident memory that 1,000 units may leave behind.
const MOST_GROWTH: f64 = 1.0;

/// Most descriptors by which 1,000 units may raise what is open.
const MOST_DESCRIPTORS: f64 = 0.01;

/// Lines of the table.
const LINES: usize = 20;

/// Samples after the warm-up, by units, and what follows from them.
pub struct Report {
    points: Vec<(f64, Sample)>,
    seconds: f64,
    /// KB of resident memory for 1,000 units.
    growth: Slope,
    /// Descriptors for 1,000 units.
    descriptors: Slope,
    /// Children that were seen.
    children: usize,
    /// Children that must at least have been there.
    replaced: usize,
}

impl Report {
    /// The report of a run that must have had at least so many children one after the other.
    pub fn new(samples: &Samples, replaced: u32) -> Self {
        let warm = samples.taken.iter().filter(|sample| sample.at >= WARM_UP * samples.seconds);
        let points: Vec<(f64, Sample)> =
            warm.filter_map(|sample| Some((samples.units(sample.at)? / 1000.0, *sample))).collect();
        let slope_of = |value: fn(&Sample) -> f64| slope(points.iter().map(|(units, sample)| (*units, value(sample))));
        let growth = slope(floor(&points).into_iter());
        let descriptors = slope_of(|sample| sample.descriptors as f64);
        let (seconds, children, replaced) = (samples.seconds, samples.children.len(), replaced as usize);
        Self { points, seconds, growth, descriptors, children, replaced }
    }

    /// Some of the samples, and the slopes.
    pub fn table(&self) -> String {
        let mut lines = vec![format!("{:>10} {:>12} {:>12} {:>9}", "units", "resident KB", "descriptors", "children")];
        let step = self.points.len().div_ceil(LINES).max(1);
        lines.extend(self.points.iter().step_by(step).map(|(units, sample)| {
            let Sample { resident, descriptors, children, .. } = sample;
            format!("{:>10.0} {resident:>12.0} {descriptors:>12} {children:>9}", units * 1000.0)
        }));
        lines.push(format!(
            "{:.0} s, {} samples after the warm-up; for 1,000 units {:+.2} (± {:.2}) KB resident at the least and {:+.4} descriptors; {} children",
            self.seconds,
            self.points.len(),
            self.growth.value,
            self.growth.error,
            self.descriptors.value,
            self.children
        ));
        lines.join("\n")
    }

    /// An error that says what grows.
    pub fn verdict(&self) -> Result<()> {
        let few = (self.points.len() < 10).then(|| "there are under 10 samples: take more units".to_owned());
        let grows = (self.growth.value >= MOST_GROWTH).then(|| {
            format!("resident memory grows by {:.2} KB for 1,000 units, {MOST_GROWTH} are allowed", self.growth.value)
        });
        let leaks = (self.descriptors.value >= MOST_DESCRIPTORS)
            .then(|| format!("open descriptors grow by {:.4} for 1,000 units", self.descriptors.value));
        let stale = (self.children < self.replaced)
            .then(|| format!("{} children were seen, {} must have been there", self.children, self.replaced));
        let problems: Vec<String> = [few, grows, leaks, stale].into_iter().flatten().collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

/// Of each part of the time the sample with the least memory.
fn floor(points: &[(f64, Sample)]) -> Vec<(f64, f64)> {
    let parts = points.chunks(points.len().div_ceil(PARTS).max(1));
    let least = |part: &[(f64, Sample)]| {
        let memory = part.iter().map(|(units, sample)| (*units, sample.resident));
        memory.min_by(|one, other| one.1.total_cmp(&other.1))
    };
    parts.filter_map(least).collect()
}

/// How much something grows.
#[derive(Debug, Clone, Copy, Default)]
struct Slope {
    value: f64,
    /// Its standard error, by how far the points lie from the line: what the slope may be for no reason.
    error: f64,
}

/// The slope of the line through `points` whose squared distances are least; 0 for fewer than two.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> Slope {
    let count = points.clone().count().max(1) as f64;
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (with, alone) = points.clone().fold((0.0, 0.0), |(with, alone), point| {
        (with + (point.0 - x) * (point.1 - y), alone + (point.0 - x) * (point.0 - x))
    });
    if alone <= 0.0 {
        return Slope::default();
    }
    let value = with / alone;
    let left: f64 = points.map(|point| (point.1 - y - value * (point.0 - x)).powi(2)).sum();
    Slope { value, error: (left / (count - 2.0).max(1.0) / alone).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_line_is_found_under_what_swings() {
        let swings = (0..1000).map(|x| (f64::from(x), 3.0 * f64::from(x) + if x % 2 == 0 { 50.0 } else { -50.0 }));
        let found = slope(swings);
        assert!((found.value - 3.0).abs() < 0.01 && found.error > 0.0 && found.error < 0.01, "{found:?}");
        assert_eq!(slope([(1.0, 2.0)].into_iter()).value, 0.0);
    }
}
