//! A run of the program with recorded answers, under watch: how it ended, what it said, and how large it grew.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

/// How a run ended.
pub struct Ran {
    pub code: i32,
    pub said: String,
    pub report: Value,
    /// Most bytes that the program itself had in memory, its children left out; 0 where the system does not say.
    pub resident: u64,
}

/// Runs over `folder/in` into `folder/name`, with these entries of `[decode]`.
pub fn run(folder: &Path, name: &str, decode: &str) -> Ran {
    let root = env!("CARGO_MANIFEST_DIR");
    let pipeline = format!(
        "name = \"hostile\"\nmodel = \"{root}/onnx/tiny\"\nmemory_mb = 64\n[encode]\nbudget = 70\nframe_budget = 70\n\
         [generate]\nmax_tokens = 64\nslots = 4\n[parse]\nschema = \"schema.json\"\n[decode]\n{decode}"
    );
    let at = |name: &str| folder.join(name);
    fs::write(at("pipeline.toml"), pipeline).unwrap();
    fs::write(at("schema.json"), r#"{"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"]}"#)
        .unwrap();
    fs::write(at("answers.json"), r#"[{"a":true}]"#).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_lapidary"))
        .arg("run")
        .args([at("pipeline.toml"), at("in")])
        .arg("--replay")
        .arg(at("answers.json"))
        .arg("--output")
        .arg(at(name))
        .arg("--quiet")
        .stdin(Stdio::null())
        .stderr(fs::File::create(at("said")).unwrap())
        .spawn()
        .unwrap();
    let (code, resident) = watch(child);
    let said = String::from_utf8_lossy(&fs::read(at("said")).unwrap()).into_owned();
    let report = fs::read(at(name).join("run.json")).unwrap_or_else(|error| panic!("{error}: {said}"));
    Ran { code, said, report: serde_json::from_slice(&report).unwrap(), resident }
}

/// Waits for the end, and looks now and then how large the process has been; the kernel keeps the highest mark.
fn watch(mut child: Child) -> (i32, u64) {
    let mut highest = 0;
    loop {
        highest = highest.max(high_water(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code().unwrap_or_else(|| panic!("the program died: {status}")), highest);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn high_water(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes << 10)
}
