//! `embed_tokens`: token ids in, embeddings and the token half of the per-layer inputs out.
//!
//! Both tables see the padding token at soft-token places (transformers' `modeling_gemma4.py`); the scale `sqrt(width)` is
//! rounded to the type of the checkpoint, as transformers does, and lies inside the tables.

use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use crate::{
    base::{Fatal, model::TokenIds},
    bundle::{
        Checkpoint, Config, Precision, Quantize, Tensor,
        draft::Draft,
        graph::{Attribute, Axis, Element, Value},
        quantize::{self, Losses},
    },
};

/// Writes `embed_tokens.onnx`.
pub fn write(checkpoint: &Checkpoint, config: &Config, precision: Precision, folder: &Path) -> Result<Losses, Fatal> {
    let text = &config.text;
    let mut owned = Draft::begin("embed_tokens", folder, checkpoint, precision)?;
    let draft = &mut owned;
    let (batch, sequence) = (Axis::Named("batch_size"), Axis::Named("sequence_length"));
    let ids = draft.graph.input("input_ids", Element::I64, &[batch, sequence]);
    let ids = without_soft_tokens(draft, &ids, &config.tokens);

    let table = checkpoint.tensor("language_model.embed_tokens.weight", &[text.vocab_size, text.hidden_size])?;
    let embeddings = rows(draft, &table, &ids, 1, "embedding")?;
    let element = draft.dtype();
    draft.graph.output(&embeddings, "inputs_embeds", element, &[batch, sequence, Axis::Fixed(text.hidden_size)]);

    if text.per_layer_size > 0 {
        let (layers, size) = (text.layers.len(), text.per_layer_size);
        let name = "language_model.embed_tokens_per_layer.weight";
        let table = checkpoint.tensor(name, &[text.vocab_size, layers * size])?;
        let inputs = rows(draft, &table, &ids, layers, "per-layer embedding")?;
        let inputs = draft.graph.reshape(&inputs, &[0, 0, layers as i64, size as i64]);
        let shape = [batch, sequence, Axis::Fixed(layers), Axis::Fixed(size)];
        draft.graph.output(&inputs, "per_layer_inputs", element, &shape);
    }
    owned.finish()
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

/// Rows of a table at the bundle's dtype, `parts` embeddings side by side, each scaled by the root of its width.
fn rows(draft: &mut Draft, table: &Tensor, ids: &Value, parts: usize, kind: &'static str) -> Result<Value, Fatal> {
    let scale = rounded(((table.row_length() / parts) as f64).sqrt(), table.dtype());
    match draft.precision.quantize {
        Quantize::None => {
            let table = draft.dense(table.name(), table, scale)?;
            Ok(draft.graph.gather(&table, ids, 0))
        }
        Quantize::Int8 => int8_rows(draft, table, ids, scale, parts, kind),
        Quantize::Int4 => int4_rows(draft, table, ids, scale, kind),
    }
}

/// The embedding scale in the precision of the checkpoint: bf16 makes 39.25 of `sqrt(1536)`.
fn rounded(scale: f64, dtype: Dtype) -> f32 {
    match dtype {
        Dtype::BF16 => bf16::from_f64(scale).to_f32(),
        Dtype::F16 => f16::from_f64(scale).to_f32(),
        _ => scale as f32,
    }
}

fn int4_rows(draft: &mut Draft, table: &Tensor, ids: &Value, scale: f32, kind: &'static str) -> Result<Value, Fatal> {
    let (rows, width) = (table.rows(), table.row_length());
    let (codes, scales) = draft.int4(table.name(), table, scale, &[rows, width.div_ceil(2)], kind)?;
    let blocks = width.div_ceil(quantize::BLOCK);
    let scales = draft.floats(&format!("{}.scales", table.name()), &[rows, blocks], &scales, draft.dtype())?;
    let attributes = [
        ("bits", Attribute::Int(4)),
        ("block_size", Attribute::Int(quantize::BLOCK as i64)),
        ("gather_axis", Attribute::Int(0)),
        ("quantize_axis", Attribute::Int(1)),
    ];
    Ok(draft.graph.contrib("GatherBlockQuantized", &[&codes, ids, &scales], &attributes))
}

/// Codes s8 with one scale per embedding, multiplied after the lookup.
fn int8_rows(
    draft: &mut Draft,
    table: &Tensor,
    ids: &Value,
    scale: f32,
    parts: usize,
    kind: &'static str,
) -> Result<Value, Fatal> {
    let width = table.row_length();
    let mut scales = Vec::with_capacity(table.rows() * parts);
    let mut losses = Losses::default();
    let name = table.name();
    let codes = draft.store(&format!("{name}.s8"), Element::I8, &[table.rows(), width], |out| {
        for chunk in table.chunks() {
            let (_, values) = chunk.map_err(std::io::Error::other)?;
            let (codes, row_scales, loss) = quantize::int8_rows(name, &values, width / parts)?;
            out.write_all(&codes.iter().map(|code| code.cast_unsigned()).collect::<Vec<u8>>())?;
            scales.extend(row_scales.into_iter().map(|row_scale| row_scale * scale));
            losses.add(kind, loss);
        }
        Ok(())
    })?;
    draft.losses.merge(losses);
    let element = draft.dtype();
    let scales = draft.floats(&format!("{name}.scales"), &[table.rows(), parts, 1], &scales, element)?;
    let codes = draft.graph.gather(&codes, ids, 0);
    let codes = draft.graph.cast(&codes, element);
    let codes = draft.graph.reshape(&codes, &[0, 0, parts as i64, -1]);
    let scales = draft.graph.gather(&scales, ids, 0);
    let scaled = draft.graph.mul(&codes, &scales);
    Ok(draft.graph.reshape(&scaled, &[0, 0, -1]))
}
