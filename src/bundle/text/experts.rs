//! The experts of one layer of a mixture (26B-A4B): a router picks some for each position, whose outputs are summed by
//! its weights (transformers' `Gemma4TextRouter` and `Gemma4TextExperts`).
//!
//! ONNX Runtime's fused operators do not know this gate (GELU times a second product) on CPU, so a `Loop` goes over the
//! experts that any position has picked: it takes one expert's weights out of the stack, and the rows that picked it.
//! The weights stay in the mapped file until an expert is wanted, and the graph stays small whatever their number.
//! Each row adds up its experts in ascending order, whatever company it is in.

use super::table::gather_attributes;
use crate::{
    base::Fatal,
    bundle::{
        ExpertsConfig, Format, Part, Tensor, TextConfig,
        draft::{Draft, Linear, Operand},
        graph::{Attribute, Element, Rounded, Value},
        quantize::BLOCK,
    },
};

const KIND: &str = "experts";

/// Which experts each position has picked, and with what weight.
struct Routing {
    /// i64 `[positions * active]`.
    experts: Value,
    /// f32 `[positions * active]`.
    weights: Value,
}

/// What a round of the loop is about.
struct Pick {
    /// i64, the expert's number.
    expert: Value,
    /// Bool, whether quick products of 8 bits overflow here; absent where there are none.
    overflow: Value,
}

/// The maps of all experts, stacked.
enum Stack {
    /// `[experts, outputs, inputs]`.
    Dense(Value),
    /// Codes `[experts, inputs, outputs]` s8 and scales `[experts, outputs]`.
    Int8(Value, Value),
    /// Codes `[experts, outputs, inputs / 2]`, scales `[experts, outputs, blocks]`, and zero points
    /// `[experts, outputs, blocks / 2]` where blocks have their own.
    Int4(Value, Value, Option<Value>),
}

/// What the experts make of the residual stream `x`, f32 `[batch, sequence, hidden]` in and out.
pub fn experts(
    draft: &mut Draft,
    config: &TextConfig,
    experts: &ExpertsConfig,
    prefix: &str,
    x: &Value,
) -> Result<Value, Fatal> {
    let outside = draft.enter(Part::Experts);
    let hidden = config.hidden_size;
    let rows = draft.graph.reshape(x, &[-1, hidden as i64]);
    let routing = route(draft, config, experts, prefix, &rows)?;
    let normed =
        draft.norm(&rows, &format!("{prefix}.pre_feedforward_layernorm_2.weight"), hidden, config.rms_norm_eps)?;
    let operand = draft.operand(&normed, hidden, Element::F32);
    let wide = experts.intermediate_size;
    let inner = stack(draft, &format!("{prefix}.experts.gate_up_proj"), [experts.count, 2 * wide, hidden])?;
    let outer = stack(draft, &format!("{prefix}.experts.down_proj"), [experts.count, hidden, wide])?;
    let sum = sum_over_experts(draft, &routing, experts, &rows, &operand, [&inner, &outer]);
    draft.enter(outside);
    let shape = draft.graph.op("Shape", &[x], &[]);
    Ok(draft.graph.op("Reshape", &[&sum, &shape], &[]))
}

/// The router, in f32 in every bundle. The softmax over all experts, cut to the best and scaled to a sum of one, is the
/// softmax over the best.
fn route(
    draft: &mut Draft,
    config: &TextConfig,
    experts: &ExpertsConfig,
    prefix: &str,
    rows: &Value,
) -> Result<Routing, Fatal> {
    let (hidden, count) = (config.hidden_size, experts.count);
    let root = (hidden as f32).sqrt().recip();
    let scale = draft.small(&format!("{prefix}.router.scale"), hidden, root, Element::F32)?;
    let scaled = draft.graph.rms_norm(rows, &scale, config.rms_norm_eps);
    let name = format!("{prefix}.router.proj.weight");
    let values = draft.checkpoint.values(&name, &[count, hidden])?;
    let router = Linear::Dense(draft.floats(&name, &[count, hidden], &values, Element::F32)?);
    let scores = draft.apply(&router, &Operand::Plain(scaled));
    let factors = draft.small(&format!("{prefix}.router.per_expert_scale"), count, 1.0, Element::F32)?;

    let graph = &mut draft.graph;
    let active = graph.ints(&[experts.active as i64]);
    let best = graph.ops("", "TopK", &[&scores, &active], 2, &[("axis", Attribute::Int(-1))]);
    let shares = graph.op("Softmax", &[&best[0]], &[("axis", Attribute::Int(-1))]);
    let factors = graph.gather(&factors, &best[1], 0);
    let weights = graph.mul(&shares, &factors);
    Ok(Routing { experts: graph.reshape(&best[1], &[-1]), weights: graph.reshape(&weights, &[-1]) })
}

