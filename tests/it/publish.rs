//! `lapidary publish` with a bucket of our own: what is there when, what is sent again, what is refused.

mod server;

use std::{fs, path::Path, process::Output};

use lapidary::write::{Claim, Listed, Manifest};
use tempfile::TempDir;

use crate::cli::{code, errors, extract, lapidary, text};
use server::{Seen, Server};

const KEY: &str = "AKIDLAPIDARY";
const SECRET: &str = "a-secret-that-nobody-sees";
const MANIFEST: &str = "night/a/_lapidary/manifest.json";
const CLAIM: &str = "night/a/_lapidary/publishing.json";

/// A finished dataset of these parts, each a path and its content.
fn dataset(parts: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for table in ["extractions", "failures", "_lapidary"] {
        fs::create_dir(folder.path().join(table)).unwrap();
    }
    let list = |table: &str| {
        let of_table = parts.iter().filter(|(path, _)| path.starts_with(table));
        of_table
            .map(|(path, content)| Listed { path: (*path).to_owned(), bytes: content.len() as u64, rows: 1 })
            .collect()
    };
    let (extractions, failures) = (list("extractions"), list("failures"));
    let (program, sealed_at) = ("lapidary".to_owned(), format!("2026-11-29T12:00:{:02}Z", parts.len()));
    let manifest = serde_json::to_vec(&Manifest { program, sealed_at, extractions, failures }).unwrap();
    fs::write(folder.path().join("_lapidary/manifest.json"), manifest).unwrap();
    fs::write(folder.path().join("run.json"), b"{}").unwrap();
    parts.iter().for_each(|(path, content)| fs::write(folder.path().join(path), content).unwrap());
    folder
}

fn small() -> TempDir {
    dataset(&[("extractions/part-00000.parquet", b"one"), ("failures/part-00000.parquet", b"bad")])
}

fn larger() -> TempDir {
    let first = ("extractions/part-00000.parquet", b"one".as_slice());
    dataset(&[first, ("extractions/part-00001.parquet", b"second"), ("failures/part-00000.parquet", b"worse")])
}

fn publish_to(server: &Server, dataset: &Path, url: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["publish", text(dataset), url];
    arguments.extend(more);
    let mut command = lapidary(&arguments);
    command.envs([
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL", &server.address),
    ]);
    command.env("AWS_ALLOW_HTTP", "true").env_remove("AWS_SESSION_TOKEN").output().unwrap()
}

fn publish(server: &Server, dataset: &Path, more: &[&str]) -> Output {
    publish_to(server, dataset, "s3://archive/night/a", more)
}

/// Is this dataset there, whole, and nothing else?
fn is_there(server: &Server, dataset: &Path) -> bool {
    let mut expected = vec!["_lapidary/manifest.json".to_owned(), "run.json".to_owned()];
    let manifest: Manifest =
        serde_json::from_slice(&fs::read(dataset.join("_lapidary/manifest.json")).unwrap()).unwrap();
    expected.extend(manifest.extractions.into_iter().chain(manifest.failures).map(|part| part.path));
    let objects = server.objects();
    let same = |path: &String| {
        objects
            .get(&format!("night/a/{path}"))
            .is_some_and(|object| object.content == fs::read(dataset.join(path)).unwrap())
    };
    objects.len() == expected.len() && expected.iter().all(same)
}

#[test]
fn what_a_run_has_made_is_published_and_found_there_the_second_time() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let out = folder.path().join("out");
    extract(&["fixtures/pictures/receipt.jpg", "fixtures/broken/empty.pdf"], &out, &[]);
    let first = publish(&server, &out, &[]);
    assert_eq!(code(&first), 0, "{}", errors(&first));
    assert_eq!(first.stdout, b"s3://archive/night/a\n");
    assert!(is_there(&server, &out), "{:?}", server.objects().keys());
    assert!(server.seen().iter().all(|seen| seen.signed_by(KEY)));
    assert_eq!(server.objects()[MANIFEST].headers["content-type"], "application/json");

    server.refuse(0..0);
    let second = publish(&server, &out, &[]);
    assert_eq!(code(&second), 0, "{}", errors(&second));
    assert!(errors(&second).contains("there already"), "{}", errors(&second));
    assert!(server.written().is_empty(), "{:?}", server.written());
}

