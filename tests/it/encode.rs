//! Tests of `encode`: pictures and sound against transformers 5.23 (`fixtures/reference`), text against the vectors of
//! the full vocabulary, prompts against the model's own form.

mod line;
mod pictures;
mod prompts;
mod sound;
mod text;

use std::fs::File;

use lapidary::base::{Raster, model};
use ndarray::{Array, Dimension};
use ndarray_npy::{NpzReader, ReadableElement};

use super::vocabulary;

/// An array of `fixtures/reference`.
fn reference<T: ReadableElement, D: Dimension>(file: &str, name: &str) -> Array<T, D> {
    let path = vocabulary::root("fixtures/reference").join(file);
    let mut arrays = NpzReader::new(File::open(path).expect("the fixture is there")).expect("an npz");
    arrays.by_name(name).expect("the array is there")
}

/// The reference picture, 827 x 1169 pixels.
fn page() -> Raster {
    let picture = image::open(vocabulary::root("fixtures/reference/page.png")).expect("a PNG").into_rgb8();
    Raster { width: picture.width(), height: picture.height(), rgb: picture.into_raw() }
}

/// A bundle on paper: manifest and tokenizer of the tiny checkpoint, no graphs.
fn tiny() -> model::Model {
    let layer = |head_dim, sliding| model::KvLayer { heads: 1, head_dim, sliding };
    let manifest = model::Manifest {
        format: model::FORMAT,
        name: "tiny".to_owned(),
        architecture: "gemma4-e".to_owned(),
        source: model::Provenance {
            checkpoint: "tiny".to_owned(),
            config_sha256: String::new(),
            exporter: "none".to_owned(),
        },
        precision: model::Precision { dtype: "f32".to_owned(), quantize: "none".to_owned(), ..Default::default() },
        text: model::TextFacts {
            vocab_size: 1024,
            hidden_size: 64,
            layers: 8,
            per_layer_size: 32,
            sliding_window: 64,
            max_positions: 8192,
            image_attention: model::ImageAttention::Causal,
            kv: vec![layer(16, true), layer(16, true), layer(16, true), layer(32, false)],
        },
        vision: Some(model::VisionFacts {
            patch_size: 16,
            pooling: 3,
            positions: 704,
            budgets: lapidary::base::grid::BUDGETS.to_vec(),
        }),
        audio: Some(model::AudioFacts { mel_bins: 128, max_soft_tokens: 750 }),
        tokens: vocabulary::tiny_ids(),
        sampling: model::Sampling { temperature: 1.0, top_k: 64, top_p: 0.95 },
        graphs: model::Graphs {
            embed_tokens: String::new(),
            decoder: String::new(),
            decoder_slots: None,
            vision_encoder: None,
            audio_encoder: None,
            tokenizer: "tokenizer.json".to_owned(),
            chat_template: None,
            self_test: None,
        },
        files: Default::default(),
    };
    model::Model {
        folder: vocabulary::root("onnx/reference/tiny"),
        hash: String::new(),
        manifest,
        layout: model::Layout::Bundle,
        notes: Vec::new(),
    }
}
