//! Free space: what will not fit is refused before the first byte is written.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use crate::base::Fatal;

/// Free bytes where `folder` lies.
pub fn free(folder: &Path) -> io::Result<u64> {
    let facts = rustix::fs::statvfs(folder)?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// The nearest folder on the way to `place` that is there: its disk takes what will be written to `place`.
pub fn ground(place: &Path) -> &Path {
    place.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."))
}

/// Do both places lie on one file system, so that they share its free space? Where it does not tell, they do not.
pub fn is_one_disk(one: &Path, other: &Path) -> bool {
    let disk = |place: &Path| fs::metadata(ground(place)).ok().map(|facts| facts.dev());
    disk(one).is_some_and(|one| disk(other) == Some(one))
}

/// Refuses what is larger than the free space where `folder` lies. A file system that does not tell is not asked twice.
pub fn check(folder: &Path, bytes: u64) -> Result<(), Fatal> {
    free(folder).map_or(Ok(()), |free| compare(folder, bytes, free))
}

fn compare(folder: &Path, bytes: u64, free: u64) -> Result<(), Fatal> {
    if bytes <= free {
        return Ok(());
    }
    let place = folder.parent().unwrap_or(folder).display();
    Err(Fatal::new(
        format!("no room in `{place}`: {bytes} bytes will be written, {free} are free"),
        "free some space, name another folder, or choose a smaller recipe (`--dry-run` of `model synthesize` tells sizes)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_are_named() {
        let fatal = compare(Path::new("bundles/.x.1.part"), 5_000_000, 4_999_999).unwrap_err();
        assert!(["bundles", "5000000", "4999999"].iter().all(|word| fatal.message.contains(word)), "{}", fatal.message);
        assert!(compare(Path::new("bundles"), 5, 5).is_ok());
        assert!(check(&std::env::temp_dir(), u64::MAX).is_err());
    }

    #[test]
    fn a_folder_that_will_be_made_lies_on_the_disk_of_the_nearest_one_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("bundles/new");
        assert_eq!(ground(&place), folder.path());
        assert_eq!(ground(Path::new("no-such-folder/new")), Path::new("."));
        assert!(is_one_disk(&place, folder.path()));
        #[cfg(target_os = "linux")]
        assert!(!is_one_disk(&place, Path::new("/proc/new")));
    }
}
