//! The part of `lapidary doctor` about cards: the driver and what it says of them, the libraries that a run on them loads, and
//! whether they compute what they ought to.

use std::{env, path::Path};

use super::{check, print};
use crate::{
    base::{
        Fatal,
        native::{self, CudaBuild, Driver, GpuCard, GpuLibrary, Provenance},
    },
    generate::{self, Device, Place},
};

/// The variable by which CUDA is told which cards there are, and in which order.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// What the proof is called.
const PROBE: &str = "GPU probe";

/// Says what there is of cards, libraries and proofs, in lines; false for each that failed.
pub fn checks(asked: Device) -> Vec<bool> {
    if asked == Device::Cpu {
        return vec![check("GPU", Ok("not looked at (`--device cpu`)"))];
    }
    let facts = Facts::gather(asked);
    // All is said before something is tried that may bring the process down.
    let mut checks: Vec<bool> = facts.findings().into_iter().map(Finding::say).collect();
    checks.extend(facts.places().into_iter().map(|place| facts.prove(place).say()));
    checks
}

/// What is there, apart from what to make of it.
#[derive(Debug)]
struct Facts {
    asked: Device,
    driver: Result<Option<Driver>, Fatal>,
    build: CudaBuild,
    cuda: Vec<GpuLibrary>,
    /// Empty where it is not looked at.
    tensorrt: Vec<GpuLibrary>,
    /// The libraries by which TensorRT builds engines.
    builders: Vec<String>,
    /// Each file that is there, and whether it is what was installed.
    pins: Vec<(String, Result<Provenance, Fatal>)>,
    /// What [`VISIBLE`] says.
    visible: Option<String>,
}

impl Facts {
    fn gather(asked: Device) -> Self {
        let build = native::cuda_build();
        let tensorrt = match asked {
            Device::TensorRt => true,
            Device::Auto => build != CudaBuild::Missing && native::has_tensorrt(),
            Device::Cuda | Device::Cpu => false,
        };
        let cuda = native::gpu_libraries(false);
        Self {
            asked,
            driver: native::find_driver(),
            build,
            tensorrt: if tensorrt { native::gpu_libraries(true).split_off(cuda.len()) } else { Vec::new() },
            cuda,
            builders: native::tensorrt_builders(),
            pins: if build == CudaBuild::Missing { Vec::new() } else { native::examine_gpu(tensorrt) },
            visible: env::var_os(VISIBLE).map(|cards| cards.to_string_lossy().into_owned()),
        }
    }

    /// What to make of it. Who has no card, nothing for one, and has not asked for one, reads one line.
    fn findings(&self) -> Vec<Finding> {
        if !self.is_strict() && !self.is_equipped() && self.driver == Ok(None) {
            return vec![Finding::well("GPU", "none (no NVIDIA driver; runs go to the processor)")];
        }
        let mut findings = vec![self.of_driver()];
        findings.extend(self.of_cards());
        findings.extend(self.of_build());
        findings.extend(self.of_libraries());
        findings.extend(self.of_pins());
        findings
    }

    /// Whatever is missing is a failure where a card was asked for. Else runs go to the processor, and it is a note.
    fn is_strict(&self) -> bool {
        self.asked != Device::Auto
    }

    /// Where something was installed for cards, it is worth knowing what of it is there.
    fn is_equipped(&self) -> bool {
        self.build != CudaBuild::Missing
    }

    fn trouble(&self, what: impl Into<String>, fatal: Fatal) -> Finding {
        match self.is_strict() {
            true => Finding::Failed(what.into(), fatal),
            false => Finding::Remark(what.into(), fatal),
        }
    }

    fn of_driver(&self) -> Finding {
        let suits = match &self.driver {
            Ok(Some(driver)) => driver.suits().map(|()| driver.to_string()),
            Ok(None) => Err(native::no_driver()),
            Err(fatal) => Err(fatal.clone()),
        };
        suits.map_or_else(|fatal| self.trouble("GPU driver", fatal), |told| Finding::well("GPU driver", told))
    }

    fn of_cards(&self) -> Vec<Finding> {
        let Ok(Some(driver)) = &self.driver else { return Vec::new() };
        let hint = "see what `nvidia-smi` and the kernel's log say of it; a reboot may help";
        let lost = driver.lost.iter().map(|lost| self.trouble("GPU", Fatal::new(lost, hint)));
        let visible = self.visible.iter().map(|cards| {
            Finding::well(
                "GPU order",
                format!("{VISIBLE} is `{cards}`: CUDA and `--devices` count these alone, from 0"),
            )
        });
        driver.cards.iter().map(|card| self.of_card(driver, card)).chain(lost).chain(visible).collect()
    }

    /// A card that is too old is no failure beside another that is not.
    fn of_card(&self, driver: &Driver, card: &GpuCard) -> Finding {
        let what = format!("GPU {}", card.index);
        match card.suits() {
            Ok(()) => Finding::Well(what, described(card)),
            Err(fatal) if driver.suits().is_ok() => Finding::Remark(what, fatal),
            Err(fatal) => self.trouble(what, fatal),
        }
    }

    /// That ONNX Runtime knows no cards, unless there is none for it.
    fn of_build(&self) -> Option<Finding> {
        let of_use = self.is_strict() || self.usable().is_some();
        (!self.is_equipped() && of_use).then(|| {
            let message = format!("the ONNX Runtime in `{}` is a build without CUDA", native::folder().display());
            self.trouble("GPU build", Fatal::new(message, "run `lapidary runtime install --cuda`"))
        })
    }

