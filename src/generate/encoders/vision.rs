//! The vision encoder: patches in, features for the soft tokens out. Pictures with as many patches go through together.
//! With TensorRT there are several sessions of the one graph, each with an engine for pictures of up to so many patches.

use std::collections::{HashMap, HashSet};

use super::{features, first};
use crate::{
    base::{Fatal, Fault, FaultKind, ImagePatches, Model, StageName},
    generate::{
        album::{self, Album, Likeness},
        engine::EngineError,
        floats::{FLOATS, Floats},
        network::{Expected, Input, Network, Opening, Output},
        raw::{Call, Element, Fetched},
        runtime::Runtime,
        tensorrt::{Bucket, Ready},
    },
};

/// Pictures to features.
pub(super) struct VisionEncoder {
    /// At least one; those that take smaller pictures come first.
    graphs: Vec<PictureGraph>,
    width: usize,
    album: Album,
    /// Most patches of several pictures in one run; 0 where each goes alone, and once several have failed together and
    /// none of them alone.
    together: usize,
}

/// A session of the graph.
pub(in crate::generate) struct PictureGraph {
    network: Network,
    pixels: Input,
    positions: Input,
    features: Output,
    width: usize,
    takes: Takes,
}

/// What a session takes in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::generate) struct Takes {
    pictures: usize,
    /// Of each.
    patches: usize,
}

impl Takes {
    /// Whatever memory holds.
    pub(in crate::generate) const ANY: Self = Self { pictures: usize::MAX, patches: usize::MAX };
}

impl From<Bucket> for Takes {
    fn from(bucket: Bucket) -> Self {
        Self { pictures: bucket.most_together(), patches: bucket.longest() }
    }
}

/// What was made of one picture.
pub(super) struct Seen {
    /// `[soft tokens, hidden]`.
    pub(super) rows: Vec<f32>,
    /// True when it needed no run, since one that looks alike had gone before.
    pub(super) known: bool,
}

type Found = HashMap<Likeness, Result<Vec<f32>, EngineError>>;

type Fresh<'a> = (Likeness, &'a ImagePatches);

impl VisionEncoder {
    /// `None` for a model without one. A session for each of the engines, smallest first; without engines one that takes
    /// all pictures.
    pub(super) fn open(
        runtime: &Runtime,
        model: &Model,
        opening: Opening,
        together: usize,
        engines: &[Ready],
    ) -> Result<Option<Self>, Fatal> {
        let Some(name) = &model.manifest.graphs.vision_encoder else { return Ok(None) };
        let with = |ready: &Ready| {
            let opening = Opening { engines: Some(&ready.profile), ..opening };
            PictureGraph::open(runtime, model, name, opening, ready.bucket.into())
        };
        let graphs = match engines {
            [] => vec![PictureGraph::open(runtime, model, name, opening, Takes::ANY)?],
            engines => engines.iter().map(with).collect::<Result<_, _>>()?,
        };
        let width = model.manifest.text.hidden_size;
        Ok(Some(Self { graphs, width, album: Album::default(), together }))
    }

    /// Most patches of several pictures in one run.
    pub(super) fn together(&self) -> usize {
        self.together
    }

    /// Features of each picture, in order. What goes wrong with one picture is its own result.
    pub(super) fn encode(&mut self, pictures: &[&ImagePatches]) -> Vec<Result<Seen, EngineError>> {
        let likenesses: Vec<Likeness> = pictures.iter().map(|picture| album::likeness(picture)).collect();
        let mut found = self.in_the_album(&likenesses);
        let mut new: HashSet<Likeness> = HashSet::new();
        let mut fresh: Vec<Fresh> = likenesses.iter().copied().zip(pictures.iter().copied()).collect();
        fresh.retain(|(likeness, _)| !found.contains_key(likeness) && new.insert(*likeness));
        self.encode_fresh(fresh, &mut found);
        let seen = |likeness: &Likeness| {
            let rows = found.get(likeness).cloned().unwrap_or_else(|| Ok(Vec::new()))?;
            Ok(Seen { rows, known: !new.remove(likeness) })
        };
        likenesses.iter().map(seen).collect()
    }

    fn in_the_album(&mut self, likenesses: &[Likeness]) -> Found {
        let find = |likeness: &Likeness| Some((*likeness, Ok(self.album.find(likeness)?.to_vec())));
        likenesses.iter().filter_map(find).collect()
    }

    /// Pictures that were not seen before, in as few runs as may be.
    fn encode_fresh(&mut self, mut fresh: Vec<Fresh>, found: &mut Found) {
        fresh.sort_by_key(|(_, picture)| picture.pixels.dim());
        for alike in fresh.chunk_by(|a, b| a.1.pixels.dim() == b.1.pixels.dim()) {
            let mut left = alike;
            while !left.is_empty() {
                let (batch, rest) = left.split_at(self.at_once(alike[0].1).min(left.len()));
                self.encode_batch(batch, found);
                left = rest;
            }
        }
    }

    /// How many pictures like this one go through one run.
    pub(super) fn at_once(&self, picture: &ImagePatches) -> usize {
        let patches = picture.pixels.nrows();
        let graph = self.graphs.iter().find(|graph| graph.takes.patches >= patches);
        let most = graph.map_or(1, |graph| graph.takes.pictures);
        (self.together / patches.max(1)).min(most).max(1)
    }

