//! The stage: one unit in, one prompt out.

use std::{collections::HashMap, sync::Arc, time::Instant};

use rayon::prelude::*;

use super::{
    Settings,
    audio::Spectrograph,
    fault,
    image::Patcher,
    layout::{Composer, Layout, Segment, known},
    manner::Manner,
    template::{ChatTemplate, Medium},
    vocabulary::Vocabulary,
    wording::Wording,
};
use crate::base::{
    Budget, Clip, Emit, Fatal, Fault, FaultKind, Film, ImagePatches, Item, Model, Page, Prompt, Raster, Stage,
    TextLayer, Unit,
    grid::{BUDGETS, Grid},
    ladder::Rungs,
    model::{AudioFacts, VisionFacts},
    visual::for_print,
};

/// English has four or five, German three or four.
const CHARACTERS_OF_A_TOKEN: usize = 3;

/// Encodes units; a clone shares everything but its buffers.
#[derive(Clone)]
pub struct Encoder {
    shared: Arc<Shared>,
    rungs: Rungs,
    patcher: Patcher,
    spectrograph: Spectrograph,
}

struct Shared {
    model: Arc<Model>,
    settings: Settings,
    vocabulary: Vocabulary,
    known: HashMap<String, Vec<u32>>,
    document: Layout,
    notes: Option<Layout>,
    image: Option<Layout>,
    video: Option<Layout>,
    audio: Option<Layout>,
}

impl Encoder {
    /// An encoder for a bundle. `schema_text` is the JSON Schema as the model is to read it; empty for none.
    pub fn new(settings: &Settings, model: Arc<Model>, schema_text: &str) -> Result<Self, Fatal> {
        Self::in_manner(settings, model, schema_text, &Manner::default())
    }

    /// The same, asking for an answer in that manner.
    pub fn in_manner(
        settings: &Settings,
        model: Arc<Model>,
        schema_text: &str,
        manner: &Manner,
    ) -> Result<Self, Fatal> {
        check_budgets(settings, model.manifest.vision.as_ref())?;
        let vocabulary = Vocabulary::of(&model)?;
        manner.check(&vocabulary)?;
        let template = ChatTemplate::of(&model, &vocabulary)?;
        let wording = Wording::new(settings, schema_text, manner.function.is_some());
        let ids = &model.manifest.tokens;
        let with = |medium| Layout::with_medium(&template, &vocabulary, ids, &wording, manner, medium);
        let (sees, hears) = (model.manifest.vision.is_some(), model.manifest.audio.is_some());
        let document = Layout::with_document(&template, &vocabulary, ids, &wording, manner)?;
        let to_reduce = Wording::to_reduce(settings, schema_text, manner.function.is_some());
        let notes = |wording: Wording| Layout::with_document(&template, &vocabulary, ids, &wording, manner);
        let notes = to_reduce.map(notes).transpose()?;
        let image = sees.then(|| with(Medium::Image)).transpose()?;
        let video = sees.then(|| with(Medium::Video)).transpose()?;
        let audio = hears.then(|| with(Medium::Audio)).transpose()?;
        let layouts = [Some(&document), notes.as_ref(), image.as_ref(), video.as_ref(), audio.as_ref()];
        let known = known(&vocabulary, layouts.into_iter().flatten())?;
        let settings = settings.clone();
        let shared = Shared { model, settings, vocabulary, known, document, notes, image, video, audio };
        let (patcher, spectrograph, rungs) = (Patcher::default(), Spectrograph::default(), Rungs::default());
        Ok(Self { shared: Arc::new(shared), rungs, patcher, spectrograph })
    }

    /// Units that are tried again are encoded as these rungs say.
    pub fn with_rungs(self, rungs: Rungs) -> Self {
        Self { rungs, ..self }
    }

    /// The bundle's tokenizer on its own: the ids of a text in which nothing is special, `None` where it refuses.
    pub fn tokenizer(&self) -> impl Fn(&str) -> Option<Vec<u32>> + Send + Sync + use<> {
        let shared = self.shared.clone();
        move |text| shared.vocabulary.ids(text).ok()
    }

    /// The text of a prompt's ids, special tokens and all; of many equal ones in a row the number.
    ///
    /// # Errors
    /// When the tokenizer refuses them.
    pub fn spelled(&self, ids: &[u32]) -> Result<String, Fault> {
        self.shared.vocabulary.spelled(ids)
    }

    /// What the model will receive for a unit.
    pub fn prompt(&mut self, unit: Unit) -> Result<Prompt, Fault> {
        self.prompt_within(unit, self.shared.settings.budget, 1)
    }

