//! What fuzzing begins with: a few good inputs for each target, from the files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The targets, in the order of the data's walk.
pub const TARGETS: [&str; 7] = ["sniff", "wire", "parse", "manifest", "safetensors", "pipeline", "schema"];

/// Longest beginning of a file that becomes a seed.
const LONGEST: usize = 16 << 10;

/// The seeds of a target; `root` is the repository.
pub fn seeds(target: &str, root: &Path) -> Vec<Vec<u8>> {
    let folder = |name: &str| files(&root.join(name));
    match target {
        "sniff" => ["documents", "pictures", "sound", "video", "broken"]
            .into_iter()
            .flat_map(|name| folder(&format!("fixtures/{name}")))
            .collect(),
        "wire" => words(),
        "parse" => ANSWERS.iter().map(|answer| answer.as_bytes().to_vec()).collect(),
        "manifest" => vec![beginning(&root.join("onnx/tiny/bundle.toml"))],
        "safetensors" => tensors(),
        "pipeline" => folder("pipelines"),
        "schema" => folder("schemas"),
        _ => Vec::new(),
    }
}

const ANSWERS: [&str; 5] = [
    r#"{"title":"Invoice 17","day":"2026-04-17","total":12.5,"kind":"one","items":[{"what":"a","count":3}],"notes":{"x":true}}"#,
    r#"{"title":"","day":null,"total":-999.99,"items":[],"notes":{}}"#,
    "```json\n{\"title\":\"\\u00e9\\ud83d\\ude00\",\"items\":[{\"what\":\"a\"},{\"what\":\"a\"}]}\n```",
    r#"{"title":"a","title":"b","total":1e3,"items":[{"what":"1.234,50","count":null}]}"#,
    r#"{"title":"cut"#,
];

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| beginning(path)).collect()
}

fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap_or_default();
    bytes.truncate(LONGEST);
    bytes
}

/// A decoder that gives one unit of each kind. The first byte is the kind of the document.
fn words() -> Vec<Vec<u8>> {
    let page = r#""form":{"form":"page","width":2,"height":2,"layer":{"text":2,"words":1,"word_bytes":22}}"#;
    let word = [&[7; 12][..], b"hi", &2_u32.to_le_bytes(), b"hi", &[0; 16]].concat();
    let film = r#""form":{"form":"film","frames":[[0.5,1,1],[1.5,1,1]]}"#;
    vec![
        told(0, r#"{"part":"page","number":1,"of":2}"#, page, &word),
        told(1, r#"{"part":"whole"}"#, r#""form":{"form":"image","width":2,"height":1}"#, &[9; 6]),
        told(2, r#"{"part":"time","start":0.0,"end":0.5}"#, r#""form":{"form":"clip","samples":2}"#, &[0; 8]),
        told(3, r#"{"part":"frames","start":0.0,"end":2.0}"#, film, &[5; 6]),
        told(4, r#"{"part":"whole"}"#, r#""form":{"form":"text","bytes":4}"#, b"text"),
    ]
}

fn told(kind: u8, part: &str, form: &str, bytes: &[u8]) -> Vec<u8> {
    let fault = r#"{"kind":"corrupt","message":"no","hint":"none","limit":"decode.limits.pages"}"#;
    [
        vec![kind],
        message(r#"{"reply":"heartbeat"}"#),
        message(&format!(r#"{{"reply":"promise","parts":[{part},{part}]}}"#)),
        message(&format!(r#"{{"reply":"unit","of":{part},{form}}}"#)),
        bytes.to_vec(),
        message(&format!(r#"{{"reply":"unit_fault","of":{part},"fault":{fault}}}"#)),
        message(r#"{"reply":"done"}"#),
    ]
    .concat()
}

fn message(json: &str) -> Vec<u8> {
    [&(json.len() as u32).to_le_bytes()[..], json.as_bytes()].concat()
}

fn tensors() -> Vec<Vec<u8>> {
    let headers = [
        (
            r#"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}}"#,
            22,
        ),
        (r#"{"__metadata__":{"format":"pt"},"x":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, 1),
        ("{}", 0),
    ];
    let file = |(header, bytes): (&str, usize)| {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![1; bytes]].concat()
    };
    headers.into_iter().map(file).collect()
}
