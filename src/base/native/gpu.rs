//! The libraries that a run on a card loads: which there are, where they lie, and in which order they are loaded.

use std::path::{Path, PathBuf};

use super::{
    super::fault::Fatal,
    folder,
    manifest::Manifest,
    packages::{CUDA_FOLDER, RUNTIME_CUDA},
    pins::{Provenance, examine_file},
    signpost, tensorrt,
};

/// A library of CUDA, cuDNN or TensorRT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuLibrary {
    /// The name by which others ask for it.
    pub name: &'static str,
    /// Where it lies, or should.
    pub path: PathBuf,
    /// True when it is there.
    pub present: bool,
}

/// Whether ONNX Runtime is a build that knows cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CudaBuild {
    /// It is not.
    Missing,
    /// `lapidary runtime install --cuda` has put it there, with the libraries of CUDA.
    Pinned,
    /// It is the user's own, and the libraries of CUDA may be the system's.
    Own,
}

/// What ONNX Runtime's CUDA provider and cuDNN load, each behind those that it needs. Some are needed outright, others
/// asked for by name while they run; cuDNN's parts find each other, since they look beside themselves. All are loaded at
/// once: it takes 0.3 s, since no page is read before it is needed. cuFFT's and cuBLAS's other faces (`cufftw`, `nvblas`) and
/// the second compilers (`.alt.`) are asked for by nobody.
const CUDA: [&str; 17] = [
    "libcudart.so.13",
    "libnvrtc-builtins.so.13.0",
    "libnvrtc.so.13",
    "libcublasLt.so.13",
    "libcublas.so.13",
    "libcurand.so.10",
    "libcufft.so.12",
    "libcudnn_graph.so.9",
    "libcudnn_ops.so.9",
    "libcudnn_cnn.so.9",
    "libcudnn_adv.so.9",
    "libcudnn_heuristic.so.9",
    "libcudnn_ext.so.9",
    "libcudnn_engines_precompiled.so.9",
    "libcudnn_engines_runtime_compiled.so.9",
    "libcudnn_engines_tensor_ir.so.9",
    "libcudnn.so.9",
];

/// The libraries of CUDA and cuDNN, with `tensorrt` also those of TensorRT, in the order in which they must be loaded: whoever
/// is needed is there before. The driver's own, `libcuda.so.1`, comes before all of them and is not among them.
pub fn gpu_libraries(tensorrt: bool) -> Vec<GpuLibrary> {
    libraries_in(&folder(), tensorrt)
}

fn libraries_in(folder: &Path, tensorrt: bool) -> Vec<GpuLibrary> {
    let library = |below: &str, name: &'static str| {
        let path = folder.join(below).join(name);
        GpuLibrary { name, present: path.is_file(), path }
    };
    let cuda = CUDA.into_iter().map(|name| library(CUDA_FOLDER, name));
    let mut libraries: Vec<GpuLibrary> = cuda.collect();
    if tensorrt {
        // First of TensorRT's, since it must be the one that brings the others in. Libraries of the user's own may do without.
        libraries.extend(Some(library(tensorrt::FOLDER, signpost::NAME)).filter(|signpost| signpost.present));
        libraries.extend(tensorrt::LIBRARIES.into_iter().map(|name| library(tensorrt::FOLDER, name)));
    }
    libraries
}

/// Whether the ONNX Runtime in the folder of native libraries knows cards.
pub fn cuda_build() -> CudaBuild {
    let folder = folder();
    match folder.join(provider("cuda")).is_file() {
        _ if Manifest::read(&folder).holds(RUNTIME_CUDA.name) => CudaBuild::Pinned,
        true => CudaBuild::Own,
        false => CudaBuild::Missing,
    }
}

/// True when there is something of TensorRT in the folder of native libraries.
pub fn has_tensorrt() -> bool {
    folder().join(tensorrt::FOLDER).is_dir()
}

/// The libraries by which TensorRT builds engines, one for each kind of card, by name; they are opened when they are needed.
pub fn tensorrt_builders() -> Vec<String> {
    tensorrt::builders_in(&folder().join(tensorrt::FOLDER))
}

/// Of each library that a run on a card loads and that is there, the name relative to the folder of native libraries, and
/// whether it is what was installed. Reads all of them, which are over 2 GB.
pub fn examine_gpu(tensorrt: bool) -> Vec<(String, Result<Provenance, Fatal>)> {
    let folder = folder();
    let present = files(tensorrt).into_iter().filter(|name| folder.join(name).is_file());
    present.map(|name| (name.clone(), examine_file(&folder, &name))).collect()
}

/// Relative to the folder of native libraries.
fn files(tensorrt: bool) -> Vec<String> {
    let providers = ["shared", "cuda"].into_iter().chain(tensorrt.then_some("tensorrt")).map(provider);
    let cuda = CUDA.into_iter().map(|name| format!("{CUDA_FOLDER}/{name}"));
    let own = [signpost::NAME].into_iter().chain(tensorrt::LIBRARIES).map(str::to_owned).chain(tensorrt_builders());
    let engines = own.filter(|_| tensorrt).map(|name| format!("{}/{name}", tensorrt::FOLDER));
    providers.chain(cuda).chain(engines).collect()
}

