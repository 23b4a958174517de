//! The functions of the CUDA runtime (`libcudart`) that are needed, from where `lapidary runtime install --cuda` has put
//! it, else from where the system has it. ONNX Runtime uses the same library, and so the same context of each card.
//!
//! # SAFETY
//! - The signatures are those of NVIDIA's cuda_runtime_api.h of CUDA 13. The library is never unloaded, so its functions
//!   stay where they are. They may be called from any thread.
//! - Numbers are written into variables that are there as long as the call.
//! - Texts that CUDA gives are its own constants, which end with a zero.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use libloading::Library;

use crate::{
    base::{Fatal, native},
    generate::{engine::causes, heap::Failure},
};

/// The library's name.
const NAME: &str = if cfg!(windows) { "cudart64_13.dll" } else { "libcudart.so.13" };

/// `cudaSuccess`.
pub(super) const SUCCESS: c_int = 0;

/// The functions, with the names that they have here.
pub(super) struct Api {
    pub(super) set_device: unsafe extern "C" fn(device: c_int) -> c_int,
    /// Bytes of the device.
    pub(super) memory_info: unsafe extern "C" fn(free: *mut usize, total: *mut usize) -> c_int,
    pub(super) allocate: unsafe extern "C" fn(address: *mut *mut c_void, bytes: usize) -> c_int,
    pub(super) free: unsafe extern "C" fn(address: *mut c_void) -> c_int,
    pub(super) set: unsafe extern "C" fn(address: *mut c_void, value: c_int, bytes: usize) -> c_int,
    pub(super) copy: unsafe extern "C" fn(to: *mut c_void, from: *const c_void, bytes: usize, kind: c_int) -> c_int,
    pub(super) copy_rows: CopyRows,
    pub(super) synchronize: unsafe extern "C" fn(stream: *mut c_void) -> c_int,
    pub(super) device_count: unsafe extern "C" fn(count: *mut c_int) -> c_int,
    pub(super) bus_id: unsafe extern "C" fn(text: *mut c_char, length: c_int, device: c_int) -> c_int,
    pub(super) driver_version: unsafe extern "C" fn(version: *mut c_int) -> c_int,
    pub(super) error_text: unsafe extern "C" fn(code: c_int) -> *const c_char,
    pub(super) last_error: unsafe extern "C" fn() -> c_int,
    /// Keeps the functions where they are.
    #[allow(dead_code, reason = "held, never asked")]
    pub(super) library: Option<Library>,
}

/// `cudaMemcpy2D`.
type CopyRows = unsafe extern "C" fn(
    to: *mut c_void,
    to_pitch: usize,
    from: *const c_void,
    from_pitch: usize,
    width: usize,
    height: usize,
    kind: c_int,
) -> c_int;

/// # Safety
/// The function must be an `F`.
unsafe fn function<F: Copy>(library: &Library, name: &str) -> Result<F, libloading::Error> {
    // SAFETY: as promised.
    unsafe { library.get::<F>(name) }.map(|symbol| *symbol)
}

