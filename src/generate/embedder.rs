//! `embed_tokens`: ids in, embeddings and the token half of the per-layer inputs out.

use super::{
    network::{Input, Network, Opening, Output},
    raw::{Call, Fetched},
    runtime::Runtime,
};
use crate::base::{Fatal, Model};

/// The embedding tables.
pub(super) struct Embedder {
    network: Network,
    ids: Input,
    embeddings: Output,
    per_layer: Option<Output>,
    soft: [u32; 3],
    pad: u32,
}

/// What the tables give for `[batch, sequence]` ids.
pub(super) struct Embedded {
    /// `[batch, sequence, hidden]`.
    pub(super) embeddings: Fetched,
    /// `[batch, sequence, layers, size]`, with per-layer inputs only.
    pub(super) per_layer: Option<Fetched>,
}

impl Embedder {
    pub(super) fn open(runtime: &Runtime, model: &Model, opening: Opening) -> Result<Self, Fatal> {
        let (graphs, tokens) = (&model.manifest.graphs, &model.manifest.tokens);
        let network = Network::open(runtime, &model.file(&graphs.embed_tokens), opening)?;
        let with_per_layer = model.manifest.text.per_layer_size > 0;
        Ok(Self {
            ids: network.input("input_ids")?,
            embeddings: network.output("inputs_embeds")?,
            per_layer: with_per_layer.then(|| network.output("per_layer_inputs")).transpose()?,
            soft: [tokens.image, tokens.video, tokens.audio],
            pad: tokens.pad,
            network,
        })
    }

    /// Soft tokens are looked up as padding, in both tables, as transformers does.
    pub(super) fn embed(&mut self, ids: &[u32], batch: usize) -> ort::Result<Embedded> {
        let hard = |id: &u32| i64::from(if self.soft.contains(id) { self.pad } else { *id });
        let looked_up: Vec<i64> = ids.iter().map(hard).collect();
        let (input, outputs) = (self.ids, [Some(self.embeddings), self.per_layer]);
        let mut call = Call::new(&mut self.network)?;
        call.feed(input, &looked_up, &[batch, ids.len() / batch.max(1)])?;
        outputs.into_iter().flatten().for_each(|output| call.fetch(output));
        let mut fetched = call.run()?.into_iter();
        let embeddings = fetched.next().ok_or_else(|| ort::Error::new("the run gave nothing"))?;
        Ok(Embedded { embeddings, per_layer: fetched.next() })
    }
}
