//! Tests of `collect` from outside: a folder in, documents, duplicates and failures out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lapidary::{
    base::{Kind, Stop},
    collect::{Collect, Found, Inputs, Settings, Shard},
};

struct Scene(tempfile::TempDir);

impl Scene {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            let path = scene.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn typed(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// One line each: what it is and the name relative to the scene.
    fn lines(&self, found: Vec<Found>) -> Vec<String> {
        let short = |name: &str| {
            Path::new(name).strip_prefix(self.0.path()).map_or(name.to_owned(), |path| path.display().to_string())
        };
        let line = |found| match found {
            Found::Document(item) => format!("{} {}", item.origin.source.kind, short(&item.origin.source.name)),
            Found::Duplicate(source) => format!("again {}", short(&source.name)),
            Found::Failure(failure) => format!("{} {}", failure.fault.kind.as_str(), short(&failure.source)),
        };
        found.into_iter().map(line).collect()
    }
}

fn collect(settings: Settings, inputs: Inputs) -> Vec<Found> {
    let mut found = Vec::new();
    Collect::new(settings, inputs).unwrap().run(&Stop::default(), &mut |one| found.push(one));
    found
}

fn named(paths: impl IntoIterator<Item = String>) -> Inputs {
    Inputs { paths: paths.into_iter().collect(), ..Inputs::default() }
}

#[test]
fn a_folder_is_walked_in_a_stable_order_and_kinds_are_told_by_content() {
    let scene = Scene::new(&[
        ("b/two.pdf", b"%PDF-1.7"),
        ("b/one.txt", b"hello"),
        ("a.md", b"# title"),
        ("c.pdf", b"plain text that is named like a PDF"),
        (".hidden/x.txt", b"hidden"),
    ]);
    let found = scene.lines(collect(Settings::default(), named([scene.typed("")])));
    assert_eq!(found, ["text a.md", "text b/one.txt", "pdf b/two.pdf", "text c.pdf"]);
    let found = scene.lines(collect(Settings { hidden: true }, named([scene.typed("")])));
    assert_eq!(found[0], "text .hidden/x.txt");
}

#[test]
fn what_cannot_become_a_document_becomes_a_failure() {
    let scene = Scene::new(&[("empty.pdf", b""), ("noise.bin", b"\x13\x99\0\xfe\x42"), ("a.zip", b"PK\x03\x04\x14\0")]);
    let paths = ["empty.pdf", "noise.bin", "a.zip", "gone.pdf", "*.nothing"].map(|name| scene.typed(name));
    let found = scene.lines(collect(Settings::default(), named(paths)));
    let expected = [
        "empty empty.pdf",
        "unknown_kind noise.bin",
        "unknown_kind a.zip",
        "unreadable gone.pdf",
        "unreadable *.nothing",
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_failure_says_what_and_what_to_do() {
    let scene = Scene::new(&[("empty.pdf", b""), ("a.zip", b"PK\x03\x04\x14\0")]);
    let inputs = named([scene.typed(""), scene.typed("gone")]);
    for found in collect(Settings::default(), inputs) {
        let Found::Failure(failure) = found else { panic!("{found:?}") };
        assert!(!failure.fault.message.is_empty() && !failure.fault.hint.is_empty(), "{failure:?}");
    }
}

#[test]
fn the_same_content_is_found_once_and_then_again() {
    let scene = Scene::new(&[("a.txt", b"same"), ("b.txt", b"same"), ("c.txt", b"other")]);
    let found = collect(Settings::default(), named([scene.typed("")]));
    let ordinals: Vec<u64> = found
        .iter()
        .map(|found| match found {
            Found::Document(item) => item.origin.source.ordinal,
            Found::Duplicate(source) => source.ordinal,
            Found::Failure(failure) => panic!("{failure:?}"),
        })
        .collect();
    assert_eq!(ordinals, [0, 1, 2]);
    assert_eq!(scene.lines(found), ["text a.txt", "again b.txt", "text c.txt"]);
}

#[test]
fn a_file_named_by_itself_and_by_its_folder_is_one_input() {
    let scene = Scene::new(&[("a.txt", b"a")]);
    let found = collect(Settings::default(), named([scene.typed("a.txt"), scene.typed("")]));
    assert_eq!(scene.lines(found), ["text a.txt"]);
}

#[test]
fn patterns_and_lists_name_files_too() {
    let scene = Scene::new(&[("x/a.txt", b"1"), ("x/b.md", b"2"), ("y/c.txt", b"3")]);
    let found = collect(Settings::default(), named([scene.typed("*/*.txt")]));
    assert_eq!(scene.lines(found), ["text x/a.txt", "text y/c.txt"]);

    let list = scene.path("list");
    fs::write(&list, format!("{}\r\n\n{}", scene.typed("y"), scene.typed("x/b.md"))).unwrap();
    let found = collect(Settings::default(), Inputs { list: Some(list), ..Inputs::default() });
    assert_eq!(scene.lines(found), ["text y/c.txt", "text x/b.md"]);
}

#[test]
fn a_pattern_takes_folders_with_all_that_is_in_them_and_no_hidden_names() {
    let files = ["x/a.txt", "x/b/c.txt", "x/.b/d.txt", "x/b/.e.txt", "xy.txt"];
    let files = files.map(|name| (name, name.as_bytes()));
    let scene = Scene::new(&files);
    let found = |hidden, pattern| scene.lines(collect(Settings { hidden }, named([scene.typed(pattern)])));
    assert_eq!(found(false, "*"), ["text x/a.txt", "text x/b/c.txt", "text xy.txt"]);
    assert_eq!(found(false, "*/"), ["text x/a.txt", "text x/b/c.txt"]);
    assert_eq!(found(false, "x/?.*"), ["text x/a.txt"]);
    assert_eq!(found(false, "x/.*"), ["text x/.b/d.txt"]);
    assert_eq!(found(true, "**/[!a].txt"), ["text x/.b/d.txt", "text x/b/c.txt"]);
    assert_eq!(found(false, "gone/**"), ["unreadable gone/**"]);
    assert_eq!(found(false, "xy.txt/**"), ["unreadable xy.txt/**"]);
}

#[test]
fn what_a_relative_pattern_takes_has_a_relative_name() {
    for (pattern, name) in [
        ("Cargo.tom?", "Cargo.toml"),
        ("./Cargo.tom?", "Cargo.toml"),
        ("src/[l]ib.rs", "src/lib.rs"),
        ("./src/[l]ib.rs", "src/lib.rs"),
    ] {
        let found = collect(Settings::default(), named([pattern.to_owned()]));
        let [Found::Document(item)] = found.as_slice() else { panic!("{pattern}: {found:?}") };
        assert_eq!(item.origin.source.name, name, "{pattern}");
    }
}

#[test]
fn names_are_spelled_plainly_however_the_input_is() {
    for typed in ["./src//collect/", "src/./collect", "./src/collect/*"] {
        let found = collect(Settings::default(), named([typed.to_owned()]));
        let names = found.iter().map(|found| match found {
            Found::Document(item) => &item.origin.source.name,
            other => panic!("{typed}: {other:?}"),
        });
        assert!(names.clone().any(|name| name == "src/collect/mod.rs"), "{typed}");
        assert!(names.clone().all(|name| name.starts_with("src/collect/") && !name.contains("//")), "{typed}");
    }
    let found = collect(Settings::default(), named(["./gone//away/".to_owned()]));
    let [Found::Failure(failure)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(failure.source, "gone/away");
}

#[test]
fn a_pattern_passes_over_what_a_run_has_written() {
    let scene = Scene::new(&[
        ("in.txt", b"in"),
        ("set/_lapidary/asked.txt", b"asked"),
        ("set/extractions/x.txt", b"x"),
        ("set/note.txt", b"note"),
    ]);
    for pattern in ["**/*", "*", "**/*.txt"] {
        let found = scene.lines(collect(Settings::default(), named([scene.typed(pattern)])));
        assert_eq!(found, ["text in.txt", "text set/note.txt"], "{pattern}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn patterns_take_names_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::new(&[("a/plain.txt", b"plain")]);
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff.txt");
    fs::write(scene.path("a").join(odd), b"odd").unwrap();
    for hidden in [false, true] {
        let found = scene.lines(collect(Settings { hidden }, named([scene.typed("*/*.txt")])));
        assert_eq!(found, ["text a/odd\u{fffd}ff.txt", "text a/plain.txt"]);
        let found = scene.lines(collect(Settings { hidden }, named([scene.typed("*/odd\u{fffd}ff.txt")])));
        assert_eq!(found, ["text a/odd\u{fffd}ff.txt"], "by the name that it has in the dataset");
    }
}

#[cfg(unix)]
#[test]
fn a_pattern_follows_links_but_not_in_circles() {
    let scene = Scene::new(&[("a/b/c.txt", b"c"), ("elsewhere/d.txt", b"d")]);
    std::os::unix::fs::symlink(scene.path("a"), scene.path("a/b/back")).unwrap();
    std::os::unix::fs::symlink(scene.path("elsewhere"), scene.path("a/there")).unwrap();
    std::os::unix::fs::symlink(scene.path("nowhere"), scene.path("a/dead.txt")).unwrap();
    let found = |pattern| scene.lines(collect(Settings::default(), named([scene.typed(pattern)])));
    assert_eq!(found("a/**/*.txt"), ["text a/b/c.txt", "unreadable a/dead.txt", "text a/there/d.txt"]);
    assert_eq!(found("a/**/?.txt"), ["text a/b/c.txt", "text a/there/d.txt"], "what is not meant is not missed");
    assert_eq!(found("a/**/*.none"), ["unreadable a/**/*.none"]);
}

#[cfg(unix)]
#[test]
fn folders_that_link_to_each_other_are_walked_once_and_once_by_a_link() {
    let files: Vec<(String, String)> = (0..8).map(|n| (format!("f{n}/own.txt"), format!("text {n}"))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let scene = Scene::new(&files);
    for (from, to) in (0..8).flat_map(|from| (0..8).map(move |to| (from, to))).filter(|(from, to)| from != to) {
        std::os::unix::fs::symlink(scene.path(&format!("f{to}")), scene.path(&format!("f{from}/l{to}"))).unwrap();
    }
    for typed in ["", "**/*.txt", "f*"] {
        let lines = scene.lines(collect(Settings::default(), named([scene.typed(typed)])));
        assert!(lines.len() <= 16, "{typed}: {lines:?}");
        for (name, _) in &files {
            assert!(lines.iter().any(|line| line.ends_with(&format!(" {name}"))), "{typed}: {name} in {lines:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_folder_in_which_a_pattern_took_nothing_is_followed() {
    let scene = Scene::new(&[("2024/a.txt", b"a")]);
    std::os::unix::fs::symlink(scene.path("2024"), scene.path("latest")).unwrap();
    let found = scene.lines(collect(Settings::default(), named([scene.typed("**/latest/*.txt")])));
    assert_eq!(found, ["text latest/a.txt"]);
}

#[test]
fn impossible_inputs_are_all_named_before_the_walk() {
    let inputs = Inputs { paths: vec!["a[".to_owned()], list: Some(PathBuf::from("/no/such/list")), shard: None };
    let problems = Collect::new(Settings::default(), inputs).err().unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(Collect::new(Settings::default(), Inputs::default()).is_err());
}

#[test]
fn a_pattern_with_a_sign_over_two_names_is_refused_before_the_walk() {
    let scene = Scene::new(&[("a.txt", b"a"), ("b[.txt", b"b")]);
    for (pattern, name) in [("[a/b]*.txt", "`[a`"), ("**/[!/]/*", "`[!`"), ("a/***", "`***`"), ("a**/b", "`a**`")] {
        let inputs = named([scene.typed("a.txt"), scene.typed(pattern)]);
        let problems = Collect::new(Settings::default(), inputs).err().unwrap();
        let [problem] = problems.as_slice() else { panic!("{pattern}: {problems:?}") };
        assert!(problem.contains(pattern) && problem.contains(name) && problem.contains("`[[]`"), "{problem}");
    }
    let found = collect(Settings::default(), named([scene.typed("b[.txt")]));
    assert_eq!(scene.lines(found), ["text b[.txt"], "a file of that very name is that file");
}

#[test]
fn shards_share_out_every_document_and_every_failure_once() {
    let files: Vec<(String, Vec<u8>)> =
        (0..40).map(|n| (format!("{n:02}.txt"), vec![b'a' + n % 26; n as usize])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let scene = Scene::new(&files);
    let inputs = |shard| Inputs { paths: vec![scene.typed(""), scene.typed("gone")], list: None, shard };
    let mut all = scene.lines(collect(Settings::default(), inputs(None)));
    let mut shared: Vec<String> = (1..=3)
        .flat_map(|index| scene.lines(collect(Settings::default(), inputs(Some(Shard::new(index, 3).unwrap())))))
        .collect();
    all.sort();
    shared.sort();
    assert_eq!(all, shared);
}

#[cfg(unix)]
#[test]
fn links_in_circles_and_pipes_end_nothing() {
    let scene = Scene::new(&[("a/b/c.txt", b"c")]);
    std::os::unix::fs::symlink(scene.path("a"), scene.path("a/b/back")).unwrap();
    std::os::unix::fs::symlink(scene.path("nowhere"), scene.path("a/dead")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(scene.path("a/pipe")).status();
    let found = scene.lines(collect(Settings::default(), named([scene.typed("")])));
    assert!(found.contains(&"text a/b/c.txt".to_owned()), "{found:?}");
    assert!(found.contains(&"unreadable a/dead".to_owned()), "{found:?}");
    if made.is_ok_and(|status| status.success()) {
        assert!(found.contains(&"unreadable a/pipe".to_owned()), "{found:?}");
    }
}

#[test]
fn a_stopped_run_finds_nothing_more() {
    let scene = Scene::new(&[("a.txt", b"a")]);
    let stop = Stop::default();
    stop.drain();
    let mut found = 0;
    Collect::new(Settings::default(), named([scene.typed("")])).unwrap().run(&stop, &mut |_| found += 1);
    assert_eq!(found, 0);
}

#[test]
fn folders_that_were_named_and_in_which_nothing_is_found_are_given_back() {
    let scene = Scene::new(&[
        ("dot/.hidden", b"h"),
        ("some/deep/file.txt", b"f"),
        ("wrong/empty.pdf", b""),
        ("ours/_lapidary/asked.txt", b"asked"),
        ("ours/extractions/x.txt", b"x"),
        ("ours/run.json", b"{}"),
        ("lone.txt", b"l"),
    ]);
    fs::create_dir_all(scene.path("bare/deeper")).unwrap();
    let names = ["bare", "dot", "some", "some", "wrong", "ours", "lone.txt", "missing"];
    let lines: String = names.iter().map(|name| format!("{}\n", scene.typed(name))).collect();
    fs::write(scene.path("list"), lines).unwrap();
    let typed = named(names.map(|name| scene.typed(name)));
    let listed = Inputs { list: Some(scene.path("list")), ..Inputs::default() };
    let vacant = |hidden: bool, inputs: &Inputs| {
        let collect = Collect::new(Settings { hidden }, inputs.clone()).unwrap();
        collect.run(&Stop::default(), &mut |_| {})
    };
    for inputs in [&typed, &listed] {
        assert_eq!(vacant(false, inputs), ["bare", "dot", "ours"].map(|name| scene.typed(name)));
        assert_eq!(vacant(true, inputs), ["bare", "ours"].map(|name| scene.typed(name)));
    }
    let patterns = named([scene.typed("ba*"), scene.typed("nothing*")]);
    assert!(vacant(false, &patterns).is_empty(), "a pattern that takes nothing is a failure, and names no folder");
}

#[test]
fn content_is_hashed_with_blake3() {
    let scene = Scene::new(&[("a.txt", b"hello")]);
    let found = collect(Settings::default(), named([scene.typed("a.txt")]));
    let [Found::Document(item)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(item.origin.source.hash.to_string(), blake3::hash(b"hello").to_hex().to_string());
    assert_eq!((item.origin.source.kind, item.origin.source.bytes), (Kind::Text, 5));
}