    /// The same; a page or picture becomes at most `budget` soft tokens, or each of its tiles.
    fn prompt_within(&mut self, unit: Unit, budget: Budget, tiles: u32) -> Result<Prompt, Fault> {
        let begun = Instant::now();
        let mut prompt = match unit {
            Unit::Page(page) if tiles > 1 => self.tiles(&page.raster, budget.most(), tiles, page.text),
            Unit::Image(raster) if tiles > 1 => self.tiles(&raster, budget.most(), tiles, None),
            Unit::Page(_) | Unit::Image(_) => self.pages(vec![unit], budget),
            Unit::Pages(pages) => self.pages(pages, budget),
            Unit::Clip(clip) => self.clip(&clip),
            Unit::Film(film) => self.film(&film),
            Unit::Text(text) => self.text(&text),
            Unit::Notes(notes) => self.notes(&notes),
        }?;
        prompt.encode_micros = begun.elapsed().as_micros() as u64;
        Ok(prompt)
    }

    /// Tokens of the longest prompt that pages, pictures, clips and films can have, when so many pages are shown together and a
    /// film has so many frames over so many seconds; and of a text of so many characters, three to a token. Texts of scripts
    /// that take more tokens may not fit.
    ///
    /// # Errors
    /// When the vocabulary cannot spell the layout.
    pub fn longest(&self, pages: usize, frames: usize, seconds: f64, characters: usize) -> Result<usize, Fault> {
        let (shared, settings) = (&self.shared, &self.shared.settings);
        let mut lengths = vec![self.longest_text(characters)?];
        if let Some(layout) = &shared.image {
            let shown = self.rungs.pictures(settings.budget.most()).max_by_key(|(budget, tiles)| budget * tiles);
            let (budget, tiles) = shown.unwrap_or((settings.budget.most(), 1));
            lengths.push(shared.pictures(layout, &vec![budget as usize; tiles as usize * pages])?.len());
        }
        if let Some(layout) = shared.video.as_ref().filter(|_| frames > 0) {
            let soft_tokens = vec![settings.frame_budget as usize; frames];
            lengths.push(shared.film(layout, &vec![seconds; frames], &soft_tokens)?.len());
        }
        if let Some((layout, audio)) = shared.audio.as_ref().zip(shared.model.manifest.audio.as_ref()) {
            lengths.push(shared.sound(layout, audio.max_soft_tokens)?.len());
        }
        Ok(lengths.into_iter().max().unwrap_or(0))
    }

    /// Tokens of the prompt of a text, or of notes, of so many characters.
    ///
    /// # Errors
    /// When the vocabulary cannot spell the layout.
    pub fn longest_text(&self, characters: usize) -> Result<usize, Fault> {
        let shared = &self.shared;
        let layouts = [Some(&shared.document), shared.notes.as_ref()].into_iter().flatten();
        let lengths = layouts.map(|layout| Ok(shared.compose(layout, "", |_| Ok(()))?.len()));
        let longest = lengths.collect::<Result<Vec<usize>, Fault>>()?.into_iter().max().unwrap_or(0);
        Ok(longest + characters.div_ceil(CHARACTERS_OF_A_TOKEN))
    }

    /// Pages and pictures, one after the other. The prompt's budget is the largest of theirs.
    fn pages(&mut self, pages: Vec<Unit>, budget: Budget) -> Result<Prompt, Fault> {
        let (mut images, mut texts, mut largest) = (Vec::new(), Vec::new(), 0);
        for page in pages {
            let (image, own, text) = self.page(page, budget)?;
            images.push(image);
            texts.push(text);
            largest = largest.max(own);
        }
        self.shown(images, largest, texts)
    }

    /// The prompt of these pictures, with the texts of the pages that they show.
    fn shown(&self, images: Vec<ImagePatches>, budget: u32, texts: Vec<Option<TextLayer>>) -> Result<Prompt, Fault> {
        let (layout, _) = self.shared.sight(&self.shared.image)?;
        let soft_tokens: Vec<usize> = images.iter().map(|image| image.soft_tokens).collect();
        let tokens = self.shared.pictures(layout, &soft_tokens)?;
        Ok(Prompt { tokens, images, budget, text: TextLayer::joined(texts), ..Prompt::default() })
    }

    /// Its patches, its budget and its text.
    fn page(&mut self, page: Unit, budget: Budget) -> Result<(ImagePatches, u32, Option<TextLayer>), Fault> {
        let positions = self.shared.sight(&self.shared.image)?.1.positions;
        match page {
            Unit::Page(page) => {
                let budget = self.budget_of_page(&page, budget);
                Ok((self.patcher.page_patches(&page.raster, budget, positions)?, budget, page.text))
            }
            Unit::Image(raster) => {
                let budget = self.budget_of_picture(&raster, budget);
                Ok((self.patcher.patches(&raster, budget, positions)?, budget, None))
            }
            _ => Err(fault(FaultKind::Internal, "something else than a page stands among pages", "please report this")),
        }
    }

