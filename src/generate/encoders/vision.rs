//! The vision encoder: patches in, features for the soft tokens out. Pictures with as many patches go through together.

use std::collections::{HashMap, HashSet};

use super::{features, first};
use crate::{
    base::{Fatal, ImagePatches, Model},
    generate::{
        album::{self, Album, Likeness},
        engine::EngineError,
        floats::{FLOATS, Floats},
        network::{Expected, Input, Network, Opening, Output},
        raw::{Call, Element, Fetched},
        runtime::Runtime,
    },
};

/// Pictures to features.
pub(super) struct VisionEncoder {
    network: Network,
    pixels: Input,
    positions: Input,
    features: Output,
    width: usize,
    album: Album,
    /// Most patches of several pictures in one run; 0 where each goes alone, and once several have failed together and
    /// none of them alone.
    together: usize,
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
    /// `None` for a model without one.
    pub(super) fn open(
        runtime: &Runtime,
        model: &Model,
        opening: Opening,
        together: usize,
    ) -> Result<Option<Self>, Fatal> {
        let Some(name) = &model.manifest.graphs.vision_encoder else { return Ok(None) };
        let network = Network::open(runtime, &model.file(name), opening)?;
        let (pixels, positions) = (network.input("pixel_values")?, network.input("pixel_position_ids")?);
        let (count, patches) = (Expected::Open("pictures"), Expected::Open("patches"));
        network.check_input(pixels, &FLOATS, &[count, patches, Expected::Fixed(channels(model))])?;
        network.check_input(positions, &[Element::I64], &[count, patches, Expected::Fixed(2)])?;
        network.takes_only(&[pixels, positions])?;
        Ok(Some(Self {
            pixels,
            positions,
            features: network.output("image_features")?,
            width: model.manifest.text.hidden_size,
            network,
            album: Album::default(),
            together,
        }))
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
            let patches = alike[0].1.pixels.nrows().max(1);
            let mut left = alike;
            while !left.is_empty() {
                let (batch, rest) = left.split_at((self.together / patches).clamp(1, left.len()));
                self.encode_batch(batch, found);
                left = rest;
            }
        }
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

    fn encode_alike(&mut self, batch: &[&ImagePatches]) -> Result<Vec<f32>, EngineError> {
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

/// Values of one patch: red, green and blue of its pixels.
fn channels(model: &Model) -> usize {
    model.manifest.vision.as_ref().map_or(0, |vision| 3 * vision.patch_size * vision.patch_size)
}
