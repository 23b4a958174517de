//! Recordings that are cut in the pauses of speech: silence is told and costs nothing, and a transcript is one row.

use std::{fs, io::Write, path::Path};

use serde_json::{Value, json};

use crate::cli::{code, errors, run, shown, text};

/// A pipeline with more in its `[parse]` table, over the tiny bundle.
fn pipeline(folder: &Path, parse: &str) -> std::path::PathBuf {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = format!(
        "name = \"speech\"\nmodel = \"{root}/onnx/tiny\"\n[decode]\nsound = {{ cut = \"pauses\", longest = 12.0 }}\n\
         [encode]\nprompt = \"Transcribe.\"\n[generate]\nmax_tokens = 400\nslots = 2\n\
         [parse]\nschema = \"{root}/schemas/transcript.json\"\n{parse}"
    );
    let path = folder.join("speech.toml");
    fs::write(&path, text).unwrap();
    path
}

/// 16-bit mono at 16 kHz: so many seconds of nothing.
fn silence(seconds: u32) -> Vec<u8> {
    let data = seconds * 32_000;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((data + 36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    [1_u16, 1].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    [16_000_u32, 32_000].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    [2_u16, 16].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.resize(bytes.len() + data as usize, 0);
    bytes
}

fn totals(set: &Path) -> Value {
    let report: Value = serde_json::from_slice(&fs::read(set.join("run.json")).unwrap()).unwrap();
    report["totals"].clone()
}

#[test]
fn a_recording_in_which_nobody_speaks_is_told_of_and_costs_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let (quiet, set) = (folder.path().join("quiet.wav"), folder.path().join("set"));
    fs::write(&quiet, silence(50)).unwrap();
    let pipeline = pipeline(folder.path(), "");
    let extract = || {
        let output = run(&["run", text(&pipeline), text(&quiet), "--output", text(&set), "--device", "cpu"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        (errors(&output), totals(&set))
    };
    let (said, told) = extract();
    assert!(said.contains("nobody speaks in 50") && said.contains("in one recording not at all"), "{said}");
    assert_eq!((&told["documents"], &told["units"], &told["rows"]), (&1.into(), &0.into(), &0.into()));
    assert_eq!((&told["silent_seconds"], &told["silent_documents"]), (&json!(50.0), &1.into()));
    assert_eq!((&told["balanced"], &told["prompt_tokens"]), (&true.into(), &0.into()));
    assert!(set.join("_lapidary/manifest.json").exists(), "the dataset is finished");
    assert_eq!(shown(&set, &[]).len(), 0);
    // It is through: another run does not listen again.
    let (_, told) = extract();
    assert_eq!((&told["documents_kept"], &told["balanced"]), (&1.into(), &true.into()));
}

/// The dataset of the letter, each of whose clips is answered with one of three texts in turn.
fn transcribed(folder: &Path, parse: &str) -> std::path::PathBuf {
    let (pipeline, answers, set) = (pipeline(folder, parse), folder.join("answers.json"), folder.join("set"));
    let said = ["One two", "three.", "Four."].map(|text| json!({ "text": text, "language": "en" }));
    fs::write(&answers, json!(said).to_string()).unwrap();
    let letter = "fixtures/sound/letter.mp3";
    let output = run(&["run", text(&pipeline), letter, "--output", text(&set), "--replay", text(&answers)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    set
}

#[test]
fn a_transcript_is_one_row_of_all_that_its_clips_say() {
    let folder = tempfile::tempdir().unwrap();
    let set = transcribed(folder.path(), "record = \"document\"\nmerge = { text = \"stitch\" }\n");
    let rows = shown(&set, &[]);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let said = row["text"].as_str().unwrap();
    assert!(said.starts_with("One two three. Four. One two three."), "{said}");
    let parts = row["_parts"].as_array().unwrap();
    let times: Vec<(f64, f64)> =
        parts.iter().map(|part| (part["start"].as_f64().unwrap(), part["end"].as_f64().unwrap())).collect();
    assert!(times.len() >= 6 && times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{times:?}");
    assert!(totals(&set)["silent_seconds"].as_f64().unwrap() < 1.0);
    captions_of(&set, folder.path(), parts.len());
}

/// The captions of the letter, of a row for the recording or of a row for each clip.
fn captions_of(set: &Path, folder: &Path, count: usize) {
    let out = folder.join("captions");
    let output = run(&["captions", text(set), text(&out)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let srt = fs::read_to_string(out.join("fixtures/sound/letter.srt")).unwrap();
    assert!(srt.starts_with("1\n00:00:00,000 --> 00:00:") && srt.contains("\nOne two\n\n2\n"), "{srt}");
    assert_eq!(srt.matches(" --> ").count(), count);
    let output = run(&["captions", text(set), text(&out), "--format", "vtt", "--field", "language"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(
        fs::read_to_string(out.join("fixtures/sound/letter.vtt")).unwrap().starts_with("WEBVTT\n\n00:00:00.000 --> ")
    );
    let output = run(&["captions", text(set), text(&out), "--field", "nothing"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("no field `nothing`"), "{}", errors(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn captions_that_cannot_be_written_are_named_and_the_others_are_there() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (sounds, set, out, answers) = (at("sounds"), at("set"), at("captions"), at("answers.json"));
    fs::create_dir(&sounds).unwrap();
    let names = [OsStr::new("a.wav"), OsStr::new("b.wav"), OsStr::from_bytes(&[0xff; 60])];
    for (sound, name) in ["note", "note-8", "note-24"].iter().zip(names) {
        fs::copy(format!("{}/fixtures/sound/{sound}.wav", env!("CARGO_MANIFEST_DIR")), sounds.join(name)).unwrap();
    }
    let pipeline = pipeline(folder.path(), "");
    let even = fs::read_to_string(&pipeline).unwrap().replace("cut = \"pauses\", ", "");
    fs::write(&pipeline, even).unwrap();
    fs::write(&answers, json!([{ "text": "One.", "language": "en" }]).to_string()).unwrap();
    let output = run(&["run", text(&pipeline), text(&sounds), "--output", text(&set), "--replay", text(&answers)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let place = |name: &str| out.join(sounds.strip_prefix("/").unwrap()).join(name);
    fs::create_dir_all(place("b.srt")).unwrap();
    let output = run(&["captions", text(&set), text(&out)]);
    assert!(code(&output) == 1 && errors(&output).contains("b.srt` is a folder"), "{}", errors(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    assert!(place("a.srt").is_file());
    fs::write(at("taken"), "no folder").unwrap();
    let output = run(&["captions", text(&set), text(&at("taken"))]);
    assert!(code(&output) == 2 && errors(&output).contains("cannot be written: "), "{}", errors(&output));
}

/// The dataset of the first clip of the letter, whose tries are answered one after the other.
fn tried(folder: &Path, answers: &[&str]) -> std::path::PathBuf {
    let ladder = "[ladder]\nclimb_on = [\"loop\"]\nsteps = [{ shift = 2.0 }]\ngive_up_on = [\"loop\"]\n";
    let (pipeline, file, set) = (pipeline(folder, ladder), folder.join("answers.json"), folder.join("set"));
    let answers: Vec<Value> = answers.iter().map(|text| json!({ "text": text, "language": "en" })).collect();
    fs::write(&file, json!(answers).to_string()).unwrap();
    run(&[
        "run",
        text(&pipeline),
        "fixtures/sound/letter.mp3",
        "--output",
        text(&set),
        "--replay",
        text(&file),
        "--limit",
        "1",
    ]);
    set
}

#[test]
fn a_clip_in_a_loop_is_heard_again_from_earlier_and_given_up_by_name() {
    let circles = "and so on ".repeat(150);
    let folder = tempfile::tempdir().unwrap();
    let rows = shown(&tried(folder.path(), &[&circles, "And so on."]), &[]);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&row["text"], &row["_attempt"], &row["_shift"]), (&"And so on.".into(), &1.into(), &json!(2.0)));
    assert_eq!((&row["_tries"][0]["why"], &row["_tries"][0]["shift"]), (&json!(["loop"]), &Value::Null));
    let folder = tempfile::tempdir().unwrap();
    let set = tried(folder.path(), &[&circles]);
    let failures = shown(&set, &["--failures"]);
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((&failure["stage"], &failure["kind"]), (&"parse".into(), &"loop".into()));
    assert!(failure["message"].as_str().unwrap().contains("went round in circles on the best of 2 tries"), "{failure}");
    assert_eq!(totals(&set)["balanced"], true);
}

#[test]
fn captions_are_made_of_a_row_for_each_clip_too() {
    let folder = tempfile::tempdir().unwrap();
    let set = transcribed(folder.path(), "");
    captions_of(&set, folder.path(), shown(&set, &[]).len());
}

#[test]
fn a_field_that_is_not_there_or_no_text_is_refused_by_captions_and_timeline() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, answers, set) =
        (pipeline(folder.path(), ""), folder.path().join("answers.json"), folder.path().join("set"));
    let properties = json!({ "text": { "type": "string" }, "speakers": { "type": "integer" } });
    let schema = json!({ "type": "object", "required": ["text", "speakers"], "properties": properties });
    fs::write(folder.path().join("counted.json"), schema.to_string()).unwrap();
    let transcript = format!("{}/schemas/transcript.json", env!("CARGO_MANIFEST_DIR"));
    fs::write(&pipeline, fs::read_to_string(&pipeline).unwrap().replace(&transcript, "counted.json")).unwrap();
    fs::write(&answers, json!([{ "text": "One.", "speakers": 2 }]).to_string()).unwrap();
    let letter = "fixtures/sound/letter.mp3";
    let output = run(&["run", text(&pipeline), letter, "--output", text(&set), "--replay", text(&answers)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let (out, place) = (folder.path().join("captions"), folder.path().join("timeline.parquet"));
    let captions = ["captions", text(&set), text(&out)];
    let timeline = ["timeline", text(&set), "--output", text(&place)];
    for (field, why) in [("typo", "no field `typo`"), ("_start", "no field `_start`"), ("speakers", "is no text")] {
        for command in [&captions[..], &timeline[..]] {
            let output = run(&[command, &["--field", field]].concat());
            let said = errors(&output);
            assert_eq!(code(&output), 2, "{command:?} {field}: {said}");
            assert!(said.contains(why) && said.contains("there are `speakers`, `text`"), "{command:?} {field}: {said}");
        }
    }
    assert!(!out.exists() && !place.exists(), "nothing is written");
}

#[test]
fn sound_and_frames_stand_on_one_timeline() {
    let (folder, root) = (tempfile::tempdir().unwrap(), env!("CARGO_MANIFEST_DIR"));
    let (film, answers) = ("fixtures/video/shapes.mp4", folder.path().join("answers.json"));
    let dataset = |name: &str, decode: &str, parse: &str, said: Value| {
        let (path, set) = (folder.path().join(format!("{name}.toml")), folder.path().join(name));
        let pipeline = format!(
            "name = \"{name}\"\nmodel = \"{root}/onnx/tiny\"\n[decode]\n{decode}\n[encode]\nprompt = \"Tell.\"\n[generate]\n\
             slots = 1\n[parse]\n{parse}"
        );
        fs::write(&path, pipeline).unwrap();
        fs::write(&answers, said.to_string()).unwrap();
        let output = run(&["run", text(&path), film, "--output", text(&set), "--replay", text(&answers)]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        set
    };
    let transcript =
        format!("schema = \"{root}/schemas/transcript.json\"\nrecord = \"document\"\nmerge = {{ text = \"stitch\" }}");
    let sound = "video = { frames = 0 }\nsound = { longest = 2.0 }";
    let said = ["One two", "three four", "five."].map(|text| json!({ "text": text, "language": "en" }));
    let heard = dataset("heard", sound, &transcript, json!(said));
    let schema = json!({ "type": "object", "required": ["seen"], "properties": { "seen": { "type": "string" } } });
    fs::write(folder.path().join("seen.json"), schema.to_string()).unwrap();
    let frames = "video = { frames = 2, window = 3.0, sound = false }";
    let seen =
        dataset("seen", frames, "schema = \"seen.json\"", json!([{ "seen": "A square." }, { "seen": "A ring." }]));
    let place = folder.path().join("timeline.parquet");
    let output = run(&["timeline", text(&heard), text(&seen), "--output", text(&place)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(errors(&output).contains("5 moments"), "{}", errors(&output));
    let rows = crate::cli::table(&place);
    let told: Vec<_> =
        rows.iter().map(|row| (row["kind"].as_str().unwrap(), row["start"].as_f64().unwrap().round())).collect();
    assert_eq!(told, [("frames", 0.0), ("sound", 0.0), ("sound", 2.0), ("frames", 3.0), ("sound", 4.0)]);
    assert_eq!((&rows[0]["said"], &rows[3]["said"]), (&"One two".into(), &"three four five.".into()));
    assert_eq!((&rows[2]["text"], &rows[0]["record"]), (&"three four".into(), &r#"{"seen":"A square."}"#.into()));
    let nowhere = folder.path().join("no/folder.parquet");
    for (place, why) in [(nowhere.as_path(), "make its folder first"), (folder.path(), "is a folder")] {
        let output = run(&["timeline", text(&seen), "--output", text(place)]);
        assert!(code(&output) == 2 && errors(&output).contains(why), "{}", errors(&output));
    }
}

#[test]
fn a_recording_that_grows_while_it_is_read_is_a_failure_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, set, answers) =
        (folder.path().join("call.wav"), folder.path().join("set"), folder.path().join("answers.json"));
    fs::write(&path, silence(600)).unwrap();
    fs::write(&answers, json!([{ "text": "", "language": null }]).to_string()).unwrap();
    let pipeline = pipeline(folder.path(), "");
    let even = fs::read_to_string(&pipeline).unwrap().replace("cut = \"pauses\", ", "");
    fs::write(&pipeline, even).unwrap();
    let ended = std::sync::atomic::AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&[0; 3200]).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        let output = run(&["run", text(&pipeline), text(&path), "--output", text(&set), "--replay", text(&answers)]);
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        output
    });
    assert_eq!(code(&output), 1, "{}", errors(&output));
    let failures = shown(&set, &["--failures"]);
    let told = failures.last().unwrap();
    assert_eq!((failures.len(), &told["kind"]), (1, &"unreadable".into()), "{failures:?}");
    // While its content is told, or later.
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("is being written") || message.contains("written to since"), "{told}");
    assert_eq!(totals(&set)["balanced"], true);
}
