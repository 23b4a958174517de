//! How many slots of how many tokens: what a pipeline says holds, and what it leaves open is chosen to fit memory.
//!
//! The context comes of the pipeline and the model alone, so that answers do not depend on the machine; only the number
//! of slots does.

use std::fmt;

use super::{
    footprint::{Bytes, Footprint, Keeping},
    settings::Settings,
};
use crate::base::Fatal;

/// The most slots that are chosen: on CPU a step of 8 gives about three times the tokens of a step of 1, and more gain
/// little.
const MOST_SLOTS: usize = 8;

/// Slots where the system does not tell how much memory is free.
const UNTOLD_SLOTS: usize = 4;

/// The shortest context that is chosen where the model has it, so that texts have room too.
pub(super) const LEAST_CONTEXT: usize = 4096;

/// What the machine has for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spare {
    /// Bytes that this process may still take; `None` where the system does not tell.
    pub free: Option<u64>,
    /// Bytes of the model's files.
    pub weights: u64,
}

impl Spare {
    /// What keys and values may take of it: half of what is free beside the weights, since activations, pictures in
    /// flight and decoder processes need some too. At least an eighth of all, for weights are mapped and need not all
    /// stay.
    fn share(self) -> Option<u64> {
        self.free.map(|free| (free.saturating_sub(self.weights) / 2).max(free / 8))
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
    allowed: Allowed,
}

/// What keys and values may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// `kv_memory_mb`.
    Told { bytes: u64, spare: Spare },
    /// A share of what is free.
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

    fn slots(self, slot: Footprint) -> usize {
        match self {
            Self::Told { bytes, .. } | Self::Share { bytes, .. } => {
                usize::try_from(bytes / slot.bytes().max(1)).unwrap_or(usize::MAX).clamp(1, MOST_SLOTS)
            }
            Self::Unknown => UNTOLD_SLOTS,
        }
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
        let slots = settings.slots.unwrap_or_else(|| allowed.slots(slot));
        let capacity = Self { slots, context, slot, allowed };
        match allowed {
            Allowed::Told { bytes, .. } if capacity.bytes() > bytes => Err(capacity.too_much(keeping, bytes)),
            _ => Ok(capacity),
        }
    }

    /// Bytes of all slots.
    pub fn bytes(&self) -> u64 {
        self.slot.bytes().saturating_mul(self.slots as u64)
    }

    /// What is worth a warning: more is asked for than the machine has.
    pub fn warning(&self) -> Option<String> {
        let (spare, less) = match self.allowed {
            Allowed::Told { spare, .. } => (spare, "generate.kv_memory_mb, generate.slots or generate.context"),
            Allowed::Share { spare, .. } => (spare, "generate.slots or generate.context"),
            Allowed::Unknown => return None,
        };
        let beside = spare.free?.saturating_sub(spare.weights);
        (self.bytes() > beside).then(|| {
            format!(
                "keys and values may grow to {}, but {} are free beside the weights; lower {less} if memory runs short",
                Bytes(self.bytes()),
                Bytes(beside)
            )
        })
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
        let Self { slots, context, slot, allowed } = self;
        let bytes = Bytes(self.bytes());
        write!(out, "{slots} slots of {context} tokens, {bytes} of keys and values; bytes per slot = {slot}; ")?;
        match allowed {
            Allowed::Told { bytes, .. } => write!(out, "generate.kv_memory_mb allows {}", Bytes(*bytes)),
            Allowed::Share { bytes, spare } => write!(
                out,
                "their share of {} free memory, of which weights take {}, is {}",
                Bytes(spare.free.unwrap_or(0)),
                Bytes(spare.weights),
                Bytes(*bytes)
            ),
            Allowed::Unknown => write!(out, "the system does not tell how much memory is free"),
        }
    }
}
