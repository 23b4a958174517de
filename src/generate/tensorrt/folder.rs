//! Where engines lie: one folder for each key, and beside them what TensorRT has learned about the card.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    buckets::Bucket,
    facts::Facts,
    marker::unwritable,
    profile::{Profile, Taken},
};
use crate::base::{
    Fatal, Model,
    lock::{Lock, Refusal},
};

/// The environment variable that names the folder of TensorRT's engines.
pub const FOLDER_VARIABLE: &str = "LAPIDARY_TENSORRT";

/// Held by whoever builds.
const LOCK: &str = ".lock";

/// The folder of all engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cabinet(PathBuf);

impl Cabinet {
    /// `LAPIDARY_TENSORRT`, else `lapidary/tensorrt` in the user's cache folder.
    pub(super) fn own() -> Self {
        let named = std::env::var_os(FOLDER_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let usual = || dirs::cache_dir().unwrap_or_else(|| PathBuf::from(".")).join("lapidary/tensorrt");
        Self(named.unwrap_or_else(usual))
    }

    /// Makes the folder, and takes it for whoever builds until the lock is dropped. On a file system without locks others
    /// are not seen.
    ///
    /// # Errors
    /// When it cannot be written, or another process builds there: the error says which.
    pub(super) fn claim(&self) -> Result<Option<Lock>, Fatal> {
        fs::create_dir_all(&self.0).map_err(|error| unwritable(&self.0, &error))?;
        let path = self.0.join(LOCK);
        match Lock::take(&path) {
            Ok(lock) => Ok(Some(lock)),
            Err(Refusal::NoLocks(_)) => Ok(None),
            Err(Refusal::Unwritable(error)) => Err(unwritable(&path, &error)),
            Err(Refusal::Held(holder)) => Err(Fatal::new(
                format!("engines are being built in `{}` by {holder}", self.0.display()),
                format!("wait until that has ended and try again, or name another folder in `{FOLDER_VARIABLE}`"),
            )),
        }
    }

    /// The folder of the engines of these facts.
    pub(super) fn of(&self, facts: &Facts) -> PathBuf {
        self.0.join(facts.key())
    }

    /// How a session is opened with these engines.
    ///
    /// # Errors
    /// When a folder's name is no Unicode, which ONNX Runtime cannot be told.
    pub(super) fn profile(&self, facts: &Facts, model: &Model, bucket: Bucket, taken: Taken) -> Result<Profile, Fatal> {
        Ok(Profile {
            folder: spelled(&self.of(facts))?,
            timings: spelled(&self.0.join(facts.timings_key()))?,
            prefix: bucket.prefix(),
            half: facts.is_half(),
            shapes: bucket.shapes(model),
            taken,
        })
    }
}

fn spelled(path: &Path) -> Result<String, Fatal> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Fatal::new(
            format!("ONNX Runtime cannot be told of the folder `{}`, whose name is no Unicode", path.display()),
            format!("name another in `{FOLDER_VARIABLE}`"),
        )
    })
}

/// Makes a folder anew, empty.
///
/// # Errors
/// When it cannot be removed or made.
pub(super) fn clear(folder: &Path) -> Result<(), Fatal> {
    let removed = if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) };
    removed.and_then(|()| fs::create_dir_all(folder)).map_err(|error| unwritable(folder, &error))
}

#[cfg(test)]
impl Cabinet {
    /// A folder of a test's own.
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::tensorrt::fixture::{h200, tiny};

    #[test]
    fn engines_lie_under_their_key_and_share_what_is_learned() {
        let cabinet = Cabinet::at(Path::new("/cache"));
        let profile = |bucket| {
            let facts = Facts::of(&h200(), &tiny(), bucket).unwrap();
            let profile = cabinet.profile(&facts, &tiny(), bucket, Taken::Whole).unwrap();
            assert_eq!(profile.folder, format!("/cache/{}", facts.key()));
            profile
        };
        let [small, large, sound] = [Bucket::Pictures(70), Bucket::Pictures(1120), Bucket::Sound].map(profile);
        assert!(small.folder != large.folder && large.folder != sound.folder);
        assert!(small.timings == large.timings && small.timings.starts_with("/cache/timings-"));
        assert_eq!([small.prefix, sound.prefix], ["pictures-70", "sound"]);
        assert!(!small.half, "the bundle computes in f32");
    }

    #[test]
    fn a_bundle_that_computes_in_f16_has_engines_in_f16() {
        let mut model = tiny();
        model.manifest.precision.dtype = "f16".to_owned();
        let facts = Facts::of(&h200(), &model, Bucket::Sound).unwrap();
        let cabinet = Cabinet::at(Path::new("/cache"));
        assert!(cabinet.profile(&facts, &model, Bucket::Sound, Taken::Whole).unwrap().half);
    }

    #[test]
    fn two_do_not_build_at_once_and_the_second_is_told_who_does() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::at(&folder.path().join("new"));
        let lock = cabinet.claim().unwrap();
        let fatal = cabinet.claim().unwrap_err();
        assert!(fatal.message.contains(&format!("by process {}", std::process::id())), "{fatal}");
        assert!(fatal.hint.contains(FOLDER_VARIABLE));
        drop(lock);
        cabinet.claim().unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named_with_the_variable_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let fatal = Cabinet::at(&file.join("below")).claim().unwrap_err();
        assert!(fatal.message.contains("cannot be written") && fatal.hint.contains(FOLDER_VARIABLE), "{fatal}");
        assert!(clear(&file.join("below")).is_err());
    }

    #[test]
    fn what_is_left_of_an_earlier_build_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("key");
        fs::create_dir_all(own.join("below")).unwrap();
        fs::write(own.join("half.engine"), "half").unwrap();
        clear(&own).unwrap();
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
    }
}
