//! Cards as a user meets them on a machine that may have none: what `doctor` says, and what `runtime install` refuses.

use std::{fs, path::Path, process::Output};

use lapidary::base::native::{self, Library};
use tempfile::TempDir;

use crate::cli::{code, errors, lapidary, run, text};

/// The libraries of this machine without those for cards.
fn plain() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for library in Library::ALL {
        let name = library.file_name();
        std::os::unix::fs::symlink(native::folder().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn doctor(native: &Path, device: &str) -> Output {
    lapidary(&["doctor", "--device", device]).env(native::FOLDER_VARIABLE, native).output().unwrap()
}

/// What is said of cards.
fn of_cards(output: &Output) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().nth(1).is_some_and(|word| word.starts_with("GPU"));
    errors(output).lines().filter(|line| words(line)).map(str::to_owned).collect()
}

fn fill(folder: &Path, names: &[&str]) {
    fs::create_dir_all(folder).unwrap();
    names.iter().for_each(|name| fs::write(folder.join(name), name).unwrap());
}

fn install(native: &Path, tensorrt: &Path) -> Output {
    run(&["runtime", "install", "--dir", text(native), "--tensorrt", text(tensorrt)])
}

#[test]
fn a_machine_without_a_card_is_a_machine_like_others() {
    let folder = plain();
    let looked_away = doctor(folder.path(), "cpu");
    assert_eq!(code(&looked_away), 0, "{}", errors(&looked_away));
    assert_eq!(of_cards(&looked_away), ["ok      GPU: not looked at (`--device cpu`)"]);
    // What a card would bring is not known here.
    if native::find_driver() != Ok(None) {
        return;
    }
    let output = doctor(folder.path(), "auto");
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert_eq!(of_cards(&output), ["ok      GPU: none (no NVIDIA driver; runs go to the processor)"]);
}

#[test]
fn an_image_that_is_made_for_cards_passes_without_one_unless_a_card_is_asked_for() {
    let folder = plain();
    fill(folder.path(), &["libonnxruntime_providers_cuda.so"]);
    // What a card would do with that is not known here.
    if native::find_driver() != Ok(None) {
        return;
    }
    let output = doctor(folder.path(), "auto");
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let told = of_cards(&output);
    assert!(told[0].starts_with("note    GPU driver: no NVIDIA driver is installed"), "{told:?}");
    assert!(told.iter().any(|line| line.contains("libcudart.so.13")), "{told:?}");
    assert_eq!(code(&doctor(folder.path(), "cuda")), 1);
}

#[test]
fn who_asks_for_a_card_is_told_what_is_missing_and_what_to_do() {
    let folder = plain();
    for (device, words) in [
        ("cuda", &["libcudart.so.13", "libcudnn.so.9", "runtime install --cuda`"][..]),
        (
            "tensorrt",
            &["libcublas.so.13", "libnvinfer.so.10", "builder_resource*", "runtime install --tensorrt DIR`"][..],
        ),
    ] {
        let output = doctor(folder.path(), device);
        assert_eq!(code(&output), 1, "{}", errors(&output));
        let told = of_cards(&output);
        let failed: Vec<&String> = told.iter().filter(|line| line.starts_with("failed")).collect();
        let has = |word: &str| failed.iter().any(|line| line.contains(word));
        assert!(words.iter().all(|word| has(word)) && has("a build without CUDA"), "{told:?}");
        assert!(native::find_driver() != Ok(None) || has("no NVIDIA driver is installed"), "{told:?}");
    }
}

#[test]
fn a_folder_without_tensorrt_10_is_refused_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (native, stones) = (folder.path().join("native"), folder.path().join("stones"));
    fill(&stones, &["libnvinfer.so.10", "libnvinfer_plugin.so.10"]);
    let output = install(&native, &stones);
    let said = errors(&output);
    assert_eq!(code(&output), 2, "{said}");
    assert!(said.contains("missing libnvonnxparser.so.10, libnvinfer_builder_resource*.so.10.*"), "{said}");
    assert!(said.contains("hint: ") && said.contains("TensorRT 10 for CUDA 13"), "{said}");

    fs::remove_dir_all(&stones).unwrap();
    fill(&stones, &["libnvinfer.so.11", "libnvinfer_plugin.so.11", "libnvonnxparser.so.11"]);
    let said = errors(&install(&native, &stones));
    assert!(said.contains("wants TensorRT 10") && said.contains("libnvinfer.so.11"), "{said}");
    assert!(!native.exists());
}

#[test]
fn tensorrt_goes_with_the_cuda_build_and_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (native, stones) = (folder.path().join("native"), folder.path().join("stones"));
    let libraries = ["libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"];
    fill(&stones, &[&libraries[..], &["libnvinfer_builder_resource_sm90.so.10.16.1"]].concat());
    let output = install(&native, &stones);
    let said = errors(&output);
    assert_eq!(code(&output), 2, "{said}");
    assert!(said.contains("TensorRT"), "{said}");
    assert!(!cfg!(target_arch = "x86_64") || said.contains("add `--cuda`"), "{said}");
    assert!(!native.join("tensorrt").exists() && !native.join("libonnxruntime.so").exists());
}
