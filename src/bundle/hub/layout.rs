//! A folder of its own for graphs that are used as they are: hard links to the cache's blobs, or copies where another
//! disk makes links impossible.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Pulled;
use crate::{
    base::Fatal,
    bundle::{draft::write_fatal, workshop::Workshop},
};

impl Pulled {
    /// Makes `out` a folder of the files of this pull; it must not exist.
    pub fn lay_out(&self, out: &Path) -> Result<(), Fatal> {
        let workshop = Workshop::create(out)?;
        for path in &self.files {
            let place = workshop.folder().join(path);
            take(&self.snapshot.join(path), &place).map_err(|error| write_fatal(&place, error))?;
        }
        workshop.publish(out)
    }
}

fn take(from: &Path, to: &Path) -> io::Result<()> {
    let blob: PathBuf = fs::canonicalize(from)?;
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    match fs::hard_link(&blob, to) {
        Ok(()) => Ok(()),
        Err(_) => {
            fs::copy(&blob, to)?;
            fs::File::open(to)?.sync_all()
        }
    }
}
