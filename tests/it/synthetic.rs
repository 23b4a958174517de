//! Models with random weights, and the catalogue that they are made from.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use lapidary::{
    app::eval,
    base::model::ImageAttention,
    bundle::{
        Catalog, Check, Config, ExportRequest, Holds, Recipe, SynthesizeRequest, Synthesized, export, open, synthesize,
    },
    generate::Device,
};
use safetensors::{SafeTensors, serialize_to_file, tensor::TensorView};

const FAMILY: [&str; 4] = ["e2b", "e4b", "26b-a4b", "31b"];

fn request(name: &str, seed: u64) -> SynthesizeRequest {
    SynthesizeRequest {
        model: format!("fixtures/family/{name}/config.json"),
        precision: Recipe::find("cpu-int4").unwrap().precision,
        seed,
        tokenizer: None,
        as_checkpoint: false,
    }
}

/// Hashes of the graphs and their weights.
fn hashes(folder: &Path) -> BTreeMap<String, String> {
    let files = open(folder, Check::Full).unwrap().manifest.files;
    files.into_iter().map(|(name, fact)| (name, fact.sha256)).collect()
}

#[test]
fn a_bundle_is_the_same_by_way_of_a_checkpoint_folder() {
    for name in FAMILY {
        let folder = tempfile::tempdir().unwrap();
        let (straight, checkpoint, around) =
            (folder.path().join("straight"), folder.path().join("checkpoint"), folder.path().join("around"));
        synthesize(&request(name, 3), &straight).unwrap();
        let request = SynthesizeRequest { as_checkpoint: true, ..request(name, 3) };
        let Synthesized::Checkpoint(files) = synthesize(&request, &checkpoint).unwrap() else {
            panic!("a checkpoint was asked for");
        };
        assert_eq!(files, request.sizes().unwrap());
        assert!(files.iter().all(|(file, bytes)| fs::metadata(checkpoint.join(file)).unwrap().len() == *bytes));
        export(ExportRequest { checkpoint, out: around.clone(), precision: request.precision }).unwrap();
        let mut around = hashes(&around);
        let tested = around.remove("self_test.safetensors");
        assert!(tested.is_some(), "{name}: a checkpoint may be anybody's, so its bundle has a self-test");
        assert_eq!(hashes(&straight), around, "{name}");
    }
}

#[test]
fn a_seed_names_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let made = |seed: u64, name: &str| {
        let out = folder.path().join(name);
        synthesize(&request("e4b", seed), &out).unwrap();
        hashes(&out)["onnx/decoder_model_merged.onnx_data"].clone()
    };
    let first = made(1, "a");
    assert_eq!(first, made(1, "b"));
    assert_ne!(first, made(2, "c"));
}

/// Random weights are drawn so that activations keep their size: logits of every member spread and stay off their cap.
#[test]
fn a_random_model_computes_numbers_of_sane_size() {
    for name in FAMILY {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, inputs, outputs) =
            (folder.path().join("bundle"), folder.path().join("in"), folder.path().join("out"));
        synthesize(&request(name, 5), &bundle).unwrap();
        let ids: Vec<u8> = [2_i64, 17, 33, 101, 250, 7, 9, 11].iter().flat_map(|id| id.to_le_bytes()).collect();
        let ids = TensorView::new(safetensors::Dtype::I64, vec![1, 8], &ids).unwrap();
        serialize_to_file([("input_ids", ids)], None, &inputs).unwrap();
        eval::eval(&bundle, &inputs, &outputs, 0, Device::Cpu).unwrap();
        let bytes = fs::read(&outputs).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let logits = tensors.tensor("logits").unwrap();
        let logits: Vec<f32> = logits.data().as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
        let size = (logits.iter().map(|z| z * z).sum::<f32>() / logits.len() as f32).sqrt();
        assert!((1.0..15.0).contains(&size), "{name}: logits of size {size}");
    }
}

