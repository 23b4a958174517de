//! `lapidary model pull` against a hub of our own: what is fetched, what is kept, what is refused.

mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use lapidary::{
    app::eval::eval,
    base::Fatal,
    bundle::{
        self, Check,
        hub::{Hub, Patience, PullRequest, Pulled, Token, Use},
    },
    generate::Device,
};
use serde_json::Value;
use tempfile::TempDir;

use server::{COMMIT, Fault, Server, blob};

use crate::{family::member::read_eval, loader::layouts};

const WEIGHTS: &str = "model.safetensors";

fn read(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The tiny random E2B as a repository.
fn checkpoint() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("README.md", b"# A model".to_vec()),
        ("config.json", read("fixtures/family/e2b/config.json")),
        (WEIGHTS, read("fixtures/family/e2b/model.safetensors")),
        ("tokenizer.json", read("onnx/tiny/tokenizer.json")),
        ("chat_template.jinja", b"{{ bos_token }}".to_vec()),
    ]
}

/// Files named as onnx-community names them, in two variants; the graphs are stand-ins that only name their data.
fn graphs() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("config.json".to_owned(), read("fixtures/family/e2b/config.json")),
        ("tokenizer.json".to_owned(), read("onnx/tiny/tokenizer.json")),
    ];
    for stem in ["decoder_model_merged", "embed_tokens"] {
        for suffix in ["", "_q4f16"] {
            files.push((format!("onnx/{stem}{suffix}.onnx"), format!("graph {stem}{suffix}.onnx_data").into_bytes()));
            files.push((format!("onnx/{stem}{suffix}.onnx_data"), vec![3; 9000 + suffix.len()]));
        }
    }
    files.push(("onnx/decoder_model_merged_q4f16.onnx_data_1".to_owned(), vec![4; 10_000]));
    files
}

fn serve_graphs() -> Server {
    let files = graphs();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    Server::start(&files)
}

/// A hub's settings whose pauses are written down instead of made.
struct Place {
    folder: TempDir,
    hub: Hub,
    pauses: Arc<Mutex<Vec<u64>>>,
}

fn place(server: &Server) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let pauses: Arc<Mutex<Vec<u64>>> = Arc::default();
    let written = pauses.clone();
    let sleep = Arc::new(move |pause: Duration| written.lock().unwrap().push(pause.as_secs()));
    let hub = Hub {
        endpoint: server.address.clone(),
        token: Some(Token("hf_secret".to_owned())),
        cache: folder.path().join("hub"),
        offline: false,
        patience: Patience { attempts: 3, silence: Duration::from_secs(5), sleep, ..Patience::default() },
    };
    Place { folder, hub, pauses }
}

impl Place {
    fn pull(&self, name: &str) -> Result<Pulled, Fatal> {
        let request = PullRequest { repository: name.parse()?, variant: None, purpose: Use::Keep };
        bundle::hub::pull(&self.hub, &request, &mut |_| {})
    }

    fn blobs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.hub.cache.join("models--org--model/blobs")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    fn weights(&self) -> PathBuf {
        self.hub.cache.join("models--org--model/snapshots").join(COMMIT).join(WEIGHTS)
    }
}

fn command(server: &Server, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
    command.args(["model", "pull"]).args(arguments).current_dir(home).stdin(Stdio::null());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_HUB_CACHE"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", home).env("HF_ENDPOINT", &server.address).env("HF_TOKEN", "hf_secret");
    command
}

fn run(server: &Server, home: &Path, arguments: &[&str]) -> Output {
    command(server, home, arguments).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_checkpoint_is_fetched_and_exported_and_an_existing_bundle_costs_no_request() {
    let (server, home) = (Server::start(&checkpoint()), tempfile::tempdir().unwrap());
    let (code, stdout, stderr) = said(&run(&server, home.path(), &["org/model", "bundle"]));
    assert_eq!((code, stdout.as_str()), (Some(0), "bundle\n"), "{stderr}");
    let model = bundle::open(&home.path().join("bundle"), Check::Full).unwrap();
    assert_eq!(model.manifest.name, "model");
    assert_eq!(model.manifest.source.checkpoint, format!("org/model@{COMMIT}"));
    assert!(server.seen().iter().all(|seen| !seen.path.ends_with("README.md")));

    let before = server.seen().len();
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model", "bundle"]));
    assert_eq!((code, server.seen().len()), (Some(2), before), "{stderr}");
}

/// Its table of per-layer embeddings has 2^47 weights, half a petabyte in f32.
fn vast_checkpoint() -> Vec<(&'static str, Vec<u8>)> {
    let mut config: Value = serde_json::from_slice(&read("fixtures/family/e2b/config.json")).unwrap();
    for (name, size) in
        [("hidden_size_per_layer_input", 1 << 20), ("vocab_size", 1 << 24), ("vocab_size_per_layer_input", 1 << 24)]
    {
        config["text_config"][name] = size.into();
    }
    let others = checkpoint().into_iter().filter(|(path, _)| *path != "config.json");
    others.chain([("config.json", config.to_string().into_bytes())]).collect()
}

#[test]
fn a_bundle_that_the_disk_does_not_hold_is_refused_before_its_weights_are_fetched() {
    let (server, home) = (Server::start(&vast_checkpoint()), tempfile::tempdir().unwrap());
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model", "bundle", "--dtype", "f32"]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        ["`bundle` takes 5629", "must be downloaded", "in all"].iter().all(|words| stderr.contains(words)),
        "{stderr}"
    );
    assert!(server.ranges(WEIGHTS).is_empty(), "nothing large is fetched");
    assert!(!home.path().join("bundle").exists());
}

