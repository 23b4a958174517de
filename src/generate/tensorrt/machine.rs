//! The card, the driver and the libraries that engines are built with.

use std::{fs::File, io, path::Path};

use crate::{
    base::{
        Fatal,
        native::{self, Driver, GpuCard, GpuLibrary},
    },
    generate::{cuda::runtime::Card, runtime::Runtime},
};

/// What TensorRT's own library is called, before the number of its version.
const LIBRARY: &str = "libnvinfer.so";

/// What is so for everything that is built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// The name of the card.
    pub(super) card: String,
    /// Its compute capability: `9.0`.
    pub(super) capability: String,
    /// The version of the NVIDIA driver.
    pub(super) driver: String,
    /// Name and BLAKE3 of TensorRT's library.
    pub(super) tensorrt: String,
    /// What ONNX Runtime says of its build.
    pub(super) onnxruntime: String,
}

impl Machine {
    /// Looks at the card that CUDA counts as `ordinal`. Loads ONNX Runtime last.
    ///
    /// # Errors
    /// When there is no driver, no such card, one of the two is too old, TensorRT's libraries are missing, or ONNX Runtime
    /// cannot be loaded.
    pub(super) fn find(ordinal: u32) -> Result<Self, Fatal> {
        let driver = native::driver()?;
        driver.is_new_enough()?;
        let tensorrt = library(&tensorrt_libraries())?;
        let counted = Card::open(ordinal)?;
        let card = at(&driver.cards, counted.bus(), ordinal).ok_or_else(|| no_card(&driver, &counted))?;
        card.suits()?;
        Ok(Self {
            card: card.name.clone(),
            capability: format!("{}.{}", card.capability.0, card.capability.1),
            driver: driver.version.clone(),
            tensorrt,
            onnxruntime: Runtime::load()?.describe(),
        })
    }
}

/// The driver's own words for the card that CUDA counts as `ordinal`. The two count otherwise, by speed and by place, and
/// CUDA counts those alone that it may see; so it is the place on the bus that tells, unless CUDA does not tell it.
fn at<'a>(cards: &'a [GpuCard], bus: &str, ordinal: u32) -> Option<&'a GpuCard> {
    match bus.is_empty() {
        true => cards.get(ordinal as usize),
        false => cards.iter().find(|card| short(&card.bus) == short(bus)),
    }
}

/// The driver writes `00000000:1B:00.0` for what CUDA writes `0000:1b:00.0`.
fn short(bus: &str) -> String {
    bus.trim_start_matches('0').to_ascii_lowercase()
}

fn no_card(driver: &Driver, counted: &Card) -> Fatal {
    let names: Vec<String> = driver.cards.iter().map(|card| format!("{card} at {}", card.bus)).collect();
    let sees = if names.is_empty() { "no card at all".to_owned() } else { names.join(", ") };
    Fatal::new(
        format!("TensorRT cannot be used on {counted}: of that card the driver says nothing, it sees {sees}"),
        "name another with `--devices`, or choose `--device cuda`",
    )
}

/// Those beside the ones that CUDA alone takes.
fn tensorrt_libraries() -> Vec<GpuLibrary> {
    let cuda = native::gpu_libraries(false);
    let all = native::gpu_libraries(true).into_iter();
    all.filter(|library| cuda.iter().all(|other| other.name != library.name)).collect()
}

/// Name and hash of TensorRT's own library, when none of its libraries is missing.
fn library(libraries: &[GpuLibrary]) -> Result<String, Fatal> {
    let missing: Vec<&str> = libraries.iter().filter(|one| !one.present).map(|one| one.name).collect();
    let own = libraries.iter().find(|one| one.name.starts_with(LIBRARY));
    match own.filter(|_| missing.is_empty()) {
        Some(own) => match hash(&own.path) {
            Ok(hash) => Ok(format!("{} {hash}", own.name)),
            Err(error) => {
                Err(Fatal::new(format!("`{}` cannot be read: {error}", own.path.display()), "check its permissions"))
            }
        },
        None => {
            let names = if missing.is_empty() { LIBRARY.to_owned() } else { missing.join(", ") };
            let place = native::folder();
            Err(Fatal::new(
                format!("TensorRT's libraries are not in `{}`: {names} missing", place.display()),
                "run `lapidary runtime install --cuda --tensorrt DIR`, where DIR is a folder with the libraries of \
                 TensorRT 10 for CUDA 13, or choose `--device cuda`",
            ))
        }
    }
}

/// BLAKE3 of a file in hexadecimal.
pub(super) fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn card(index: u32, name: &str) -> GpuCard {
        let (uuid, bus) = (format!("GPU-{index}{index}{index}-x"), format!("00000000:0{index}:00.0"));
        GpuCard { index, name: name.to_owned(), uuid, bus, capability: (9, 0), total: 0, free: 0 }
    }

    fn cards() -> Vec<GpuCard> {
        vec![card(0, "first"), card(1, "second"), card(2, "third")]
    }

    #[test]
    fn a_card_is_known_by_its_place_on_the_bus_however_it_is_counted() {
        let mut all = cards();
        let name = |cards: &[GpuCard], bus, ordinal| at(cards, bus, ordinal).map(|card| card.name.clone());
        assert_eq!(name(&all, "0000:02:00.0", 0).as_deref(), Some("third"), "CUDA counts the fastest first");
        assert_eq!(name(&all, "0001:02:00.0", 0), None, "another domain");
        assert_eq!([name(&all, "", 1).as_deref(), name(&all, "", 3).as_deref()], [Some("second"), None]);
        all[1].bus = "0000000A:1B:00.0".to_owned();
        assert_eq!(name(&all, "000a:1b:00.0", 0).as_deref(), Some("second"));
    }

    #[test]
    fn libraries_that_are_missing_are_named_with_the_command_that_brings_them() {
        let folder = tempfile::tempdir().unwrap();
        let library_at = |name: &'static str| {
            let path = folder.path().join(name);
            GpuLibrary { name, present: path.is_file(), path }
        };
        let names = ["libnvinfer.so.10", "libnvonnxparser.so.10"];
        fs::write(folder.path().join(names[0]), "abc").unwrap();
        let fatal = library(&names.map(library_at)).unwrap_err();
        assert!(fatal.message.contains("libnvonnxparser.so.10") && !fatal.message.contains("libnvinfer.so.10"));
        assert!(fatal.hint.contains("`lapidary runtime install --cuda --tensorrt DIR`"), "{}", fatal.hint);
        fs::write(folder.path().join(names[1]), "").unwrap();
        let found = library(&names.map(library_at)).unwrap();
        assert_eq!(found, format!("libnvinfer.so.10 {}", blake3::hash(b"abc").to_hex()));
        assert!(library(&[]).is_err(), "a system without names for them has none");
    }
}