/// Numbers of the public configurations, from transformers' own converter; not read from the manifests.
#[test]
fn the_catalogue_says_what_the_configurations_say() {
    // hidden, layers, full layers, heads, KV heads sliding and full, shared, window, context, per-layer size
    let table = [
        ("gemma-4-e2b", 1536, 35, 7, 8, [1, 1], 20, 512, 131_072, 256),
        ("gemma-4-e4b", 2560, 42, 7, 8, [2, 2], 18, 512, 131_072, 256),
        ("gemma-4-26b-a4b", 2816, 30, 5, 16, [8, 2], 0, 1024, 262_144, 0),
        ("gemma-4-31b", 5376, 60, 10, 32, [16, 4], 0, 1024, 262_144, 0),
    ];
    for (name, hidden, layers, full, heads, kv, shared, window, context, size) in table {
        let entry = Catalog::find(name).unwrap();
        let text = Config::parse(&entry.config_json()).unwrap().text;
        let of_kind = |sliding| text.layers.iter().filter(move |layer| layer.sliding == sliding);
        assert_eq!((text.hidden_size, text.layers.len(), of_kind(false).count()), (hidden, layers, full), "{name}");
        assert_eq!((text.heads, text.per_layer_size, text.vocab_size), (heads, size, 262_144), "{name}");
        assert_eq!((text.sliding_window, text.max_positions, entry.context), (window, context, context), "{name}");
        assert_eq!(text.layers.iter().filter(|layer| layer.donor.is_some()).count(), shared, "{name}");
        assert!(of_kind(true).all(|layer| (layer.head_dim, layer.kv_heads) == (256, kv[0])), "{name}");
        assert!(of_kind(false).all(|layer| (layer.head_dim, layer.kv_heads) == (512, kv[1])), "{name}");
        assert_eq!((entry.licence.as_str(), text.tied_head, text.logit_softcap), ("Apache-2.0", true, Some(30.0)));
        assert_eq!(entry.image_budgets, [70, 140, 280, 560, 1120]);
    }
}

#[test]
fn the_catalogue_tells_the_models_apart() {
    let config = |name: &str| Config::parse(&Catalog::find(name).unwrap().config_json()).unwrap();
    let (e2b, e4b, mixture, dense) =
        (config("gemma-4-e2b"), config("gemma-4-e4b"), config("gemma-4-26b-a4b"), config("gemma-4-31b"));
    let widths = |config: &Config| (config.text.layers[0].intermediate_size, config.text.layers[29].intermediate_size);
    assert_eq!(
        [&e2b, &e4b, &mixture, &dense].map(widths),
        [(6144, 12288), (10240, 10240), (2112, 2112), (21504, 21504)]
    );
    let donors = |config: &Config, layers: [usize; 2]| layers.map(|index| config.text.layers[index].donor);
    // A sliding and a full layer that share: E2B reads 13 and 14, E4B 22 and 23.
    assert_eq!(donors(&e2b, [15, 34]), [Some(13), Some(14)]);
    assert_eq!(donors(&e4b, [24, 41]), [Some(22), Some(23)]);
    let experts = mixture.text.experts.unwrap();
    assert_eq!((experts.count, experts.active, experts.intermediate_size), (128, 8, 704));
    for (config, large) in [(&e2b, false), (&e4b, false), (&mixture, true), (&dense, true)] {
        let vision = config.vision.as_ref().unwrap();
        let facts = (vision.hidden_size, vision.intermediate_size, vision.layers, vision.heads, vision.head_dim);
        assert_eq!(facts, if large { (1152, 4304, 27, 16, 72) } else { (768, 3072, 16, 12, 64) });
        assert_eq!((vision.standardized, vision.clipped_linears, config.audio.is_none()), (large, !large, large));
        assert_eq!(config.text.image_attention == ImageAttention::Bidirectional, large);
        assert_eq!(config.text.layers.iter().any(|layer| layer.keys_are_values), large);
    }
}

#[test]
fn every_model_has_a_checkpoint_and_recipes_that_exist() {
    for entry in Catalog::all().unwrap() {
        assert!(entry.repository(Holds::Checkpoint).unwrap().name.starts_with("google/"));
        for recipe in [&entry.recipes.cpu, &entry.recipes.cuda, &entry.recipes.tensorrt] {
            Recipe::find(recipe).unwrap();
        }
    }
    let fatal = Catalog::find("gemma-5").unwrap_err();
    assert!(fatal.hint.contains("gemma-4-31b"), "{}", fatal.hint);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let text = fs::read_to_string("onnx/gemma-4-e2b.toml").unwrap();
    fs::write(&path, format!("{text}\nwings = 2\n")).unwrap();
    let fatal = Catalog::find(path.to_str().unwrap()).unwrap_err();
    assert!(fatal.message.contains("wings") && fatal.message.contains("mine.toml"), "{}", fatal.message);
    fs::write(&path, text).unwrap();
    assert_eq!(Catalog::find(path.to_str().unwrap()).unwrap().name, "gemma-4-e2b");
}