/// `[positions, hidden]` f32.
fn sum_over_experts(
    draft: &mut Draft,
    routing: &Routing,
    experts: &ExpertsConfig,
    rows: &Value,
    operand: &Operand,
    maps: [&Stack; 2],
) -> Value {
    let graph = &mut draft.graph;
    let picked = graph.op("Unique", &[&routing.experts], &[("sorted", Attribute::Int(1))]);
    let rounds = graph.op("Size", &[&picked], &[]);
    let nothing = graph.float(0.0);
    let shape = graph.op("Shape", &[rows], &[]);
    let start = graph.op("Expand", &[&nothing, &shape], &[]);
    let go_on = graph.constant(Element::Bool, &[], vec![1]);

    let overflow = match maps[0] {
        Stack::Int8(..) => graph.products_overflow(&rounds),
        _ => Value::absent(),
    };

    graph.open_body();
    let (round, going) = (graph.given_scalar(Element::I64), graph.given_scalar(Element::Bool));
    let sum = graph.given_tensor(Element::F32);
    let expert = graph.gather(&picked, &round, 0);
    let (pairs, places) = places(draft, &routing.experts, &expert, experts.active);
    let rows = rows_at(draft, operand, &places);
    let pick = Pick { expert, overflow };
    let output = one_expert(draft, maps, experts.intermediate_size, &pick, &rows);
    let graph = &mut draft.graph;
    let weights = graph.gather(&routing.weights, &pairs, 0);
    let weights = graph.unsqueeze(&weights, &[1]);
    let weighted = graph.mul(&output, &weights);
    let places = graph.unsqueeze(&places, &[1]);
    let added = graph.op("ScatterND", &[&sum, &places, &weighted], &[("reduction", Attribute::Text("add"))]);
    let body = graph.close_body(&[(&going, Element::Bool), (&added, Element::F32)]);
    graph.op("Loop", &[&rounds, &go_on, &start], &[("body", Attribute::Graph(body))])
}

/// Where an expert was picked: among all picks, and the positions that did so. Both i64 `[n]`.
fn places(draft: &mut Draft, picks: &Value, expert: &Value, active: usize) -> (Value, Value) {
    let graph = &mut draft.graph;
    let is_this = graph.op("Equal", &[picks, expert], &[]);
    let pairs = graph.op("NonZero", &[&is_this], &[]);
    let pairs = graph.reshape(&pairs, &[-1]);
    let active = graph.int(active as i64);
    let places = graph.div(&pairs, &active);
    (pairs, places)
}

/// `down(gelu(gate x) * up x)` of one expert, which is `wide` inside, f32.
fn one_expert(draft: &mut Draft, [inner, outer]: [&Stack; 2], wide: usize, pick: &Pick, rows: &Operand) -> Value {
    let inner = inner.of(draft, pick);
    let both = draft.apply(&inner, rows);
    let attributes = [("axis", Attribute::Int(-1)), ("num_outputs", Attribute::Int(2))];
    let halves = draft.graph.ops("", "Split", &[&both], 2, &attributes);
    let gate = draft.graph.gelu_tanh(&halves[0]);
    let product = draft.graph.mul(&gate, &halves[1]);
    let operand = draft.operand(&product, wide, draft.compute());
    let outer = outer.of(draft, pick);
    let output = draft.apply(&outer, &operand);
    draft.convert(&output, draft.compute(), Element::F32)
}

fn rows_at(draft: &mut Draft, rows: &Operand, places: &Value) -> Operand {
    let graph = &mut draft.graph;
    match rows {
        Operand::Plain(rows) => Operand::Plain(graph.gather(rows, places, 0)),
        Operand::Rounded(Rounded { codes, scales }) => {
            let [codes, scales] = [codes, scales].map(|rows| graph.gather(rows, places, 0));
            Operand::Rounded(Rounded { codes, scales })
        }
    }
}

impl Stack {
    /// The map of one expert.
    fn of(&self, draft: &mut Draft, Pick { expert, overflow }: &Pick) -> Linear {
        let graph = &mut draft.graph;
        match self {
            Self::Dense(weights) => Linear::Dense(graph.gather(weights, expert, 0)),
            Self::Int8(codes, scales) => {
                Linear::Taken(graph.gather(codes, expert, 0), graph.gather(scales, expert, 0), overflow.clone())
            }
            // Takes out and widens at once; MatMulNBits with weights that are no constant widens them too, slower.
            Self::Int4(codes, scales, zeros) => {
                let inputs: Vec<&Value> = [codes, expert, scales].into_iter().chain(zeros).collect();
                Linear::Dense(graph.contrib("GatherBlockQuantized", &inputs, &gather_attributes(2)))
            }
        }
    }
}

fn stack(draft: &mut Draft, name: &str, shape: [usize; 3]) -> Result<Stack, Fatal> {
    let tensor = draft.checkpoint.tensor(name, &shape)?.by_last_axis();
    match draft.format() {
        Format::F32 | Format::F16 => draft.dense(name, &tensor, &shape).map(Stack::Dense),
        Format::Int8 => {
            let [count, outputs, _] = shape;
            let map = |expert: usize| tensor.clone().part(expert * outputs..(expert + 1) * outputs);
            let maps: Vec<Tensor> = (0..count).map(map).collect();
            draft.int8(name, &maps, &[count], KIND).map(|(codes, scales)| Stack::Int8(codes, scales))
        }
        Format::Int4 | Format::Int4Asymmetric => int4(draft, &tensor, shape),
    }
}

fn int4(draft: &mut Draft, tensor: &Tensor, [count, outputs, inputs]: [usize; 3]) -> Result<Stack, Fatal> {
    let (name, blocks) = (tensor.name(), inputs.div_ceil(BLOCK));
    let made = draft.int4(name, tensor, &[count, outputs, inputs.div_ceil(2)], KIND)?;
    let scales = draft.floats(&format!("{name}.scales"), &[count, outputs, blocks], &made.scales, draft.dtype())?;
    let zeros = draft.zeros(name, &[count, outputs, blocks.div_ceil(2)], &made.zeros)?;
    Ok(Stack::Int4(made.codes, scales, zeros))
}
