//! Choosing the next token: greedy, or drawn with temperature, top-k and top-p, among the tokens that are allowed.
//!
//! Each unit has its own random numbers, seeded by the run's seed and the unit's content, so that a draw does not
//! depend on who else is in the batch.

use llguidance::toktrie::SimpleVob;

use super::{engine::Logits, settings::Settings, sweep::Sweep};
use crate::base::{Origin, item::Part};

/// A token and how likely it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Its natural-log probability among the allowed tokens at temperature 1, before top-k and top-p: it says how sure
    /// the model is, whatever the sampler makes of it.
    pub logprob: f32,
}

/// Chooses the tokens of one unit.
#[derive(Debug, Clone)]
pub struct Sampler {
    temperature: f32,
    top_k: Option<usize>,
    top_p: Option<f32>,
    numbers: SplitMix,
}

impl Sampler {
    /// A sampler for one unit.
    pub fn new(settings: &Settings, origin: &Origin) -> Self {
        Self {
            temperature: settings.temperature,
            top_k: settings.top_k,
            // All of the probability leaves none out: they need not be put in order for that.
            top_p: settings.top_p.filter(|share| *share < 1.0),
            numbers: SplitMix::of(settings.seed, origin),
        }
    }

    /// Chooses among the allowed tokens; `None` when no allowed token has a usable score.
    ///
    /// Among equals the lowest id wins. A score that is not a number counts as the lowest.
    pub fn choose(&mut self, logits: Logits, allowed: &SimpleVob) -> Option<Choice> {
        match logits {
            Logits::Certain(token) => certain(token, allowed),
            Logits::Scores(scores) => self.choose_by_score(scores, allowed),
        }
    }

    fn choose_by_score(&mut self, scores: &[f32], allowed: &SimpleVob) -> Option<Choice> {
        let greedy = self.temperature == 0.0;
        let scale = if greedy { 1.0 } else { 1.0 / self.temperature };
        let sweep = Sweep::new(scores, allowed)?;
        let total = sweep.total(scale);
        let token = if greedy { sweep.best } else { self.draw(&sweep, total, scale) };
        let plain = if scale == 1.0 { total } else { sweep.total(1.0) };
        let logprob = (f64::from(scores[token as usize] - sweep.highest) - plain.ln()) as f32;
        Some(Choice { token, logprob })
    }

    fn draw(&mut self, sweep: &Sweep, total: f64, scale: f32) -> u32 {
        let share = self.numbers.fraction();
        let Some(candidates) = self.candidates(sweep, total, scale) else { return sweep.draw(share * total, scale) };
        let mut left = share * candidates.iter().map(|(_, weight)| weight).sum::<f64>();
        let passes = |(_, weight): &&(u32, f64)| {
            left -= weight;
            left < 0.0
        };
        candidates.iter().find(passes).map_or(sweep.best, |(token, _)| *token)
    }

    /// The `top_k` likeliest, and of those the fewest that hold `top_p` of the probability, with their weights, best
    /// first. `None` when all are candidates.
    fn candidates(&self, sweep: &Sweep, total: f64, scale: f32) -> Option<Vec<(u32, f64)>> {
        let weighed = |count: usize| -> Vec<(u32, f64)> {
            let tokens = sweep.likeliest(count).into_iter();
            tokens.map(|(token, score)| (token, sweep.weight(score, scale))).collect()
        };
        match (self.top_k, self.top_p) {
            (None, None) => None,
            (Some(count), None) => Some(weighed(count)),
            (Some(count), Some(share)) => {
                let mut candidates = weighed(count);
                let held: f64 = candidates.iter().map(|(_, weight)| weight).sum();
                candidates.truncate(enough(&candidates, f64::from(share) * held).unwrap_or(usize::MAX));
                Some(candidates)
            }
            (None, Some(share)) => Some(fewest(weighed, f64::from(share) * total)),
        }
    }
}

/// The fewest of the likeliest that weigh at least `wanted` together: as many are looked at as turn out to be needed.
fn fewest(weighed: impl Fn(usize) -> Vec<(u32, f64)>, wanted: f64) -> Vec<(u32, f64)> {
    let mut count = 64;
    loop {
        let mut candidates = weighed(count);
        let needed = enough(&candidates, wanted);
        if needed.is_some() || candidates.len() < count {
            candidates.truncate(needed.unwrap_or(usize::MAX));
            return candidates;
        }
        count *= 16;
    }
}

/// How many from the front weigh `wanted` together; `None` when all of them do not.
fn enough(candidates: &[(u32, f64)], wanted: f64) -> Option<usize> {
    let mut held = 0.0;
    let reaches = |(_, weight): &(u32, f64)| {
        held += weight;
        held >= wanted
    };
    candidates.iter().position(reaches).map(|place| place + 1)
}

