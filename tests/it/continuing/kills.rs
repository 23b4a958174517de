//! Killed at any moment, a run loses nothing that was published and writes nothing twice.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use lapidary::write::failpoint::Point;

use super::archive::{Archive, content, sources, total};
use crate::cli::{code, errors, shown, text};

/// Kills in the ordinary suite; `LAPIDARY_KILLS` asks for more.
const KILLS: u64 = 8;

#[test]
fn dying_at_any_step_of_writing_loses_nothing_and_doubles_nothing() {
    let archive = Archive::new();
    archive.run(&archive.out("fresh"), &[]);
    let whole = content(&archive.out("fresh"));
    // A first run with other settings leaves rows that must go.
    let old = archive.out("old");
    archive.pipeline_asking("What is it?", "", "");
    archive.run(&old, &[]);
    archive.pipeline("");
    for point in Point::ALL {
        let out = archive.out("set");
        copy(&old, &out);
        // The third part has others before it.
        let time = if point.to_string().starts_with("part") { 3 } else { 1 };
        die(&archive, &out, &format!("{point} {time}"));
        let (_, report) = archive.run(&out, &[]);
        assert_eq!(content(&out), whole, "after {point} {time}");
        assert_eq!(report["totals"]["balanced"], true, "after {point} {time}");
        fs::remove_dir_all(out).unwrap();
    }
}

/// The same content in two folders, of which only one is among the inputs when it is asked otherwise.
#[test]
fn dying_between_a_revision_and_its_copies_leaves_the_names_that_are_not_among_the_inputs() {
    let archive = Archive::of(&[("documents/receipt.pdf", "here.pdf")]);
    let (elsewhere, out) = (archive.out("elsewhere"), archive.out("set"));
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(archive.input("here.pdf"), elsewhere.join("there.pdf")).unwrap();
    archive.run(&out, &[text(&elsewhere)]);
    let old = shown(&out, &[])[0]["_raw"].clone();
    archive.pipeline_asking("What is it?", "", "");
    let before = archive.out("before");
    fs::rename(&out, &before).unwrap();
    for point in ["revision-renamed 1", "part-published 2", "revision-renamed 2", "ledger-written 1"] {
        copy(&before, &out);
        die(&archive, &out, point);
        assert!(sources(&out, &[]).contains(&"there.pdf".to_owned()), "at {point}");
        archive.run(&out, &[]);
        assert_eq!(sources(&out, &[]), ["here.pdf", "there.pdf"], "at {point}");
        assert!(shown(&out, &[]).iter().all(|row| row["_raw"] != old), "at {point}: both are asked otherwise");
        fs::remove_dir_all(&out).unwrap();
    }
}

/// A page that is kept stands under the other name; the next one is asked under this name.
#[test]
fn dying_before_the_copies_keeps_what_is_kept_under_both_names() {
    let archive = Archive::of(&[("documents/invoice.pdf", "here.pdf")]);
    let (elsewhere, out) = (archive.out("elsewhere"), archive.out("set"));
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(archive.input("here.pdf"), elsewhere.join("there.pdf")).unwrap();
    archive.run(&out, &[text(&elsewhere), "--pages", "1"]);
    fs::copy(elsewhere.join("there.pdf"), archive.input("here.pdf")).unwrap();
    die(&archive, &out, "revision-renamed 1");
    archive.run(&out, &[]);
    assert_eq!(sources(&out, &[]), ["here.pdf", "here.pdf", "there.pdf", "there.pdf"]);
}

#[test]
fn a_full_disk_ends_the_run_with_its_name_and_the_next_one_goes_on() {
    let archive = Archive::new();
    archive.run(&archive.out("fresh"), &[]);
    for point in
        Point::ALL.into_iter().filter(|point| !matches!(point, Point::RevisionWritten | Point::RevisionRenamed))
    {
        let out = archive.out("set");
        let failpoint = format!("full {point} 1");
        let output = archive.command(&out, &[]).env("LAPIDARY_FAILPOINT", &failpoint).output().unwrap();
        assert_eq!(code(&output), 2, "{failpoint}: {}", errors(&output));
        assert!(errors(&output).contains("the disk is full"), "{failpoint}: {}", errors(&output));
        archive.run(&out, &[]);
        assert_eq!(content(&out), content(&archive.out("fresh")), "after {failpoint}");
        fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn kills_at_random_moments_lose_nothing_and_double_nothing() {
    let kills = std::env::var("LAPIDARY_KILLS").ok().map_or(KILLS, |text| text.parse().unwrap());
    let archive = Archive::new();
    let began = Instant::now();
    archive.run(&archive.out("fresh"), &[]);
    let (whole, length) = (content(&archive.out("fresh")), began.elapsed());
    let (out, mut random, mut killed, mut finished) = (archive.out("set"), 0x9e37_79b9_7f4a_7c15_u64, 0, 0);
    while killed < kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = length.mul_f64((random >> 40) as f64 / (1 << 24) as f64);
        let mut child = archive.command(&out, &[]).spawn().unwrap();
        thread::sleep(moment.max(Duration::from_millis(1)));
        let over = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        match over {
            None => killed += 1,
            // It was through before: from the start again.
            Some(_) => {
                finished += 1;
                assert_eq!(content(&out), whole);
                fs::remove_dir_all(&out).unwrap();
            }
        }
    }
    let (_, report) = archive.run(&out, &[]);
    assert_eq!(content(&out), whole, "after {killed} kills");
    assert_eq!(report["totals"]["balanced"], true);
    let (_, again) = archive.run(&out, &[]);
    assert_eq!(total(&again, "answered"), 0);
    println!("{killed} kills, {} datasets, each equal to the undisturbed one", finished + 1);
}

/// A run that dies when it comes by a point for so many times.
fn die(archive: &Archive, out: &std::path::Path, point: &str) {
    let output = archive.command(out, &[]).env("LAPIDARY_FAILPOINT", format!("die {point}")).output().unwrap();
    assert_eq!(output.status.code(), None, "no run came by {point}: {}", errors(&output));
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}
