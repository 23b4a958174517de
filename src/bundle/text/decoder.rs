//! `decoder_model_merged`: embeddings and past keys and values in, logits and present keys and values out.
//!
//! The inputs and outputs are those of the public exports (onnx-community, transformers.js). Lengths come out of
//! `attention_mask` row by row, so past and present may be the same buffers. Before the first layer that writes
//! no keys, the stream is cut to the last `num_logits_to_keep` positions: nothing after it needs the others.
//!
//! The buffers of sliding layers need not hold what is out of their windows: `sliding_offsets` says for each row how many
//! positions have been taken from their front. Whoever leaves it out keeps them all.
//!
//! `decoder_slots` is the same model with the same weights for our own engine on the CPU: its tokens belong to any slots
//! (`slot_ids`, `position_ids`), and logits are wanted at any of them (`logit_places`).

use std::ops::Range;

use super::{
    attention::{Cache, Steps},
    grouped::{self, Filled},
    layer::layer,
    pictures::Pictures,
    rotary,
    table::Lent,
};
use crate::{
    base::{Fatal, model::ImageAttention},
    bundle::{
        Checkpoint, Part, Precision, TextConfig,
        draft::{Draft, Linear},
        graph::{Attribute, Axis, Element, Graph, Value, Weights},
        output::Output,
        quantize::Losses,
    },
};

/// Writes `decoder_model_merged.onnx`. `table` is the embedding table, where the head shares it. Returns what quantisation
/// cost, and the weights for another form of the graph.
pub fn write(
    checkpoint: &Checkpoint,
    config: &TextConfig,
    precision: Precision,
    table: Option<&Lent>,
    output: &Output,
) -> Result<(Losses, Weights), Fatal> {
    let mut draft = Draft::begin("decoder_model_merged", output, checkpoint, precision)?;
    let inputs = Inputs::of_sequences(&mut draft, config)?;
    let draft = Decoder { draft, config, inputs, presents: Vec::new() }.whole(table)?;
    let weights = draft.graph.weights();
    Ok((draft.finish()?, weights))
}

/// Writes `decoder_slots.onnx` over the weights of the other form.
pub fn write_slots(
    checkpoint: &Checkpoint,
    config: &TextConfig,
    precision: Precision,
    table: Option<&Lent>,
    weights: Weights,
    output: &Output,
) -> Result<(), Fatal> {
    let mut draft = Draft::begin_beside("decoder_slots", output, checkpoint, precision, weights)?;
    let inputs = Inputs::of_slots(&mut draft, config)?;
    Decoder { draft, config, inputs, presents: Vec::new() }.whole(table)?.finish().map(drop)
}

struct Decoder<'a> {
    draft: Draft<'a>,
    config: &'a TextConfig,
    inputs: Inputs,
    /// One per layer that writes keys and values.
    presents: Vec<Cache>,
}

/// What is fed.
struct Inputs {
    embeddings: Value,
    per_layer: Option<Value>,
    kept: Kept,
    steps: Steps,
    pasts: Vec<Cache>,
    /// The type of pasts and presents.
    kept_in: Element,
    /// Sequences, and rows of the buffers.
    rows: [Axis<'static>; 2],
}

/// The positions whose logits are wanted.
enum Kept {
    /// So many at the end of axis 1; all of them when it is 0.
    Last(Value),
    /// These of axis 1.
    Places(Value),
}

impl<'a> Decoder<'a> {
    fn whole(mut self, table: Option<&Lent>) -> Result<Draft<'a>, Fatal> {
        let x = self.layers()?;
        let logits = self.head(&x, table)?;
        self.outputs(&logits);
        Ok(self.draft)
    }

    /// All layers. Returns the residual stream at the positions that are kept.
    fn layers(&mut self) -> Result<Value, Fatal> {
        let own = self.config.own_kv_layers();
        let element = self.draft.dtype();
        let x = self.draft.convert(&self.inputs.embeddings.clone(), element, Element::F32);
        let token_half = self.inputs.per_layer.clone();
        let early = self.per_layer_inputs(&x, token_half.as_ref(), 0..own)?;
        let kept = |decoder: &mut Self, value: &Value| decoder.inputs.kept.of(&mut decoder.draft.graph, value);
        let embeddings = kept(self, &x);
        let token_half = token_half.map(|half| kept(self, &half));
        let late = self.per_layer_inputs(&embeddings, token_half.as_ref(), own..self.config.layers.len())?;
        let x = self.run(x, early.as_ref(), 0..own)?;
        let x = kept(self, &x);
        self.inputs.keep_steps(&mut self.draft.graph);
        self.run(x, late.as_ref(), own..self.config.layers.len())
    }