    /// Pictures that fail together are tried one by one.
    fn encode_batch(&mut self, batch: &[Fresh], found: &mut Found) {
        let pictures: Vec<&ImagePatches> = batch.iter().map(|(_, picture)| *picture).collect();
        match self.encode_alike(&pictures) {
            Ok(rows) => self.keep(batch, &rows, found),
            Err(error) if batch.len() == 1 => drop(found.insert(batch[0].0, Err(error))),
            Err(error) => self.encode_one_by_one(batch, &error, found),
        }
    }

    /// If one of them fails alone it was at fault; if none does, there were too many (memory, most likely), and from here
    /// on each goes alone.
    fn encode_one_by_one(&mut self, batch: &[Fresh], error: &EngineError, found: &mut Found) {
        batch.chunks(1).for_each(|one| self.encode_batch(one, found));
        if batch.iter().all(|(likeness, _)| found.get(likeness).is_some_and(Result::is_ok)) {
            tracing::warn!(target: "generate", why = error.message(), "pictures are encoded one by one");
            self.together = 0;
        }
    }

    fn keep(&mut self, batch: &[Fresh], rows: &[f32], found: &mut Found) {
        let mut rest = rows;
        for (likeness, picture) in batch {
            let (own, others) = rest.split_at((picture.soft_tokens * self.width).min(rest.len()));
            self.album.keep(*likeness, own.to_vec());
            found.insert(*likeness, Ok(own.to_vec()));
            rest = others;
        }
    }

    /// Through the smallest engine that takes them.
    fn encode_alike(&mut self, batch: &[&ImagePatches]) -> Result<Vec<f32>, EngineError> {
        let patches = batch[0].pixels.nrows();
        let largest = self.graphs.iter().map(|graph| graph.takes.patches).max().unwrap_or(0);
        match self.graphs.iter_mut().find(|graph| graph.takes.patches >= patches) {
            Some(graph) => graph.encode(batch),
            None => Err(too_large(batch[0], largest)),
        }
    }
}

impl PictureGraph {
    /// # Errors
    /// When the graph cannot be opened, or takes or gives something else than its model says.
    pub(in crate::generate) fn open(
        runtime: &Runtime,
        model: &Model,
        name: &str,
        opening: Opening,
        takes: Takes,
    ) -> Result<Self, Fatal> {
        let network = Network::open(runtime, &model.file(name), opening)?;
        let (pixels, positions) = (network.input("pixel_values")?, network.input("pixel_position_ids")?);
        let (count, patches) = (Expected::Open("pictures"), Expected::Open("patches"));
        network.check_input(pixels, &FLOATS, &[count, patches, Expected::Fixed(channels(model))])?;
        network.check_input(positions, &[Element::I64], &[count, patches, Expected::Fixed(2)])?;
        network.takes_only(&[pixels, positions])?;
        let (features, width) = (network.output("image_features")?, model.manifest.text.hidden_size);
        Ok(Self { network, pixels, positions, features, width, takes })
    }

    /// Features of pictures with as many patches, one behind the other.
    pub(in crate::generate) fn encode(&mut self, batch: &[&ImagePatches]) -> Result<Vec<f32>, EngineError> {
        let [patches, channels] = [batch[0].pixels.nrows(), batch[0].pixels.ncols()];
        let pixels = batch.iter().flat_map(|picture| picture.pixels.iter().copied()).collect();
        let pixels = Floats::suiting(pixels, &self.network, self.pixels);
        let positions: Vec<i64> = batch.iter().flat_map(|picture| picture.positions.iter().copied()).collect();
        let expected = batch.iter().map(|picture| picture.soft_tokens).sum();
        let shapes = ([batch.len(), patches, channels], [batch.len(), patches, 2]);
        let fetched =
            self.run(&pixels, &positions, shapes).map_err(|error| EngineError::failed("vision encoder", &error))?;
        features(&fetched, expected, self.width, "vision encoder")
    }

    fn run(&mut self, pixels: &Floats, positions: &[i64], shapes: ([usize; 3], [usize; 3])) -> ort::Result<Fetched> {
        let (input, output) = ((self.pixels, self.positions), self.features);
        let mut call = Call::new(&mut self.network)?;
        pixels.feed(&mut call, input.0, &shapes.0)?;
        call.feed(input.1, positions, &shapes.1)?;
        call.fetch(output);
        first(call.run()?)
    }
}

/// Cannot be where the buckets are those of the pipeline, since they take all that its budgets make.
fn too_large(picture: &ImagePatches, patches: usize) -> EngineError {
    let (tokens, budget) = (picture.soft_tokens, patches * picture.soft_tokens / picture.pixels.nrows().max(1));
    let message = format!("a picture of {tokens} soft tokens: TensorRT's largest engine is for the budget {budget}");
    let hint = "build one for a larger budget with `lapidary model prepare`, or choose `--device cuda`";
    Fault::new(StageName::Generate, FaultKind::TooLarge, message, hint).into()
}

/// Values of one patch: red, green and blue of its pixels.
fn channels(model: &Model) -> usize {
    model.manifest.vision.as_ref().map_or(0, |vision| 3 * vision.patch_size * vision.patch_size)
}
