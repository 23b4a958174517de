//! How an engine is opened: all sessions first, then the keys and values, in the memory that they leave. So what does not
//! fit when slots are made is the slots, and a card that is too small for so many gets fewer.

use super::{
    EngineSettings, OrtEngine,
    fitting::{Unmade, fitting},
    runner::Runner,
};
use crate::{
    base::{
        Fatal, Model, Stop,
        native::{self, CudaBuild},
    },
    generate::{
        cuda::runtime::{Card as GpuCard, CardMemory, card_memory},
        cuts::Cuts,
        embedder::Embedder,
        encoders::OrtEncoders,
        engine::Card,
        footprint::Bytes,
        network::Opening,
        prefix::Prefixes,
        providers::{Attention, providers},
        runtime::{Device, Place, Runtime},
        tensorrt::Engines,
        trouble::Trouble,
        watchdog::Watchdog,
    },
};

/// Bytes of a card that keys and values must leave: a step needs memory too, for activations and what the libraries keep.
const LEAST_LEFT: u64 = 512 << 20;

/// What to do about weights that a card does not hold.
const TOO_SMALL: &str = "end other programs on the card (`nvidia-smi` lists them), name a larger one with `--devices`, \
                         take a bundle with smaller weights, or choose `--device cpu`";

/// What to do about a card that fails at once.
const UNWELL: &str = "look at `nvidia-smi` and at `dmesg` (lines with Xid): the card may be taken, or need a reset; or \
                      choose `--device cpu`";

impl OrtEngine {
    /// Opens the sessions of a model. A card whose memory does not hold all slots gets half of them, a quarter and so on,
    /// unless they are fixed: its card says how many there are.
    ///
    /// # Errors
    /// When a graph cannot be opened, the device cannot be had, the context is longer than the model's, or memory is
    /// short.
    pub fn open(runtime: &Runtime, model: &Model, settings: EngineSettings) -> Result<Self, Fatal> {
        let most = model.manifest.text.max_positions;
        if settings.context >= most {
            let message =
                format!("generate.context is {}, but `{}` was made for {most}", settings.context, model.manifest.name);
            return Err(Fatal::new(message, format!("set generate.context to {} or less", most.saturating_sub(1))));
        }
        let mut reasons = Vec::new();
        for device in settings.device.candidates() {
            match Self::open_on(runtime, model, settings, device) {
                Ok(engine) => return Ok(engine.noting(&reasons)),
                Err(fatal) if settings.device == Device::Auto && device != Device::Cpu => reasons.push(fatal.message),
                Err(fatal) => return Err(fatal),
            }
        }
        Err(Fatal::new("no device can run this bundle", "choose `--device cpu`"))
    }

    fn open_on(runtime: &Runtime, model: &Model, settings: EngineSettings, device: Device) -> Result<Self, Fatal> {
        let place = Place { device, ordinal: settings.ordinal };
        let engines = engines(model, settings, place)?;
        suits(model, place)?;
        let watchdog = Watchdog::new(settings.step_timeout)?;
        let (threads, spinning) = (settings.threads, settings.spinning);
        let opening = Opening { watchdog: &watchdog, place, threads, spinning, engines: None };
        // Rows are looked up here, and the tables take gigabytes with those of each layer: they stay off the cards.
        let on_processor = Opening { place: Place::first(Device::Cpu), ..opening };
        let mut embedder = Embedder::open(runtime, model, on_processor)?;
        let runner = Runner::open(runtime, model, opening, settings, &embedder);
        let mut runner = runner.map_err(|fatal| of_the_card(fatal, place))?;
        let ahead = Opening { threads: settings.encoder_threads, ..opening };
        let together = settings.pictures_together.unwrap_or(device != Device::Cpu);
        let encoders = OrtEncoders::open(runtime, model, ahead, together, engines.as_ref());
        let encoders = encoders.map_err(|fatal| of_the_card(fatal, place))?;
        let (form, slots) = make_slots(&mut runner, &mut embedder, model, settings, place)?;
        let fewer = (slots < settings.slots).then(|| fewer(settings.slots, slots, place));
        let remarks = model.notes.iter().cloned().chain(form).chain(fewer).collect();
        let card = card(&mut runner, model, EngineSettings { slots, ..settings }, place, remarks);
        card.remarks.iter().for_each(|remark| tracing::warn!(target: "generate", "{remark}"));
        tracing::debug!(target: "generate", bytes = runner.cache().bytes(), "keys and values");
        Ok(Self {
            card,
            model: model.clone(),
            prefill_chunk: runner.prefill_chunk(model, settings),
            cuts: Cuts::new(&model.manifest.tokens, &model.manifest.text),
            embedder,
            runner,
            encoders: Some(encoders),
            watchdog,
            seats: (0..slots).map(|_| None).collect(),
            runs: Vec::new(),
            prefixes: Prefixes::default(),
            answering: memory_of(place).map(|_| place.ordinal),
        })
    }

