//! Sizes: what a configuration implies, worked out here by formula, is what is counted; what is counted is what is
//! written.

use std::{collections::BTreeMap, fs, path::Path};

use lapidary::bundle::{
    Catalog, Config, Dtype, Entry, Format, Part, Precision, Recipe, Source, SynthesizeRequest, inventory,
};
use tempfile::TempDir;

/// The tensors of one data file in bytes, in the order in which they lie.
#[derive(Default)]
struct DataFile(Vec<usize>);

impl DataFile {
    fn add(&mut self, bytes: usize) {
        // Up to 1024 bytes lie in the model file.
        self.0.extend(Some(bytes).filter(|&bytes| bytes > 1024));
    }

    fn norms(&mut self, count: usize, width: usize) {
        (0..count).for_each(|_| self.add(4 * width));
    }

    /// Each begins at a page.
    fn length(&self) -> u64 {
        self.0.iter().fold(0_u64, |end, &bytes| end.next_multiple_of(4096) + bytes as u64)
    }
}

/// What is known of one model in one recipe.
struct Bundle {
    config: Config,
    precision: Precision,
}

impl Bundle {
    fn float(&self) -> usize {
        if self.precision.dtype == Dtype::F16 { 2 } else { 4 }
    }

    /// A matrix or table outside an encoder's layers: in floats where those are in 8 bits.
    fn around(&self, file: &mut DataFile, part: Part, rows: usize, width: usize) {
        let bytes = match self.precision.of(part) {
            Format::F16 => 2,
            Format::Int8 => self.float(),
            _ => 4,
        };
        file.add(bytes * rows * width);
    }

    /// A matrix of a part; int8 has one scale per row, and a row may hold several of them.
    fn matrix(&self, file: &mut DataFile, part: Part, rows: usize, width: usize, parts: usize) {
        let blocks = width.div_ceil(32);
        match self.precision.of(part) {
            Format::F32 => file.add(4 * rows * width),
            Format::F16 => file.add(2 * rows * width),
            Format::Int8 => [rows * width, 4 * rows * parts].into_iter().for_each(|bytes| file.add(bytes)),
            format => {
                file.add(rows * width / 2);
                file.add(rows * blocks * self.float());
                if format == Format::Int4Asymmetric {
                    file.add(rows * blocks.div_ceil(2));
                }
            }
        }
    }

    fn decoder(&self) -> u64 {
        let (text, mut file) = (&self.config.text, DataFile::default());
        let (hidden, size) = (text.hidden_size, text.per_layer_size);
        let compute = if self.precision.of(Part::Decoder) == Format::Int8 { 4 } else { self.float() };
        for head_dim in [256, 256, 512, 512] {
            file.add(text.max_positions * head_dim / 2 * self.float());
        }
        let own = text.layers.iter().filter(|layer| layer.donor.is_none()).count();
        if size > 0 {
            [own, text.layers.len() - own]
                .into_iter()
                .for_each(|layers| self.matrix(&mut file, Part::Decoder, layers * size, hidden, 1));
        }
        for layer in &text.layers {
            let mut map = |rows: usize, width: usize| self.matrix(&mut file, Part::Decoder, rows, width, 1);
            let (queries, keys) = (text.heads * layer.head_dim, layer.kv_heads * layer.head_dim);
            map(queries, hidden);
            map(hidden, queries);
            let maps_of_keys = match (layer.donor, layer.keys_are_values) {
                (Some(_), _) => 0,
                (None, true) => 1,
                (None, false) => 2,
            };
            (0..maps_of_keys).for_each(|_| map(keys, hidden));
            (0..2).for_each(|_| map(layer.intermediate_size, hidden));
            map(hidden, layer.intermediate_size);
            if size > 0 {
                map(size, hidden);
                map(hidden, size);
            }
            let norms_of_heads = if layer.donor.is_some() { 1 } else { 2 };
            (0..norms_of_heads).for_each(|_| file.add(layer.head_dim * compute));
            file.norms(4 + usize::from(size > 0), hidden);
            if let Some(experts) = text.experts {
                file.norms(3 + 1, hidden);
                file.add(4 * experts.count * hidden);
                self.matrix(&mut file, Part::Experts, experts.count * 2 * experts.intermediate_size, hidden, 1);
                self.matrix(&mut file, Part::Experts, experts.count * hidden, experts.intermediate_size, 1);
            }
        }
        // The head is the table, in the other file; the last norm lies last.
        file.norms(1, hidden);
        file.length()
    }

    fn embed(&self) -> u64 {
        let (text, mut file) = (&self.config.text, DataFile::default());
        self.matrix(&mut file, Part::Embedding, text.vocab_size, text.hidden_size, 1);
        if text.per_layer_size > 0 {
            let layers = text.layers.len();
            let width = layers * text.per_layer_size;
            self.matrix(&mut file, Part::PerLayerEmbedding, text.vocab_size, width, layers);
        }
        file.length()
    }

