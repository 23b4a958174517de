//! `embed_tokens`: ids in, embeddings and per-layer inputs out. The graphs of some exporters put the features of pictures
//! and sound into their places themselves; into the others' embeddings they are written afterwards.

use super::{
    floats::{FLOATS, Floats},
    network::{Expected, Input, Network, Opening, Output},
    raw::{Call, Element, Fetched},
    runtime::Runtime,
    splice::{Medium, Splice},
};
use crate::base::{Fatal, Model, model::TokenIds};

/// The embedding tables.
pub(super) struct Embedder {
    network: Network,
    ids: Input,
    pictures: Option<Input>,
    clips: Option<Input>,
    embeddings: Output,
    per_layer: Option<Output>,
    tokens: TokenIds,
    width: usize,
}

/// What the tables give for `[batch, sequence]` ids.
pub(super) struct Embedded {
    /// The ids as they were fed.
    pub(super) ids: Vec<i64>,
    /// `[batch, sequence, hidden]`.
    pub(super) embeddings: Fetched,
    /// `[batch, sequence, layers, size]` or `[batch, sequence, layers * size]`, with per-layer inputs only.
    pub(super) per_layer: Option<Fetched>,
}

impl Embedder {
    /// # Errors
    /// When the graph takes or gives something else than ids, features and embeddings of the model's width.
    pub(super) fn open(runtime: &Runtime, model: &Model, opening: Opening) -> Result<Self, Fatal> {
        let text = &model.manifest.text;
        let network = Network::open(runtime, &model.file(&model.manifest.graphs.embed_tokens), opening)?;
        let embedder = Self {
            ids: network.input("input_ids")?,
            pictures: network.optional_input("image_features"),
            clips: network.optional_input("audio_features"),
            embeddings: network.output("inputs_embeds")?,
            per_layer: network.optional_output("per_layer_inputs"),
            tokens: model.manifest.tokens.clone(),
            width: text.hidden_size,
            network,
        };
        embedder.check()?;
        embedder.check_media(model)?;
        Ok(embedder)
    }

    fn check(&self) -> Result<(), Fatal> {
        let (batch, sequence) = (Expected::Open("batch"), Expected::Open("sequence"));
        let width = Expected::Fixed(self.width);
        self.network.check_input(self.ids, &[Element::I64], &[batch, sequence])?;
        self.network.check_output(self.embeddings, &FLOATS, &[batch, sequence, width])?;
        for features in [self.pictures, self.clips].into_iter().flatten() {
            self.network.check_input(features, &FLOATS, &[Expected::Open("soft tokens"), width])?;
        }
        let known: Vec<Input> = [Some(self.ids), self.pictures, self.clips].into_iter().flatten().collect();
        self.network.takes_only(&known)
    }

    /// A graph that places one kind of features must place the other too.
    fn check_media(&self, model: &Model) -> Result<(), Fatal> {
        let (sees, hears) = (model.manifest.vision.is_some(), model.manifest.audio.is_some());
        if sees && self.clips.is_some() {
            self.network.input("image_features")?;
        }
        if hears && self.pictures.is_some() {
            self.network.input("audio_features")?;
        }
        Ok(())
    }

    /// How many axes the per-layer inputs have; `None` without them.
    pub(super) fn per_layer_rank(&self) -> Option<usize> {
        self.per_layer.map(|output| self.network.output_rank(output))
    }

    /// Looks up ordinary tokens. Soft ones are looked up as padding, in both tables, as transformers does.
    pub(super) fn embed(&mut self, ids: &[u32], batch: usize) -> ort::Result<Embedded> {
        let hard = |id: &u32| i64::from(if self.is_soft(*id) { self.tokens.pad } else { *id });
        let looked_up = ids.iter().map(hard).collect();
        self.run(looked_up, batch, &Splice::default(), 0)
    }

    /// Looks up the tokens of a prompt from its place `start` on, with the features in their places.
    pub(super) fn embed_prompt(&mut self, ids: &[u32], start: usize, splice: &Splice) -> ort::Result<Embedded> {
        if self.pictures.is_none() && self.clips.is_none() {
            let mut embedded = self.embed(ids, 1)?;
            splice.write(&mut embedded.embeddings, start..start + ids.len(), 0);
            return Ok(embedded);
        }
        // A film's frames are pictures to such graphs.
        let (image, video) = (self.tokens.image, self.tokens.video);
        let as_picture = |id: &u32| i64::from(if *id == video { image } else { *id });
        self.run(ids.iter().map(as_picture).collect(), 1, splice, start)
    }

    fn is_soft(&self, id: u32) -> bool {
        [self.tokens.image, self.tokens.video, self.tokens.audio].contains(&id)
    }

    fn run(&mut self, ids: Vec<i64>, batch: usize, splice: &Splice, start: usize) -> ort::Result<Embedded> {
        let places = start..start + ids.len();
        let features = |(input, medium): (Option<Input>, Medium)| {
            let input = input?;
            let rows = splice.rows(places.clone(), medium);
            let shape = [rows.len() / self.width.max(1), self.width];
            Some((input, Floats::suiting(rows, &self.network, input), shape))
        };
        let features: Vec<_> =
            [(self.pictures, Medium::Picture), (self.clips, Medium::Sound)].into_iter().filter_map(features).collect();
        let (input, outputs) = (self.ids, [Some(self.embeddings), self.per_layer]);
        let mut call = Call::new(&mut self.network)?;
        call.feed(input, &ids, &[batch, ids.len() / batch.max(1)])?;
        for (input, rows, shape) in &features {
            rows.feed(&mut call, *input, shape)?;
        }
        outputs.into_iter().flatten().for_each(|output| call.fetch(output));
        let mut fetched = call.run()?.into_iter();
        let embeddings = fetched.next().ok_or_else(|| ort::Error::new("the run gave nothing"))?;
        Ok(Embedded { ids, embeddings, per_layer: fetched.next() })
    }
}
