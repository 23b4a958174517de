//! Widths that a configuration may have and the graphs may not: ONNX Runtime would refuse to run them, so they are not
//! written.

use crate::{
    base::Fatal,
    bundle::{Part, Precision, TextConfig},
};

/// GroupQueryAttention turns heads of multiples of this width ("head_size shall be a multiple of 16", ONNX Runtime's
/// `group_query_attention_helper.h`).
const HEAD: usize = 16;

/// Refuses what no graph can have, or not in this precision.
pub fn check(text: &TextConfig, precision: Precision) -> Result<(), Fatal> {
    heads(text)?;
    rows(text, precision)
}

fn heads(text: &TextConfig) -> Result<(), Fatal> {
    let wrong = text.layers.iter().enumerate().find(|(_, layer)| !layer.head_dim.is_multiple_of(HEAD));
    let Some((index, layer)) = wrong else { return Ok(()) };
    let width = layer.head_dim;
    let message = format!("layer {index} has heads of width {width}, and graphs can have multiples of {HEAD} only");
    Err(Fatal::new(message, format!("choose a checkpoint whose head_dim and global_head_dim are multiples of {HEAD}")))
}

/// Two codes of 4 bits share a byte, and what is taken out by rows (GatherBlockQuantized) is whole bytes wide.
fn rows(text: &TextConfig, precision: Precision) -> Result<(), Fatal> {
    let odd = |(part, _, width): &(Part, &str, usize)| precision.of(*part).in_blocks() && !width.is_multiple_of(2);
    let Some((part, key, width)) = taken_out(text).into_iter().find(odd) else { return Ok(()) };
    let (name, format) = (part.as_str(), precision.of(part).as_str());
    let message =
        format!("`{name}` cannot be {format}: its rows are {width} wide ({key}), and 4 bits want an even number");
    Err(Fatal::new(message, format!("take `--recipe cpu-int8`, or a recipe of your own where `{name}` is int8")))
}

/// What graphs take out by rows, what the width of a row comes of, and the width.
fn taken_out(text: &TextConfig) -> Vec<(Part, &'static str, usize)> {
    let per_layer = text.layers.len() * text.per_layer_size;
    let mut rows = vec![
        (Part::Embedding, "hidden_size", text.hidden_size),
        (Part::PerLayerEmbedding, "num_hidden_layers x hidden_size_per_layer_input", per_layer),
    ];
    if let Some(experts) = &text.experts {
        rows.push((Part::Experts, "hidden_size", text.hidden_size));
        rows.push((Part::Experts, "moe_intermediate_size", experts.intermediate_size));
    }
    rows
}
