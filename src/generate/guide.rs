//! The grammar of the answers: a JSON Schema in, and for each unit a follower that says which tokens may come next.
//!
//! Answers are JSON, or calls ([`super::call`]). JSON is compact (no optional white space) and without `\u` escapes, so that an answer has one way to be written
//! and every string is valid Unicode. Properties come in the order of the schema.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use llguidance::{JsonCompileOptions, Matcher, ParserFactory, api::TopLevelGrammar, toktrie::SimpleVob};
use serde_json::Value;

use super::{
    call,
    closing::{self, Means},
    endings::Endings,
    reserve,
    syntax::Syntax,
    vocabulary::Vocabulary,
};
use crate::base::{Fatal, Fault, FaultKind, Output, StageName};

/// After so many units the automaton is built afresh: it grows with the texts that it has seen.
const UNITS_PER_AUTOMATON: usize = 256;

/// What one mask may cost the lexer. `^([^,]+,\s*)*[^,]+$` and `a.{20}b` take more than the 200,000 that llguidance allows
/// and less than 2,000,000, or 0.06 s once over 262,144 tokens.
const LEXER_FUEL: u64 = 4_000_000;

/// States that an automaton may grow to. 28,000 characters of Chinese and Cyrillic take the 250,000 that llguidance allows.
const LEXER_STATES: usize = 500_000;

/// Tokens of the smallest answer whose masks are tried before a run.
const TRIED: usize = 1024;

/// A compiled schema: made once per run.
pub struct Guide {
    vocabulary: Vocabulary,
    syntax: Syntax,
    endings: Endings,
    pristine: Matcher,
    warm: Automaton,
    begun: usize,
    reserve: usize,
}

impl Guide {
    /// Compiles the closed, bounded schema that `Shape::guide()` gives.
    ///
    /// # Errors
    /// What the grammar cannot express, one line each.
    pub fn compile(vocabulary: &Vocabulary, schema: &Value) -> Result<Self, Vec<String>> {
        Self::compile_as(Output::Json, vocabulary, schema)
    }

    /// The same for answers that are written in this way.
    ///
    /// # Errors
    /// The same, and what the way of writing cannot carry.
    pub fn compile_as(output: Output, vocabulary: &Vocabulary, schema: &Value) -> Result<Self, Vec<String>> {
        let alone = |problem| vec![problem];
        let syntax = Syntax::of(output, vocabulary).map_err(alone)?;
        let grammar = grammar(output, schema)?;
        let reserve = reserve::tokens_to_close(vocabulary, syntax, schema)?;
        let pristine = matcher(vocabulary, grammar).map_err(alone)?;
        let endings = Endings::of(vocabulary, syntax, schema);
        let (vocabulary, warm) = (vocabulary.clone(), Automaton::like(&pristine));
        let mut guide = Self { vocabulary, syntax, endings, warm, pristine, begun: 0, reserve };
        guide.prove_that_it_closes().map_err(|fault| vec![fault.message])?;
        Ok(guide)
    }

    /// Tokens that must be kept back so that an answer can be closed, wherever it stands.
    pub fn reserve(&self) -> usize {
        self.reserve
    }

    /// Whether answers can be closed within an allowance of `max_tokens`.
    ///
    /// # Errors
    /// When they cannot, with an allowance that will do.
    pub fn fits(&self, max_tokens: usize) -> Result<(), Fatal> {
        let reserve = self.reserve;
        if reserve < max_tokens {
            return Ok(());
        }
        let message = format!("generate.max_tokens is {max_tokens}, but closing an answer may take {reserve}");
        Err(Fatal::new(message, format!("set max_tokens to {} or more, or simplify the schema", 2 * reserve)))
    }

    /// How the answers are written.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// A follower for one answer.
    pub fn begin(&mut self) -> Guided {
        self.begun += 1;
        if self.begun.is_multiple_of(UNITS_PER_AUTOMATON) || self.warm.is_spoiled() {
            self.warm = Automaton::like(&self.pristine);
        }
        Guided {
            pristine: self.pristine.clone(),
            automaton: self.warm.clone(),
            vocabulary: self.vocabulary.clone(),
            syntax: self.syntax,
            endings: self.endings.clone(),
            said: Vec::new(),
            text: Vec::new(),
            gave_up: false,
        }
    }

