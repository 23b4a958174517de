//! Native libraries: which there are, and where they lie.

use std::path::PathBuf;

use super::fault::Fatal;

/// The environment variable that names the folder of the native libraries.
pub const FOLDER_VARIABLE: &str = "LAPIDARY_NATIVE";

/// A library or program that is not ours and not linked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// ONNX Runtime: runs the graphs.
    OnnxRuntime,
    /// PDFium: renders PDF pages.
    Pdfium,
    /// ffmpeg: decodes films and rare codecs; one on PATH is preferred.
    Ffmpeg,
}

impl Library {
    /// The file's name in the folder of native libraries.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "libonnxruntime.so",
            Self::Pdfium => "libpdfium.so",
            Self::Ffmpeg => "ffmpeg",
        }
    }
}

/// The folder of the native libraries: `LAPIDARY_NATIVE`, else `lapidary/native` in the user's data folder.
pub fn folder() -> PathBuf {
    let own = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    own.unwrap_or_else(|| dirs::data_dir().unwrap_or_else(|| PathBuf::from(".")).join("lapidary/native"))
}

/// The path of a library, or an error that names the command to run.
pub fn locate(library: Library) -> Result<PathBuf, Fatal> {
    let path = folder().join(library.file_name());
    if path.is_file() {
        return Ok(path);
    }
    Err(Fatal::new(format!("`{}` is missing", path.display()), "run `lapidary runtime install`"))
}