    /// One picture after the other, row by row; those without area are left out.
    fn tiles(&mut self, raster: &Raster, budget: u32, tiles: u32, text: Option<TextLayer>) -> Result<Prompt, Fault> {
        let (_, vision) = self.shared.sight(&self.shared.image)?;
        let tiles = raster.tiles(tiles).into_iter().filter(|tile| !tile.rgb.is_empty());
        let images = tiles.map(|tile| self.patcher.patches(&tile, budget, vision.positions));
        let images: Vec<ImagePatches> = images.collect::<Result<_, _>>()?;
        self.shown(images, budget, vec![text])
    }

    /// A page with text was rendered at the size that its print needs, or at the largest where it is also a picture.
    fn budget_of_page(&mut self, page: &Page, budget: Budget) -> u32 {
        let raster = &page.raster;
        let (Budget::Auto, Some(layer)) = (budget, &page.text) else { return self.budget_of_picture(raster, budget) };
        let rendered = |budget: &u32| Grid::rendered(raster.width, raster.height, *budget).is_some();
        let rendered = BUDGETS.into_iter().find(rendered).unwrap_or(budget.most());
        let print = for_print(layer, raster.width, raster.height);
        if rendered < budget.most() || print == budget.most() {
            return rendered;
        }
        self.budget_of_picture(raster, budget).max(print)
    }

    fn budget_of_picture(&mut self, raster: &Raster, budget: Budget) -> u32 {
        match budget {
            Budget::Tokens(tokens) => tokens,
            Budget::Auto => self.patcher.budget(raster),
        }
    }

    fn film(&mut self, film: &Film) -> Result<Prompt, Fault> {
        let (layout, vision) = self.shared.sight(&self.shared.video)?;
        if film.frames.is_empty() {
            return Err(fault(FaultKind::Empty, "a film without frames", "leave it out"));
        }
        let budget = self.shared.settings.frame_budget;
        let patches = |patcher: &mut Patcher, raster: &Raster| patcher.patches(raster, budget, vision.positions);
        let frames = film.frames.par_iter();
        let images: Result<Vec<ImagePatches>, Fault> =
            frames.map_init(Patcher::default, |patcher, frame| patches(patcher, &frame.raster)).collect();
        let images = images?;
        let times: Vec<f64> = film.frames.iter().map(|frame| frame.time).collect();
        let soft_tokens: Vec<usize> = images.iter().map(|image| image.soft_tokens).collect();
        let tokens = self.shared.film(layout, &times, &soft_tokens)?;
        Ok(Prompt { tokens, images, budget, ..Prompt::default() })
    }

    fn clip(&self, clip: &Clip) -> Result<Prompt, Fault> {
        let (layout, audio) = self.shared.hearing()?;
        let mel = self.spectrograph.log_mel(clip, audio.max_soft_tokens)?;
        let tokens = self.shared.sound(layout, mel.soft_tokens)?;
        Ok(Prompt { tokens, clips: vec![mel], ..Prompt::default() })
    }

    fn text(&self, text: &str) -> Result<Prompt, Fault> {
        let document = text.trim();
        if document.is_empty() {
            return Err(fault(FaultKind::Empty, "a text of nothing but white space", "leave it out"));
        }
        let tokens = self.shared.compose(&self.shared.document, document, |_| Ok(()))?;
        let text = TextLayer { text: document.to_owned(), words: Vec::new() };
        Ok(Prompt { tokens, text: TextLayer::joined(vec![Some(text)]), ..Prompt::default() })
    }
}

impl Encoder {
    /// What was said of the parts of a document; it has no text layer, since nothing of it stands in the document.
    fn notes(&self, notes: &str) -> Result<Prompt, Fault> {
        let unasked = || fault(FaultKind::Internal, "notes without a task for them", "please report this");
        let layout = self.shared.notes.as_ref().ok_or_else(unasked)?;
        let tokens = self.shared.compose(layout, notes, |_| Ok(()))?;
        Ok(Prompt { tokens, ..Prompt::default() })
    }
}

