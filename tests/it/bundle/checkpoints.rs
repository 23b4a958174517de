//! Checkpoint folders made of the reference fixtures.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use lapidary::bundle::{Dtype, ExportRequest, Exported, Precision, Quantize, export};
use ndarray::{Array, Dimension, OwnedRepr};
use ndarray_npy::{NpzReader, ReadableElement};
use tempfile::TempDir;

/// The folder of the reference fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference")
}

/// A checkpoint folder like the ones that people download, and room beside it.
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// The tiny E2B-like checkpoint with random weights.
    pub fn e2b_like() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.checkpoint()).unwrap();
        fs::copy(fixtures().join("e2b_like.config.json"), place.checkpoint().join("config.json")).unwrap();
        fs::copy(fixtures().join("e2b_like.safetensors"), place.checkpoint().join("model.safetensors")).unwrap();
        fs::write(place.checkpoint().join("tokenizer.json"), "{}").unwrap();
        place
    }

    /// The checkpoint folder.
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.path().join("e2b_like")
    }

    /// A place that does not exist yet.
    pub fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exports the checkpoint.
    pub fn export(&self, dtype: Dtype, quantize: Quantize) -> Exported {
        let out = self.out(&format!("{}-{}", dtype.as_str(), quantize.as_str()));
        export(ExportRequest { checkpoint: self.checkpoint(), out, precision: Precision::uniform(dtype, quantize) })
            .unwrap()
    }

    /// The message and the hint with which an export is refused.
    pub fn refusal(&self) -> (String, String) {
        let out = self.out("refused");
        let request =
            ExportRequest { checkpoint: self.checkpoint(), out: out.clone(), precision: Precision::default() };
        let fatal = export(request).expect_err("the export must be refused");
        assert!(!out.exists(), "a refused export leaves nothing behind");
        assert_eq!(self.leftovers(), Vec::<String>::new());
        (fatal.message, fatal.hint)
    }

    /// Replaces text in config.json.
    pub fn edit_config(&self, from: &str, to: &str) {
        let path = self.checkpoint().join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "config.json does not hold `{from}`");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(".part")).collect()
    }
}

/// An array of e2b_like.npz: inputs and outputs of transformers.
pub fn reference<A: ReadableElement, D: Dimension>(name: &str) -> Array<A, D> {
    let mut file = NpzReader::new(File::open(fixtures().join("e2b_like.npz")).unwrap()).unwrap();
    file.by_name::<OwnedRepr<A>, D>(name).unwrap()
}