#[test]
fn the_cache_has_the_layout_of_huggingface_hub_and_is_asked_before_the_hub() {
    let server = Server::start(&checkpoint());
    let place = place(&server);
    let pulled = place.pull("org/model").unwrap();
    let root = place.hub.cache.join("models--org--model");
    assert_eq!(pulled.snapshot, root.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    for (path, bytes) in checkpoint().iter().filter(|(path, _)| *path != "README.md") {
        let target = fs::read_link(pulled.snapshot.join(path)).unwrap();
        assert_eq!(target, Path::new("../../blobs").join(blob(bytes)));
        assert_eq!(&fs::read(pulled.snapshot.join(path)).unwrap(), bytes);
    }
    let before = server.seen().len();
    assert_eq!(place.pull("org/model").unwrap(), pulled);
    assert_eq!(place.pull(&format!("org/model@{COMMIT}")).unwrap(), pulled);
    assert_eq!(server.seen().len(), before + 2, "only the list is asked for");
}

#[test]
fn the_token_stays_with_its_host() {
    let (server, other) = (Server::start(&checkpoint()), Server::start(&checkpoint()));
    server.send_to(&other);
    let place = place(&server);
    place.pull("org/model").unwrap();
    assert!(server.seen().iter().all(|seen| seen.authorization.as_deref() == Some("Bearer hf_secret")));
    let seen = other.seen();
    assert!(seen.iter().any(|seen| seen.path.ends_with(WEIGHTS)));
    assert!(seen.iter().all(|seen| seen.authorization.is_none()), "{seen:?}");
}

#[test]
fn a_connection_that_is_cut_goes_on_at_the_byte() {
    let server = Server::start(&checkpoint());
    server.fail(WEIGHTS, &[Fault::Cut(500_000), Fault::Status(500, ""), Fault::Cut(100_000)]);
    let place = place(&server);
    place.pull("org/model").unwrap();
    assert_eq!(server.ranges(WEIGHTS), [0, 500_000, 500_000, 600_000]);
    assert_eq!(fs::read(place.weights()).unwrap(), read("fixtures/family/e2b/model.safetensors"));
}

#[test]
fn a_server_that_is_busy_is_waited_for_as_long_as_it_asks() {
    let server = Server::start(&checkpoint());
    server.fail("blobs=true", &[Fault::Status(429, "Retry-After: 7\r\n"), Fault::Status(503, "")]);
    let place = place(&server);
    place.pull("org/model").unwrap();
    assert_eq!(*place.pauses.lock().unwrap(), [7, 2]);
    server.fail("blobs=true", &vec![Fault::Status(500, ""); 3]);
    let fatal = place.pull("org/model").unwrap_err();
    assert!(fatal.message.contains("gave up after 3 attempts"), "{fatal:?}");
}

#[test]
fn what_is_refused_is_not_asked_again_and_the_hint_says_what_to_do() {
    let server = Server::start(&checkpoint());
    let mut place = place(&server);
    let refused = |place: &Place, name: &str| place.pull(name).unwrap_err();
    assert!(refused(&place, "org/other").hint.contains("check the name"));
    assert!(refused(&place, "org/model@gone").hint.contains("revision"));
    server.fail("config.json", &[Fault::Status(404, ""), Fault::Status(403, "")]);
    let missing = refused(&place, "org/model");
    assert!(missing.message.contains("config.json") && missing.message.contains("404"), "{missing:?}");
    assert!(refused(&place, "org/model").hint.contains("accept the licence"));
    place.hub.token = None;
    server.fail("blobs=true", &[Fault::Status(401, "")]);
    assert!(refused(&place, "org/model").hint.contains("set HF_TOKEN"));
    assert!(place.pauses.lock().unwrap().is_empty());
}

#[test]
fn a_file_with_a_wrong_hash_is_refused_and_not_kept() {
    let server = Server::start(&checkpoint());
    server.fail(WEIGHTS, &[Fault::Zeros]);
    let place = place(&server);
    let fatal = place.pull("org/model").unwrap_err();
    assert!(fatal.message.contains("SHA-256"), "{fatal:?}");
    let weights = blob(&read("fixtures/family/e2b/model.safetensors"));
    assert!(!place.blobs().iter().any(|name| name.starts_with(&weights)));
    assert!(fs::symlink_metadata(place.weights()).is_err());
    place.pull("org/model").unwrap();
}

#[test]
fn a_damaged_rest_of_an_earlier_run_is_fetched_again() {
    let server = Server::start(&checkpoint());
    let place = place(&server);
    let blobs = place.hub.cache.join("models--org--model/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let weights = read("fixtures/family/e2b/model.safetensors");
    fs::write(blobs.join(format!("{}.incomplete", blob(&weights))), vec![1; 1000]).unwrap();
    place.pull("org/model").unwrap();
    assert_eq!(server.ranges(WEIGHTS), [1000, 0]);
    assert_eq!(fs::read(place.weights()).unwrap(), weights);
}

#[test]
fn more_bytes_than_promised_are_refused() {
    for path in [WEIGHTS, "chat_template.jinja"] {
        let server = Server::start(&checkpoint());
        server.fail(path, &[Fault::Endless]);
        let place = place(&server);
        let fatal = place.pull("org/model").unwrap_err();
        assert!(fatal.message.contains("more comes than"), "{fatal:?}");
        assert!(!place.blobs().iter().any(|name| name.ends_with(".incomplete")));
    }
}

#[test]
fn a_list_that_leads_out_of_the_folder_is_refused() {
    for evil in ["../evil", "/evil", "a/../../evil", "a\\..\\evil"] {
        let server = Server::start(&checkpoint());
        server.list_also(evil);
        let place = place(&server);
        let fatal = place.pull("org/model").unwrap_err();
        assert!(fatal.message.contains("leads out"), "{fatal:?}");
        assert_eq!(server.seen().len(), 1);
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn redirects_that_never_end_are_given_up() {
    let server = Server::start(&checkpoint());
    server.fail("blobs=true", &vec![Fault::Status(307, "Location: /again?blobs=true\r\n"); 20]);
    let fatal = place(&server).pull("org/model").unwrap_err();
    assert!(fatal.message.contains("redirected"), "{fatal:?}");
    assert_eq!(server.seen().len(), 6);
}

#[cfg(unix)]
#[test]
fn a_killed_pull_is_taken_up_where_it_was() {
    let (server, home) = (Server::start(&checkpoint()), tempfile::tempdir().unwrap());
    server.fail(WEIGHTS, &[Fault::Stall(700_000)]);
    let mut child = command(&server, home.path(), &["org/model", "--no-export"]).spawn().unwrap();
    let weights = read("fixtures/family/e2b/model.safetensors");
    let part = home.path().join("hub/models--org--model/blobs").join(format!("{}.incomplete", blob(&weights)));
    while fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 700_000 {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, stdout, stderr) = said(&run(&server, home.path(), &["org/model", "--no-export"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(server.ranges(WEIGHTS), [0, 700_000]);
    assert_eq!(fs::read(Path::new(stdout.trim()).join(WEIGHTS)).unwrap(), weights);
}

#[test]
fn offline_the_cache_is_enough_and_what_it_lacks_is_named() {
    let (server, home) = (Server::start(&checkpoint()), tempfile::tempdir().unwrap());
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model", "--no-export", "--offline"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("the cache does not know `org/model@main`"), "{stderr}");
    let (_, online, _) = said(&run(&server, home.path(), &["org/model", "--no-export"]));
    let before = server.seen().len();
    let mut offline = command(&server, home.path(), &["org/model", "--no-export"]);
    let (code, stdout, stderr) = said(&offline.env("HF_HUB_OFFLINE", "1").output().unwrap());
    assert_eq!((code, &stdout), (Some(0), &online), "{stderr}");
    fs::remove_file(Path::new(online.trim()).join("tokenizer.json")).unwrap();
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model", "--no-export", "--offline"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("`tokenizer.json` is missing"), "{stderr}");
    assert_eq!(server.seen().len(), before);
}

#[test]
fn graphs_are_taken_in_the_variant_that_is_named_and_laid_out() {
    let (server, home) = (serve_graphs(), tempfile::tempdir().unwrap());
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("fp32, q4f16"), "{stderr}");
    let (code, stdout, stderr) = said(&run(&server, home.path(), &["org/model", "--variant", "q4f16"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.ends_with(&format!("snapshots/{COMMIT}#q4f16\n")), "{stdout}");
    assert!(!server.seen().iter().any(|seen| seen.path.ends_with("embed_tokens.onnx")));

    let before = server.seen().len();
    let (code, stdout, stderr) = said(&run(&server, home.path(), &["org/model", "out", "--variant", "q4f16"]));
    assert_eq!((code, stdout.as_str(), server.seen().len()), (Some(0), "out\n", before + 1), "{stderr}");
    let out = home.path().join("out");
    assert_eq!(fs::read(out.join("onnx/decoder_model_merged_q4f16.onnx_data_1")).unwrap(), vec![4; 10_000]);
    assert!(fs::symlink_metadata(out.join("config.json")).unwrap().is_file());
    assert!(!out.join("onnx/embed_tokens.onnx").exists());
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model", "--variant", "fp32", "--dtype", "f16"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("no effect"), "{stderr}");
}

/// Links in the cache, graphs and data parts of another exporter, keys and values that grow.
#[test]
fn pulled_graphs_compute_what_transformers_computes() {
    let (folder, home) = (layouts::community(""), tempfile::tempdir().unwrap());
    let names = walkdir::WalkDir::new(folder.path()).into_iter().map(Result::unwrap);
    let names = names.filter(|entry| entry.file_type().is_file());
    let names: Vec<PathBuf> = names.map(|entry| entry.path().strip_prefix(folder.path()).unwrap().to_owned()).collect();
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().map(|name| (name.to_str().unwrap(), fs::read(folder.path().join(name)).unwrap())).collect();
    let server = Server::start(&files);
    let (code, stdout, stderr) = said(&run(&server, home.path(), &["org/model", "--variant", "fp32"]));
    assert_eq!(code, Some(0), "{stderr}");
    let (inputs, out) = (home.path().join("in.safetensors"), home.path().join("out.safetensors"));
    layouts::E2B.write_inputs(&inputs);
    eval(Path::new(stdout.trim()), &inputs, &out, 24, Device::Cpu).unwrap();
    let (logits, greedy) = read_eval(&out);
    let expected: ndarray::Array2<f32> = layouts::E2B.vector("logits");
    let difference = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < 2e-3, "logits differ by {difference}");
    assert_eq!(greedy.to_vec(), layouts::E2B.greedy());
}

#[test]
fn graphs_without_their_data_are_not_enough_offline() {
    let (server, home) = (serve_graphs(), tempfile::tempdir().unwrap());
    let arguments = ["org/model", "--no-export", "--variant", "fp32"];
    let (_, snapshot, _) = said(&run(&server, home.path(), &arguments));
    fs::remove_file(Path::new(snapshot.trim()).join("onnx/embed_tokens.onnx_data")).unwrap();
    let (code, _, stderr) = said(&run(&server, home.path(), &[&arguments[..], &["--offline"]].concat()));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("`onnx/embed_tokens.onnx_data` is missing"), "{stderr}");
}

#[test]
fn a_name_of_the_catalogue_stands_for_its_repository() {
    let (server, home) = (Server::start(&checkpoint()), tempfile::tempdir().unwrap());
    let (code, _, stderr) = said(&run(&server, home.path(), &["gemma-4-e2b@v2", "bundle"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("google/gemma-4-E2B-it"), "{stderr}");
    assert!(server.seen()[0].path.contains("google/gemma-4-E2B-it/revision/v2"), "{}", server.seen()[0].path);
    let (_, _, stderr) = said(&run(&server, home.path(), &["gemma-9", "bundle"]));
    assert!(stderr.contains("gemma-9"), "{stderr}");
}

#[test]
fn quiet_is_quiet_and_a_checkpoint_needs_a_place() {
    let (server, home) = (Server::start(&checkpoint()), tempfile::tempdir().unwrap());
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model"]));
    assert_eq!((code, server.seen().len()), (Some(2), 1));
    assert!(stderr.contains("--no-export"), "{stderr}");
    let (code, _, stderr) = said(&run(&server, home.path(), &["org/model", "bundle", "--quiet"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}