#[test]
fn stopped_at_any_request_it_misleads_nobody_and_goes_on() {
    let (server, dataset) = (Server::start(), small());
    let mut stops = 0;
    loop {
        server.refuse(stops..usize::MAX);
        let output = publish(&server, dataset.path(), &[]);
        if code(&output) == 0 {
            break;
        }
        assert!(errors(&output).contains("cannot"), "{}", errors(&output));
        assert!(stops < 40, "{}", errors(&output));
        stops += 1;
    }
    // What is finished is found in one look, and the claim is given back in three.
    assert!(stops >= 3, "{stops}");
    assert!(is_there(&server, dataset.path()), "{:?}", server.objects().keys());
    assert_eq!(server.misled(), [""; 0]);
}

#[test]
fn a_replacement_stopped_at_any_request_misleads_nobody_and_goes_on() {
    let (old, new) = (small(), larger());
    let (mut stops, mut done) = (0, false);
    while !done {
        let server = Server::start();
        assert_eq!(code(&publish(&server, old.path(), &[])), 0);
        server.place("night/a/extractions/part-00007.parquet", b"older");
        server.refuse(stops..usize::MAX);
        done = code(&publish(&server, new.path(), &["--replace"])) == 0;
        server.refuse(0..0);
        let again = publish(&server, new.path(), &["--replace"]);
        assert_eq!(code(&again), 0, "{}", errors(&again));
        assert!(is_there(&server, new.path()), "{stops}: {:?}", server.objects().keys());
        assert_eq!(server.misled(), [""; 0], "{stops}");
        assert!(stops < 60);
        stops += 1;
    }
    assert!(stops > 15, "{stops}");
}

#[test]
fn another_dataset_is_replaced_only_when_that_is_said_and_by_what_differs() {
    let (server, old, new) = (Server::start(), small(), larger());
    assert_eq!(code(&publish(&server, old.path(), &[])), 0);
    let refused = publish(&server, new.path(), &[]);
    assert_eq!(code(&refused), 2);
    assert!(errors(&refused).contains("holds another dataset"), "{}", errors(&refused));
    assert!(is_there(&server, old.path()));

    server.refuse(0..0);
    let replaced = publish(&server, new.path(), &["--replace"]);
    assert_eq!(code(&replaced), 0, "{}", errors(&replaced));
    assert!(is_there(&server, new.path()));
    let parts: Vec<_> = server.written().into_iter().filter(|path| path.ends_with(".parquet")).collect();
    assert_eq!(parts, ["night/a/extractions/part-00001.parquet", "night/a/failures/part-00000.parquet"]);

    let back = publish(&server, old.path(), &["--replace"]);
    assert!(errors(&back).contains("1 of an earlier dataset taken away"), "{}", errors(&back));
    assert!(is_there(&server, old.path()), "{:?}", server.objects().keys());
}

#[test]
fn what_is_not_ours_stays() {
    let (server, dataset) = (Server::start(), small());
    server.place("night/a/extractions/somebody.parquet", b"theirs");
    let refused = publish(&server, dataset.path(), &[]);
    assert_eq!(code(&refused), 2);
    assert!(errors(&refused).contains("belong to no finished dataset"), "{}", errors(&refused));
    assert_eq!(server.objects().len(), 1, "{:?}", server.objects().keys());

    server.place("night/a/notes.txt", b"theirs");
    server.place("night/a/extractions/readme.md", b"theirs");
    server.place("night/b/extractions/part-00000.parquet", b"theirs");
    server.place("night/ab/extractions/part-00000.parquet", b"theirs");
    assert_eq!(code(&publish(&server, dataset.path(), &["--replace"])), 0);
    let theirs = server.objects().into_values().filter(|object| object.content == b"theirs").count();
    assert_eq!(theirs, 4, "{:?}", server.objects().keys());
}