    fn run(&mut self, mut x: Value, per_layer: Option<&Value>, layers: Range<usize>) -> Result<Value, Fatal> {
        for index in layers.clone() {
            let input = per_layer.map(|all| {
                let place = self.draft.graph.int((index - layers.start) as i64);
                self.draft.graph.gather(all, &place, 2)
            });
            let past = match self.config.layers[index].donor {
                Some(donor) => self.presents[donor].clone(),
                None => self.inputs.pasts[index].clone(),
            };
            let steps = &self.inputs.steps;
            let (next, present) = layer(&mut self.draft, self.config, index, &x, input.as_ref(), &past, steps)?;
            self.presents.extend(present);
            x = next;
        }
        self.draft.graph.set_scope("");
        Ok(x)
    }

    /// Per-layer inputs of some layers, `[batch, sequence, layers, size]` at the compute type: the mean, times
    /// `sqrt(2)`, of the token half and of what the embeddings give.
    fn per_layer_inputs(
        &mut self,
        embeddings: &Value,
        token_half: Option<&Value>,
        layers: Range<usize>,
    ) -> Result<Option<Value>, Fatal> {
        let Some(token_half) = token_half.filter(|_| !layers.is_empty()) else { return Ok(None) };
        let (draft, config, size) = (&mut self.draft, self.config, self.config.per_layer_size);
        let shape = [config.layers.len() * size, config.hidden_size];
        let tensor = draft.checkpoint.tensor("language_model.per_layer_model_projection.weight", &shape)?;
        let part = tensor.part(layers.start * size..layers.end * size);
        let weight = draft.linear(&part, &format!(".{}", layers.start), "per-layer")?;
        let operand = draft.operand(embeddings, config.hidden_size, Element::F32);
        let context = draft.apply(&weight, &operand);
        let context = draft.graph.reshape(&context, &[0, 0, layers.len() as i64, size as i64]);
        let context = self.context_norm(&context, layers.start)?;

        let element = self.draft.dtype();
        let half = self.draft.graph.slice(token_half, 2, layers.start as i64, layers.end as i64);
        let half = self.draft.convert(&half, element, Element::F32);
        let root = self.draft.graph.float(std::f32::consts::FRAC_1_SQRT_2);
        let half = self.draft.graph.mul(&half, &root);
        let sum = self.draft.graph.add(&context, &half);
        let compute = self.draft.compute();
        Ok(Some(self.draft.convert(&sum, Element::F32, compute)))
    }

    /// RMS norm of the context half in f32. Its factor `hidden_size^-0.5` is left out and the epsilon scaled up
    /// instead, which is the same; the factor `2^-0.5` lies in the weight.
    fn context_norm(&mut self, context: &Value, part: usize) -> Result<Value, Fatal> {
        let (draft, config) = (&mut self.draft, self.config);
        let name = "language_model.per_layer_projection_norm.weight";
        let values = draft.checkpoint.values(name, &[config.per_layer_size])?;
        let values: Vec<f32> = values.into_iter().map(|value| value * std::f32::consts::FRAC_1_SQRT_2).collect();
        let weight = draft.floats(&format!("{name}.{part}"), &[config.per_layer_size], &values, Element::F32)?;
        let context = draft.convert(context, draft.compute(), Element::F32);
        Ok(draft.graph.rms_norm(&context, &weight, config.rms_norm_eps * config.hidden_size as f32))
    }