/// The file of one of ONNX Runtime's providers, which lies beside ONNX Runtime.
fn provider(kind: &str) -> String {
    match std::env::consts::OS {
        "windows" => format!("onnxruntime_providers_{kind}.dll"),
        _ => format!("libonnxruntime_providers_{kind}.so"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs};

    use super::*;

    /// Who needs whom: `readelf -d` of the pinned packages and of TensorRT 10, and the names in them that are opened while
    /// they run. The system's and the driver's libraries are left out.
    const NEEDS: [(&str, &[&str]); 21] = [
        ("libcudart.so.13", &[]),
        ("libnvrtc-builtins.so.13.0", &[]),
        ("libnvrtc.so.13", &["libnvrtc-builtins.so.13.0"]),
        ("libcublasLt.so.13", &["libnvrtc.so.13"]),
        ("libcublas.so.13", &["libcublasLt.so.13"]),
        ("libcurand.so.10", &["libcudart.so.13"]),
        ("libcufft.so.12", &["libnvrtc.so.13"]),
        ("libcudnn_graph.so.9", &["libnvrtc.so.13"]),
        ("libcudnn_ops.so.9", &["libcudnn_graph.so.9"]),
        ("libcudnn_cnn.so.9", &["libcudnn_ops.so.9", "libcudnn_graph.so.9"]),
        ("libcudnn_adv.so.9", &["libcudnn_ops.so.9", "libcudnn_graph.so.9", "libcublasLt.so.13"]),
        ("libcudnn_heuristic.so.9", &["libcudnn_graph.so.9"]),
        ("libcudnn_ext.so.9", &["libnvrtc.so.13", "libnvrtc-builtins.so.13.0"]),
        ("libcudnn_engines_precompiled.so.9", &["libcudnn_graph.so.9", "libcublasLt.so.13", "libnvrtc.so.13"]),
        ("libcudnn_engines_runtime_compiled.so.9", &["libcudnn_graph.so.9"]),
        ("libcudnn_engines_tensor_ir.so.9", &["libcudnn_graph.so.9", "libcudart.so.13", "libnvrtc.so.13"]),
        (
            "libcudnn.so.9",
            &[
                "libcudnn_graph.so.9",
                "libcudnn_ops.so.9",
                "libcudnn_cnn.so.9",
                "libcudnn_adv.so.9",
                "libcudnn_ext.so.9",
            ],
        ),
        (signpost::NAME, &[]),
        ("libnvinfer.so.10", &[signpost::NAME]),
        ("libnvinfer_plugin.so.10", &["libnvinfer.so.10"]),
        ("libnvonnxparser.so.10", &["libnvinfer.so.10"]),
    ];

    /// What ONNX Runtime's two providers need outright, and the CUDA one opens while it runs.
    const ASKED: [&str; 10] = [
        "libcublasLt.so.13",
        "libcublas.so.13",
        "libcurand.so.10",
        "libcudart.so.13",
        "libcufft.so.12",
        "libcudnn.so.9",
        "libnvrtc.so.13",
        "libnvinfer.so.10",
        "libnvinfer_plugin.so.10",
        "libnvonnxparser.so.10",
    ];

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn names(libraries: &[GpuLibrary]) -> Vec<&'static str> {
        libraries.iter().map(|library| library.name).collect()
    }

    #[test]
    fn each_library_is_loaded_behind_those_that_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join(tensorrt::FOLDER).join(signpost::NAME));
        let mut loaded = HashSet::new();
        for name in names(&libraries_in(folder.path(), true)) {
            let (_, needed) = NEEDS.iter().find(|(other, _)| *other == name).unwrap();
            assert!(needed.iter().all(|other| loaded.contains(other)), "{name} wants {needed:?}, there are {loaded:?}");
            assert!(loaded.insert(name), "{name} is there twice");
        }
        assert_eq!(loaded.len(), NEEDS.len());
        assert!(ASKED.iter().all(|name| loaded.contains(name)));
    }

    #[test]
    fn a_library_is_present_where_it_lies_and_tensorrt_is_left_out_unless_wanted() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join("cuda/libcublas.so.13"));
        let libraries = libraries_in(folder.path(), false);
        assert_eq!(names(&libraries), CUDA);
        let present: Vec<_> = libraries.iter().filter(|library| library.present).collect();
        assert_eq!((present.len(), present[0].name), (1, "libcublas.so.13"));
        assert_eq!(present[0].path, folder.path().join("cuda/libcublas.so.13"));
        // Without a signpost, which libraries of the user's own may lack, there is none to load.
        assert_eq!(names(&libraries_in(folder.path(), true))[CUDA.len()..], tensorrt::LIBRARIES);
    }
}
