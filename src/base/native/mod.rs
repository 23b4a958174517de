//! Native libraries: which there are, where they lie, and how they get there.

mod claim;
mod driver;
mod gpu;
mod install;
mod manifest;
mod packages;
mod pins;
mod pip;
mod signpost;
mod tensorrt;

use std::path::PathBuf;

use super::fault::Fatal;

pub use driver::{Driver, GpuCard, driver, find_driver, no_driver};
pub use gpu::{CudaBuild, GpuLibrary, cuda_build, examine_gpu, gpu_libraries, has_tensorrt, tensorrt_builders};
pub use install::{InstallRequest, Installed, InstalledFile, install};
pub use pins::{Provenance, examine, pinned, pinned_once};

/// The environment variable that names the folder of the native libraries.
pub const FOLDER_VARIABLE: &str = "LAPIDARY_NATIVE";

/// A library or program that is not ours and not linked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Library {
    /// ONNX Runtime: runs the graphs.
    OnnxRuntime,
    /// PDFium: renders PDF pages.
    Pdfium,
    /// ffmpeg: decodes films and rare codecs; one on PATH is taken where none is installed.
    Ffmpeg,
}

impl Library {
    /// All of them, in the order of installation.
    pub const ALL: [Self; 3] = [Self::OnnxRuntime, Self::Pdfium, Self::Ffmpeg];

    /// The file's name in the folder of native libraries.
    pub fn file_name(self) -> &'static str {
        let (linux, mac, windows) = match self {
            Self::OnnxRuntime => ("libonnxruntime.so", "libonnxruntime.dylib", "onnxruntime.dll"),
            Self::Pdfium => ("libpdfium.so", "libpdfium.dylib", "pdfium.dll"),
            Self::Ffmpeg => ("ffmpeg", "ffmpeg", "ffmpeg.exe"),
        };
        match std::env::consts::OS {
            "macos" => mac,
            "windows" => windows,
            _ => linux,
        }
    }
}

/// The folder of the native libraries: `LAPIDARY_NATIVE`, else `lapidary/native` in the user's data folder.
pub fn folder() -> PathBuf {
    let own = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    own.unwrap_or_else(|| dirs::data_dir().unwrap_or_else(|| PathBuf::from(".")).join("lapidary/native"))
}

/// The folder beside the libraries that holds the CUDA libraries after `lapidary runtime install --cuda`.
pub fn cuda_folder() -> PathBuf {
    folder().join(packages::CUDA_FOLDER)
}

/// The path of a library, or an error that names the command to run.
pub fn locate(library: Library) -> Result<PathBuf, Fatal> {
    let path = folder().join(library.file_name());
    if path.is_file() {
        return Ok(path);
    }
    let own = (library == Library::Ffmpeg).then(|| on_path(library.file_name())).flatten();
    own.ok_or_else(|| Fatal::new(format!("`{}` is missing", path.display()), "run `lapidary runtime install`"))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}
