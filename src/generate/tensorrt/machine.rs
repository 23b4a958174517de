//! The card, the driver and the libraries that engines are built with.

use std::{fs::File, io, path::Path};

use crate::{
    base::{
        Fatal,
        native::{self, Driver, GpuCard, GpuLibrary},
    },
    generate::runtime::Runtime,
};

/// What TensorRT's own library is called, before the number of its version.
const LIBRARY: &str = "libnvinfer.so";

/// What CUDA is told of the cards that it may see.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

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
        let visible = std::env::var(VISIBLE).ok();
        let card = counted(&driver.cards, visible.as_deref(), ordinal);
        let card = card.ok_or_else(|| no_card(&driver, visible.as_deref(), ordinal))?;
        card.suits()?;
        let tensorrt = library(&tensorrt_libraries())?;
        Ok(Self {
            card: card.name.clone(),
            capability: format!("{}.{}", card.capability.0, card.capability.1),
            driver: driver.version.clone(),
            tensorrt,
            onnxruntime: Runtime::load()?.describe(),
        })
    }
}

/// The card that CUDA counts as `ordinal` where it may see those alone that `visible` names, by number or by the beginning
/// of their UUID; it stops at a word that names none.
fn counted<'a>(cards: &'a [GpuCard], visible: Option<&str>, ordinal: u32) -> Option<&'a GpuCard> {
    let Some(visible) = visible else { return cards.iter().find(|card| card.index == ordinal) };
    let is = |card: &&GpuCard, word: &str| match word.starts_with("GPU-") {
        true => card.uuid.starts_with(word),
        false => word.parse::<u32>() == Ok(card.index),
    };
    visible.split(',').map_while(|word| cards.iter().find(|card| is(card, word.trim()))).nth(ordinal as usize)
}

fn no_card(driver: &Driver, visible: Option<&str>, ordinal: u32) -> Fatal {
    let names: Vec<String> = driver.cards.iter().map(GpuCard::to_string).collect();
    let sees = if names.is_empty() { "no card at all".to_owned() } else { names.join(", ") };
    let chosen = visible.map(|visible| format!(", and `{VISIBLE}` is `{visible}`")).unwrap_or_default();
    Fatal::new(
        format!("there is no card {ordinal} for TensorRT: the driver sees {sees}{chosen}"),
        "name another with `--devices`, or choose `--device cpu`",
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
    fn cards_are_counted_as_cuda_counts_those_that_it_may_see() {
        let all = cards();
        let name = |visible, ordinal| counted(&all, visible, ordinal).map(|card| card.name.as_str());
        assert_eq!([name(None, 0), name(None, 2), name(None, 3)], [Some("first"), Some("third"), None]);
        assert_eq!([name(Some("2,0"), 0), name(Some("2, 0"), 1)], [Some("third"), Some("first")]);
        assert_eq!(name(Some("GPU-111-x"), 0), Some("second"));
        assert_eq!(name(Some("GPU-11"), 0), Some("second"), "a beginning is enough");
        assert_eq!([name(Some("1,7,0"), 0), name(Some("1,7,0"), 1)], [Some("second"), None], "it stops at the 7");
        assert_eq!(name(Some(""), 0), None, "an empty list hides all");
    }

    #[test]
    fn a_card_that_is_not_there_is_told_with_those_that_are() {
        let driver = Driver { version: "580.1".to_owned(), cuda: (13, 0), cards: cards(), lost: Vec::new() };
        let fatal = no_card(&driver, Some("1"), 4);
        for word in ["no card 4", "second", "`CUDA_VISIBLE_DEVICES` is `1`"] {
            assert!(fatal.message.contains(word), "{word} is not in {fatal}");
        }
        let fatal = no_card(&Driver { cards: Vec::new(), ..driver }, None, 0);
        assert!(fatal.message.contains("no card at all") && fatal.hint.contains("--devices"), "{fatal}");
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