#[test]
fn a_place_that_another_process_writes_to_is_left_to_it() {
    let (server, dataset) = (Server::start(), small());
    server.place(CLAIM, br#"{"dataset": "0000", "by": "process 7 on archive-host, since 2026-11-29T12:00:00Z"}"#);
    let refused = publish(&server, dataset.path(), &[]);
    assert_eq!(code(&refused), 2);
    assert!(errors(&refused).contains("process 7 on archive-host"), "{}", errors(&refused));
    assert_eq!(server.written(), [CLAIM], "the claim is tried, and refused by the bucket");
    server.place(CLAIM, b"\x00 no JSON");
    assert!(errors(&publish(&server, dataset.path(), &[])).contains("by somebody"));
    assert_eq!(code(&publish(&server, dataset.path(), &["--replace"])), 0);
    assert!(is_there(&server, dataset.path()));
}

/// The slower of two writes no more once another has claimed the place, since parts have the same names.
#[test]
fn a_publisher_whose_claim_was_taken_over_stops_before_the_next_part() {
    let (server, dataset) = (Server::start(), larger());
    let theirs = br#"{"dataset": "0000", "by": "process 7 on archive-host"}"#;
    server.place_behind("night/a/extractions/part-00000.parquet", CLAIM, theirs);
    let stopped = publish(&server, dataset.path(), &[]);
    assert_eq!(code(&stopped), 2);
    assert!(errors(&stopped).contains("process 7 on archive-host"), "{}", errors(&stopped));
    assert_eq!(server.written(), [CLAIM, "night/a/extractions/part-00000.parquet"]);
}

#[test]
fn a_large_part_goes_in_chunks_and_leaves_nothing_behind_when_stopped() {
    let large: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
    let dataset = dataset(&[("extractions/part-00000.parquet", &large)]);
    let server = Server::start();
    let whole = publish(&server, dataset.path(), &[]);
    assert_eq!(code(&whole), 0, "{}", errors(&whole));
    assert!(is_there(&server, dataset.path()));
    let whole_requests = server.seen();
    let chunks = whole_requests.iter().filter(|seen| seen.query.contains("partNumber")).count();
    assert_eq!((chunks, server.left_over()), (3, 0));
    let hash = &server.objects()["night/a/extractions/part-00000.parquet"].headers["x-amz-meta-blake3"];
    assert_eq!(*hash, blake3::hash(&large).to_hex().to_string());

    for chunk in 0..3 {
        let server = Server::start();
        let is_chunk = |seen: &Seen| seen.query.contains("partNumber");
        let before = whole_requests.iter().position(is_chunk).unwrap();
        server.refuse(before + chunk..before + chunk + 1);
        assert_eq!(code(&publish(&server, dataset.path(), &[])), 2);
        assert_eq!(server.left_over(), 0, "chunk {chunk}");
        assert!(!server.objects().contains_key(MANIFEST));
    }
}

#[test]
fn only_a_finished_dataset_that_nobody_writes_is_published() {
    let server = Server::start();
    let said = |dataset: &Path| {
        let output = publish(&server, dataset, &[]);
        assert_eq!(code(&output), 2);
        errors(&output)
    };
    let nothing = tempfile::tempdir().unwrap();
    assert!(said(nothing.path()).contains("is no dataset"));
    let held = small();
    let claim = Claim::take(held.path()).unwrap();
    assert!(said(held.path()).contains("is being written by process"));
    drop(claim);
    fs::write(held.path().join("extractions/part-00000.parquet"), b"one more").unwrap();
    assert!(said(held.path()).contains("its manifest says 3"));
    let open = small();
    fs::remove_file(open.path().join("_lapidary/manifest.json")).unwrap();
    assert!(said(open.path()).contains("is not finished"));
    assert!(server.seen().is_empty());
}

#[test]
fn what_stands_in_the_way_is_named_and_no_secret_is_shown() {
    let (server, dataset) = (Server::start(), small());
    let said = |url: &str| {
        let output = publish_to(&server, dataset.path(), url, &[]);
        assert_eq!(code(&output), 2, "{url}");
        let said = errors(&output);
        assert!(!said.contains("hunter2") && !said.contains(SECRET), "{said}");
        said
    };
    for wrong in ["out/a", "http://host/a", "file:///tmp/a", "memory:///a", "ftp://host/a", "s3:/a", ""] {
        assert!(said(wrong).contains("no address of a bucket"), "{wrong}");
    }
    assert!(said("s3://key:hunter2@archive/a").contains("more than a place"));
    assert!(said("https://a.blob.core.windows.net/c/d?sig=hunter2").contains("more than a place"));
    assert!(said("s3://nowhere/a").contains("make the bucket first"));
    server.refuse(0..usize::MAX);
    let refused = said("s3://archive/a");
    assert!(
        refused.contains("cannot read `_lapidary/manifest.json`") && refused.contains("AWS_ACCESS_KEY_ID"),
        "{refused}"
    );
}

#[test]
fn a_run_does_not_take_a_bucket_for_a_folder() {
    let output =
        lapidary(&["run", "pipelines/demo.toml", "fixtures/pictures/receipt.jpg", "--output", "s3://archive/a"])
            .output();
    let output = output.unwrap();
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("lapidary publish"), "{}", errors(&output));
    assert!(!Path::new(env!("CARGO_MANIFEST_DIR")).join("s3:").exists());
}
