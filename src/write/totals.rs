//! What a run came to: the numbers of the summary and of `run.json`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::{Agreement, Evidence, Extraction, Fault, Finish, ladder::Try};

/// Everything counted while writing. Rows and failures of duplicates are counted apart from those that were worked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Files, duplicates and unreadable ones included.
    pub documents: u64,
    /// Files with the content of an earlier one.
    pub duplicates: u64,
    /// Documents that were found and never begun; more than 0 only when a run was limited or interrupted.
    pub untouched: u64,
    /// Units promised; a document that failed as a whole counts as one.
    pub units: u64,
    /// Units that an earlier run has settled, and that were not asked again.
    pub kept: u64,
    /// Failures among them.
    pub kept_failures: u64,
    /// Documents that were not even looked at, since all their units were settled.
    pub documents_kept: u64,
    /// Units that came through.
    pub answered: u64,
    /// Rows that were made of them: as many, or one for each document, or one for each record of a list.
    pub rows: u64,
    /// Units and whole documents that did not.
    pub failures: u64,
    /// The same by stage, then by kind.
    pub failures_by_stage: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Seconds of recordings that nobody speaks in, where `[decode.sound] cut` looks for speech; they become no units.
    pub silent_seconds: f64,
    /// Recordings in which nobody speaks at all.
    pub silent_documents: u64,
    /// Rows copied for duplicates.
    pub rows_copied: u64,
    /// Failures copied for duplicates.
    pub failures_copied: u64,
    /// Rows and failures of earlier runs that do not count any more and were taken out.
    pub outdated_removed: u64,
    /// Rows and failures of earlier runs whose file has another name now.
    pub renamed: u64,
    /// Units with at least one remark in `_problems`.
    pub rows_with_problems: u64,
    /// Units whose answer was closed early.
    pub rows_closed_early: u64,
    /// Units whose answer said the same again and again and was cut.
    pub rows_looped: u64,
    /// What trying units again came to.
    pub ladder: Climbs,
    /// Values that were looked up in the text of their page; 0 where the pipeline asks for no evidence.
    pub values_compared: u64,
    /// Those that it has, exactly, normalised or nearly.
    pub values_found: u64,
    /// Pages and texts that seem to speak to the model.
    pub units_addressing_model: u64,
    /// Results of the pipeline's checks, those without a result left out.
    pub checks_made: u64,
    /// Checks that did not pass.
    pub checks_failed: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Soft tokens of pictures among them.
    pub image_tokens: u64,
    /// Soft tokens of sound among them.
    pub audio_tokens: u64,
    /// Tokens generated.
    pub new_tokens: u64,
    /// Sum over the units, microseconds.
    pub encode_micros: u64,
    /// Sum over the units, microseconds.
    pub prefill_micros: u64,
    /// Sum over the units, microseconds; those that were decoded together each count in full.
    pub decode_micros: u64,
    /// Parquet files of extractions, those of earlier runs included.
    pub extraction_parts: u64,
    /// Parquet files of failures, those of earlier runs included.
    pub failure_parts: u64,
    /// Bytes of the parts of this run.
    pub bytes: u64,
    /// True when every document's rows and failures add up to what was promised for it.
    pub balanced: bool,
    /// The documents that do not add up.
    pub unbalanced: Vec<Imbalance>,
}

/// Units that were tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Climbs {
    /// Units that were tried more than once.
    pub units: u64,
    /// Their tries beyond the first.
    pub tries: u64,
    /// Rows that hold another answer than the first.
    pub improved: u64,
    /// Why the other tries were not good enough; one may have several reasons.
    pub reasons: BTreeMap<&'static str, u64>,
    /// New tokens of the other tries.
    pub new_tokens: u64,
}

impl Climbs {
    fn unit(&mut self, tries: &[Try]) {
        self.units += u64::from(!tries.is_empty());
        self.tries += tries.len() as u64;
        self.new_tokens += tries.iter().map(|one| u64::from(one.tokens)).sum::<u64>();
        tries.iter().flat_map(|one| &one.why).for_each(|why| *self.reasons.entry(why).or_default() += 1);
    }
}

/// A document that does not add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// The file.
    pub source: String,
    /// Units that were promised.
    pub promised: u64,
    /// Units that came through.
    pub answered: u64,
    /// Units that failed.
    pub failures: u64,
    /// Units that an earlier run has settled.
    pub kept: u64,
}

impl Totals {
    /// Counts a row. What is checked in a merged record was not checked in its units.
    pub fn row(&mut self, extraction: &Extraction) {
        self.rows += 1;
        if extraction.merged.is_some() {
            self.checks(extraction);
        }
    }

    /// Counts a unit that came through.
    pub fn answer(&mut self, extraction: &Extraction) {
        self.answered += 1;
        self.rows_with_problems += u64::from(!extraction.problems.is_empty());
        self.rows_closed_early += u64::from(extraction.finish == Finish::Closed);
        self.rows_looped += u64::from(extraction.finish == Finish::Loop);
        self.ladder.unit(&extraction.tries);
        self.ladder.improved += u64::from(extraction.attempt > 0);
        self.checks(extraction);
        extraction.evidence.iter().for_each(|evidence| self.evidence(evidence));
        self.prompt_tokens += u64::from(extraction.facts.prompt_tokens);
        self.image_tokens += u64::from(extraction.facts.image_tokens);
        self.audio_tokens += u64::from(extraction.facts.audio_tokens);
        self.new_tokens += u64::from(extraction.tokens);
        self.encode_micros += extraction.timing.encode_micros;
        self.prefill_micros += extraction.timing.prefill_micros;
        self.decode_micros += extraction.timing.decode_micros;
    }

    fn checks(&mut self, extraction: &Extraction) {
        self.checks_made += extraction.checks.iter().filter(|check| check.passed.is_some()).count() as u64;
        self.checks_failed += extraction.checks.iter().filter(|check| check.passed == Some(false)).count() as u64;
    }

    fn evidence(&mut self, evidence: &Evidence) {
        let scored = evidence.values.iter().filter(|grounds| grounds.score.is_some());
        self.values_compared += scored.count() as u64;
        let found = evidence.values.iter().filter(|grounds| grounds.agreement.is_some_and(Agreement::is_found));
        self.values_found += found.count() as u64;
        self.units_addressing_model += u64::from(evidence.addresses_model == Some(true));
    }

    /// Counts a failure.
    pub fn failure(&mut self, fault: &Fault, tries: &[Try]) {
        self.failures += 1;
        self.ladder.unit(tries);
        *self.failures_by_stage.entry(fault.stage.as_str()).or_default().entry(fault.kind.as_str()).or_default() += 1;
    }
}
