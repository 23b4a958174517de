//! The pinned packages: which wheel, for which machine, with which SHA-256. The registry is the user's own: only
//! names, versions and hashes stand here.

use super::{super::fault::Fatal, Library};

/// Where the CUDA libraries lie inside the folder of native libraries.
pub const CUDA_FOLDER: &str = "cuda";

/// A wheel and what is taken out of it.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Its name in the registry.
    pub name: &'static str,
    /// The pinned version.
    pub version: &'static str,
    /// SHA-256 of the wheels for the machines that have one.
    pub wheels: &'static [(Machine, &'static str)],
    /// What is taken out.
    pub take: Take,
}

/// What is taken out of a wheel, besides its licences.
#[derive(Debug, Clone, Copy)]
pub enum Take {
    /// The one member whose name starts so (the rest is a version), under the library's own name; and beside it the
    /// members that start so, under their own names.
    Library(Library, &'static [&'static str], &'static [&'static str]),
    /// All shared libraries, into the CUDA folder.
    SharedLibraries,
}

/// Operating system and processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Linux with glibc on x86-64.
    LinuxX64,
    /// Linux with glibc on 64-bit ARM.
    LinuxArm,
    /// macOS on Apple silicon.
    MacArm,
    /// macOS on Intel.
    MacX64,
    /// Windows on x86-64.
    WindowsX64,
    /// Windows on 64-bit ARM.
    WindowsArm,
}

use Machine::{LinuxArm, LinuxX64, MacArm, MacX64, WindowsArm, WindowsX64};

impl Machine {
    /// The machine that this program was built for.
    pub fn this() -> Result<Self, Fatal> {
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Ok(LinuxX64),
            ("linux", "aarch64") => Ok(LinuxArm),
            ("macos", "aarch64") => Ok(MacArm),
            ("macos", "x86_64") => Ok(MacX64),
            ("windows", "x86_64") => Ok(WindowsX64),
            ("windows", "aarch64") => Ok(WindowsArm),
            (system, processor) => Err(Fatal::new(
                format!("there are no pinned native libraries for {system} on {processor}"),
                format!("put your own into a folder and name it in `{}`", super::FOLDER_VARIABLE),
            )),
        }
    }

    /// The platform tags that pip is asked for.
    pub fn platforms(self) -> &'static [&'static str] {
        match self {
            LinuxX64 => {
                &["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]
            }
            LinuxArm => &["manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"],
            MacArm => &["macosx_14_0_arm64"],
            MacX64 => &["macosx_14_0_x86_64"],
            WindowsX64 => &["win_amd64"],
            WindowsArm => &["win_arm64"],
        }
    }
}

impl Package {
    /// True of what nobody needs who has no card.
    pub fn is_for_cards(&self) -> bool {
        self.name == RUNTIME_CUDA.name || matches!(self.take, Take::SharedLibraries)
    }

    /// The hash of the wheel for `machine`.
    pub fn wheel(&self, machine: Machine) -> Result<&'static str, Fatal> {
        let found = self.wheels.iter().find(|(other, _)| *other == machine);
        found.map(|(_, hash)| *hash).ok_or_else(|| {
            Fatal::new(
                format!("there is no wheel of {} {} for this machine ({machine:?})", self.name, self.version),
                format!("put your own library into a folder and name it in `{}`", super::FOLDER_VARIABLE),
            )
        })
    }
}

const RUNTIME_MEMBERS: &[&str] =
    &["onnxruntime/capi/libonnxruntime.so.", "onnxruntime/capi/libonnxruntime.1", "onnxruntime/capi/onnxruntime.dll"];

const PROVIDER_MEMBERS: &[&str] =
    &["onnxruntime/capi/libonnxruntime_providers_", "onnxruntime/capi/onnxruntime_providers_"];

/// ONNX Runtime for processors.
pub const RUNTIME: Package = Package {
    name: "onnxruntime",
    version: "1.31.1",
    wheels: &[
        (LinuxX64, "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f"),
        (LinuxArm, "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3"),
        (MacArm, "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7"),
        (WindowsX64, "c3d91b5de31e2fc82d71bd65b2b22bddee8b49057a3a36338e9a868e0ea90c05"),
        (WindowsArm, "93800007a7023b3ab26ad72e6463d0d57d84ead49a2f6341954d91438e046bc0"),
    ],
    take: Take::Library(Library::OnnxRuntime, RUNTIME_MEMBERS, PROVIDER_MEMBERS),
};

