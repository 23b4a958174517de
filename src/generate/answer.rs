//! One answer being written: takes the scores after each token and says what to feed next, until it is finished. The
//! thoughts before it, if there are any, are no part of it.

use super::{
    engine::Logits,
    guide::Guided,
    repetition::Repetition,
    sample::{Choice, Sampler},
    syntax::Syntax,
    thinking::Thinking,
    vocabulary::Vocabulary,
};
use crate::base::{Fault, FaultKind, Finish, StageName, Tokens};

/// Tokens that are said at once without asking the model; a longer stretch goes on after the next one.
const MOST_FORCED: usize = 64;

/// What happens after a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Feed these tokens; never none.
    Feed(Vec<u32>),
    /// The answer is complete.
    Finished(Finish),
}

/// Rules of one answer: the grammar or none, and how long it may be.
pub struct Rules {
    /// The thoughts that come first.
    pub thinking: Option<Thinking>,
    /// Follows the grammar; without it any text will do.
    pub guided: Option<Guided>,
    /// Most tokens.
    pub allowance: usize,
    /// Tokens of the allowance that are kept back for closing.
    pub reserve: usize,
    /// Tokens that repeat what went before, so many in a row, are a loop; 0 is never.
    pub loop_tokens: usize,
}

/// An answer being written.
pub struct Answer {
    rules: Rules,
    sampler: Sampler,
    vocabulary: Vocabulary,
    repetition: Repetition,
    /// Tokens so far, without the end token.
    pub tokens: Vec<u32>,
    /// How many of them were said before the answer was closed.
    open: Option<usize>,
    /// How many of them the grammar left no choice about.
    pub forced: u32,
    /// The log-probability of each of them; 0 for those that closed the answer, which were not chosen.
    pub logprobs: Vec<f32>,
}

impl Answer {
    /// An empty answer.
    pub fn new(rules: Rules, sampler: Sampler, vocabulary: Vocabulary) -> Self {
        let repetition = Repetition::new(rules.loop_tokens);
        let (tokens, logprobs) = (Vec::new(), Vec::new());
        Self { rules, sampler, vocabulary, repetition, tokens, open: None, forced: 0, logprobs }
    }

    /// Chooses the next token from the scores.
    ///
    /// # Errors
    /// When the scores are of no use, or the grammar gives up.
    pub fn advance(&mut self, logits: Logits) -> Result<Turn, Fault> {
        if let Some(thinking) = self.rules.thinking.as_mut().filter(|thinking| !thinking.is_over()) {
            return thinking.advance(logits, &mut self.sampler).map(Turn::Feed);
        }
        if self.must_close() {
            return self.close(Finish::Closed);
        }
        if self.repetition.is_loop() {
            return self.close(Finish::Loop);
        }
        let choice = self.choose(logits)?;
        if self.vocabulary.is_end(choice.token) {
            return Ok(Turn::Finished(Finish::Stop));
        }
        self.take(choice)?;
        let first = self.tokens.len() - 1;
        self.take_forced()?;
        Ok(self.turn_after(first))
    }

    fn must_close(&self) -> bool {
        self.rules.guided.is_some() && self.tokens.len() + self.rules.reserve >= self.rules.allowance
    }

    /// Completes the answer without the model: what is said from here on serves only to end it.
    fn close(&mut self, finish: Finish) -> Result<Turn, Fault> {
        let closing = self.rules.guided.as_mut().map_or(Ok(Vec::new()), Guided::closing)?;
        self.open = Some(self.tokens.len());
        self.logprobs.resize(self.tokens.len() + closing.len(), 0.0);
        self.tokens.extend(closing);
        Ok(Turn::Finished(finish))
    }

    fn choose(&mut self, logits: Logits) -> Result<Choice, Fault> {
        let Some(guided) = &mut self.rules.guided else {
            return self.sampler.choose(logits, self.vocabulary.free()).ok_or_else(unusable);
        };
        if let Logits::Certain(token) = logits
            && guided.allows(token)?
        {
            return Ok(Choice { token, logprob: 0.0 });
        }
        self.sampler.choose(logits, &guided.mask()?).ok_or_else(unusable)
    }