    /// `[batch, kept, vocab]` f32.
    fn head(&mut self, x: &Value, table: Option<&Lent>) -> Result<Value, Fatal> {
        let (draft, config) = (&mut self.draft, self.config);
        let normed = draft.norm(x, "language_model.norm.weight", config.hidden_size, config.rms_norm_eps)?;
        draft.enter(Part::Head);
        let operand = draft.operand(&normed, config.hidden_size, Element::F32);
        let weight = head_weight(draft, config, table)?;
        let logits = draft.apply(&weight, &operand);
        let logits = draft.convert(&logits, draft.compute(), Element::F32);
        let Some(cap) = config.logit_softcap else { return Ok(logits) };
        let cap = draft.graph.float(cap);
        let scaled = draft.graph.div(&logits, &cap);
        let squeezed = draft.graph.op("Tanh", &[&scaled], &[]);
        Ok(draft.graph.mul(&squeezed, &cap))
    }

    fn outputs(&mut self, logits: &Value) {
        let element = self.inputs.kept_in;
        let graph = &mut self.draft.graph;
        let [sequences, rows] = self.inputs.rows;
        let shape = [sequences, Axis::Named("kept_length"), Axis::Fixed(self.config.vocab_size)];
        graph.output(logits, "logits", Element::F32, &shape);
        for (index, (present, layer)) in self.presents.iter().zip(&self.config.layers).enumerate() {
            let length = Axis::Named("total_sequence_length");
            let shape = [rows, Axis::Fixed(layer.kv_heads), length, Axis::Fixed(layer.head_dim)];
            graph.output(&present.key, &format!("present.{index}.key"), element, &shape);
            graph.output(&present.value, &format!("present.{index}.value"), element, &shape);
        }
    }
}

fn head_weight(draft: &mut Draft, config: &TextConfig, table: Option<&Lent>) -> Result<Linear, Fatal> {
    if let Some(table) = table {
        return Ok(table.borrow(&mut draft.graph, config.vocab_size, config.hidden_size));
    }
    let name = if config.tied_head { "language_model.embed_tokens.weight" } else { "lm_head.weight" };
    let tensor = draft.checkpoint.tensor(name, &[config.vocab_size, config.hidden_size])?;
    draft.linear(&tensor, "", "head")
}

impl Kept {
    /// A slice that starts at `-0` starts at the front.
    fn of(&self, graph: &mut Graph, value: &Value) -> Value {
        match self {
            Self::Last(count) => {
                let one = graph.ints(&[1]);
                let count = graph.op("Reshape", &[count, &one], &[]);
                let start = graph.op("Neg", &[&count], &[]);
                let end = graph.ints(&[i64::MAX]);
                graph.op("Slice", &[value, &start, &end, &one], &[])
            }
            Self::Places(places) => graph.gather(value, places, 1),
        }
    }
}

impl Inputs {
    /// Those of the public exports.
    fn of_sequences(draft: &mut Draft, config: &TextConfig) -> Result<Self, Fatal> {
        let (batch, sequence) = (Axis::Named("batch_size"), Axis::Named("sequence_length"));
        let (embeddings, per_layer) = stream(draft, config, [batch, sequence]);
        let graph = &mut draft.graph;
        let mask = graph.input("attention_mask", Element::I64, &[batch, Axis::Named("total_sequence_length")]);
        let places = graph.input("position_ids", Element::I64, &[batch, sequence]);
        let offsets = graph.optional_ints("sliding_offsets", "rows", &[0]);
        let kept = Kept::Last(graph.input("num_logits_to_keep", Element::I64, &[]));
        let kept_in = draft.dtype();
        let pasts = pasts(draft, config, batch, kept_in);
        let steps = Steps::Grouped(steps(draft, config, &embeddings, places, &mask, &offsets)?);
        Ok(Self { embeddings, per_layer, kept, steps, pasts, kept_in, rows: [batch, batch] })
    }

    /// Tokens of any slots.
    fn of_slots(draft: &mut Draft, config: &TextConfig) -> Result<Self, Fatal> {
        let (one, slots) = (Axis::Fixed(1), Axis::Named("slots"));
        let (embeddings, per_layer) = stream(draft, config, [one, Axis::Named("tokens")]);
        let kept = Kept::Places(draft.graph.input("logit_places", Element::I64, &[Axis::Named("kept_length")]));
        let steps = Steps::Slots(super::slots::Steps::declare(draft, config)?);
        let kept_in = draft.precision.keys_values.element();
        let pasts = pasts(draft, config, slots, kept_in);
        Ok(Self { embeddings, per_layer, kept, steps, pasts, kept_in, rows: [one, slots] })
    }