    fn of_libraries(&self) -> Vec<Finding> {
        if !self.is_strict() && !self.is_equipped() {
            return Vec::new();
        }
        let builder = if self.builders.is_empty() { &["libnvinfer_builder_resource*.so.10.*"][..] } else { &[] };
        let cuda = self.of_folder("GPU libraries of CUDA", &self.cuda, &[], "lapidary runtime install --cuda");
        let install = "lapidary runtime install --tensorrt DIR";
        let tensorrt = self.of_folder("GPU libraries of TensorRT", &self.tensorrt, builder, install);
        [cuda, tensorrt].into_iter().flatten().collect()
    }

    /// Those of a folder: all there, or by name which are not. Beside an ONNX Runtime of the user's own they may be the
    /// system's, which the proof shows.
    fn of_folder(&self, what: &str, libraries: &[GpuLibrary], lacking: &[&str], install: &str) -> Option<Finding> {
        let folder = libraries.first()?.path.parent().unwrap_or(Path::new("")).display();
        let (found, missing): (Vec<&GpuLibrary>, Vec<&GpuLibrary>) =
            libraries.iter().partition(|library| library.present);
        let names = |libraries: &[&GpuLibrary]| libraries.iter().map(|library| library.name).collect::<Vec<_>>();
        let missing = [&names(&missing)[..], lacking].concat();
        if missing.is_empty() {
            return Some(Finding::well(what, format!("all in `{folder}`: {}", names(&found).join(", "))));
        }
        let found = if found.is_empty() { String::new() } else { format!("; found: {}", names(&found).join(", ")) };
        let message = format!("missing in `{folder}`: {}{found}", missing.join(", "));
        Some(match self.build {
            CudaBuild::Own => Finding::Remark(what.to_owned(), Fatal::new(message, "then the system must have them")),
            _ => self.trouble(what, Fatal::new(message, format!("run `{install}`"))),
        })
    }

    fn of_pins(&self) -> Vec<Finding> {
        let changed = self.pins.iter().filter_map(|(name, found)| {
            let fatal = found.as_ref().err()?.clone();
            Some(Finding::Failed(format!("GPU pin of {name}"), fatal))
        });
        let whole: Vec<&Provenance> = self.pins.iter().filter_map(|(_, found)| found.as_ref().ok()).collect();
        let own = whole.iter().filter(|found| ***found == Provenance::Own).count();
        let told = match (whole.len() - own, own) {
            (0, 0) => None,
            (pinned, 0) => Some(format!("{pinned} files are what was installed")),
            (0, own) => Some(format!("{own} files are your own, not pinned: nothing says what they should be")),
            (pinned, own) => Some(format!("{pinned} files are what was installed, {own} are your own, not pinned")),
        };
        changed.chain(told.map(|told| Finding::well("GPU pins", told))).collect()
    }

    /// The driver, where it and at least one of its cards will do.
    fn usable(&self) -> Option<&Driver> {
        self.driver.as_ref().ok()?.as_ref().filter(|driver| driver.suits().is_ok())
    }

    /// Where something is to be proved: on each card, if CUDA counts all of them and all will do, else on the first; and by
    /// TensorRT, where it is looked at.
    fn places(&self) -> Vec<Place> {
        let Some(driver) = self.usable().filter(|_| self.is_equipped()) else { return Vec::new() };
        let all = self.visible.is_none() && driver.cards.iter().all(|card| card.suits().is_ok());
        let count = if all { driver.cards.len() as u32 } else { 1 };
        let cards = (0..count).map(|ordinal| Place { device: Device::Cuda, ordinal });
        let tensorrt = (!self.tensorrt.is_empty()).then_some(Place::first(Device::TensorRt));
        cards.chain(tensorrt).collect()
    }

    /// Of cards that are parted (MIG) CUDA counts one part alone, so the others are not there to be tried.
    fn prove(&self, place: Place) -> Finding {
        if place.ordinal > 0 && generate::card_memory(place.ordinal).is_none() {
            let hint = "where a card is parted (MIG) CUDA counts one part alone: `CUDA_VISIBLE_DEVICES` chooses which";
            return Finding::Remark(PROBE.to_owned(), Fatal::new(format!("CUDA counts no {place}"), hint));
        }
        self.of_proof(generate::prove_device(place))
    }

    /// A card that cannot be had is treated as one that is missing. One that computes wrongly is a failure always: a run
    /// would take it.
    fn of_proof(&self, proved: Result<String, Fatal>) -> Finding {
        match proved {
            Ok(told) => Finding::well(PROBE, told),
            Err(fatal) if fatal.message.contains(generate::MISCOMPUTES) => Finding::Failed(PROBE.to_owned(), fatal),
            Err(fatal) => self.trouble(PROBE, fatal),
        }
    }
}

fn described(card: &GpuCard) -> String {
    let memory = match card.total {
        0 => "memory not told".to_owned(),
        total => format!("{} of {} free", print::bytes(card.free), print::bytes(total)),
    };
    let (major, minor) = card.capability;
    format!("{}, compute capability {major}.{minor}, {memory}, {} ({})", card.name, card.uuid, card.bus)
}

/// What is to be said of one thing.
#[derive(Debug)]
enum Finding {
    /// It is as it should be.
    Well(String, String),
    /// It is not, and that is no failure.
    Remark(String, Fatal),
    /// It is not, and must be.
    Failed(String, Fatal),
}

impl Finding {
    fn well(what: &str, told: impl Into<String>) -> Self {
        Self::Well(what.to_owned(), told.into())
    }

    /// One line; false when it failed.
    fn say(self) -> bool {
        match self {
            Self::Well(what, told) => check(&what, Ok(told)),
            Self::Failed(what, fatal) => check(&what, Err::<String, _>(fatal)),
            Self::Remark(what, fatal) => {
                print::note(&format!("note    {what}: {} (hint: {})", fatal.message, fatal.hint));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
