//! TensorRT for the encoders. An engine of TensorRT is built for a range of shapes, which takes minutes; so it is built ahead,
//! by `lapidary model prepare`, and never in the middle of a run.
//!
//! [`Buckets`] says what a run asks of the encoders; each [`Bucket`] has an engine, and a session, of its own. What an engine
//! was built on and for (`facts`) names the folder that it lies in, and a marker there says that it is whole. A run looks for
//! the markers before it opens anything (`Engines::find`); with one that is missing it does not start. The decoder and the
//! embeddings run on CUDA.
//!
//! Graphs with operations that TensorRT does not know, as ours have (root mean square norms, attention and rotary positions
//! are ONNX Runtime's own), fall to pieces, of which each is an engine and the rest CUDA's. ONNX Runtime then takes ranges of
//! shapes from what the pieces are fed: `prepare` feeds them the ends of each range, and proves that what lies between
//! builds nothing.

mod buckets;
mod engines;
mod facts;
mod folder;
mod machine;
mod making;
mod marker;
mod profile;
mod trial;

pub use buckets::{Bucket, Buckets};
pub use folder::FOLDER_VARIABLE;
pub use making::{Built, Step, prepare};

pub(super) use engines::{Engines, Ready};
pub(super) use profile::Profile;

#[cfg(test)]
pub(in crate::generate) mod fixture {
    //! The tiny model, a card, and what the encoders are shown.

    use std::{fs, path::Path};

    use super::machine::Machine;
    pub(in crate::generate) use super::trial::fixture::{tiny_clip as clip, tiny_picture as picture};
    use crate::base::{
        Model,
        model::{Layout, MANIFEST},
    };

    /// The bundle `onnx/tiny`, its files unchecked.
    pub(in crate::generate) fn tiny() -> Model {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny");
        let manifest = toml::from_str(&fs::read_to_string(folder.join(MANIFEST)).unwrap()).unwrap();
        Model { folder, hash: "0".repeat(64), manifest, layout: Layout::Bundle, notes: Vec::new() }
    }

    /// A machine with an H200.
    pub(in crate::generate::tensorrt) fn h200() -> Machine {
        Machine {
            card: "NVIDIA H200".to_owned(),
            capability: "9.0".to_owned(),
            driver: "580.95.05".to_owned(),
            tensorrt: "libnvinfer.so.10 0123456789abcdef".to_owned(),
            onnxruntime: "ORT Build Info: git-branch=HEAD, git-commit-id=6af1a932e".to_owned(),
        }
    }
}