    /// Says the smallest answer, mask by mask, so that a schema whose very first masks cost too much is refused here.
    fn prove_that_it_closes(&mut self) -> Result<(), Fault> {
        let smallest = self.begin().closing()?;
        self.reserve = self.reserve.max(smallest.len());
        let mut guided = self.begin();
        smallest.iter().take(TRIED).try_for_each(|token| guided.mask().and_then(|_| guided.consume(*token)))
    }
}

/// A place in the grammar, and the lexer behind it, which grows with what is asked of it. Clones share the lexer: what
/// is too much for it once ends it for all of them, without a word to those that it did not happen to.
#[derive(Clone)]
struct Automaton {
    matcher: Matcher,
    spoiled: Arc<AtomicBool>,
}

impl Automaton {
    /// One with a lexer of its own.
    fn like(matcher: &Matcher) -> Self {
        Self { matcher: matcher.deep_clone(), spoiled: Arc::default() }
    }

    fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    fn spoil(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
    }
}

fn grammar(output: Output, schema: &Value) -> Result<TopLevelGrammar, Vec<String>> {
    if !schema.is_object() {
        return Err(vec!["the schema of the answers must be a JSON object".to_owned()]);
    }
    let options = JsonCompileOptions {
        whitespace_flexible: false,
        json_allowed_escapes: Some("nrbtf\\\"".to_owned()),
        ..JsonCompileOptions::default()
    };
    Ok(match output {
        Output::Json => {
            let mut schema = schema.clone();
            options.apply_to(&mut schema);
            TopLevelGrammar::from_json_schema(schema)
        }
        Output::ToolCall => TopLevelGrammar::from_lark(call::grammar(schema, &options)?),
    })
}

fn matcher(vocabulary: &Vocabulary, grammar: TopLevelGrammar) -> Result<Matcher, String> {
    let mut factory = ParserFactory::new_simple(&vocabulary.environment()).map_err(|error| error.to_string())?;
    factory.quiet();
    let limits = factory.limits_mut();
    (limits.step_lexer_fuel, limits.max_lexer_states, limits.verbose_errors) = (LEXER_FUEL, LEXER_STATES, false);
    let matcher = Matcher::new(factory.create_parser(grammar));
    match matcher.get_error() {
        Some(error) => Err(error.lines().next().unwrap_or("the grammar cannot be built").to_owned()),
        None => Ok(matcher),
    }
}

/// Follows one answer.
pub struct Guided {
    pristine: Matcher,
    automaton: Automaton,
    vocabulary: Vocabulary,
    syntax: Syntax,
    endings: Endings,
    said: Vec<u32>,
    text: Vec<u8>,
    gave_up: bool,
}

impl Guided {
    /// The tokens that may come next. Only an end token when the answer is complete.
    pub fn mask(&mut self) -> Result<SimpleVob, Fault> {
        self.ask(Matcher::compute_mask_or_eos)
    }

    /// True when the grammar lets `token` come next.
    pub fn allows(&mut self, token: u32) -> Result<bool, Fault> {
        self.ask(|matcher| matcher.validate_tokens(&[token])).map(|count| count == 1)
    }

    /// The tokens that are the only way on from here, spelled as the tokenizer spells them; often none.
    ///
    /// What the model may still spell otherwise, because a token could reach over the end of the forced text into what
    /// is free, is left out. Without the vocabulary's tokenizer nothing is forced. `mask` allows these tokens, each at
    /// its place, and no others, so an answer is the same whether they are fed at once or chosen one by one.
    pub fn forced(&mut self) -> Result<Vec<u32>, Fault> {
        if self.is_complete() {
            return Ok(Vec::new());
        }
        self.ask(|matcher| {
            let tokens = matcher.compute_ff_tokens();
            matcher.get_error().map_or(Ok(tokens), Err)
        })
    }

