//! The space that a pull takes: what is downloaded goes into the cache, what is made of it into the output. What does not fit
//! is refused before anything large is fetched.

use std::path::{Path, PathBuf};

use super::{Entry, Kind, Use, cache::unwritable};
use crate::{
    base::Fatal,
    bundle::{Config, Precision, Recipe, Source, room},
};

/// Bytes that are to be written to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writes {
    /// A folder that is there or will be made.
    pub place: PathBuf,
    /// So many.
    pub bytes: u64,
}

/// What goes into the output, if there is one. The small files lie in the snapshot.
pub fn of_output(purpose: &Use, kind: &Kind, files: &[Entry], snapshot: &Path) -> Result<Option<Writes>, Fatal> {
    let Use::Make { out: Some(out), precision } = purpose else { return Ok(None) };
    let bytes = match kind {
        Kind::Checkpoint => of_bundle(snapshot, *precision)?,
        // Links.
        Kind::Graphs(_) if room::is_one_disk(snapshot, out) => 0,
        Kind::Graphs(_) => sum(files),
    };
    Ok(Some(Writes { place: out.clone(), bytes }))
}

/// The bytes of all files.
pub fn sum(files: &[Entry]) -> u64 {
    files.iter().filter_map(|file| file.size).fold(0, u64::saturating_add)
}

fn of_bundle(snapshot: &Path, precision: Option<Precision>) -> Result<u64, Fatal> {
    let suiting = || Recipe::suiting(&Config::read(snapshot)?).map(|recipe| recipe.precision);
    Source::announced(snapshot)?.bytes(precision.map_or_else(suiting, Ok)?)
}

/// Refuses what does not fit. On one disk it is the sum that must.
pub fn check(download: &Writes, output: Option<&Writes>) -> Result<(), Fatal> {
    let free = room::free(&download.place).map_err(|error| unwritable(&download.place, &error))?;
    match output.filter(|output| output.bytes > 0) {
        None => cache_holds(download, free),
        Some(output) if room::is_one_disk(&download.place, &output.place) => disk_holds(download, output, free),
        Some(output) => {
            cache_holds(download, free)?;
            room::free(room::ground(&output.place)).map_or(Ok(()), |free| output_holds(output, free))
        }
    }
}

fn cache_holds(download: &Writes, free: u64) -> Result<(), Fatal> {
    let Writes { place, bytes } = download;
    fits(*bytes, free, || {
        Fatal::new(
            format!("`{}` has room for {free} bytes, {bytes} must be downloaded", place.display()),
            "make room, or set HF_HUB_CACHE to a folder on a larger disk",
        )
    })
}

fn output_holds(output: &Writes, free: u64) -> Result<(), Fatal> {
    let Writes { place, bytes } = output;
    fits(*bytes, free, || {
        Fatal::new(
            format!("there is room for {free} bytes where `{}` will lie, which takes {bytes}", place.display()),
            "make room, or name a folder on a larger disk; a smaller `--recipe` makes a smaller bundle",
        )
    })
}

fn disk_holds(download: &Writes, output: &Writes, free: u64) -> Result<(), Fatal> {
    let sum = download.bytes.saturating_add(output.bytes);
    fits(sum, free, || {
        let (cache, out) = (download.place.display(), output.place.display());
        Fatal::new(
            format!(
                "the disk of `{cache}` and `{out}` has room for {free} bytes, {} must be downloaded and `{out}` takes {}: \
                 {sum} in all",
                download.bytes, output.bytes
            ),
            "make room, name a folder on another disk, or set HF_HUB_CACHE to one; a smaller `--recipe` makes a smaller \
             bundle",
        )
    })
}

fn fits(bytes: u64, free: u64, refusal: impl FnOnce() -> Fatal) -> Result<(), Fatal> {
    if bytes <= free { Ok(()) } else { Err(refusal()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(place: impl Into<PathBuf>, bytes: u64) -> Writes {
        Writes { place: place.into(), bytes }
    }

    #[test]
    fn on_one_disk_the_download_and_what_is_made_of_it_must_fit_together() {
        let folder = tempfile::tempdir().unwrap();
        let (download, output) =
            (writes(folder.path(), 1000), writes(folder.path().join("new/bundle"), u64::MAX - 1000));
        assert!(check(&download, None).is_ok());
        let message = check(&download, Some(&output)).unwrap_err().message;
        let (place, bytes, sum) = (output.place.display().to_string(), output.bytes.to_string(), u64::MAX.to_string());
        assert!([place, bytes, sum].iter().all(|word| message.contains(word)), "{message}");

        let (download, output) = (writes("cache", 600), writes("bundle", 500));
        assert!(disk_holds(&download, &output, 1100).is_ok());
        assert!(disk_holds(&download, &output, 1099).is_err());
    }

    /// `/proc` is a file system of its own, with no room at all.
    #[cfg(target_os = "linux")]
    #[test]
    fn on_two_disks_each_must_hold_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let download = writes(folder.path(), 1000);
        let fatal = check(&download, Some(&writes("/proc/bundle", 5))).unwrap_err();
        assert!(fatal.message.contains("room for 0 bytes where `/proc/bundle` will lie, which takes 5"), "{fatal}");
        assert!(check(&download, Some(&writes("/proc/bundle", 0))).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn graphs_take_room_only_where_they_cannot_be_linked() {
        let cache = tempfile::tempdir().unwrap();
        let files = [Entry { path: "a.onnx".to_owned(), size: Some(7), blob: None, sha256: None }];
        let bytes = |out: PathBuf| {
            let purpose = Use::Make { out: Some(out), precision: None };
            let output = of_output(&purpose, &Kind::Graphs("q4".to_owned()), &files, cache.path());
            output.unwrap().unwrap().bytes
        };
        assert_eq!([bytes(cache.path().join("out")), bytes("/proc/out".into())], [0, 7]);
    }
}
