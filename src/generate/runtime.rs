//! ONNX Runtime, loaded: the proof that sessions demand, and the device that they run on.

use std::{
    fmt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use ort::{
    environment::Environment,
    logging::LogLevel,
    session::{Session, builder::SessionBuilder},
};
use serde::Deserialize;

use super::engine::causes;
use crate::base::{
    Fatal,
    native::{self, Library},
};

/// The one environment that ONNX Runtime allows per process.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// The proof that ONNX Runtime is loaded. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
}

impl Runtime {
    /// Loads the library, once per process. Call it before any thread is started: `ort` would otherwise load lazily,
    /// from wherever the system finds a library, and panic if it does not.
    ///
    /// # Errors
    /// When the library is missing, is not what was installed, or is older than 1.31 (our graphs need attention with empty
    /// keys and values, which came with it).
    pub fn load() -> Result<Self, Fatal> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(environment) = &*loaded {
            return Ok(Self { environment: environment.clone() });
        }
        let runtime = Self::load_from(&native::pinned(Library::OnnxRuntime)?)?;
        *loaded = Some(runtime.environment.clone());
        Ok(runtime)
    }

    fn load_from(path: &Path) -> Result<Self, Fatal> {
        let builder = ort::init_from(path).map_err(|error| unusable(path, &error))?;
        let environment = builder.with_telemetry(false).build().map_err(|error| unusable(path, &error))?;
        // Without this every session logs each of its nodes, which costs even where nobody listens.
        environment.set_log_level(LogLevel::Warning);
        Ok(Self { environment })
    }

    /// What ONNX Runtime says of its build.
    pub fn describe(&self) -> String {
        ort::info().to_owned()
    }

    /// A session to be, with what all sessions have in common.
    ///
    /// Where a processor has AVX2 or AVX-512 without VNNI, ONNX Runtime's quick product of u8 and s8 adds pairs in 16 bits,
    /// which overflow: unless told otherwise it computes something else there. Told so, it multiplies u8 and u8, at two
    /// thirds of the speed; with VNNI it changes nothing (`session.x64quantprecision` in
    /// onnxruntime_session_options_config_keys.h).
    ///
    /// # Errors
    /// When ONNX Runtime knows no such session.
    pub fn session(&self) -> ort::Result<SessionBuilder> {
        Ok(Session::builder(&self.environment)?.with_config_entry("session.x64quantprecision", "1")?)
    }
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> Fatal {
    let message = format!("ONNX Runtime cannot be loaded from `{}`: {}", path.display(), causes(error));
    Fatal::new(message, "run `lapidary runtime install`; it brings the version that this build needs")
}

/// Where the graphs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda,
    /// An NVIDIA GPU through TensorRT, with CUDA for what TensorRT cannot take.
    TensorRt,
    /// CUDA when it can be had, else the processor.
    #[default]
    Auto,
}

impl Device {
    /// The name in options and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::Auto => "auto",
        }
    }

    /// What to try, best first: one entry for a named device.
    pub(super) fn candidates(self) -> Vec<Self> {
        match self {
            Self::Auto => vec![Self::Cuda, Self::Cpu],
            named => vec![named],
        }
    }
}

/// A device, and which one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its kind.
    pub device: Device,
    /// Which card, as CUDA counts them (which heeds `CUDA_VISIBLE_DEVICES`); 0 for the processor.
    pub ordinal: u32,
}

impl Place {
    /// The first of its kind.
    pub fn first(device: Device) -> Self {
        Self { device, ordinal: 0 }
    }

    /// True of what runs on a card.
    pub fn is_card(self) -> bool {
        matches!(self.device, Device::Cuda | Device::TensorRt)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_card() {
            true => write!(out, "{}:{}", self.device.as_str(), self.ordinal),
            false => out.write_str(self.device.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_the_card_and_the_processor_has_no_number() {
        assert_eq!(Place { device: Device::Cuda, ordinal: 1 }.to_string(), "cuda:1");
        assert_eq!(Place::first(Device::TensorRt).to_string(), "tensorrt:0");
        assert_eq!(Place::first(Device::Cpu).to_string(), "cpu");
    }

    #[test]
    fn a_library_that_is_something_else_is_named_with_the_command_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, b"not a library").unwrap();
        let fatal = Runtime::load_from(&path).unwrap_err();
        assert!(fatal.message.contains(&path.display().to_string()), "{}", fatal.message);
        assert!(fatal.hint.contains("lapidary runtime install"));
    }
}
