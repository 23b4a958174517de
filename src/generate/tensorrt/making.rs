//! Builds engines ahead of a run: bucket by bucket, each in a folder of its own that counts only once it is whole and proved.

use std::{
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use super::{
    buckets::{Bucket, Buckets},
    facts::Facts,
    folder::{Cabinet, clear},
    machine::Machine,
    marker::{self, Marker, State},
    profile::{Profile, Taken},
    trial::{Encoder, agree, compared, trials},
};
use crate::{
    base::{Fatal, Model, model::Manifest},
    generate::{
        network::Opening,
        runtime::{Device, Place, Runtime},
        watchdog::Watchdog,
    },
};

/// What ONNX Runtime says when it would need ranges of shapes for values inside the graph, which nobody can name before.
const SPLIT: &str = "no associated shape profiles";

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// An engine is there and whole.
    There(Bucket, &'a Path),
    /// It is going to be built, which takes a minute or more; why, where something is there that cannot be used.
    Building(Bucket, Option<String>),
    /// TensorRT does not take the whole graph: it is built in pieces, in the first runs.
    InPieces(Bucket),
    /// It is built and proved.
    Built(Bucket, Built),
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Engines: one, or one for each piece.
    pub engines: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// From the first session to the last run.
    pub took: Duration,
}

/// Builds what is not there, on the card that CUDA counts as `ordinal`. Loads ONNX Runtime, so it must come before any
/// thread of ours.
///
/// # Errors
/// When there is no driver, no such card or no TensorRT; when the folder of engines cannot be written, or somebody else
/// builds there; when no run could use the engines; when one cannot be built, or does not compute what the processor does.
pub fn prepare(model: &Model, buckets: Buckets, ordinal: u32, tell: &mut dyn FnMut(&Step)) -> Result<(), Fatal> {
    let (machine, cabinet) = (Machine::find(ordinal)?, Cabinet::own());
    is_of_use(model)?;
    let _lock = cabinet.claim()?;
    for bucket in buckets.of(model) {
        let Some(facts) = Facts::of(&machine, model, bucket) else { continue };
        let profile = |taken| cabinet.profile(&facts, model, bucket, taken);
        let mut bench = Bench {
            runtime: Runtime::load()?,
            watchdog: Watchdog::new(Duration::ZERO)?,
            model,
            bucket,
            ordinal,
            profiles: [profile(Taken::Whole)?, profile(Taken::Pieces)?],
        };
        provide(&cabinet.of(&facts), &facts, bucket, &mut bench, tell)?;
    }
    Ok(())
}

/// The decoder of a run with engines is CUDA's, whose attention knows no f32.
fn is_of_use(model: &Model) -> Result<(), Fatal> {
    let Manifest { name, precision, .. } = &model.manifest;
    match precision.dtype == "f32" {
        false => Ok(()),
        true => Err(Fatal::new(
            format!("`{name}` computes in f32: its decoder runs on no card, so no run would use TensorRT's engines"),
            "export the checkpoint with `--recipe cuda-int4` or `cuda-f16`, and prepare that bundle",
        )),
    }
}

/// What can build the engines of a bucket and try them.
trait Builder {
    /// Opens a session, which builds where it can, and has it run what builds the rest.
    fn build(&mut self, taken: Taken) -> Result<(), Fatal>;

    /// Has another session run everything, and compares it with the processor.
    fn prove(&mut self, taken: Taken) -> Result<(), Fatal>;
}

/// Sees to it that the engines of a bucket are in their folder.
fn provide(
    folder: &Path,
    facts: &Facts,
    bucket: Bucket,
    builder: &mut dyn Builder,
    tell: &mut dyn FnMut(&Step),
) -> Result<(), Fatal> {
    let why = match Marker::look(folder, facts) {
        State::Whole(_) => {
            tell(&Step::There(bucket, folder));
            return Ok(());
        }
        State::Missing => None,
        State::Damaged(why) => Some(why),
    };
    tell(&Step::Building(bucket, why));
    let began = Instant::now();
    let marker = make(folder, facts, builder, &mut || tell(&Step::InPieces(bucket)))?;
    let built = Built { engines: marker.engines(), bytes: marker.bytes(), took: began.elapsed() };
    tell(&Step::Built(bucket, built));
    Ok(())
}

/// Builds the engines, proves that runs need no others, and marks the folder as whole.
fn make(folder: &Path, facts: &Facts, builder: &mut dyn Builder, split: &mut dyn FnMut()) -> Result<Marker, Fatal> {
    let taken = build(folder, builder, split)?;
    let files = marker::files(folder)?;
    if marker::engines(&files) == 0 {
        return Err(Fatal::new(
            "TensorRT has built no engine: it takes no part of this graph",
            "choose `--device cuda` for this bundle",
        ));
    }
    builder.prove(taken)?;
    if marker::files(folder)? != files {
        return Err(Fatal::new(
            format!("TensorRT builds engines in `{}` again and again, so it would in a run", folder.display()),
            "choose `--device cuda` for this bundle, and report this with the versions that `lapidary doctor` prints",
        ));
    }
    let marker = Marker::new(facts.clone(), taken, files);
    marker.write(folder)?;
    Ok(marker)
}

/// As one engine, or else in pieces.
fn build(folder: &Path, builder: &mut dyn Builder, split: &mut dyn FnMut()) -> Result<Taken, Fatal> {
    clear(folder)?;
    match builder.build(Taken::Whole) {
        Ok(()) => Ok(Taken::Whole),
        Err(fatal) if fatal.message.contains(SPLIT) => {
            tracing::debug!(target: "generate", why = fatal.message, "TensorRT does not take the whole graph");
            split();
            clear(folder)?;
            builder.build(Taken::Pieces).map(|()| Taken::Pieces)
        }
        Err(fatal) => Err(fatal),
    }
}

/// Builds with ONNX Runtime.
struct Bench<'a> {
    runtime: Runtime,
    /// Without an end: nobody knows how long a build takes.
    watchdog: Watchdog,
    model: &'a Model,
    bucket: Bucket,
    ordinal: u32,
    /// Of the whole graph, and of pieces.
    profiles: [Profile; 2],
}