/// ONNX Runtime with CUDA 13 and TensorRT; also runs on processors.
pub const RUNTIME_CUDA: Package = Package {
    name: "onnxruntime-gpu",
    version: "1.31.1",
    wheels: &[
        (LinuxX64, "e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6"),
        (WindowsX64, "fd98341ba71c093153f0dcfc53eb69d57f706866fb45e94e5b0cde5d97a50dbf"),
    ],
    take: Take::Library(Library::OnnxRuntime, RUNTIME_MEMBERS, PROVIDER_MEMBERS),
};

/// PDFium.
pub const PDFIUM: Package = Package {
    name: "pypdfium2",
    version: "5.15.2",
    wheels: &[
        (LinuxX64, "dc31aea5b0fb9fefc9b537a65f4113980b2c40798445736a7e6565bc85161e37"),
        (LinuxArm, "dd46e93c0c3a73f6cea8489baff6d77a5d0759dd53fbbce0aeb49c91830176fc"),
        (MacArm, "e71fe832e94421ac3c28d6a6ed4a9e61f22417089652d339f391c4ffc2a44c35"),
        (MacX64, "7f296a298074d76fb7c3d1ecb80d7097a96778bf0ad9c5c48a0170e56e2c6821"),
        (WindowsX64, "74d1bace34fb01c660d0b64344d5a4b7d276942b7c6623c88ab59ea21c5acfbd"),
        (WindowsArm, "a20398367f188eb817be156bfd00077dcb5f8ad06c093849f3fa70b8087b4a87"),
    ],
    take: Take::Library(
        Library::Pdfium,
        &["pypdfium2_raw/libpdfium.so", "pypdfium2_raw/libpdfium.dylib", "pypdfium2_raw/pdfium.dll"],
        &[],
    ),
};

/// ffmpeg, which is GPL in this build: fetched for the user's own use, run as a separate program, never bundled.
pub const FFMPEG: Package = Package {
    name: "imageio-ffmpeg",
    version: "0.8.1",
    wheels: &[
        (LinuxX64, "050d6850601c3b3890bd2b28306f3b842b3daea390a561101174375a1c460bda"),
        (LinuxArm, "fad3176f859b25869e60a8ed79957d4e3ed74a97a95e5f0cdcb91455f6c6d00e"),
        (MacArm, "5636d691e36e5274b13fe38182b1f627b2e35dcecc63944012c2470f9484fc45"),
        (MacX64, "9538a10e598257263b5de1a1c1b86e7603417bc219245b1e279b452e5e48cc20"),
        (WindowsX64, "f27ca4cb85e2d4946deedbce1a81245dfd942a2bcf94b53676fb3956aa95bf1b"),
        (WindowsArm, "0b7079e63dc34f97e43db5a5b7b9efb85edc1c6623313e0a4a17ebc7c2ce7a51"),
    ],
    take: Take::Library(Library::Ffmpeg, &["imageio_ffmpeg/binaries/ffmpeg-"], &[]),
};

const fn cuda(name: &'static str, version: &'static str, wheels: &'static [(Machine, &'static str)]) -> Package {
    Package { name, version, wheels, take: Take::SharedLibraries }
}

/// What ONNX Runtime's CUDA provider loads, and cuBLAS, which its metadata forgets.
pub const CUDA: [Package; 6] = [
    cuda(
        "nvidia-cuda-runtime",
        "13.0.96",
        &[(LinuxX64, "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548")],
    ),
    cuda(
        "nvidia-cuda-nvrtc",
        "13.0.88",
        &[(LinuxX64, "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575")],
    ),
    cuda(
        "nvidia-cufft",
        "12.0.0.61",
        &[(LinuxX64, "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3")],
    ),
    cuda(
        "nvidia-curand",
        "10.4.5.25",
        &[(LinuxX64, "22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529")],
    ),
    cuda(
        "nvidia-cublas",
        "13.1.2.11",
        &[(LinuxX64, "e1ad7b57879088bc79e31cc172891a64332f76ae733084d4aaaaa65499b9b3de")],
    ),
    cuda(
        "nvidia-cudnn-cu13",
        "9.28.0.42",
        &[(LinuxX64, "7358353c75bb121a58e5f7712fe6d588883dc1df8ba00f428237e44e97543c4d")],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pinned_hash_is_a_sha256_and_none_is_there_twice() {
        let packages = [RUNTIME, RUNTIME_CUDA, PDFIUM, FFMPEG].into_iter().chain(CUDA);
        let mut hashes: Vec<&str> = packages.flat_map(|package| package.wheels.iter().map(|(_, hash)| *hash)).collect();
        assert!(hashes.iter().all(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn what_is_for_cards_is_told_apart_from_what_all_need() {
        assert!(CUDA.into_iter().chain([RUNTIME_CUDA]).all(|package| package.is_for_cards()));
        assert!([RUNTIME, PDFIUM, FFMPEG].iter().all(|package| !package.is_for_cards()));
    }
}
