//! The engines of a run: found, whole and all, before anything is opened, or refused with the command that builds them.

use super::{
    buckets::{Bucket, Buckets},
    facts::Facts,
    folder::Cabinet,
    machine::Machine,
    marker::{Marker, State},
    profile::Profile,
};
use crate::base::{Fatal, Model, model::Layout};

/// An engine that is ready, and how a session is opened with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::generate) struct Ready {
    /// What it takes.
    pub(in crate::generate) bucket: Bucket,
    /// How a session finds it.
    pub(in crate::generate) profile: Profile,
}

/// The engines of a model's encoders on one card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::generate) struct Engines {
    /// Smallest first.
    pictures: Vec<Ready>,
    sound: Option<Ready>,
}

/// Why there is no engine for a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lacking {
    bucket: Bucket,
    why: String,
}

impl Engines {
    /// The engines for what a run asks of the encoders, on the card that CUDA counts as `ordinal`; for all that the model can
    /// be asked where nothing is said. Reads every engine, to compare its hash.
    ///
    /// # Errors
    /// When there is no driver, no such card or no TensorRT, or an engine is not there or not whole: the hint has the command
    /// that builds it.
    pub(in crate::generate) fn find(model: &Model, buckets: Option<Buckets>, ordinal: u32) -> Result<Self, Fatal> {
        let buckets = buckets.unwrap_or_else(|| Buckets::all(model));
        Self::find_in(&Cabinet::own(), &Machine::find(ordinal)?, model, buckets, ordinal)
    }

    fn find_in(
        cabinet: &Cabinet,
        machine: &Machine,
        model: &Model,
        buckets: Buckets,
        ordinal: u32,
    ) -> Result<Self, Fatal> {
        let (mut ready, mut lacking) = (Vec::new(), Vec::new());
        for bucket in buckets.of(model) {
            let Some(facts) = Facts::of(machine, model, bucket) else { continue };
            match Marker::look(&cabinet.of(&facts), &facts) {
                State::Whole(marker) => {
                    ready.push(Ready { bucket, profile: cabinet.profile(&facts, model, bucket, marker.taken)? });
                }
                State::Missing => lacking.push(Lacking { bucket, why: "never built for this card".to_owned() }),
                State::Damaged(why) => lacking.push(Lacking { bucket, why }),
            }
        }
        match lacking[..] {
            [] => Ok(Self::of(ready)),
            _ => Err(refusal(machine, model, buckets, &lacking, ordinal)),
        }
    }

    fn of(ready: Vec<Ready>) -> Self {
        let (sound, pictures): (Vec<Ready>, Vec<Ready>) =
            ready.into_iter().partition(|ready| ready.bucket == Bucket::Sound);
        Self { pictures, sound: sound.into_iter().next() }
    }

    /// Those of the vision encoder, smallest first; empty where pictures have none.
    pub(in crate::generate) fn pictures(&self) -> &[Ready] {
        &self.pictures
    }

    /// That of the audio encoder.
    pub(in crate::generate) fn sound(&self) -> Option<&Ready> {
        self.sound.as_ref()
    }
}

/// All engines that are lacking, why, and how to get them.
fn refusal(machine: &Machine, model: &Model, buckets: Buckets, lacking: &[Lacking], ordinal: u32) -> Fatal {
    let each: Vec<String> = lacking.iter().map(|Lacking { bucket, why }| format!("{bucket} ({why})")).collect();
    let Machine { card, driver, .. } = machine;
    let message = format!(
        "TensorRT has no engines of `{}` for card {ordinal} ({card}, driver {driver}): {}",
        model.manifest.name,
        each.join(", ")
    );
    let hint = format!(
        "run `{}` once, which takes a minute or more for each engine and is due again after a change of card, driver, \
         ONNX Runtime, TensorRT or bundle; or choose `--device cuda`",
        command(model, buckets, ordinal)
    );
    Fatal::new(message, hint)
}

/// What builds all that a run asks for, as it is typed.
fn command(model: &Model, buckets: Buckets, ordinal: u32) -> String {
    let budgets: Vec<String> = buckets.budgets().map(|budget| budget.to_string()).collect();
    let budgets = if budgets.is_empty() { String::new() } else { format!(" --budget {}", budgets.join(",")) };
    format!("lapidary model prepare {}{budgets} --devices {ordinal}", quoted(&address(model)))
}

/// The folder, with the variant that a foreign one holds beside others: its model's name ends with it.
fn address(model: &Model) -> String {
    let variant = model.manifest.name.rsplit_once('#').filter(|_| model.layout != Layout::Bundle);
    let variant = variant.map(|(_, variant)| format!("#{variant}")).unwrap_or_default();
    format!("{}{variant}", model.folder.display())
}

/// One word for the shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+#~".contains(c);
    match text.chars().all(plain) && !text.starts_with(['#', '~']) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
