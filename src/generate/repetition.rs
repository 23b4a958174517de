//! Tells when an answer says the same again and again: a stretch of tokens that repeats itself with any period.

/// Longest stretch that is looked for.
const LONGEST_PERIOD: usize = 64;

/// A stretch must come so often: two equal rows of a table are no loop.
const TIMES: usize = 4;

/// Follows an answer token by token.
#[derive(Debug, Clone)]
pub(super) struct Repetition {
    /// The last tokens, a ring.
    last: [u32; LONGEST_PERIOD],
    count: usize,
    /// By period: how many tokens in a row were what stood so far before them.
    runs: [usize; LONGEST_PERIOD],
    /// Repeated tokens that are a loop; 0 is never.
    limit: usize,
}

impl Repetition {
    /// Before the first token.
    pub(super) fn new(limit: usize) -> Self {
        Self { last: [u32::MAX; LONGEST_PERIOD], count: 0, runs: [0; LONGEST_PERIOD], limit }
    }

    /// Hears one token.
    pub(super) fn hear(&mut self, token: u32) {
        for (place, run) in self.runs.iter_mut().enumerate() {
            let before = self.last[(self.count + LONGEST_PERIOD - 1 - place) % LONGEST_PERIOD];
            *run = if before == token { *run + 1 } else { 0 };
        }
        self.last[self.count % LONGEST_PERIOD] = token;
        self.count += 1;
    }

    /// True when the answer repeats itself, over `limit` tokens and a few times at least.
    pub(super) fn is_loop(&self) -> bool {
        let long = |(place, run): (usize, &usize)| *run >= self.limit && *run >= (TIMES - 1) * (place + 1);
        self.limit > 0 && self.runs.iter().enumerate().any(long)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// After how many tokens a loop is seen.
    fn seen(limit: usize, tokens: impl IntoIterator<Item = u32>) -> Option<usize> {
        let mut repetition = Repetition::new(limit);
        tokens.into_iter().position(|token| {
            repetition.hear(token);
            repetition.is_loop()
        })
    }

    #[test]
    fn a_stretch_of_any_length_that_comes_again_and_again_is_a_loop() {
        for period in [1, 2, 7, 40, 64] {
            let said = (1000..1050).chain((0..4000).map(|place| place % period));
            let at = seen(100, said).unwrap();
            let expected = 50 + (100.max(3 * period as usize) + period as usize) - 1;
            assert_eq!(at, expected, "period {period}");
        }
    }

    #[test]
    fn what_repeats_seldom_or_for_a_short_while_is_none() {
        assert_eq!(seen(100, (0..90).map(|_| 5)), None);
        assert_eq!(seen(20, (0..150).map(|place| place % 50)), None, "three times fifty");
        assert_eq!(seen(20, (0..5000).map(|place| place % 65)), None, "longer than what is looked for");
        assert_eq!(seen(0, (0..5000).map(|_| 5)), None, "switched off");
        let rows = (0..40).flat_map(|row| [10, 11, 12, 13, 500 + row]);
        assert_eq!(seen(20, rows), None, "rows that differ in one value");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_look_back(
            tokens in prop::collection::vec(0_u32..3, 0..200),
            limit in 1_usize..20,
        ) {
            let plainly = |end: usize| (1..=LONGEST_PERIOD.min(end)).any(|period| {
                let same = (period..end).rev().take_while(|place| tokens[*place] == tokens[place - period]).count();
                same >= limit && same >= (TIMES - 1) * period
            });
            prop_assert_eq!(seen(limit, tokens.iter().copied()), (0..tokens.len()).find(|place| plainly(place + 1)));
        }
    }
}