    fn take(&mut self, choice: Choice) -> Result<(), Fault> {
        if let Some(guided) = &mut self.rules.guided {
            guided.consume(choice.token)?;
        }
        self.repetition.hear(choice.token);
        self.tokens.push(choice.token);
        self.logprobs.push(choice.logprob);
        Ok(())
    }

    /// Says what the grammar leaves no choice about.
    fn take_forced(&mut self) -> Result<(), Fault> {
        let forced = self.rules.guided.as_mut().map_or(Ok(Vec::new()), Guided::forced)?;
        let text = forced.into_iter().take(MOST_FORCED).take_while(|token| !self.vocabulary.is_end(*token));
        for token in text.collect::<Vec<_>>() {
            if self.must_close() {
                break;
            }
            self.take(Choice { token, logprob: 0.0 })?;
            self.forced += 1;
        }
        Ok(())
    }

    /// What comes after the tokens from `first` on.
    fn turn_after(&self, first: usize) -> Turn {
        match &self.rules.guided {
            Some(guided) if guided.is_complete() => Turn::Finished(Finish::Stop),
            None if self.tokens.len() >= self.rules.allowance => Turn::Finished(Finish::Length),
            _ => Turn::Feed(self.tokens[first..].to_vec()),
        }
    }

    /// The thoughts that came first, as far as they have come.
    pub fn thinking(&self) -> Option<&Thinking> {
        self.rules.thinking.as_ref()
    }

    /// True once the thoughts are over: what is said now is the answer.
    pub fn is_begun(&self) -> bool {
        self.thinking().is_none_or(Thinking::is_over)
    }

    /// True when its grammar could not follow it.
    pub fn has_lost_its_grammar(&self) -> bool {
        self.rules.guided.as_ref().is_some_and(Guided::has_given_up)
    }

    /// Tokens that can be said before the answer must be closed.
    pub fn room(&self) -> usize {
        self.rules.allowance.saturating_sub(self.rules.reserve + self.tokens.len())
    }

    /// The tokens from this place on, without those that closed the answer.
    pub fn chosen_from(&self, place: usize) -> &[u32] {
        let open = self.open.unwrap_or(self.tokens.len());
        self.tokens.get(place..open).unwrap_or_default()
    }

    /// How many of these tokens, from the first on, the grammar would let the answer say.
    pub fn allowed(&mut self, guesses: &[u32]) -> usize {
        match &mut self.rules.guided {
            // A grammar that gives up here says so when the next token is chosen.
            Some(guided) => guided.allowed_prefix(guesses).unwrap_or(0),
            None => guesses.iter().take_while(|token| self.vocabulary.free().is_allowed(**token)).count(),
        }
    }

    /// Where the tokens lie in the answer's text. None of them where the text had to be mended.
    pub fn places(&self) -> Tokens {
        let open = self.open.unwrap_or(self.tokens.len());
        Tokens { ends: self.vocabulary.ends(&self.controls(), &self.tokens).unwrap_or_default(), open }
    }

    /// The answer as text, and where in it the special tokens of a call's syntax begin.
    pub fn text(&self) -> (String, Vec<usize>) {
        self.vocabulary.text_with(&self.controls(), &self.tokens)
    }

    fn controls(&self) -> Vec<u32> {
        self.rules.guided.as_ref().map(|guided| guided.syntax()).map_or(Vec::new(), Syntax::controls)
    }
}

pub(super) fn unusable() -> Fault {
    let message = "the model gave no usable score for any token that may come next";
    let hint =
        "compare the bundle with its source (`lapidary model eval`); f16 may have overflowed, then export as f32";
    Fault::new(StageName::Generate, FaultKind::Engine, message, hint)
}
