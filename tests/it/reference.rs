//! `pipelines/README.md`, which lists every key of a pipeline with its default, and every column, against the program.

use std::collections::BTreeSet;

use lapidary::app::pipeline::{Overrides, Pipeline};
use serde_json::Value;

use crate::cli::{code, extract, table};

const PAGE: &str = include_str!("../../pipelines/README.md");

/// A heading with a table of keys: `[decode.limits]`, or the file itself.
struct Section<'a> {
    heading: &'a str,
    /// Keys, and their defaults where there is one.
    keys: Vec<(&'a str, Option<&'a str>)>,
}

/// The words in backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn sections() -> Vec<Section<'static>> {
    let keys = PAGE.split_once("\n# Columns").unwrap().0;
    let mut sections: Vec<Section> = Vec::new();
    for line in keys.lines() {
        if let Some(heading) = line.strip_prefix("##") {
            sections.push(Section { heading: heading.trim_start_matches('#').trim(), keys: Vec::new() });
        } else if let (Some(row), Some(section)) = (line.strip_prefix("| `"), sections.last_mut()) {
            let (key, rest) = row.split_once("` |").unwrap();
            let default = rest.split_once('|').unwrap().0;
            section.keys.push((key, words(default).next()));
        }
    }
    sections
}

fn pipeline(text: &str) -> (Pipeline, Vec<String>) {
    let (pipeline, problems) = Pipeline::from_text(&format!("name = \"n\"\n{text}"), &Overrides::default());
    (pipeline.unwrap(), problems)
}

/// The keys that the program says it knows there.
fn known(heading: &str) -> BTreeSet<String> {
    let table = if heading.starts_with('[') { heading } else { "" };
    let problems = pipeline(&format!("{table}\nnonsense = 1")).1;
    let told = problems.iter().find(|problem| problem.contains("`nonsense`")).unwrap_or_else(|| panic!("{problems:?}"));
    if table.is_empty() {
        let listed = told.split_once("known are ").unwrap().1.split_once(", and the tables").unwrap().0;
        return listed.split(", ").map(str::to_owned).collect();
    }
    words(told.split_once("expected ").unwrap_or_else(|| panic!("{told}")).1).map(str::to_owned).collect()
}

#[test]
fn every_key_of_a_pipeline_is_listed_and_no_other() {
    let sections = sections();
    assert!(sections.len() > 10);
    for Section { heading, keys } in &sections {
        let table = heading.trim_matches(['[', ']']);
        let is_table = |key: &str| sections.iter().any(|other| other.heading == format!("[{table}.{key}]"));
        let known: BTreeSet<String> = known(heading).into_iter().filter(|key| !is_table(key)).collect();
        let listed: BTreeSet<String> = keys.iter().map(|(key, _)| (*key).to_owned()).collect();
        assert_eq!(known, listed, "{heading}");
    }
}

#[test]
fn every_table_is_listed() {
    let problem = pipeline("nonsense = 1").1.join(" ");
    let told: BTreeSet<&str> =
        problem.split_once("the tables ").unwrap().1.split(", ").map(|table| table.trim_matches(['[', ']'])).collect();
    let sections = sections();
    let listed = sections.iter().filter(|section| section.heading.starts_with('['));
    let listed = listed.map(|section| section.heading.trim_matches(['[', ']']).split('.').next().unwrap()).collect();
    assert_eq!(told, listed);
}

#[test]
fn the_defaults_are_as_listed() {
    let written = |section: &Section| -> String {
        let lines = section.keys.iter().filter_map(|(key, default)| Some(format!("{key} = {}\n", (*default)?)));
        let heading = if section.heading.starts_with('[') { section.heading } else { "" };
        format!("{heading}\n{}", lines.collect::<String>())
    };
    let sections = sections();
    // What has no defaults of its own: items of lists, and the table that asks for something by being there.
    let usual = sections.iter().filter(|section| !section.heading.starts_with("[[") && section.heading != "[reduce]");
    let (listed, problems) = pipeline(&usual.map(written).collect::<String>());
    let usual = pipeline("").0;
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((listed.allowed_failures, listed.memory_mb), (usual.allowed_failures, usual.memory_mb));
    assert_eq!((listed.collect, listed.decode, listed.encode), (usual.collect, usual.decode, usual.encode));
    assert_eq!((listed.generate, listed.parse), (usual.generate, usual.parse));
    assert_eq!((listed.ladder, listed.write), (usual.ladder, usual.write));
    let reduce = sections.iter().find(|section| section.heading == "[reduce]").unwrap();
    let asked = "[reduce]\nprompt = \"p\"";
    let listed = written(reduce).replace("[reduce]", asked);
    assert_eq!(format!("{:?}", pipeline(&listed).0.reduce), format!("{:?}", pipeline(asked).0.reduce));
}

#[test]
fn a_key_that_has_no_effect_beside_the_others_is_an_error() {
    for (text, key) in [
        ("[ladder]\nclimb_on = [\"loop\"]", "`climb_on`"),
        ("[ladder]\nallowance = 3072", "`allowance`"),
        ("[ladder]\ngive_up_on = [\"invalid\"]", "`give_up_on`"),
        ("[generate]\nseed = 7", "seed"),
        ("[generate]\nseed = 7\n[ladder]\nsteps = [{ rotate = 90 }]", "seed"),
        ("[write]\nseconds_per_part = 0", "seconds_per_part"),
    ] {
        let problems = pipeline(text).1;
        assert!(problems.len() == 1 && problems[0].contains(key), "{text}: {problems:?}");
    }
    let agreement = "[parse]\nevidence = true\n[ladder]\nleast_agreement = 0.5\n";
    let climbing = pipeline(&format!("{agreement}climb_on = [\"agreement\"]")).1.join("\n");
    assert!(climbing.contains("`climb_on`") && climbing.contains("`least_agreement`"), "{climbing}");
    for text in [
        "[generate]\nseed = 7\ntemperature = 0.5",
        "[generate]\nseed = 7\n[ladder]\nsteps = [{ temperature = 0.4 }]",
        &format!("{agreement}give_up_on = [\"agreement\"]"),
    ] {
        assert_eq!(pipeline(text).1, Vec::<String>::new(), "{text}");
    }
}

/// All columns of our own in a row are on the page.
pub fn assert_columns_are_listed(row: &Value) {
    let listed: BTreeSet<&str> = words(PAGE.split_once("\n# Columns").unwrap().1).collect();
    for column in row.as_object().unwrap().keys().filter(|column| column.starts_with('_')) {
        assert!(listed.contains(column.as_str()), "{column} is not in pipelines/README.md");
    }
}

#[test]
fn the_columns_of_failures_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (output, _) = extract(&["fixtures/broken/noise.bin"], &out, &[]);
    assert_eq!(code(&output), 1);
    let row = table(&out.join("failures/part-00000.parquet")).remove(0);
    assert_columns_are_listed(&row);
    let listed: BTreeSet<&str> = words(PAGE.split_once("\n## failures").unwrap().1).collect();
    for column in row.as_object().unwrap().keys().filter(|column| !column.starts_with('_')) {
        assert!(listed.contains(column.as_str()), "{column} is not in pipelines/README.md");
    }
}
