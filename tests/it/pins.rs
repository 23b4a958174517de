//! Native libraries that are not what was installed: refused by name, wherever they are loaded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use lapidary::base::native::{self, Library};
use tempfile::TempDir;

use crate::cli::{code, errors, lapidary, shown, text};

/// A folder of native libraries in the user's data folder, linked to those of this machine.
fn installed() -> (TempDir, PathBuf) {
    let data = tempfile::tempdir().unwrap();
    let native = data.path().join("lapidary/native");
    fs::create_dir_all(&native).unwrap();
    for library in Library::ALL {
        let name = library.file_name();
        std::os::unix::fs::symlink(native::folder().join(name), native.join(name)).unwrap();
    }
    fs::copy(native::folder().join("installed.json"), native.join("installed.json")).unwrap();
    (data, native)
}

/// One byte more than there was.
fn tamper(native: &Path, library: Library) {
    let path = native.join(library.file_name());
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
}

/// Runs with that data folder, and no ffmpeg on PATH.
fn run(data: &Path, arguments: &[&str]) -> Output {
    let mut command = lapidary(arguments);
    command.env("XDG_DATA_HOME", data).env_remove(native::FOLDER_VARIABLE).env("PATH", "/nowhere");
    command.output().unwrap()
}

fn extract(data: &Path, input: &str) -> Output {
    let set = data.join("set");
    run(data, &["run", "pipelines/demo.toml", input, "--output", text(&set), "--device", "cpu"])
}

#[test]
fn a_library_that_has_changed_since_it_was_installed_is_not_loaded() {
    for library in [Library::OnnxRuntime, Library::Pdfium] {
        let (data, native) = installed();
        tamper(&native, library);
        let output = extract(data.path(), "fixtures/documents/invoice.pdf");
        let said = errors(&output);
        assert_eq!(code(&output), 2, "{said}");
        assert!(said.contains(library.file_name()) && said.contains("is not what was installed"), "{said}");
        assert!(said.contains("lapidary runtime install"), "{said}");
    }
}

#[test]
fn an_ffmpeg_that_has_changed_since_it_was_installed_is_not_started() {
    let (data, native) = installed();
    let path = native.join(Library::Ffmpeg.file_name());
    fs::remove_file(&path).unwrap();
    fs::write(&path, "#!/bin/sh\ntouch ran\n").unwrap();
    let output = extract(data.path(), "fixtures/video/shapes.mp4");
    assert!([0, 1].contains(&code(&output)), "{}", errors(&output));
    let failures = shown(&data.path().join("set"), &["--failures"]);
    assert_eq!(failures.len(), 1);
    let message = failures[0]["message"].as_str().unwrap();
    assert!(message.contains("ffmpeg` is not what was installed"), "{message}");
}

#[test]
fn doctor_says_which_libraries_are_pinned_and_which_are_the_users_own() {
    let (data, native) = installed();
    let said = errors(&run(data.path(), &["doctor"]));
    assert!(said.contains("ok      pin of libpdfium.so: pypdfium2 "), "{said}");
    tamper(&native, Library::Pdfium);
    let output = run(data.path(), &["doctor"]);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("failed  pin of libpdfium.so"), "{}", errors(&output));

    // The same folder without a manifest: in its place nobody vouches for it, named by the user it is the user's own.
    fs::remove_file(native.join("installed.json")).unwrap();
    assert!(errors(&run(data.path(), &["doctor"])).contains("was not put there by"));
    let output = lapidary(&["doctor"]).env(native::FOLDER_VARIABLE, &native).env("PATH", "/nowhere").output().unwrap();
    assert!(errors(&output).contains("pin of libonnxruntime.so: your own, not pinned"), "{}", errors(&output));
}