impl Api {
    /// The library, loaded once per process.
    ///
    /// # Errors
    /// When it is not there, or is something else.
    pub(super) fn load() -> Result<&'static Self, Fatal> {
        static LOADED: Mutex<Option<&'static Api>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(api) = *loaded {
            return Ok(api);
        }
        let installed = native::cuda_folder().join(NAME);
        let path = if installed.is_file() { installed } else { PathBuf::from(NAME) };
        let api: &'static Self = Box::leak(Box::new(Self::load_from(&path)?));
        *loaded = Some(api);
        Ok(api)
    }

    fn load_from(path: &Path) -> Result<Self, Fatal> {
        // SAFETY: when it is loaded the library does nothing but take note of it.
        let library = unsafe { Library::new(path) };
        library.and_then(Self::of).map_err(|error| {
            let message = format!("the CUDA runtime cannot be loaded from `{}`: {}", path.display(), causes(&error));
            Fatal::new(message, "run `lapidary runtime install --cuda`, or choose `--device cpu`")
        })
    }

    /// # Errors
    /// When the library does not have one of the functions.
    fn of(library: Library) -> Result<Self, libloading::Error> {
        // SAFETY: the functions have these signatures.
        unsafe {
            Ok(Self {
                device_count: function(&library, "cudaGetDeviceCount")?,
                set_device: function(&library, "cudaSetDevice")?,
                bus_id: function(&library, "cudaDeviceGetPCIBusId")?,
                driver_version: function(&library, "cudaDriverGetVersion")?,
                memory_info: function(&library, "cudaMemGetInfo")?,
                allocate: function(&library, "cudaMalloc")?,
                free: function(&library, "cudaFree")?,
                set: function(&library, "cudaMemset")?,
                copy: function(&library, "cudaMemcpy")?,
                copy_rows: function(&library, "cudaMemcpy2D")?,
                synchronize: function(&library, "cudaStreamSynchronize")?,
                error_text: function(&library, "cudaGetErrorString")?,
                last_error: function(&library, "cudaGetLastError")?,
                library: Some(library),
            })
        }
    }

    /// What a call has come to: a failure says which it was, and CUDA's number and words for it.
    pub(super) fn judge(&self, code: c_int, what: impl FnOnce() -> String) -> Result<(), Failure> {
        if code == SUCCESS {
            return Ok(());
        }
        // ONNX Runtime asks for the latest failure behind each of its own calls: what is told here must not come up there.
        // SAFETY: takes nothing.
        unsafe { (self.last_error)() };
        Err(Failure::new(format!("{}: CUDA failure {code}: {}", what(), self.words(code))))
    }

    /// CUDA's words for a number.
    fn words(&self, code: c_int) -> String {
        // SAFETY: takes any number.
        let text = unsafe { (self.error_text)(code) };
        match text.is_null() {
            true => "unknown".to_owned(),
            // SAFETY: a constant that ends with a zero.
            false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
        }
    }

    /// How many cards there are.
    pub(super) fn count(&self) -> Result<u32, Failure> {
        let mut count = 0;
        // SAFETY: one number is written.
        let code = unsafe { (self.device_count)(&raw mut count) };
        self.judge(code, || format!("cudaGetDeviceCount ({})", self.driver()))?;
        Ok(u32::try_from(count).unwrap_or(0))
    }

    /// What the driver knows, in words.
    fn driver(&self) -> String {
        let mut version = 0;
        // SAFETY: one number is written.
        let code = unsafe { (self.driver_version)(&raw mut version) };
        match version {
            version if code == SUCCESS && version > 0 => {
                format!("the driver knows CUDA {}.{}", version / 1000, version % 1000 / 10)
            }
            _ => "there is no driver".to_owned(),
        }
    }

    /// Where a card sits on the bus, as `0000:17:00.0`; empty where CUDA does not tell.
    pub(super) fn bus(&self, ordinal: u32) -> String {
        let mut text = [0_u8; 32];
        // SAFETY: no more than so many characters are written, the last of them a zero.
        let code = unsafe { (self.bus_id)(text.as_mut_ptr().cast(), 32, ordinal.cast_signed()) };
        text.iter().take_while(|byte| code == SUCCESS && **byte != 0).map(|byte| char::from(*byte)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> Fatal {
        Api::load_from(path).err().unwrap()
    }

    #[test]
    fn a_runtime_that_is_missing_or_broken_is_named_with_the_command_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let missing = refusal(&path);
        std::fs::write(&path, b"not a library").unwrap();
        for fatal in [missing, refusal(&path)] {
            assert!(fatal.message.contains(&path.display().to_string()), "{}", fatal.message);
            assert!(fatal.hint.contains("lapidary runtime install --cuda"), "{}", fatal.hint);
        }
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_library_that_is_another_is_told_by_the_function_that_it_lacks() {
        let fatal = refusal(Path::new("libc.so.6"));
        assert!(fatal.message.contains("cudaGetDeviceCount"), "{}", fatal.message);
    }

    /// Wherever the CUDA runtime is installed, with a card and without.
    #[test]
    fn failures_carry_the_number_and_the_words_that_cuda_has_for_them_and_are_forgotten() {
        let Ok(api) = Api::load() else { return };
        let failure = api.judge(2, || "cudaMalloc on cuda:0".to_owned()).unwrap_err();
        assert_eq!(failure.to_string(), "cudaMalloc on cuda:0: CUDA failure 2: out of memory");
        assert_eq!(api.judge(SUCCESS, String::new), Ok(()));
    }
}
