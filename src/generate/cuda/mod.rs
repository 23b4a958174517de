//! NVIDIA's libraries: loaded ahead, so that ONNX Runtime finds them where `lapidary runtime install --cuda` has put them.

mod api;
#[cfg(test)]
mod imitation;
pub(super) mod runtime;

use std::sync::{Mutex, PoisonError};

use ort::util::preload_dylib;

use super::engine::causes;
use crate::base::{
    Fatal,
    native::{self, GpuLibrary},
};

/// The driver's own library, which comes with the driver and with nothing else.
const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

/// Loads the driver's library and those of CUDA, for TensorRT also its own, each before whoever needs it: they have no
/// path to one another, and ONNX Runtime asks the system for them by name. Once per process. What is not in the folder of
/// native libraries may be the system's, so it is passed over here, and named by ONNX Runtime where it is not.
///
/// # Errors
/// When there is no driver, or a library that is there cannot be loaded.
pub(super) fn preload(tensorrt: bool) -> Result<(), Fatal> {
    static LOADED: Mutex<[bool; 2]> = Mutex::new([false; 2]);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if loaded[usize::from(tensorrt)] {
        return Ok(());
    }
    preload_dylib(DRIVER).map_err(|error| no_driver(&causes(&error)))?;
    native::gpu_libraries(tensorrt).iter().filter(|library| library.present).try_for_each(load)?;
    loaded[usize::from(tensorrt)] = true;
    Ok(())
}

fn load(library: &GpuLibrary) -> Result<(), Fatal> {
    preload_dylib(&*library.path).map_err(|error| {
        let message = format!("`{}` cannot be loaded: {}", library.path.display(), causes(&error));
        let hint = "run `lapidary runtime install --cuda`, which mends what is damaged, for TensorRT with `--tensorrt DIR`; \
                    `lapidary doctor --device cuda` names what is missing";
        Fatal::new(message, hint)
    })
}

fn no_driver(why: &str) -> Fatal {
    Fatal::new(
        format!("the library of the NVIDIA driver cannot be loaded: {why}"),
        "install an NVIDIA driver, 580 or newer (in a container: `--gpus all`), or choose `--device cpu`",
    )
}
