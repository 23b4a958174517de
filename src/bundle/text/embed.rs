//! `embed_tokens`: token ids in, embeddings and the token half of the per-layer inputs out.
//!
//! Both tables see the padding token at soft-token places (transformers' `modeling_gemma4.py`). A head that is the same
//! table in the same format reads it from this graph's data file.

use super::table::{Lent, Table};
use crate::{
    base::{Fatal, model::TokenIds},
    bundle::{
        Checkpoint, Config, Part, Precision,
        draft::Draft,
        graph::{Axis, Element, Value},
        output::Output,
        quantize::{BLOCK, Losses},
    },
};

/// Writes `embed_tokens.onnx`. Returns what quantisation cost, and the table for the head.
pub fn write(
    checkpoint: &Checkpoint,
    config: &Config,
    precision: Precision,
    output: &Output,
) -> Result<(Losses, Option<Lent>), Fatal> {
    let mut draft = Draft::begin("embed_tokens", output, checkpoint, precision)?;
    let ids =
        draft.graph.input("input_ids", Element::I64, &[Axis::Named("batch_size"), Axis::Named("sequence_length")]);
    let ids = without_soft_tokens(&mut draft, &ids, &config.tokens);
    let lent = embeddings(&mut draft, config, &ids)?;
    if config.text.per_layer_size > 0 {
        per_layer_inputs(&mut draft, config, &ids)?;
    }
    Ok((draft.finish()?, lent))
}

fn embeddings(draft: &mut Draft, config: &Config, ids: &Value) -> Result<Option<Lent>, Fatal> {
    let text = &config.text;
    let tensor = draft.checkpoint.tensor("language_model.embed_tokens.weight", &[text.vocab_size, text.hidden_size])?;
    draft.enter(Part::Embedding);
    let table = Table { tensor, parts: 1, kind: "embedding" };
    let lend = text.tied_head && is_shared(draft.precision, text.hidden_size);
    let (embeddings, lent) = table.look_up(draft, ids, lend)?;
    let shape = [Axis::Named("batch_size"), Axis::Named("sequence_length"), Axis::Fixed(text.hidden_size)];
    draft.graph.output(&embeddings, "inputs_embeds", draft.dtype(), &shape);
    Ok(lent)
}

/// Lookup and product want the same bytes, but for rows that end within a block of 4 bits.
fn is_shared(precision: Precision, width: usize) -> bool {
    let (table, head) = (precision.of(Part::Embedding), precision.of(Part::Head));
    let whole = !table.in_blocks() || width.is_multiple_of(BLOCK);
    table == head && whole
}

fn per_layer_inputs(draft: &mut Draft, config: &Config, ids: &Value) -> Result<(), Fatal> {
    let (layers, size) = (config.text.layers.len(), config.text.per_layer_size);
    let name = "language_model.embed_tokens_per_layer.weight";
    let tensor = draft.checkpoint.tensor(name, &[config.text.vocab_size, layers * size])?;
    draft.enter(Part::PerLayerEmbedding);
    let table = Table { tensor, parts: layers, kind: "per-layer embedding" };
    let (inputs, _) = table.look_up(draft, ids, false)?;
    let inputs = draft.graph.reshape(&inputs, &[0, 0, layers as i64, size as i64]);
    let shape = [Axis::Named("batch_size"), Axis::Named("sequence_length"), Axis::Fixed(layers), Axis::Fixed(size)];
    draft.graph.output(&inputs, "per_layer_inputs", draft.dtype(), &shape);
    Ok(())
}

/// The ids with padding where image, video and audio features will go.
fn without_soft_tokens(draft: &mut Draft, ids: &Value, tokens: &TokenIds) -> Value {
    let graph = &mut draft.graph;
    let pad = graph.int(i64::from(tokens.pad));
    [tokens.image, tokens.video, tokens.audio].into_iter().fold(ids.clone(), |ids, soft| {
        let soft = graph.int(i64::from(soft));
        let is_soft = graph.op("Equal", &[&ids, &soft], &[]);
        graph.op("Where", &[&is_soft, &pad, &ids], &[])
    })
}