    fn vision(&self) -> u64 {
        let (vision, mut file) = (self.config.vision.as_ref().unwrap(), DataFile::default());
        let (hidden, heads) = (vision.hidden_size, vision.heads * vision.head_dim);
        self.around(&mut file, Part::Vision, hidden, 768);
        (0..2).for_each(|_| self.around(&mut file, Part::Vision, vision.positions, hidden));
        let mut map = |rows, width| self.matrix(&mut file, Part::Vision, rows, width, 1);
        for _ in 0..vision.layers {
            (0..4).for_each(|_| map(heads, hidden));
            (0..2).for_each(|_| map(vision.intermediate_size, hidden));
            map(hidden, vision.intermediate_size);
        }
        file.norms(4 * vision.layers + if vision.standardized { 2 } else { 0 }, hidden);
        self.around(&mut file, Part::Vision, self.config.text.hidden_size, hidden);
        file.length()
    }

    fn audio(&self) -> Option<u64> {
        let (audio, mut file) = (self.config.audio.as_ref()?, DataFile::default());
        let hidden = audio.hidden_size;
        for [rows, width] in [[128, 9], [32, 128 * 9], [hidden, 32 * 32], [audio.output_size, hidden]] {
            self.around(&mut file, Part::Audio, rows, width);
        }
        let mut map = |rows, width| self.matrix(&mut file, Part::Audio, rows, width, 1);
        for _ in 0..audio.layers {
            (0..2).for_each(|_| map(4 * hidden, hidden));
            (0..2).for_each(|_| map(hidden, 4 * hidden));
            map(2 * hidden, hidden);
            (0..4 + 1).for_each(|_| map(hidden, hidden));
        }
        for _ in 0..audio.layers {
            file.norms(9, hidden);
            // The depthwise convolution, and the keys of 13 distances.
            file.add(4 * 5 * hidden);
            file.add(4 * 13 * hidden);
        }
        file.add(4 * audio.output_size);
        self.around(&mut file, Part::Audio, self.config.text.hidden_size, audio.output_size);
        Some(file.length())
    }
}

fn request(entry: &Entry, precision: Precision) -> SynthesizeRequest {
    SynthesizeRequest { model: entry.name.clone(), precision, seed: 0, tokenizer: None, as_checkpoint: false }
}

#[test]
fn every_model_in_every_recipe_has_the_bytes_that_its_configuration_implies() {
    for entry in Catalog::all().unwrap() {
        for recipe in Recipe::built_in().unwrap() {
            let counted = request(&entry, recipe.precision).sizes().unwrap();
            let config = Config::parse(&entry.config_json()).unwrap();
            let bundle = Bundle { config, precision: recipe.precision };
            let expected = [
                ("decoder_model_merged", Some(bundle.decoder())),
                ("embed_tokens", Some(bundle.embed())),
                ("vision_encoder", Some(bundle.vision())),
                ("audio_encoder", bundle.audio()),
            ];
            for (graph, bytes) in expected {
                let found = counted.get(&format!("onnx/{graph}.onnx_data")).copied();
                assert_eq!(found, bytes, "{} {} {graph}", entry.name, recipe.name);
            }
        }
    }
}

/// Sizes of all files below a folder.
fn lengths(folder: &Path) -> BTreeMap<String, u64> {
    let files =
        walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
    files.map(|entry| (name(entry.path()), entry.metadata().unwrap().len())).collect()
}

/// A member of the family with a tokenizer, as a checkpoint folder.
fn member(name: &str) -> TempDir {
    let (from, folder) = (Path::new("fixtures/family").join(name), tempfile::tempdir().unwrap());
    for file in ["config.json", "model.safetensors"] {
        fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    folder
}

const FAMILY: [&str; 4] = ["e2b", "e4b", "26b-a4b", "31b"];

#[test]
fn what_is_counted_is_what_is_written() {
    for name in FAMILY {
        let folder = member(name);
        let source = Source::read(folder.path()).unwrap();
        for recipe in Recipe::built_in().unwrap() {
            let out = folder.path().join(&recipe.name);
            let counted = source.sizes(recipe.precision).unwrap();
            source.export(recipe.precision, &out).unwrap();
            assert_eq!(counted, lengths(&out), "{name} {}", recipe.name);
        }
    }
}

#[test]
fn a_checkpoint_of_random_weights_has_the_tensors_of_a_real_one() {
    for name in FAMILY {
        let folder = Path::new("fixtures/family").join(name);
        let config = Config::read(&folder).unwrap();
        let real = lapidary::bundle::Checkpoint::open(&folder).unwrap();
        let real: BTreeMap<String, Vec<usize>> =
            real.tensors().map(|tensor| (tensor.name().to_owned(), tensor.shape().to_vec())).collect();
        assert_eq!(inventory(&config).into_iter().collect::<BTreeMap<_, _>>(), real, "{name}");
    }
}

/// The totals that transformers gives for the four models on its meta device.
#[test]
fn the_models_have_the_parameters_that_transformers_counts() {
    let totals = [5.104, 7.941, 25.806, 31.27_f64];
    for (entry, total) in Catalog::all().unwrap().iter().zip(totals) {
        let tensors = inventory(&Config::parse(&entry.config_json()).unwrap());
        let counted = tensors.iter().filter(|(_, shape)| !shape.is_empty());
        let parameters: usize = counted.map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(parameters as u64, entry.parameters, "{}", entry.name);
        assert!((parameters as f64 / 1e9 - total).abs() < 0.005, "{}: {parameters}", entry.name);
    }
}