    /// How many of these tokens, from the first on, the grammar would take. Nothing is taken.
    pub fn allowed_prefix(&mut self, draft: &[u32]) -> Result<usize, Fault> {
        let controls = self.syntax.controls();
        let is_said = |token: &u32| {
            (*token as usize) < self.vocabulary.width()
                && !self.vocabulary.bytes(*token).is_empty()
                && (!self.vocabulary.is_special(*token) || controls.contains(token))
        };
        let text = draft.iter().take_while(|token| is_said(token)).count();
        self.ask(|matcher| matcher.validate_tokens(&draft[..text]))
    }

    /// Takes the token that was chosen.
    pub fn consume(&mut self, token: u32) -> Result<(), Fault> {
        self.ask(|matcher| matcher.consume_token(token))?;
        self.said.push(token);
        self.text.extend(self.vocabulary.bytes(token));
        Ok(())
    }

    /// True when nothing but an end token may follow.
    pub fn is_complete(&self) -> bool {
        self.automaton.matcher.is_stopped() && !self.automaton.matcher.is_error()
    }

    /// True once the grammar could not follow the answer.
    pub fn has_given_up(&self) -> bool {
        self.gave_up
    }

    /// How the answer is written.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// The shortest way that we know to complete the answer from here, as tokens; empty when it may end here.
    pub fn closing(&mut self) -> Result<Vec<u32>, Fault> {
        let (vocabulary, endings, text) = (self.vocabulary.clone(), self.endings.clone(), self.text.clone());
        let means = Means { vocabulary: &vocabulary, syntax: self.syntax, endings: &endings };
        let bytes = self.ask(|matcher| closing::suffix(matcher, means, &text))?;
        vocabulary.spell(&bytes).ok_or_else(|| self.give_up("the vocabulary lacks a byte that the schema demands"))
    }

    /// What the grammar says. Where it gives up it is asked once more, of a lexer that has seen this answer alone: most
    /// likely another answer was too much for the one that they shared.
    fn ask<T, E: Display>(&mut self, ask: impl Fn(&mut Matcher) -> Result<T, E>) -> Result<T, Fault> {
        if let Ok(told) = ask(&mut self.automaton.matcher) {
            return Ok(told);
        }
        self.renew();
        ask(&mut self.automaton.matcher).map_err(|error| self.give_up(&error.to_string()))
    }

    /// A failure stays in the matcher, which then answers with it.
    fn renew(&mut self) {
        self.automaton.spoil();
        self.automaton = Automaton::like(&self.pristine);
        let _ = self.automaton.matcher.consume_tokens(&self.said);
    }

    fn give_up(&mut self, problem: &str) -> Fault {
        self.gave_up = true;
        fault(problem)
    }
}

fn fault(problem: &str) -> Fault {
    let first_line = problem.lines().next().unwrap_or_default();
    let hint = "simplify the schema (fewer or shorter patterns and bounds); please report it if that does not help";
    Fault::new(StageName::Generate, FaultKind::Engine, format!("the grammar gave up: {first_line}"), hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::generate::vocabulary::tests::small;

    #[test]
    fn what_one_answer_does_to_the_lexer_costs_no_other() {
        let schema = json!({
            "type": "object",
            "properties": { "v": { "type": "string", "maxLength": 9 } },
            "required": ["v"],
            "additionalProperties": false,
        });
        let (vocabulary, mut guide) = (small(), Guide::compile(&small(), &schema).unwrap());
        let say = |guided: &mut Guided, text: &str| {
            let tokens = vocabulary.spell(text.as_bytes()).unwrap();
            tokens.iter().try_for_each(|token| guided.consume(*token))
        };
        let (mut hungry, mut other) = (guide.begin(), guide.begin());
        say(&mut other, "{\"v\":\"the").unwrap();
        let expected = other.mask().unwrap();
        assert!(hungry.automaton.matcher.test_trigger_lexer_error().is_err());
        assert_eq!(other.mask().unwrap(), expected);
        say(&mut other, " the\"}").unwrap();
        assert!(other.is_complete() && !other.has_given_up());
        assert!(guide.warm.is_spoiled(), "the next answer gets a lexer of its own");
        say(&mut guide.begin(), "{\"v\":\"\"}").unwrap();
        assert!(!guide.warm.is_spoiled());
        assert!(say(&mut hungry, "x").is_err() && hungry.has_given_up(), "what the grammar forbids is still a failure");
    }
}
