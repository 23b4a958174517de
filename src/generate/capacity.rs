//! How many slots of how many tokens: what a pipeline says holds, and what it leaves open is chosen to fit memory.
//!
//! The context comes of the pipeline and the model alone, so that answers do not depend on the machine; only the number
//! of slots does.

use std::fmt;

use super::{
    footprint::{self, Bytes, Footprint, Keeping},
    generator::MOST_GUESSED,
    runtime::{Device, Place},
    settings::Settings,
};
use crate::base::Fatal;

/// The most slots that are chosen on the CPU: there a step of 8 gives about three times the tokens of a step of 1, and more
/// gain little.
const MOST_SLOTS: usize = 8;

/// The most slots that are chosen on a card. A step reads all weights once, however many slots it serves, so each slot
/// adds little until not memory but arithmetic bounds the step: by the data sheet of an H200 (4.8 TB/s, 990 Tflop/s in f16)
/// at some 200 slots with weights of 16 bits and some 50 with 4. Reckoned, not measured on a card.
const MOST_SLOTS_ON_A_CARD: usize = 64;

/// Slots where the system does not tell how much memory is free.
const UNTOLD_SLOTS: usize = 4;

/// The least that stays free on a card: CUDA and its kernels take some hundred MB, activations the rest.
const LEAST_RESERVE: u64 = 1_000_000_000;

/// The shortest context that is chosen where the model has it, so that texts have room too.
pub(super) const LEAST_CONTEXT: usize = 4096;

/// What a device has for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spare {
    /// Bytes that this process may still take of the device's memory; `None` where the system does not tell.
    pub free: Option<u64>,
    /// Bytes of the model's files.
    pub weights: u64,
    /// Where keys and values lie.
    pub device: Device,
}

impl Spare {
    fn is_card(self) -> bool {
        Place::first(self.device).is_card()
    }

    /// What is free beside the weights.
    fn beside(self) -> Option<u64> {
        self.free.map(|free| free.saturating_sub(self.weights))
    }

    /// What keys and values, with the logits of a step, may take of it.
    ///
    /// On the CPU half of what is free beside the weights, since activations, pictures in flight and decoder processes
    /// need some too; at least an eighth of all, for weights are mapped and need not all stay. On a card weights stay, and
    /// an eighth of all is for activations, those of pictures among them.
    fn share(self) -> Option<u64> {
        let (free, beside) = self.free.zip(self.beside())?;
        Some(match self.is_card() {
            true => beside.saturating_sub((free / 8).max(LEAST_RESERVE)),
            false => (beside / 2).max(free / 8),
        })
    }

    fn most_slots(self) -> usize {
        if self.is_card() { MOST_SLOTS_ON_A_CARD } else { MOST_SLOTS }
    }

    /// Of memory, in a sentence.
    fn whose(self) -> &'static str {
        if self.is_card() { " on the card" } else { "" }
    }
}

/// Slots and context of an engine, with the arithmetic behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Units that are decoded together.
    pub slots: usize,
    /// Most tokens of a prompt and its answer together.
    pub context: usize,
    /// What one slot takes.
    pub slot: Footprint,
    /// Bytes of the logits that a step may give for one slot.
    logits: u64,
    allowed: Allowed,
}

/// What keys and values may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// `kv_memory_mb`, which is of keys and values alone.
    Told { bytes: u64, spare: Spare },
    /// A share of what is free, with the logits.
    Share { bytes: u64, spare: Spare },
    /// The system does not tell.
    Unknown,
}

impl Allowed {
    fn of(settings: &Settings, spare: Spare) -> Self {
        match (settings.kv_memory_mb, spare.share()) {
            (Some(megabytes), _) => Self::Told { bytes: megabytes.saturating_mul(1_000_000), spare },
            (None, Some(bytes)) => Self::Share { bytes, spare },
            (None, None) => Self::Unknown,
        }
    }

    fn slots(self, slot: Footprint, logits: u64) -> usize {
        let (bytes, each, spare) = match self {
            Self::Told { bytes, spare } => (bytes, slot.bytes(), spare),
            Self::Share { bytes, spare } => (bytes, slot.bytes().saturating_add(logits), spare),
            Self::Unknown => return UNTOLD_SLOTS,
        };
        usize::try_from(bytes / each.max(1)).unwrap_or(usize::MAX).clamp(1, spare.most_slots())
    }
}