impl Bench<'_> {
    /// On the card with the engines of a profile, or on the processor.
    fn open(&self, profile: Option<&Profile>) -> Result<Encoder, Fatal> {
        let place = match profile {
            Some(_) => Place { device: Device::TensorRt, ordinal: self.ordinal },
            None => Place::first(Device::Cpu),
        };
        let threads = available_parallelism().map_or(1, usize::from);
        let opening = Opening { watchdog: &self.watchdog, place, threads, spinning: false, engines: profile };
        Encoder::open(&self.runtime, self.model, self.bucket, opening)
    }

    fn on_the_card(&self, taken: Taken) -> Result<Encoder, Fatal> {
        let [whole, pieces] = &self.profiles;
        self.open(Some(if taken == Taken::Whole { whole } else { pieces }))
    }
}

impl Builder for Bench<'_> {
    fn build(&mut self, taken: Taken) -> Result<(), Fatal> {
        let profile = &self.profiles[0];
        for folder in [&profile.folder, &profile.timings].map(PathBuf::from) {
            std::fs::create_dir_all(&folder).map_err(|error| marker::unwritable(&folder, &error))?;
        }
        let mut encoder = self.on_the_card(taken)?;
        trials(self.bucket).into_iter().try_for_each(|trial| encoder.run(self.model, trial).map(drop))
    }

    fn prove(&mut self, taken: Taken) -> Result<(), Fatal> {
        let (mut encoder, trial) = (self.on_the_card(taken)?, compared(self.bucket));
        trials(self.bucket).into_iter().try_for_each(|trial| encoder.run(self.model, trial).map(drop))?;
        let found = encoder.run(self.model, trial)?;
        drop(encoder);
        agree(trial, &found, &self.open(None)?.run(self.model, trial)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::generate::tensorrt::fixture::{h200, tiny};

    const BUCKET: Bucket = Bucket::Pictures(70);

    /// What a builder does that is not asked a card.
    #[derive(Default)]
    struct Pretence {
        folder: PathBuf,
        splits: bool,
        takes_nothing: bool,
        /// Why the proof fails.
        unproved: Option<&'static str>,
        builds_while_proving: bool,
        built: Vec<Taken>,
    }

    impl Pretence {
        fn write(&self, name: &str, content: &str) {
            fs::write(self.folder.join(name), content).unwrap();
        }
    }

    impl Builder for Pretence {
        fn build(&mut self, taken: Taken) -> Result<(), Fatal> {
            self.built.push(taken);
            if self.splits && taken == Taken::Whole {
                self.write("half.engine", "of the first piece");
                return Err(Fatal::new(format!("Following input(s) has {SPLIT} provided: x"), ""));
            }
            if !self.takes_nothing {
                self.write("pictures-70_1_sm90.engine", "an engine");
            }
            Ok(())
        }

        fn prove(&mut self, _taken: Taken) -> Result<(), Fatal> {
            if self.builds_while_proving {
                self.write("pictures-70_1_sm90.engine", "another");
            }
            self.unproved.map_or(Ok(()), |why| Err(Fatal::new(why, "")))
        }
    }

    struct Place {
        folder: tempfile::TempDir,
        facts: Facts,
    }

    impl Place {
        fn new() -> Self {
            let facts = Facts::of(&h200(), &tiny(), BUCKET).unwrap();
            Self { folder: tempfile::tempdir().unwrap(), facts }
        }

        fn own(&self) -> PathBuf {
            self.folder.path().join(self.facts.key())
        }

        fn state(&self) -> State {
            Marker::look(&self.own(), &self.facts)
        }

        /// What a builder was asked for, and what was told.
        fn provide(&self, pretence: Pretence) -> (Vec<Taken>, Vec<String>, Result<(), Fatal>) {
            let (mut pretence, mut told) = (Pretence { folder: self.own(), ..pretence }, Vec::new());
            let result = provide(&self.own(), &self.facts, BUCKET, &mut pretence, &mut |step| {
                told.push(match step {
                    Step::There(..) => "there".to_owned(),
                    Step::Building(_, None) => "building".to_owned(),
                    Step::Building(_, Some(why)) => format!("building: {why}"),
                    Step::InPieces(_) => "in pieces".to_owned(),
                    Step::Built(_, built) => format!("built {} of {} bytes", built.engines, built.bytes),
                });
            });
            (pretence.built, told, result)
        }
    }

    #[test]
    fn what_is_built_and_proved_is_whole_and_found_there_by_the_next() {
        let place = Place::new();
        let (built, told, result) = place.provide(Pretence::default());
        assert_eq!((built, told, result), (vec![Taken::Whole], words(&["building", "built 1 of 9 bytes"]), Ok(())));
        let State::Whole(marker) = place.state() else { panic!("{:?}", place.state()) };
        assert_eq!((marker.taken, marker.facts), (Taken::Whole, place.facts.clone()));
        let (built, told, result) = place.provide(Pretence::default());
        assert_eq!((built, told, result), (vec![], words(&["there"]), Ok(())));
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_graph_that_falls_to_pieces_is_built_so_and_nothing_is_left_of_the_first_attempt() {
        let place = Place::new();
        let (built, told, result) = place.provide(Pretence { splits: true, ..Pretence::default() });
        assert_eq!((built, result), (vec![Taken::Whole, Taken::Pieces], Ok(())));
        assert_eq!(told, words(&["building", "in pieces", "built 1 of 9 bytes"]));
        let State::Whole(marker) = place.state() else { panic!("{:?}", place.state()) };
        assert_eq!((marker.taken, marker.files.len()), (Taken::Pieces, 1));
    }

    #[test]
    fn what_is_damaged_or_half_built_is_built_anew() {
        let place = Place::new();
        place.provide(Pretence::default()).2.unwrap();
        fs::write(place.own().join("pictures-70_1_sm90.engine"), "damaged").unwrap();
        let (_, told, result) = place.provide(Pretence::default());
        assert!(told[0].contains("`pictures-70_1_sm90.engine` is not what was built"), "{told:?}");
        assert_eq!(result, Ok(()));
        fs::remove_file(place.own().join(marker::FILE)).unwrap();
        fs::write(place.own().join("left.engine"), "by a build that was killed").unwrap();
        let (_, told, _) = place.provide(Pretence::default());
        assert!(told[0].contains("not finished"), "{told:?}");
        let State::Whole(marker) = place.state() else { panic!("{:?}", place.state()) };
        assert_eq!(marker.files.len(), 1);
    }

    #[test]
    fn what_is_not_proved_does_not_count() {
        let unproved = Pretence { unproved: Some("its features are not the processor's"), ..Pretence::default() };
        let restless = Pretence { builds_while_proving: true, ..Pretence::default() };
        let nothing = Pretence { takes_nothing: true, ..Pretence::default() };
        for (pretence, why) in
            [(unproved, "not the processor's"), (restless, "again and again"), (nothing, "takes no part")]
        {
            let place = Place::new();
            let (_, told, result) = place.provide(pretence);
            let fatal = result.unwrap_err();
            assert!(fatal.message.contains(why), "{fatal}");
            assert_eq!(told, ["building"]);
            assert!(!matches!(place.state(), State::Whole(_)), "{why}");
        }
    }

    #[test]
    fn what_no_run_could_use_is_not_built() {
        let mut model = tiny();
        let fatal = is_of_use(&model).unwrap_err();
        assert!(fatal.message.contains("computes in f32") && fatal.hint.contains("--recipe cuda-int4"), "{fatal}");
        model.manifest.precision.dtype = "f16".to_owned();
        assert_eq!(is_of_use(&model), Ok(()));
    }

    #[test]
    fn another_failure_of_a_build_is_no_reason_to_try_pieces() {
        struct Broken;
        impl Builder for Broken {
            fn build(&mut self, taken: Taken) -> Result<(), Fatal> {
                assert_eq!(taken, Taken::Whole);
                Err(Fatal::new("out of memory", "free some"))
            }

            fn prove(&mut self, _taken: Taken) -> Result<(), Fatal> {
                unreachable!("nothing was built")
            }
        }
        let place = Place::new();
        let result = provide(&place.own(), &place.facts, BUCKET, &mut Broken, &mut |_| ());
        assert_eq!(result, Err(Fatal::new("out of memory", "free some")));
    }
}
