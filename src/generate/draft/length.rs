//! How many tokens to draft: more while drafts are taken, fewer when they are not, and hardly any when they never are.
//!
//! A [`Purse`] bounds what drafts may cost: each step pays a little in, each token that was taken pays in the step that
//! it saved, and each drafted token takes out what it costs. So a row whose drafts are never taken is slower by
//! [`SHARE`] and a quarter of a step at most. A [`Length`] follows one source of drafts within that bound.

/// Most tokens in one draft.
pub(super) const LONGEST: usize = 64;

/// Tokens of a first draft.
const FIRST: usize = 4;

/// Part of a step that each step may spend on drafts that are not taken.
const SHARE: f64 = 0.025;

/// What a row may spend before it has made a step.
const ADVANCE: f64 = 0.25;

/// Most steps between two tries of a source that never hits.
const LONGEST_PAUSE: usize = 64;

/// What a row may spend on drafts, in steps.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    content: f64,
    cost: f64,
}

impl Purse {
    /// `cost` is what a drafted token adds to a step, as a part of a step that feeds one token.
    pub fn new(cost: f64) -> Self {
        Self { content: ADVANCE, cost: cost.max(1e-3) }
    }

    /// A step is about to be made.
    pub fn earn(&mut self) {
        self.put(SHARE);
    }

    /// Tokens that can be afforded.
    pub fn affords(&self) -> usize {
        (self.content / self.cost).max(0.0) as usize
    }

    /// Tokens were drafted and some of them taken.
    pub fn settle(&mut self, drafted: usize, accepted: usize) {
        self.put(accepted as f64 - drafted as f64 * self.cost);
    }

    /// What drafts saved long ago is no reason to lose it: no more is held than the longest draft costs.
    fn put(&mut self, steps: f64) {
        self.content = (self.content + steps).min(LONGEST as f64 * self.cost + ADVANCE);
    }
}

/// The length that suits one source of drafts.
#[derive(Debug, Clone)]
pub(super) struct Length {
    length: usize,
    pause: usize,
    waits: usize,
    hits: f64,
}

impl Default for Length {
    fn default() -> Self {
        Self { length: FIRST, pause: 0, waits: 0, hits: 0.5 }
    }
}

impl Length {
    /// A step is about to be made.
    pub fn tick(&mut self) {
        self.waits = self.waits.saturating_sub(1);
    }

    /// Tokens to draft now; 0 while the source rests.
    pub fn now(&self) -> usize {
        if self.waits > 0 { 0 } else { self.length }
    }

    /// The part of the drafted tokens that was taken lately.
    pub fn hits(&self) -> f64 {
        self.hits
    }

    /// The source's draft was fed, and `accepted` of its tokens were taken.
    pub fn judge(&mut self, drafted: usize, accepted: usize) {
        if drafted == 0 {
            return;
        }
        self.hits += (accepted as f64 / drafted as f64 - self.hits) / 4.0;
        match accepted {
            0 => self.miss(),
            _ if accepted >= drafted => self.hit((2 * drafted).max(self.length)),
            _ => self.hit(accepted + 1),
        }
    }

    /// The source's draft could not be said at all. Nothing was fed, so it cost nothing; but another source may be right.
    pub fn refuse(&mut self) {
        self.hits -= self.hits / 4.0;
    }

    fn hit(&mut self, length: usize) {
        (self.length, self.pause) = (length.clamp(2, LONGEST), 0);
    }

    /// Shorter; and when it is one token already, seldomer.
    fn miss(&mut self) {
        if self.length == 1 {
            self.pause = (2 * self.pause + 1).min(LONGEST_PAUSE);
            self.waits = self.pause;
        }
        self.length = (self.length / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that drafts cost in `steps` steps when `taken` says how many of a draft are taken, and those they save.
    fn play(steps: usize, cost: f64, taken: impl Fn(usize, usize) -> usize) -> (f64, usize) {
        let (mut purse, mut length) = (Purse::new(cost), Length::default());
        let (mut spent, mut saved) = (0.0, 0);
        for step in 0..steps {
            purse.earn();
            length.tick();
            let drafted = length.now().min(purse.affords());
            let accepted = taken(step, drafted);
            purse.settle(drafted, accepted);
            length.judge(drafted, accepted);
            spent += drafted as f64 * cost;
            saved += accepted;
        }
        (spent, saved)
    }

    #[test]
    fn drafts_that_are_never_taken_cost_less_than_three_percent() {
        for cost in [0.0, 0.005, 0.02, 0.1, 0.3, 1.0] {
            for steps in [50, 100, 1000, 10_000] {
                let (spent, _) = play(steps, cost, |_, _| 0);
                assert!(spent <= 0.03 * steps as f64, "{spent} of {steps} steps at {cost}");
            }
        }
    }

    #[test]
    fn drafts_that_stop_being_taken_cost_no_more_than_one_long_draft_besides() {
        let steps = 1000;
        let (spent, saved) = play(steps, 0.05, |step, drafted| if step < 20 { drafted } else { 0 });
        assert!(spent <= saved as f64 * 0.05 + 0.05 * LONGEST as f64 + 1.0 + 0.03 * steps as f64, "{spent}, {saved}");
    }

    #[test]
    fn drafts_that_are_always_taken_grow_to_the_longest() {
        let (_, saved) = play(40, 0.05, |_, drafted| drafted);
        assert!(saved > 30 * LONGEST, "{saved}");
    }

    #[test]
    fn drafts_settle_at_the_length_that_is_taken() {
        let mut length = Length::default();
        for _ in 0..10 {
            let drafted = length.now();
            length.judge(drafted, drafted.min(6));
        }
        assert!((6..=12).contains(&length.now()), "{length:?}");
    }

    #[test]
    fn a_source_that_misses_is_tried_seldom_and_comes_back_with_its_first_hit() {
        let mut length = Length::default();
        let mut tries = 0;
        for _ in 0..1000 {
            length.tick();
            let drafted = length.now();
            tries += usize::from(drafted > 0);
            length.judge(drafted, 0);
        }
        assert!((10..30).contains(&tries), "{tries}");
        (0..=LONGEST_PAUSE).for_each(|_| length.tick());
        length.judge(1, 1);
        length.judge(2, 2);
        assert_eq!(length.now(), 4);
    }
}