impl Shared {
    fn sight<'a>(&'a self, layout: &'a Option<Layout>) -> Result<(&'a Layout, &'a VisionFacts), Fault> {
        layout.as_ref().zip(self.model.manifest.vision.as_ref()).ok_or_else(|| self.lacks("vision", "pictures"))
    }

    fn hearing(&self) -> Result<(&Layout, &AudioFacts), Fault> {
        self.audio.as_ref().zip(self.model.manifest.audio.as_ref()).ok_or_else(|| self.lacks("audio", "sound"))
    }

    fn lacks(&self, encoder: &str, what: &str) -> Fault {
        let message = format!("the bundle `{}` has no {encoder} encoder", self.model.manifest.name);
        fault(FaultKind::Unsupported, message, format!("use a bundle with one, or leave {what} out"))
    }

    /// The ids of a prompt: `media` writes what stands in the medium's place, `document` in the document's.
    fn compose(
        &self,
        layout: &Layout,
        document: &str,
        media: impl Fn(&mut Composer) -> Result<(), Fault>,
    ) -> Result<Vec<u32>, Fault> {
        let mut composer = Composer::new(&self.vocabulary, &self.known, self.model.manifest.tokens.bos);
        for segment in &layout.0 {
            match segment {
                Segment::Special(id) => composer.special(*id, 1)?,
                Segment::Text(text) => composer.text(text),
                Segment::Document => composer.text(document),
                Segment::Media => media(&mut composer)?,
            }
        }
        composer.finish()
    }

    /// The ids of a prompt with pictures, nothing between them, as the current chat template has them.
    fn pictures(&self, layout: &Layout, soft_tokens: &[usize]) -> Result<Vec<u32>, Fault> {
        let ids = &self.model.manifest.tokens;
        self.compose(layout, "", |composer| {
            soft_tokens.iter().try_for_each(|soft_tokens| {
                composer.special(ids.begin_image, 1)?;
                composer.special(ids.image, *soft_tokens)?;
                composer.special(ids.end_image, 1)
            })
        })
    }

    /// The ids of a prompt with one clip.
    fn sound(&self, layout: &Layout, soft_tokens: usize) -> Result<Vec<u32>, Fault> {
        let ids = &self.model.manifest.tokens;
        self.compose(layout, "", |composer| {
            composer.special(ids.begin_audio, 1)?;
            composer.special(ids.audio, soft_tokens)?;
            composer.special(ids.end_audio, 1)
        })
    }

    /// The ids of a prompt with frames: `mm:ss <|image>` + soft tokens + `<image|>` for each, joined by single spaces
    /// (transformers' `processing_gemma4.py`).
    fn film(&self, layout: &Layout, times: &[f64], soft_tokens: &[usize]) -> Result<Vec<u32>, Fault> {
        let ids = &self.model.manifest.tokens;
        self.compose(layout, "", |composer| {
            for (place, (time, soft_tokens)) in times.iter().zip(soft_tokens).enumerate() {
                composer.text(if place == 0 { "" } else { " " });
                composer.text(&stamp(*time));
                composer.special(ids.begin_image, 1)?;
                composer.special(ids.video, *soft_tokens)?;
                composer.special(ids.end_image, 1)?;
            }
            Ok(())
        })
    }
}

/// `mm:ss ` of whole seconds; minutes run on past 59.
fn stamp(time: f64) -> String {
    let seconds = time.max(0.0) as u64;
    format!("{:02}:{:02} ", seconds / 60, seconds % 60)
}

fn check_budgets(settings: &Settings, vision: Option<&VisionFacts>) -> Result<(), Fatal> {
    let mut problems = settings.validate();
    for (name, budget) in [("budget", settings.budget.most()), ("frame_budget", settings.frame_budget)] {
        let refused = vision.filter(|vision| !vision.budgets.contains(&budget));
        problems
            .extend(refused.map(|vision| format!("encode.{name} is {budget}, the bundle has {:?}", vision.budgets)));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Fatal::new(problems.join("; "), "choose a budget that the bundle lists")),
    }
}

impl Stage for Encoder {
    type In = Unit;
    type Out = Prompt;

    fn process(&mut self, item: Item<Unit>, emit: &mut dyn Emit<Prompt>) -> Result<(), Fault> {
        let (unit, envelope) = item.open();
        let rung = self.rungs.at(envelope.attempt);
        let budget = rung.budget.map_or(self.shared.settings.budget, Budget::Tokens);
        let mut item = envelope.with(self.prompt_within(unit, budget, rung.tiles.unwrap_or(1))?);
        if budget == Budget::Auto && item.body.budget > 0 {
            tracing::debug!(target: "encode", budget = item.body.budget, "{}: chosen by its print", item.origin);
        }
        item.lease.resize(item.body.bytes());
        emit.item(item);
        Ok(())
    }
}