    /// From here on only the positions that are kept go on.
    fn keep_steps(&mut self, graph: &mut Graph) {
        match (&mut self.steps, &self.kept) {
            (Steps::Grouped(steps), kept) => steps.places = kept.of(graph, &steps.places),
            (Steps::Slots(steps), Kept::Places(places)) => *steps = steps.of(graph, places),
            (Steps::Slots(_), Kept::Last(_)) => {}
        }
    }
}

/// Embeddings and per-layer inputs.
fn stream(draft: &mut Draft, config: &TextConfig, axes: [Axis; 2]) -> (Value, Option<Value>) {
    let element = draft.dtype();
    let graph = &mut draft.graph;
    let [batch, sequence] = axes;
    let embeddings = graph.input("inputs_embeds", element, &[batch, sequence, Axis::Fixed(config.hidden_size)]);
    let per_layer = (config.per_layer_size > 0).then(|| {
        let (layers, size) = (Axis::Fixed(config.layers.len()), Axis::Fixed(config.per_layer_size));
        graph.input("per_layer_inputs", element, &[batch, sequence, layers, size])
    });
    (embeddings, per_layer)
}

fn pasts(draft: &mut Draft, config: &TextConfig, rows: Axis, element: Element) -> Vec<Cache> {
    let past = |(index, layer): (usize, &crate::bundle::LayerConfig)| {
        let length = Axis::Named("past_sequence_length");
        let shape = [rows, Axis::Fixed(layer.kv_heads), length, Axis::Fixed(layer.head_dim)];
        let key = draft.graph.input(&format!("past_key_values.{index}.key"), element, &shape);
        let value = draft.graph.input(&format!("past_key_values.{index}.value"), element, &shape);
        Cache { key, value }
    };
    config.layers[..config.own_kv_layers()].iter().enumerate().map(past).collect()
}

/// What all layers share where sequences are fed: lengths, places and rotary positions.
fn steps(
    draft: &mut Draft,
    config: &TextConfig,
    embeddings: &Value,
    places: Value,
    mask: &Value,
    offsets: &Value,
) -> Result<grouped::Steps, Fatal> {
    let graph = &mut draft.graph;
    let axis = graph.ints(&[1]);
    let lengths = graph.op("ReduceSum", &[mask, &axis], &[("keepdims", Attribute::Int(0))]);
    let shape = graph.op("Shape", &[mask], &[]);
    let one = graph.int(1);
    let total = graph.gather(&shape, &one, 0);
    let full_filled = filled(graph, &lengths, &total);
    let lengths = graph.sub(&lengths, offsets);
    let total = graph.op("ReduceMax", &[&lengths], &[("keepdims", Attribute::Int(0))]);
    let sliding_filled = filled(graph, &lengths, &total);
    let shape = graph.op("Shape", &[embeddings], &[]);
    let batch = graph.slice(&shape, 0, 0, 1);
    let pictures = match config.image_attention {
        ImageAttention::Causal => None,
        ImageAttention::Bidirectional => Some(Pictures::declare(draft, config.sliding_window, &sliding_filled.total)?),
    };
    let (sliding, full) = (rotary::head_dim(config, true), rotary::head_dim(config, false));
    let positions = config.max_positions;
    Ok(grouped::Steps {
        full_filled,
        sliding_filled,
        places,
        batch,
        pictures,
        sliding_tables: rotary::tables(draft, "rotary.sliding", config.sliding_rotary, sliding, positions)?,
        full_tables: rotary::tables(draft, "rotary.full", config.full_rotary, full, positions)?,
    })
}

/// From valid lengths, i64 `[batch]`, and the longest of them, i64 scalar.
fn filled(graph: &mut Graph, lengths: &Value, total: &Value) -> Filled {
    let one = graph.int(1);
    let last_places = graph.sub(lengths, &one);
    Filled { last_places: graph.cast(&last_places, Element::I32), total: graph.cast(total, Element::I32) }
}