impl Capacity {
    /// Chooses what `settings` leave open. `prompt` is the length of the pipeline's longest prompt.
    ///
    /// # Errors
    /// When the slots do not fit the memory that the settings name.
    pub fn choose(keeping: &Keeping, settings: &Settings, prompt: usize, spare: Spare) -> Result<Self, Fatal> {
        let most = keeping.manifest.text.max_positions.saturating_sub(1);
        let new_tokens = settings.most_new_tokens();
        let needed = prompt.saturating_add(new_tokens).max(LEAST_CONTEXT).min(most);
        let context = settings.context.unwrap_or(needed);
        let (slot, allowed) = (keeping.slot(context), Allowed::of(settings, spare));
        let logits = logits(keeping, settings, spare);
        let slots = settings.slots.unwrap_or_else(|| allowed.slots(slot, logits));
        let capacity = Self { slots, context, slot, logits, allowed };
        match allowed {
            Allowed::Told { bytes, .. } if capacity.bytes() > bytes => Err(capacity.too_much(keeping, bytes)),
            _ => Ok(capacity),
        }
    }

    /// Bytes of all slots.
    pub fn bytes(&self) -> u64 {
        self.slot.bytes().saturating_mul(self.slots as u64)
    }

    /// What is worth a warning: more is asked for than the device has.
    pub fn warning(&self) -> Option<String> {
        let (spare, less) = match self.allowed {
            Allowed::Told { spare, .. } => (spare, "generate.kv_memory_mb, generate.slots or generate.context"),
            Allowed::Share { spare, .. } => (spare, "generate.slots or generate.context"),
            Allowed::Unknown => return None,
        };
        let beside = spare.beside()?;
        (self.bytes().saturating_add(self.bytes_of_logits()) > beside).then(|| {
            format!(
                "keys and values may grow to {}{}, but {} are free{} beside the weights; lower {less} if memory runs \
                 short",
                Bytes(self.bytes()),
                self.logits_told(", and logits to "),
                Bytes(beside),
                spare.whose()
            )
        })
    }

    fn bytes_of_logits(&self) -> u64 {
        self.logits.saturating_mul(self.slots as u64)
    }

    /// The bytes of logits behind some words; nothing where there are none worth counting.
    fn logits_told(&self, words: &str) -> String {
        match self.bytes_of_logits() {
            0 => String::new(),
            bytes => format!("{words}{}", Bytes(bytes)),
        }
    }

    fn too_much(&self, keeping: &Keeping, allowed: u64) -> Fatal {
        let Self { slots, context, slot, .. } = self;
        let fit = allowed / slot.bytes().max(1);
        let message = format!(
            "{slots} slots of {context} tokens need {} for keys and values (bytes per slot = {slot}), but \
             generate.kv_memory_mb allows {}",
            Bytes(self.bytes()),
            Bytes(allowed)
        );
        let megabytes = self.bytes().div_ceil(1_000_000);
        let mut ways = vec![format!("raise kv_memory_mb to {megabytes}")];
        ways.extend((fit > 0).then(|| format!("lower generate.slots to {fit}")));
        ways.extend(longest(keeping, *slots, *context, allowed).map(|most| format!("set generate.context to {most}")));
        Fatal::new(message, ways.join(", or "))
    }
}

/// Bytes of the logits that a step may give for one slot, as f32. In the form over slots a row for its next token and one
/// for each guess; on a card, where the public form runs, one row. In that form on the CPU nothing is counted: a row is
/// little beside what is left free there.
fn logits(keeping: &Keeping, settings: &Settings, spare: Spare) -> u64 {
    let over_slots = footprint::over_slots(keeping.manifest, settings.decoder).is_some();
    let guesses = if settings.drafts { MOST_GUESSED } else { 0 };
    let rows = match spare.is_card() {
        true => 1,
        false if over_slots => 1 + guesses,
        false => 0,
    };
    (rows * keeping.manifest.text.vocab_size * size_of::<f32>()) as u64
}

/// The longest context below `context` of which so many slots fit.
fn longest(keeping: &Keeping, slots: usize, context: usize, allowed: u64) -> Option<usize> {
    let fits = |tokens: usize| keeping.slot(tokens).bytes().saturating_mul(slots as u64) <= allowed;
    let (mut fitting, mut beyond) = (1, context);
    while fitting + 1 < beyond {
        let middle = usize::midpoint(fitting, beyond);
        if fits(middle) {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    (fitting > 1).then_some(fitting)
}

/// One line that shows where the numbers come from.
impl fmt::Display for Capacity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slots, context, slot, allowed, .. } = self;
        let (bytes, logits) = (Bytes(self.bytes()), self.logits_told(", and logits of a step up to "));
        write!(out, "{slots} slots of {context} tokens, {bytes} of keys and values; bytes per slot = {slot}")?;
        write!(out, "{logits}; ")?;
        match allowed {
            Allowed::Told { bytes, .. } => write!(out, "generate.kv_memory_mb allows {}", Bytes(*bytes)),
            Allowed::Share { bytes, spare } => write!(
                out,
                "their share of {} free memory{}, of which weights take {}, is {}",
                Bytes(spare.free.unwrap_or(0)),
                spare.whose(),
                Bytes(spare.weights),
                Bytes(*bytes)
            ),
            Allowed::Unknown => write!(out, "the system does not tell how much memory is free"),
        }
    }
}
