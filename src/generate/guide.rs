//! The grammar of the answers: a JSON Schema in, and for each unit a follower that says which tokens may come next.
//!
//! Answers are JSON, or calls ([`super::call`]). JSON is compact (no optional white space) and without `\u` escapes, so that an answer has one way to be written
//! and every string is valid Unicode. Properties come in the order of the schema.

use llguidance::{JsonCompileOptions, Matcher, ParserFactory, api::TopLevelGrammar, toktrie::SimpleVob};
use serde_json::Value;

use super::{call, closing, reserve, syntax::Syntax, vocabulary::Vocabulary};
use crate::base::{Fault, FaultKind, Output, StageName};

/// After so many units the automaton is built afresh: it grows with the texts that it has seen.
const UNITS_PER_AUTOMATON: usize = 256;

/// A compiled schema: made once per run.
pub struct Guide {
    vocabulary: Vocabulary,
    syntax: Syntax,
    pristine: Matcher,
    warm: Matcher,
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
        let warm = pristine.deep_clone();
        let mut guide = Self { vocabulary: vocabulary.clone(), syntax, warm, pristine, begun: 0, reserve };
        guide.prove_that_it_closes().map_err(|problem| vec![problem])?;
        Ok(guide)
    }

    /// Tokens that must be kept back so that an answer can be closed, wherever it stands.
    pub fn reserve(&self) -> usize {
        self.reserve
    }

    /// How the answers are written.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// A follower for one answer.
    pub fn begin(&mut self) -> Guided {
        self.begun += 1;
        if self.begun.is_multiple_of(UNITS_PER_AUTOMATON) || self.warm.is_error() {
            self.warm = self.pristine.deep_clone();
        }
        let (matcher, vocabulary) = (self.warm.clone(), self.vocabulary.clone());
        Guided { matcher, vocabulary, syntax: self.syntax, text: Vec::new() }
    }

    fn prove_that_it_closes(&mut self) -> Result<(), String> {
        let smallest = self.begin().closing().map_err(|fault| fault.message)?;
        self.reserve = self.reserve.max(smallest.len());
        Ok(())
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
    factory.limits_mut().verbose_errors = false;
    let matcher = Matcher::new(factory.create_parser(grammar));
    match matcher.get_error() {
        Some(error) => Err(error.lines().next().unwrap_or("the grammar cannot be built").to_owned()),
        None => Ok(matcher),
    }
}

/// Follows one answer.
pub struct Guided {
    matcher: Matcher,
    vocabulary: Vocabulary,
    syntax: Syntax,
    text: Vec<u8>,
}

impl Guided {
    /// The tokens that may come next. Only an end token when the answer is complete.
    pub fn mask(&mut self) -> Result<SimpleVob, Fault> {
        self.matcher.compute_mask_or_eos().map_err(|error| fault(&error.to_string()))
    }

    /// True when the grammar lets `token` come next.
    pub fn allows(&mut self, token: u32) -> Result<bool, Fault> {
        self.matcher.validate_tokens(&[token]).map(|count| count == 1).map_err(|error| fault(&error.to_string()))
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
        let tokens = self.matcher.compute_ff_tokens();
        match self.matcher.get_error() {
            Some(error) => Err(fault(&error)),
            None => Ok(tokens),
        }
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
        self.matcher.validate_tokens(&draft[..text]).map_err(|error| fault(&error.to_string()))
    }

    /// Takes the token that was chosen.
    pub fn consume(&mut self, token: u32) -> Result<(), Fault> {
        self.text.extend(self.vocabulary.bytes(token));
        self.matcher.consume_token(token).map_err(|error| fault(&error.to_string()))
    }

    /// True when nothing but an end token may follow.
    pub fn is_complete(&self) -> bool {
        self.matcher.is_stopped() && !self.matcher.is_error()
    }

    /// How the answer is written.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// The shortest way that we know to complete the answer from here, as tokens; empty when it may end here.
    pub fn closing(&mut self) -> Result<Vec<u32>, Fault> {
        let bytes = closing::suffix(&self.matcher, &self.vocabulary, self.syntax, &self.text)
            .map_err(|problem| fault(&problem))?;
        self.vocabulary.spell(&bytes).ok_or_else(|| fault("the vocabulary lacks a byte that the schema demands"))
    }
}

fn fault(problem: &str) -> Fault {
    let first_line = problem.lines().next().unwrap_or_default();
    let hint = "simplify the schema (fewer or shorter patterns and bounds); please report it if that does not help";
    Fault::new(StageName::Generate, FaultKind::Engine, format!("the grammar gave up: {first_line}"), hint)
}
