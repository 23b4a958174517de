//! An export that does not come to its end leaves nothing that looks like a bundle.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lapidary::bundle::{
    Checkpoint, Config, ExportRequest, Precision, SynthesizeRequest, export, output::Output, synthesize, towers,
};

use super::checkpoints::Workplace;

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.collect()
}

/// A model that takes a while: the configuration of E2B.
fn start_large(out: &Path) -> std::process::Child {
    let arguments = ["model", "synthesize", "gemma-4-e2b", out.to_str().unwrap(), "--quantize", "int4"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
    command.args(arguments).stderr(Stdio::null()).spawn().unwrap()
}

fn wait_for_workshop(folder: &Path) -> PathBuf {
    let start = Instant::now();
    loop {
        let begun = entries(folder).into_iter().map(|name| folder.join(name)).find(|path| path.join("onnx").exists());
        match begun {
            Some(path) => return path,
            None => assert!(start.elapsed() < Duration::from_secs(60), "nothing was begun"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn small(seed: u64) -> SynthesizeRequest {
    SynthesizeRequest {
        model: "fixtures/family/e2b/config.json".to_owned(),
        precision: Precision::default(),
        seed,
        tokenizer: None,
        as_checkpoint: false,
    }
}

#[test]
fn what_a_killed_export_leaves_is_cleared_by_the_next_one_and_a_living_one_is_let_be() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bundle");
    let mut child = start_large(&out);
    let remains = wait_for_workshop(folder.path());
    let name = remains.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(name, format!(".bundle.{}.part", child.id()));

    synthesize(&small(1), &folder.path().join("other")).unwrap();
    assert!(remains.exists(), "another name is nobody's business");
    synthesize(&small(1), &out).unwrap();
    assert!(remains.exists(), "its maker lives");
    fs::remove_dir_all(&out).unwrap();

    child.kill().unwrap();
    child.wait().unwrap();
    assert!(remains.exists() && !out.exists(), "a killed process leaves its workshop and no bundle");
    synthesize(&small(1), &out).unwrap();
    let mut left = entries(folder.path());
    left.sort();
    assert_eq!(left, ["bundle", "other"]);
}

/// A file system of its own, for as long as it lives; none where that is not allowed.
struct Mount(tempfile::TempDir);

impl Mount {
    fn with(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(folder.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn what_does_not_fit_is_refused_before_it_begins_with_both_numbers() {
    let Some(mount) = Mount::with("size=1m") else { return };
    let out = mount.path().join("bundle");
    let fatal = synthesize(&small(1), &out).err().unwrap();
    let needed: u64 = small(1).sizes().unwrap().values().sum();
    assert!(fatal.message.contains(&needed.to_string()) && fatal.message.contains("free"), "{}", fatal.message);
    assert_eq!(entries(mount.path()), Vec::<String>::new());
}

#[test]
fn space_that_ends_while_writing_is_named_with_the_file() {
    let Some(mount) = Mount::with("size=64k") else { return };
    let folder = Path::new("fixtures/family/e2b");
    let (checkpoint, config) = (Checkpoint::open(folder).unwrap(), Config::read(folder).unwrap());
    let output = Output::to(mount.path());
    let fatal = towers::vision::write(&checkpoint, &config, Precision::default(), &output).unwrap_err();
    assert!(fatal.message.contains("vision_encoder") && fatal.message.contains("space"), "{}", fatal.message);
    assert!(fatal.hint.contains("free space"));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Workplace::e2b_like();
    let request = |out: PathBuf| ExportRequest { checkpoint: place.checkpoint(), out, precision: Precision::default() };
    fs::write(place.out("file"), "").unwrap();
    let fatal = export(request(place.out("file").join("bundle"))).unwrap_err();
    assert!(fatal.message.contains("file"), "{}", fatal.message);
    let Some(mount) = Mount::with("ro") else { return };
    let fatal = export(request(mount.path().join("bundle"))).unwrap_err();
    assert!(fatal.message.contains("bundle") && fatal.message.contains("ead-only"), "{}", fatal.message);
    assert_eq!(entries(mount.path()), Vec::<String>::new());
}