/// A certain token that is not allowed says nothing about the others: the lowest id, as likely as any.
fn certain(token: u32, allowed: &SimpleVob) -> Option<Choice> {
    if (token as usize) < allowed.len() && allowed.is_allowed(token) {
        return Some(Choice { token, logprob: 0.0 });
    }
    let first = allowed.first_bit_set()?;
    Some(Choice { token: first as u32, logprob: -(allowed.num_set() as f32).ln() })
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to draw tokens with.
#[derive(Debug, Clone)]
struct SplitMix(u64);

impl SplitMix {
    fn of(seed: u64, origin: &Origin) -> Self {
        let (start, end) = match origin.part {
            Part::Whole => (0, 0),
            Part::Page { number, .. } => (u64::from(number), 0),
            Part::Pages { first, last, .. } => (u64::from(first), u64::from(last)),
            Part::Time { start, end } => (start.to_bits(), end.to_bits()),
            Part::Frames { start, end } => (start.to_bits() ^ 1, end.to_bits()),
            Part::Text { start, end } => (start, end),
        };
        let words =
            origin.source.hash.0.chunks_exact(8).map(|bytes| bytes.iter().fold(0, |word, b| word << 8 | u64::from(*b)));
        words.chain([start, end]).fold(Self(seed), |mut numbers, word| Self(numbers.next() ^ word))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In [0, 1).
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{ContentHash, Kind, Source};

    fn origin(byte: u8, page: u32) -> Origin {
        let source = Source {
            name: "a".into(),
            path: "a".into(),
            hash: ContentHash([byte; 32]),
            kind: Kind::Pdf,
            bytes: 1,
            ordinal: 0,
            modified: None,
        };
        Origin { source: Arc::new(source), part: Part::Page { number: page, of: 9 } }
    }

    fn sampler(settings: Settings) -> Sampler {
        Sampler::new(&settings, &origin(1, 1))
    }

    fn allowed(bits: &[bool]) -> SimpleVob {
        SimpleVob::from_slice(bits)
    }

    #[test]
    fn greedy_takes_the_likeliest_allowed_and_the_lowest_of_equals() {
        let mut greedy = sampler(Settings::default());
        let scores = [9.0, f32::NAN, 2.0, 2.0, f32::NEG_INFINITY];
        let choice = greedy.choose(Logits::Scores(&scores), &allowed(&[false, true, true, true, true])).unwrap();
        assert_eq!(choice.token, 2);
        assert!((choice.logprob - 0.5_f32.ln()).abs() < 1e-6);
        assert_eq!(greedy.choose(Logits::Scores(&scores), &allowed(&[false, true, false, false, true])), None);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut drawing = sampler(Settings { temperature: 2.0, ..Settings::default() });
        let scores = [0.0, 2.0 * 3.0_f32.ln(), 50.0];
        let mask = allowed(&[true, true, false]);
        let drawn = (0..20_000).filter(|_| drawing.choose(Logits::Scores(&scores), &mask).unwrap().token == 1).count();
        assert!((14_700..15_300).contains(&drawn), "three quarters of 20000 expected, {drawn} drawn");
    }

    #[test]
    fn top_k_and_top_p_leave_out_the_unlikely() {
        let scores = [0.0, 1.0, 2.0, 3.0];
        let mask = allowed(&[true; 4]);
        let few = |settings: Settings| {
            let mut sampler = sampler(Settings { temperature: 1.0, ..settings });
            let mut seen: Vec<u32> =
                (0..2000).map(|_| sampler.choose(Logits::Scores(&scores), &mask).unwrap().token).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(few(Settings { top_k: Some(2), ..Settings::default() }), [2, 3]);
        assert_eq!(few(Settings { top_p: Some(0.6), ..Settings::default() }), [3]);
        assert_eq!(few(Settings { top_p: Some(0.7), ..Settings::default() }), [2, 3]);
        assert_eq!(few(Settings::default()), [0, 1, 2, 3]);
    }

    #[test]
    fn a_top_p_of_one_draws_as_none_does() {
        let (scores, mask) = ([0.0, 1.0, 2.0, 3.0], allowed(&[true; 4]));
        let drawn = |top_p: Option<f32>| {
            let mut sampler = sampler(Settings { temperature: 1.0, top_p, ..Settings::default() });
            let choose = |_| sampler.choose(Logits::Scores(&scores), &mask).unwrap().token;
            (0..200).map(choose).collect::<Vec<u32>>()
        };
        assert_eq!(drawn(Some(1.0)), drawn(None));
        assert_eq!(sampler(Settings { top_p: Some(1.0), ..Settings::default() }).top_p, None);
    }

    #[test]
    fn a_draw_depends_on_the_seed_the_content_and_the_part() {
        let first = |seed, origin: &Origin| SplitMix::of(seed, origin).next();
        assert_eq!(first(1, &origin(1, 1)), first(1, &origin(1, 1)));
        assert_ne!(first(1, &origin(1, 1)), first(2, &origin(1, 1)));
        assert_ne!(first(1, &origin(1, 1)), first(1, &origin(2, 1)));
        assert_ne!(first(1, &origin(1, 1)), first(1, &origin(1, 2)));
    }
}