fn lapidary(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lapidary")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_line_lists_models_and_counts_their_bytes() {
    let (code, out, _) = lapidary(&["model", "list"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("gemma-4-26b-a4b") && out.contains("cpu-int4-experts-int8"), "{out}");
    // 2 bytes for each parameter and a few for names.
    for (name, size) in [("gemma-4-e2b", "10.2 GB"), ("gemma-4-26b-a4b", "51.6 GB"), ("gemma-4-31b", "62.5 GB")] {
        let (code, out, errors) = lapidary(&["model", "synthesize", name, "--as-checkpoint", "--dry-run"]);
        assert_eq!(code, Some(0), "{errors}");
        assert!(out.contains("model-00001-of-") && out.contains(&format!("in all ({size})")), "{out}");
    }
}

#[test]
fn options_that_contradict_each_other_or_name_nothing_are_errors() {
    let family = "fixtures/family/e2b/config.json";
    for arguments in [
        vec!["model", "synthesize", family],
        vec!["model", "synthesize", family, "--dry-run", "--recipe", "f32", "--quantize", "int4"],
        vec!["model", "synthesize", family, "--dry-run", "--as-checkpoint", "--quantize", "int4"],
        vec!["model", "synthesize", family, "--dry-run", "--recipe", "no-such"],
        vec!["model", "synthesize", "no-such", "--dry-run"],
        vec!["model", "synthesize", family, "--dry-run", "--tokenizer", "no-such.json"],
        vec!["model", "export", "fixtures/family/e2b", "/tmp/never", "--recipe", "f32", "--dtype", "f16"],
    ] {
        let (code, _, errors) = lapidary(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(!errors.is_empty());
    }
}

#[test]
fn inspect_names_the_format_of_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bundle");
    let out = out.to_str().unwrap();
    let config = "fixtures/family/26b-a4b/config.json";
    let (code, _, errors) = lapidary(&["model", "synthesize", config, out, "--recipe", "cpu-int4-experts-int8"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("stand-in") && errors.contains("experts: relative error"), "{errors}");
    let (_, described, _) = lapidary(&["model", "inspect", out]);
    for words in ["decoder int4", "experts int8", "embedding int4", "vision int8"] {
        assert!(described.contains(words), "{described}");
    }
    assert!(!described.contains("audio f32"), "{described}");
}

/// Whoever asks for nothing gets what suits a CPU.
#[test]
fn without_a_recipe_the_text_is_in_4_bits_and_experts_are_in_8() {
    let folder = tempfile::tempdir().unwrap();
    for (name, experts) in [("e4b", ""), ("26b-a4b", "experts int8")] {
        let (config, out) = (format!("fixtures/family/{name}/config.json"), folder.path().join(name));
        let out = out.to_str().unwrap();
        assert_eq!(lapidary(&["model", "synthesize", &config, out]).0, Some(0));
        let (_, described, _) = lapidary(&["model", "inspect", out]);
        for words in ["decoder int4", "embedding int4", "vision int8", experts] {
            assert!(described.contains(words), "{name}: {described}");
        }
    }
}

#[test]
fn sizes_that_no_disk_holds_are_refused_and_do_not_overflow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let text = fs::read_to_string("fixtures/family/26b-a4b/config.json").unwrap();
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        let request = SynthesizeRequest { model: path.to_str().unwrap().to_owned(), ..request("e2b", 0) };
        request.sizes().unwrap_err().message
    };
    let wide = text
        .replace("\"hidden_size\": 48,\n    \"hidden_size_per", "\"hidden_size\": 16777216,\n    \"hidden_size_per")
        .replace("\"moe_intermediate_size\": 20", "\"moe_intermediate_size\": 16777216");
    let many = wide.replace("\"num_experts\": 8", "\"num_experts\": 4096");
    assert_ne!(wide, many);
    let message = refused(&many);
    assert!(message.contains("router") && message.contains("too large"), "{message}");
}