    /// Tells `stop` when a run is stuck and cannot be ended.
    pub fn heed(self, stop: &Stop) -> Self {
        self.watchdog.tell(stop.clone());
        self
    }

    fn noting(mut self, reasons: &[String]) -> Self {
        self.card.note = reasons.iter().chain(&self.card.remarks).cloned().collect::<Vec<_>>().join("; ");
        self
    }
}

fn card(runner: &mut Runner, model: &Model, settings: EngineSettings, place: Place, remarks: Vec<String>) -> Card {
    Card {
        engine: "ort",
        device: place.device.as_str().to_owned(),
        note: remarks.join("; "),
        remarks,
        model: model.manifest.name.clone(),
        slots: settings.slots,
        context: settings.context,
        together: runner.takes_any(),
        at_once: runner.cache().most_at_once().min(settings.context),
    }
}

/// Whether what a card needs is there, and it can run the model.
fn suits(model: &Model, place: Place) -> Result<(), Fatal> {
    new_enough(place)
        .and_then(|()| providers(place, Attention::Any, None))
        .and_then(|_| is_there(place))
        .map_err(|fatal| unusable(fatal, place))?;
    has_attention(&model.manifest.name, &model.manifest.precision.dtype, place)
}

/// On a card that is too old sessions open all the same, and then fail each unit. A driver that cannot be asked is CUDA's to
/// judge, and a build of the user's own may be for others.
fn new_enough(place: Place) -> Result<(), Fatal> {
    if !place.is_card() || native::cuda_build() != CudaBuild::Pinned {
        return Ok(());
    }
    match native::find_driver() {
        Ok(Some(driver)) => driver.suits(),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// A card that is not there is told by its number, and not by what ONNX Runtime makes of it.
fn is_there(place: Place) -> Result<(), Fatal> {
    if place.is_card() { GpuCard::open(place.ordinal).map(drop) } else { Ok(()) }
}

/// ONNX Runtime's attention has f16 on cards and no f32: what computes in f32 would go to the processor and back in each
/// layer, without a word.
fn has_attention(model: &str, dtype: &str, place: Place) -> Result<(), Fatal> {
    if !place.is_card() || dtype != "f32" {
        return Ok(());
    }
    Err(Fatal::new(
        format!("`{model}` computes in f32, and {place} has attention in f16 alone"),
        "export the checkpoint with `--recipe cuda-int4` or `cuda-f16`, or choose `--device cpu`",
    ))
}

/// With TensorRT the engines that the encoders need, of which none may be missing.
fn engines(model: &Model, settings: EngineSettings, place: Place) -> Result<Option<Engines>, Fatal> {
    if place.device != Device::TensorRt {
        return Ok(None);
    }
    let found = Engines::find(model, settings.buckets, place.ordinal);
    found.map(Some).map_err(|fatal| unusable(fatal, place))
}

/// What a place lacks, with its name.
fn unusable(fatal: Fatal, place: Place) -> Fatal {
    Fatal::new(format!("{place} cannot be used: {}", fatal.message), fatal.hint)
}

/// Why a session cannot be opened, where that is for the card itself and not for how it was set up.
fn of_the_card(fatal: Fatal, place: Place) -> Fatal {
    match Trouble::of(&fatal.message) {
        Trouble::OutOfMemory if place.is_card() => {
            let free = memory_of(place).map(|memory| format!("; {}", told(memory, place))).unwrap_or_default();
            Fatal::new(format!("{}{free}", fatal.message), TOO_SMALL)
        }
        Trouble::LostCard if place.is_card() => Fatal::new(fatal.message, UNWELL),
        _ => fatal,
    }
}

/// Makes the slots asked for, or as many as a card has memory for. Returns what is worth knowing of their form, and how
/// many there are.
fn make_slots(
    runner: &mut Runner,
    embedder: &mut Embedder,
    model: &Model,
    settings: EngineSettings,
    place: Place,
) -> Result<(Option<String>, usize), Fatal> {
    fitting(settings.slots, settings.fixed_slots, |slots| {
        let form = runner
            .make_slots(embedder, model, EngineSettings { slots, ..settings })
            .map_err(|fatal| unmade(fatal, place))?;
        match memory_of(place).filter(|memory| memory.free < LEAST_LEFT) {
            Some(memory) if slots > 1 && !settings.fixed_slots => Err(too_tight(slots, memory, place)),
            _ => Ok(form),
        }
    })
}

/// On a card what fails is taken for want of memory: what else may, as of a decoder of other making that cannot be run at
/// all, fails again with fewer slots and is told then.
fn unmade(fatal: Fatal, place: Place) -> Unmade {
    let Some(memory) = memory_of(place) else { return Unmade::Failed(fatal) };
    let message = format!("{}; {}", fatal.message, told(memory, place));
    Unmade::Short(Fatal::new(message, fatal.hint))
}

fn too_tight(slots: usize, memory: CardMemory, place: Place) -> Unmade {
    let message = format!("keys and values of {slots} slots leave too little for a step; {}", told(memory, place));
    Unmade::Short(Fatal::new(message, "lower generate.slots or generate.context"))
}

fn told(memory: CardMemory, place: Place) -> String {
    format!("{} of {} are free on {place}", Bytes(memory.free), Bytes(memory.total))
}

fn fewer(asked: usize, slots: usize, place: Place) -> String {
    format!("{slots} slots instead of {asked}, since the memory of {place} holds no more keys and values")
}

/// Of a card, as long as it tells.
fn memory_of(place: Place) -> Option<CardMemory> {
    place.is_card().then(|| card_memory(place.ordinal)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: Place = Place { device: Device::Cuda, ordinal: 1 };

    #[test]
    fn slots_that_do_not_fit_a_card_are_told_with_what_is_free_on_it() {
        let memory = CardMemory { free: 300_000_000, total: 24_000_000_000 };
        let Unmade::Short(fatal) = too_tight(16, memory, CARD) else { panic!("fewer slots are not tried") };
        assert!(fatal.message.contains("16 slots"), "{fatal}");
        assert!(fatal.message.ends_with("300.0 MB of 24.00 GB are free on cuda:1"), "{fatal}");
        let remark = fewer(64, 16, CARD);
        assert_eq!(remark, "16 slots instead of 64, since the memory of cuda:1 holds no more keys and values");
    }

    #[test]
    fn weights_that_do_not_fit_a_card_are_told_as_that_and_no_library_is_blamed() {
        let opened = |why: &str, place| of_the_card(Fatal::new(format!("no session: {why}"), "install it"), place);
        let short = "Failed to allocate memory for requested buffer of size 805306368";
        let fatal = opened(short, CARD);
        assert!(fatal.message.contains(short) && fatal.hint.contains("smaller weights"), "{fatal} / {}", fatal.hint);
        let busy = "CUDA failure 46: CUDA-capable device(s) is/are busy or unavailable";
        assert!(opened(busy, CARD).hint.contains("nvidia-smi"));
        assert_eq!(opened("libcublasLt.so.13 is missing", CARD).hint, "install it");
        assert_eq!(opened(short, Place::first(Device::Cpu)).hint, "install it");
    }

    #[test]
    fn what_computes_in_f32_is_refused_on_cards_with_the_recipes_that_do_not() {
        let fatal = has_attention("gemma", "f32", CARD).unwrap_err();
        assert!(fatal.message.contains("`gemma`") && fatal.message.contains("cuda:1"), "{fatal}");
        assert!(fatal.hint.contains("--recipe cuda-int4"), "{}", fatal.hint);
        assert_eq!(has_attention("gemma", "f16", CARD), Ok(()));
        assert_eq!(has_attention("gemma", "f32", Place::first(Device::Cpu)), Ok(()));
    }

    /// There memory is given when it is touched, so that an allocation that fails says little of how much there is.
    #[test]
    fn on_the_processor_nothing_is_tried_with_fewer_slots() {
        let failed = unmade(Fatal::new("no memory for 8 slots", "lower them"), Place::first(Device::Cpu));
        assert!(matches!(failed, Unmade::Failed(fatal) if fatal.message == "no memory for 8 slots"));
    }
}
