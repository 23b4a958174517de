//! What speaks for the values of a record: where the page's own text says the same, and how sure the model was.

mod address;
mod confidence;
mod dates;
mod likeness;
mod lookup;
mod numbers;
mod page;
mod spelling;

use std::{collections::HashSet, ops::Range};

use serde_json::Value;

use self::{
    lookup::{Kind, Lookup, Places},
    page::Page,
};
pub use self::{page::plain, spelling::is_spaceless};
use super::{leaves::Leaf, pointer};
use crate::base::{
    Agreement, Evidence, Generation, Grounds, Part, Shape, TextLayer,
    shape::{Form, Untyped},
};

/// Gathers what speaks for `record`, which was made of `generation` about `part`; `leaves` is what the answer states.
pub fn gather(shape: &Shape, record: &Value, generation: &Generation, leaves: Vec<Leaf>, part: Part) -> Evidence {
    let claims = claims(shape, record, (&generation.text, leaves), part);
    let layer = generation.layer.as_ref();
    let mut evidence = layer.map_or_else(|| without_layer(&claims), |layer| with_layer(&claims, layer));
    evidence.agreement = agreement(shape, &evidence.values);
    for (grounds, claim) in evidence.values.iter_mut().zip(&claims) {
        grounds.confidence = confidence::confidence(generation, &claim.spoken(), claim.leaf.span.end);
    }
    evidence
}

/// A value that the answer states.
struct Claim {
    leaf: Leaf,
    part: Part,
    /// `None` for what no page prints.
    kind: Option<Kind>,
    /// `None` for `null`.
    text: Option<String>,
}

impl Claim {
    /// What can be looked up on a page, and how it is printed there.
    fn words(&self) -> Option<(Kind, &str)> {
        self.kind.zip(self.text.as_deref().filter(|text| !text.trim().is_empty()))
    }

    /// The bytes of the answer that say it: the quotation marks, where there is nothing between them.
    fn spoken(&self) -> Range<usize> {
        let Range { start, end } = self.leaf.span;
        if start < end { start..end } else { start.saturating_sub(1)..end + 1 }
    }
}

/// The values that the answer states and the record holds. Where an answer states one twice, the last counts.
fn claims(shape: &Shape, record: &Value, (text, leaves): (&str, Vec<Leaf>), part: Part) -> Vec<Claim> {
    let claim = |leaf: Leaf| {
        let form = &pointer::node(shape, &leaf.path)?.form;
        let value = record.pointer(&leaf.path)?;
        let text = match value {
            Value::Null => None,
            Value::String(held) => Some(held.clone()),
            Value::Bool(held) => Some(held.to_string()),
            Value::Number(_) => text.get(leaf.span.clone()).map(str::to_owned),
            Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Claim { leaf, part, kind: Kind::of(form, value), text })
    };
    let mut claims: Vec<Claim> = leaves.into_iter().filter_map(claim).collect();
    let mut stated = HashSet::new();
    claims.reverse();
    claims.retain(|claim| stated.insert(claim.leaf.path.clone()));
    claims.reverse();
    claims
}

fn bare(claim: &Claim) -> Grounds {
    let (path, value) = (claim.leaf.path.clone(), claim.text.clone());
    Grounds { path, part: claim.part, value, agreement: None, score: None, passage: None, confidence: None }
}

fn without_layer(claims: &[Claim]) -> Evidence {
    let agreement = |claim: &Claim| claim.words().map(|_| Agreement::NoTextLayer);
    let values = claims.iter().map(|claim| Grounds { agreement: agreement(claim), ..bare(claim) }).collect();
    Evidence { values, agreement: None, addresses_model: None }
}

fn with_layer(claims: &[Claim], layer: &TextLayer) -> Evidence {
    let page = Page::new(layer);
    let lookup = Lookup::new(&page);
    let places: Vec<Option<Places>> =
        claims.iter().map(|claim| claim.words().map(|(kind, words)| lookup.find(kind, words))).collect();
    let grounds = |(index, claim)| grounded(claim, &page, &places, index);
    Evidence {
        values: claims.iter().enumerate().map(grounds).collect(),
        agreement: None,
        addresses_model: Some(address::addresses_model(&layer.text)),
    }
}

fn grounded(claim: &Claim, page: &Page, places: &[Option<Places>], index: usize) -> Grounds {
    let Some(own) = &places[index] else { return bare(claim) };
    if own.agreement == Agreement::Absent && page.has_gaps {
        return Grounds { agreement: Some(Agreement::NoTextLayer), ..bare(claim) };
    }
    let passage = chosen(places, index).map(|words| page.passage(words, own.words.len()));
    let part = passage.as_ref().map_or(claim.part, |passage| claim.part.page_at(passage.page));
    Grounds { agreement: Some(own.agreement), score: Some(own.score), part, passage, ..bare(claim) }
}

/// The place of a value that has several: the one nearest to the value before it, or else after it, that has one alone.
/// The first where there is none such.
fn chosen(places: &[Option<Places>], index: usize) -> Option<&Range<usize>> {
    let own = &places[index].as_ref()?.words;
    let [_, _, ..] = own.as_slice() else { return own.first() };
    let alone = |places: &Option<Places>| match places.as_ref()?.words.as_slice() {
        [only] => Some(only.start),
        _ => None,
    };
    let before = places[..index].iter().rev().find_map(alone).map(|anchor| (anchor, true));
    let anchor = before.or_else(|| places[index + 1..].iter().find_map(alone).map(|anchor| (anchor, false)));
    own.iter().min_by_key(|words| anchor.map(|(anchor, before)| distance(words.start, anchor, before)))
}

/// Of two places as far from a neighbour, the one on the side where the answer has the value is the nearer.
fn distance(place: usize, neighbour: usize, neighbour_is_before: bool) -> (usize, bool) {
    (place.abs_diff(neighbour), (place > neighbour) != neighbour_is_before)
}

/// True where the schema lists the only values.
fn is_listed(form: &Form) -> bool {
    match form {
        Form::Choice(_) => true,
        Form::Integer(range) => range.among.is_some(),
        Form::Number(range) => range.among.is_some(),
        Form::Json(json) => matches!(json.untyped, Untyped::Values(_)),
        _ => false,
    }
}

/// How far a record with such values and its pages agree.
pub fn agreement(shape: &Shape, values: &[Grounds]) -> Option<f32> {
    let is_choice = |path: &str| pointer::node(shape, path).is_some_and(|node| is_listed(&node.form));
    let counts = |one: &&Grounds| one.agreement != Some(Agreement::Absent) || !is_choice(&one.path);
    let scores: Vec<f32> = values.iter().filter(counts).filter_map(|one| one.score).collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f32>() / scores.len() as f32)
}
