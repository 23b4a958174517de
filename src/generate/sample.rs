//! Choosing the next token: greedy, or drawn with temperature, top-k and top-p, among the tokens that are allowed.
//!
//! Each unit has its own random numbers, seeded by the run's seed and the unit's content, so that a draw does not
//! depend on who else is in the batch.

use llguidance::toktrie::SimpleVob;

use super::{engine::Logits, settings::Settings};
use crate::base::{Origin, item::Part};

/// A token and how likely it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Its natural-log probability among the allowed tokens, at the sampler's temperature (1 when greedy), before
    /// top-k and top-p.
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
            top_p: settings.top_p,
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
        let likeliest = likeliest(scores, allowed)?;
        let highest = scores[likeliest as usize];
        let total = total(scores, allowed, highest, scale);
        let token = if greedy { likeliest } else { self.draw(scores, allowed, highest, scale) };
        let logprob = (f64::from((scores[token as usize] - highest) * scale) - total.ln()) as f32;
        Some(Choice { token, logprob })
    }

    fn draw(&mut self, scores: &[f32], allowed: &SimpleVob, highest: f32, scale: f32) -> u32 {
        let weight = |score: f32| f64::from(((score - highest) * scale).exp());
        let mut candidates: Vec<(u32, f64)> =
            usable(scores, allowed).map(|(token, score)| (token, weight(score))).collect();
        self.truncate(&mut candidates);
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut left = self.numbers.fraction() * total;
        for (token, weight) in &candidates {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        candidates[0].0
    }

    /// Keeps the `top_k` likeliest, and of those the fewest that hold `top_p` of the probability.
    fn truncate(&self, candidates: &mut Vec<(u32, f64)>) {
        if self.top_k.is_none() && self.top_p.is_none() {
            return;
        }
        let by_weight = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if let Some(count) = self.top_k.filter(|count| *count < candidates.len()) {
            candidates.select_nth_unstable_by(count, by_weight);
            candidates.truncate(count);
        }
        candidates.sort_unstable_by(by_weight);
        let Some(share) = self.top_p else { return };
        let enough = f64::from(share) * candidates.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut held = 0.0;
        let short_of_it = |(_, weight): &&(u32, f64)| {
            let before = held;
            held += weight;
            before < enough
        };
        let kept = candidates.iter().take_while(short_of_it).count();
        candidates.truncate(kept.max(1));
    }
}

/// The allowed tokens with a finite score.
fn usable<'a>(scores: &'a [f32], allowed: &'a SimpleVob) -> impl Iterator<Item = (u32, f32)> + 'a {
    let scored = |token: u32| scores.get(token as usize).map(|score| (token, *score));
    allowed.iter().filter_map(scored).filter(|(_, score)| score.is_finite())
}

fn likeliest(scores: &[f32], allowed: &SimpleVob) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, score) in usable(scores, allowed) {
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((token, score));
        }
    }
    best.map(|(token, _)| token)
}

/// The sum of `exp(score - highest)`. Terms below e^-30 are left out: a whole vocabulary of them adds less than 1e-7.
fn total(scores: &[f32], allowed: &SimpleVob, highest: f32, scale: f32) -> f64 {
    let exponents = usable(scores, allowed).map(|(_, score)| (score - highest) * scale);
    exponents.filter(|exponent| *exponent > -30.0).map(|exponent| f64::from(exponent.exp())).sum()
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
            Part::Time { start, end } => (start.to_bits(), end.to_bits()),
            Part::Frames { start, end } => (start.to_bits() ^ 1, end.to_bits()),
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
        let source = Source { name: "a".into(), hash: ContentHash([byte; 32]), kind: Kind::Pdf, bytes: 1, ordinal: 0 };
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
    fn a_draw_depends_on_the_seed_the_content_and_the_part() {
        let first = |seed, origin: &Origin| SplitMix::of(seed, origin).next();
        assert_eq!(first(1, &origin(1, 1)), first(1, &origin(1, 1)));
        assert_ne!(first(1, &origin(1, 1)), first(2, &origin(1, 1)));
        assert_ne!(first(1, &origin(1, 1)), first(1, &origin(2, 1)));
        assert_ne!(first(1, &origin(1, 1)), first(1, &origin(1, 2)));
    }
}