impl Engines {
    /// As if they were there.
    pub(in crate::generate) fn unproved(model: &Model, buckets: &[Bucket]) -> Self {
        let cabinet = Cabinet::at(std::path::Path::new("/nowhere"));
        let ready = |bucket: &Bucket| {
            let facts = Facts::of(&super::fixture::h200(), model, *bucket).unwrap();
            let taken = super::profile::Taken::Whole;
            Ready { bucket: *bucket, profile: cabinet.profile(&facts, model, *bucket, taken).unwrap() }
        };
        Self::of(buckets.iter().map(ready).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::generate::tensorrt::{
        fixture::{h200, tiny},
        marker,
        profile::Taken,
    };

    fn find(cabinet: &Cabinet, machine: &Machine, buckets: Buckets) -> Result<Engines, Fatal> {
        Engines::find_in(cabinet, machine, &tiny(), buckets, 0)
    }

    /// Puts an engine of a few bytes where that of a bucket belongs.
    fn put(cabinet: &Cabinet, bucket: Bucket, taken: Taken) -> PathBuf {
        let facts = Facts::of(&h200(), &tiny(), bucket).unwrap();
        let folder = cabinet.of(&facts);
        fs::create_dir_all(&folder).unwrap();
        let engine = folder.join(format!("{}_1_sm90.engine", bucket.prefix()));
        fs::write(&engine, "an engine").unwrap();
        Marker::new(facts, taken, marker::files(&folder).unwrap()).write(&folder).unwrap();
        engine
    }

    #[test]
    fn what_is_lacking_is_named_with_the_command_that_builds_all_that_the_run_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::at(folder.path());
        put(&cabinet, Bucket::Pictures(70), Taken::Whole);
        let fatal = find(&cabinet, &h200(), Buckets::new([1120, 70], true)).unwrap_err();
        for word in ["`tiny`", "NVIDIA H200", "card 0", "up to 1120 soft tokens", "sound", "never built"] {
            assert!(fatal.message.contains(word), "{word} is not in {fatal}");
        }
        assert!(!fatal.message.contains("up to 70 "), "{fatal}");
        let bundle = quoted(&tiny().folder.display().to_string());
        let command = format!("`lapidary model prepare {bundle} --budget 70,1120 --devices 0`");
        assert!(fatal.hint.contains(&command) && fatal.hint.contains("--device cuda"), "{}", fatal.hint);
    }

    #[test]
    fn engines_that_are_there_are_handed_out_smallest_first_as_they_were_built() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::at(folder.path());
        put(&cabinet, Bucket::Pictures(280), Taken::Whole);
        put(&cabinet, Bucket::Pictures(70), Taken::Pieces);
        put(&cabinet, Bucket::Sound, Taken::Pieces);
        let engines = find(&cabinet, &h200(), Buckets::new([280, 70], true)).unwrap();
        let taken: Vec<_> = engines.pictures().iter().map(|ready| (ready.bucket, ready.profile.taken)).collect();
        assert_eq!(taken, [(Bucket::Pictures(70), Taken::Pieces), (Bucket::Pictures(280), Taken::Whole)]);
        assert_eq!(engines.sound().unwrap().profile.taken, Taken::Pieces);
        let silent = find(&cabinet, &h200(), Buckets::new([280], false)).unwrap();
        assert!(silent.sound().is_none() && silent.pictures().len() == 1);
    }

    #[test]
    fn engines_of_another_driver_or_that_have_changed_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::at(folder.path());
        let engine = put(&cabinet, Bucket::Sound, Taken::Whole);
        let buckets = Buckets::new([], true);
        assert!(find(&cabinet, &h200(), buckets).is_ok());
        let updated = Machine { driver: "590.10".to_owned(), ..h200() };
        assert!(find(&cabinet, &updated, buckets).unwrap_err().message.contains("never built"));
        fs::write(&engine, "AN ENGINE").unwrap();
        let fatal = find(&cabinet, &h200(), buckets).unwrap_err();
        assert!(fatal.message.contains("sound_1_sm90.engine` is not what was built"), "{fatal}");
    }

    #[test]
    fn the_command_can_be_typed_as_it_stands() {
        let mut model = tiny();
        model.folder = PathBuf::from("/models/my gem's");
        let all = Buckets::new([], true);
        assert_eq!(command(&model, all, 1), r"lapidary model prepare '/models/my gem'\''s' --devices 1");
        let foreign = Model { folder: PathBuf::from("models/e2b"), layout: Layout::Community, ..tiny() };
        let named = |name: &str| {
            let mut model = foreign.clone();
            model.manifest.name = name.to_owned();
            command(&model, all, 0)
        };
        assert_eq!(named("e2b#q4f16"), "lapidary model prepare models/e2b#q4f16 --devices 0");
        assert_eq!(named("e2b"), "lapidary model prepare models/e2b --devices 0");
    }
}
