//! What the keys and values of one slot take, from the manifest alone: the arithmetic that `check` shows.

use std::fmt;

use half::f16;

use super::{
    arena::Room,
    operators,
    runtime::{Device, Place},
    settings::Form,
};
use crate::base::model::{ImageAttention, KvLayer, Layout, Manifest};

/// Soft tokens of a picture where the model names no budgets: its smallest.
const LARGEST_PICTURE: usize = 70;

/// What decides how keys and values are kept, but for the length of the context.
#[derive(Debug, Clone, Copy)]
pub struct Keeping<'a> {
    /// The model.
    pub manifest: &'a Manifest,
    /// Who wrote its graphs: only our own let sliding layers have shorter buffers.
    pub layout: Layout,
    /// Where they lie: on cards no layer has shorter buffers.
    pub device: Device,
    /// Bytes of one number.
    pub element: usize,
    /// Prompt tokens of one prefill call.
    pub prefill_chunk: usize,
}

impl Keeping<'_> {
    /// What one slot of so many tokens takes.
    pub fn slot(&self, context: usize) -> Footprint {
        let room = match self.layout {
            Layout::Bundle if !Place::first(self.device).is_card() => room(self.manifest, context, self.prefill_chunk),
            _ => Room::uniform(context + 1),
        };
        let values = |sliding: bool| {
            let layers = self.manifest.text.kv.iter().filter(|layer| layer.sliding == sliding);
            layers.map(|layer: &KvLayer| 2 * layer.heads * layer.head_dim).sum::<usize>() as u64
        };
        let layers = |sliding: bool, positions: usize| Layers { positions: positions as u64, values: values(sliding) };
        let (full, sliding) = (layers(false, room.full), layers(true, room.sliding));
        Footprint { element: self.element as u64, full, sliding }
    }
}

/// Bytes of one number of the keys and values that a model's graphs declare, in the form of its decoder that runs.
pub fn declared_element(manifest: &Manifest, form: Form, device: Device) -> usize {
    let may_be_cpu = matches!(device, Device::Cpu | Device::Auto);
    let over_slots = may_be_cpu && over_slots(manifest, form).is_some();
    let precision = &manifest.precision;
    let kept = if over_slots && !precision.keys_values.is_empty() { &precision.keys_values } else { &precision.dtype };
    if kept == "f16" { size_of::<f16>() } else { size_of::<f32>() }
}

/// The graph of the decoder over slots, where that form is to run on the CPU: left to itself, not with weights of 4 bits on
/// a processor without vectors for their products, where the public form is quicker.
pub(super) fn over_slots(manifest: &Manifest, form: Form) -> Option<&str> {
    let quick = !manifest.precision.quantize.starts_with("int4") || operators::multiplies_blocks_quickly();
    let wanted = match form {
        Form::Slots => true,
        Form::Auto => quick,
        Form::Sequences => false,
    };
    manifest.graphs.decoder_slots.as_deref().filter(|_| wanted)
}

/// The keys and values of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    element: u64,
    full: Layers,
    sliding: Layers,
}

/// Layers of one kind: positions that are kept, and keys and values of all layers at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layers {
    positions: u64,
    values: u64,
}

impl Footprint {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        let values = |layers: Layers| layers.positions.saturating_mul(layers.values);
        self.element.saturating_mul(values(self.full).saturating_add(values(self.sliding)))
    }
}

/// `4 x (8193 positions x 40960 values + 2207 x 409600 of sliding layers) = 4.96 GB`
impl fmt::Display for Footprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { element, full, sliding } = self;
        write!(out, "{element} x ({} positions x {} values", full.positions, full.values)?;
        if sliding.values > 0 {
            write!(out, " + {} x {} of sliding layers", sliding.positions, sliding.values)?;
        }
        write!(out, ") = {}", Bytes(self.bytes()))
    }
}

/// A number of bytes for people: `4.96 GB`, `155.6 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1_000_000_000 => write!(out, "{:.2} GB", bytes as f64 / 1e9),
            bytes => write!(out, "{:.1} MB", bytes as f64 / 1e6),
        }
    }
}

/// How many positions the buffers of a slot hold. Sliding layers need the window and what is fed at once; as much again
/// as the window lets them go on for a while before anything is moved. Pictures that are seen in both directions are fed
/// in one piece. What else a buffer must hold is added by [`Room::windowed`].
pub(super) fn room(manifest: &Manifest, context: usize, prefill_chunk: usize) -> Room {
    let text = &manifest.text;
    // One position more than the context: a row that idles while others decode writes there.
    let full = context + 1;
    let seen = text.sliding_window.saturating_sub(1);
    let budgets = manifest.vision.as_ref().and_then(|vision| vision.budgets.iter().max());
    let picture = match text.image_attention {
        ImageAttention::Causal => 0,
        ImageAttention::Bidirectional => budgets.map_or(LARGEST_PICTURE, |budget| *budget as usize),
    };
    Room::windowed(full, seen, text.sliding_window.max(prefill_chunk).max(picture))
}
