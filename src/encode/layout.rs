//! Where things stand in a prompt: a rendered chat template, cut into special tokens, text, and the places of the
//! medium and of the document; and the ids that come of it.

use std::collections::HashMap;

use super::{
    manner::Manner,
    template::{ChatTemplate, Medium, TEMPLATE_HINT},
    vocabulary::{Stretch, Vocabulary},
    wording::Wording,
};
use crate::base::{Fatal, Fault, model::TokenIds};

/// Stand for the texts while the template is rendered, so that nothing in them can be taken for a special token.
pub(super) const SYSTEM: char = '\u{FDD0}';
pub(super) const USER: char = '\u{FDD1}';

/// One stretch of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// A special token.
    Special(u32),
    /// Text of the template, the system turn or the task.
    Text(String),
    /// The text of the document.
    Document,
    /// The soft tokens of the medium.
    Media,
}

/// The segments of a prompt, in order, without BOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout(pub Vec<Segment>);

impl Layout {
    /// The prompt of a unit with that medium before the task.
    pub fn with_medium(
        template: &ChatTemplate,
        vocabulary: &Vocabulary,
        ids: &TokenIds,
        wording: &Wording,
        manner: &Manner,
        medium: Medium,
    ) -> Result<Self, Fatal> {
        let user = vec![Segment::Text(wording.task.clone())];
        let place = match medium {
            Medium::Image => ids.image,
            Medium::Audio => ids.audio,
            Medium::Video => ids.video,
        };
        let mut layout = Self::render(template, vocabulary, ids, wording, manner, Some(medium), &user)?;
        for segment in layout.0.iter_mut().filter(|segment| **segment == Segment::Special(place)) {
            *segment = Segment::Media;
        }
        layout.once(&Segment::Media, &format!("`{}`", vocabulary.spelling(place)))
    }

    /// The prompt of a text: the document, an empty line, the task.
    pub fn with_document(
        template: &ChatTemplate,
        vocabulary: &Vocabulary,
        ids: &TokenIds,
        wording: &Wording,
        manner: &Manner,
    ) -> Result<Self, Fatal> {
        let task = Some(&wording.task).filter(|task| !task.is_empty());
        let task = task.map(|task| Segment::Text(format!("\n\n{task}")));
        let user: Vec<Segment> = [Segment::Document].into_iter().chain(task).collect();
        let layout = Self::render(template, vocabulary, ids, wording, manner, None, &user)?;
        layout.once(&Segment::Document, "the user's text")
    }

    fn render(
        template: &ChatTemplate,
        vocabulary: &Vocabulary,
        ids: &TokenIds,
        wording: &Wording,
        manner: &Manner,
        medium: Option<Medium>,
        user: &[Segment],
    ) -> Result<Self, Fatal> {
        let system: Vec<Segment> = wording.system.iter().cloned().map(Segment::Text).collect();
        let rendered = template.render(wording.system.as_ref().map(|_| SYSTEM), medium, USER, manner)?;
        let mut segments = Vec::new();
        for stretch in vocabulary.split(&rendered) {
            match stretch {
                Stretch::Special(id) if id == ids.bos => {}
                Stretch::Special(id) => segments.push(Segment::Special(id)),
                Stretch::Text(text) => fill(text, &system, user, &mut segments),
            }
        }
        Ok(Self(segments))
    }

    fn once(self, wanted: &Segment, what: &str) -> Result<Self, Fatal> {
        match self.0.iter().filter(|segment| *segment == wanted).count() {
            1 => Ok(self),
            times => Err(Fatal::new(
                format!("the chat template puts {what} {times} times into the prompt, not once"),
                TEMPLATE_HINT,
            )),
        }
    }

    /// The texts that are the same in every prompt of this layout.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Puts the texts where their marks stand; neighbours are joined.
fn fill(text: &str, system: &[Segment], user: &[Segment], segments: &mut Vec<Segment>) {
    for piece in text.split_inclusive([SYSTEM, USER]) {
        let plain = piece.trim_end_matches([SYSTEM, USER]);
        join(segments, Segment::Text(plain.to_owned()));
        let filling = match piece[plain.len()..].chars().next() {
            Some(found) if found == SYSTEM => system,
            Some(_) => user,
            None => &[],
        };
        filling.iter().for_each(|segment| join(segments, segment.clone()));
    }
}

fn join(segments: &mut Vec<Segment>, next: Segment) {
    match (segments.last_mut(), next) {
        (_, Segment::Text(text)) if text.is_empty() => {}
        (Some(Segment::Text(before)), Segment::Text(text)) => before.push_str(&text),
        (_, next) => segments.push(next),
    }
}

/// Writes the ids of one prompt. Text is gathered until a special token ends it, since the vocabulary merges across
/// the borders of its pieces.
pub(super) struct Composer<'a> {
    vocabulary: &'a Vocabulary,
    known: &'a HashMap<String, Vec<u32>>,
    pending: String,
    ids: Vec<u32>,
}

impl<'a> Composer<'a> {
    /// A prompt that begins with BOS; `known` holds texts whose ids have been found before.
    pub fn new(vocabulary: &'a Vocabulary, known: &'a HashMap<String, Vec<u32>>, bos: u32) -> Self {
        Self { vocabulary, known, pending: String::new(), ids: vec![bos] }
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) {
        self.pending.push_str(text);
    }

    /// Adds a special token, `count` times.
    pub fn special(&mut self, id: u32, count: usize) -> Result<(), Fault> {
        self.flush()?;
        self.ids.extend(std::iter::repeat_n(id, count));
        Ok(())
    }

    /// The ids.
    pub fn finish(mut self) -> Result<Vec<u32>, Fault> {
        self.flush()?;
        Ok(self.ids)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if self.pending.is_empty() {
            return Ok(());
        }
        match self.known.get(&self.pending) {
            Some(ids) => self.ids.extend(ids),
            None => self.ids.extend(self.vocabulary.ids(&self.pending)?),
        }
        self.pending.clear();
        Ok(())
    }
}

/// The ids of all texts that recur.
pub(super) fn known<'a>(
    vocabulary: &Vocabulary,
    layouts: impl Iterator<Item = &'a Layout>,
) -> Result<HashMap<String, Vec<u32>>, Fatal> {
    let texts = layouts.flat_map(Layout::texts);
    let ids = |text: &str| Ok((text.to_owned(), vocabulary.ids(text)?));
    let known: Result<HashMap<_, _>, Fault> = texts.map(ids).collect();
    known.map_err(|fault| Fatal::new(fault.message, fault.hint))
}
