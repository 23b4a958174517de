//! The NVIDIA driver of this machine: which it is, which cards it serves, and whether the pinned build of ONNX Runtime can work
//! with them. It is asked through NVML, the library under `nvidia-smi`, which comes with the driver and with nothing else.

use std::{ffi::OsStr, fmt};

use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor, error::NvmlError};

use super::super::fault::Fatal;

/// NVML.
const LIBRARY: &str = if cfg!(windows) { "nvml.dll" } else { "libnvidia-ml.so.1" };

/// The CUDA that the pinned ONNX Runtime is built for. A driver runs whatever is built for the CUDA that it knows, or for an
/// older one.
const CUDA: (u32, u32) = (13, 0);

/// The first drivers that know that CUDA (release notes of CUDA 13.0).
const DRIVER: u32 = 580;

/// The oldest cards that CUDA 13 makes code for, Turing: it has dropped Maxwell, Pascal and Volta (the same notes).
const CAPABILITY: (u32, u32) = (7, 5);

/// What the driver says of itself and of its cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// Its version, such as `580.95.05`.
    pub version: String,
    /// The newest CUDA that it knows: major and minor.
    pub cuda: (u32, u32),
    /// The cards that this user may see, as `nvidia-smi` counts them, whatever `CUDA_VISIBLE_DEVICES` hides.
    pub cards: Vec<GpuCard>,
    /// The cards that it counts and cannot speak of: which, and why.
    pub lost: Vec<String>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuCard {
    /// As `nvidia-smi` counts; CUDA may count otherwise.
    pub index: u32,
    /// What is printed on it, such as `NVIDIA H200`.
    pub name: String,
    /// Its number in the world, such as `GPU-5e3c2a1b-...`.
    pub uuid: String,
    /// Its place in the machine, such as `00000000:1B:00.0`.
    pub bus: String,
    /// The compute capability: major and minor.
    pub capability: (u32, u32),
    /// Bytes of memory; 0 where the driver does not tell, as of cards that share the machine's.
    pub total: u64,
    /// Bytes of it that nobody has taken; 0 where the driver does not tell.
    pub free: u64,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NVIDIA driver {}, which knows CUDA {}", self.version, dotted(self.cuda))
    }
}

impl fmt::Display for GpuCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "card {} ({}, compute capability {})", self.index, self.name, dotted(self.capability))
    }
}

impl Driver {
    /// Whether the pinned build of ONNX Runtime can run on at least one of the cards.
    ///
    /// # Errors
    /// When the driver is too old, sees no card, or sees only cards that are too old: which.
    pub fn suits(&self) -> Result<(), Fatal> {
        self.is_new_enough()?;
        if self.cards.is_empty() {
            return Err(self.no_card());
        }
        let unfit: Vec<Fatal> = self.cards.iter().filter_map(|card| card.suits().err()).collect();
        if unfit.len() < self.cards.len() {
            return Ok(());
        }
        let messages: Vec<String> = unfit.into_iter().map(|fatal| fatal.message).collect();
        Err(Fatal::new(messages.join("; "), "take a card of the Turing generation or later, or choose `--device cpu`"))
    }

    /// Whether the driver knows the CUDA that the pinned build of ONNX Runtime is made for.
    ///
    /// # Errors
    /// When it does not: with both versions.
    pub fn is_new_enough(&self) -> Result<(), Fatal> {
        if self.cuda >= CUDA {
            return Ok(());
        }
        let message = format!(
            "there is an {self}, and the CUDA build of ONNX Runtime is made for CUDA {}: it wants a driver {DRIVER} or newer",
            dotted(CUDA)
        );
        Err(Fatal::new(message, format!("update the driver to {DRIVER} or newer and reboot, or choose `--device cpu`")))
    }

    fn no_card(&self) -> Fatal {
        let lost = if self.lost.is_empty() { String::new() } else { format!(": {}", self.lost.join("; ")) };
        let hint = "look at `nvidia-smi`; in a container start it with `--gpus all`; or choose `--device cpu`";
        Fatal::new(format!("there is an {self}, and no card that it can use{lost}"), hint)
    }
}

impl GpuCard {
    /// Whether the pinned build of ONNX Runtime has code for this card.
    ///
    /// # Errors
    /// When it is too old.
    pub fn suits(&self) -> Result<(), Fatal> {
        if self.capability >= CAPABILITY {
            return Ok(());
        }
        let (cuda, wanted) = (dotted(CUDA), dotted(CAPABILITY));
        let message = format!("{self} is too old: CUDA {cuda} makes code from compute capability {wanted} on");
        Err(Fatal::new(message, "choose another card, or `--device cpu`"))
    }
}

fn dotted((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// The driver and its cards.
///
/// # Errors
/// When none is installed, or the one that is installed cannot be asked.
pub fn driver() -> Result<Driver, Fatal> {
    find_driver()?.ok_or_else(no_driver)
}

/// The driver and its cards; nothing where no driver is installed.
///
/// # Errors
/// When there is one that cannot be asked: what is wrong with it.
pub fn find_driver() -> Result<Option<Driver>, Fatal> {
    find_by(OsStr::new(LIBRARY))
}

fn find_by(library: &OsStr) -> Result<Option<Driver>, Fatal> {
    match Nvml::builder().lib_path(library).init() {
        Ok(nvml) => ask(&nvml).map(Some).map_err(|error| refused(&error)),
        Err(NvmlError::LibloadingError(error)) => absent(&error.to_string()).map_or(Ok(None), Err),
        Err(error) => Err(refused(&error)),
    }
}

fn ask(nvml: &Nvml) -> Result<Driver, NvmlError> {
    let cuda = nvml.sys_cuda_driver_version()?;
    let mut driver = Driver {
        version: nvml.sys_driver_version()?,
        cuda: (natural(cuda_driver_version_major(cuda)), natural(cuda_driver_version_minor(cuda))),
        cards: Vec::new(),
        lost: Vec::new(),
    };
    for index in 0..nvml.device_count()? {
        match nvml.device_by_index(index).and_then(|device| card(index, &device)) {
            Ok(card) => driver.cards.push(card),
            // Somebody else's: of a shared machine this user may see a part, and CUDA counts that part alone.
            Err(NvmlError::NoPermission) => {}
            Err(error) => driver.lost.push(format!("card {index}: {error}")),
        }
    }
    Ok(driver)
}

fn card(index: u32, device: &Device<'_>) -> Result<GpuCard, NvmlError> {
    let capability = device.cuda_compute_capability()?;
    let (free, total) = device.memory_info().map_or((0, 0), |memory| (memory.free, memory.total));
    Ok(GpuCard {
        index,
        name: device.name()?,
        uuid: device.uuid()?,
        bus: device.pci_info()?.bus_id,
        capability: (natural(capability.major), natural(capability.minor)),
        total,
        free,
    })
}

fn natural(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// That none is installed, and what to do about it.
pub fn no_driver() -> Fatal {
    let hint = format!(
        "install the NVIDIA driver {DRIVER} or newer (in a container: start it with `--gpus all`, by NVIDIA's container \
        toolkit), or choose `--device cpu`"
    );
    Fatal::new(format!("no NVIDIA driver is installed: there is no `{LIBRARY}`"), hint)
}

/// What is wrong with a library that is there and cannot be loaded, as the empty ones that images of containers carry. Only
/// Linux says which of the two it is.
fn absent(cause: &str) -> Option<Fatal> {
    let there = cfg!(target_os = "linux") && !cause.contains("No such file");
    there.then(|| {
        let hint = "install the driver anew; in a container start it with `--gpus all`, by NVIDIA's container toolkit";
        Fatal::new(format!("the NVIDIA driver's library cannot be loaded: {cause}"), hint)
    })
}

/// What a driver that does not answer lacks, and what helps.
fn refused(error: &NvmlError) -> Fatal {
    let (what, now) = match error {
        NvmlError::DriverNotLoaded => (
            "an NVIDIA driver is installed and not loaded: its kernel module or its device nodes are missing",
            "reboot after an installation or an update, or run `sudo modprobe nvidia`; in a container start it with \
            `--gpus all`, by NVIDIA's container toolkit",
        ),
        NvmlError::LibRmVersionMismatch => (
            "the NVIDIA driver in the kernel and its libraries are of different versions, as after an update",
            "reboot; in a container start it anew, without libraries of a driver in its image",
        ),
        NvmlError::NoPermission | NvmlError::OperatingSystem => (
            "this user or container may not speak to the NVIDIA driver",
            "see who may read and write `/dev/nvidia*`; in a container start it with `--gpus all`, by NVIDIA's container \
            toolkit",
        ),
        NvmlError::LibraryNotFound | NvmlError::FunctionNotFound => (
            "an NVIDIA driver is installed without its CUDA library, `libcuda.so.1`",
            "install the driver's part for computing; in a container set `NVIDIA_DRIVER_CAPABILITIES=compute,utility`",
        ),
        NvmlError::FailedToLoadSymbol(_) => (
            "an NVIDIA driver is installed that is too old to be asked",
            "update the driver to 580 or newer and reboot, or choose `--device cpu`",
        ),
        other => {
            let hint =
                "see what `nvidia-smi` and the kernel's log say; a reboot may help, in a container its new start";
            return Fatal::new(format!("the NVIDIA driver does not answer: {other}"), hint);
        }
    };
    Fatal::new(what, now)
}

/// What is to be said of this machine's driver before over 1 GB is fetched for it. None at all is no error: an image may be
/// made on a machine without a card.
///
/// # Errors
/// When the driver or all of its cards are too old for what would be fetched.
pub fn before_fetching(found: Result<Option<Driver>, Fatal>) -> Result<String, Fatal> {
    match found {
        Ok(None) => Ok(format!("no NVIDIA driver here; where this is to run there must be one, {DRIVER} or newer")),
        Err(fatal) => Ok(format!("{} (hint: {})", fatal.message, fatal.hint)),
        Ok(Some(driver)) if driver.cards.is_empty() => {
            driver.is_new_enough().map_err(unfetched)?;
            Ok(driver.no_card().message)
        }
        Ok(Some(driver)) => driver.suits().map(|()| format!("{driver}: new enough")).map_err(unfetched),
    }
}

fn unfetched(fatal: Fatal) -> Fatal {
    let hint = format!(
        "nothing was fetched: update the driver to {DRIVER} or newer, or take a card of the Turing generation or later; \
        without `--cuda` comes the build for the processor"
    );
    Fatal::new(fatal.message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(index: u32, name: &str, capability: (u32, u32)) -> GpuCard {
        let (uuid, bus) = (format!("GPU-{index}"), format!("00000000:0{index}:00.0"));
        GpuCard { index, name: name.to_owned(), uuid, bus, capability, total: 0, free: 0 }
    }

    fn driver_of(cuda: (u32, u32), cards: Vec<GpuCard>) -> Driver {
        Driver { version: "580.95.05".to_owned(), cuda, cards, lost: Vec::new() }
    }

    #[test]
    fn a_driver_and_a_card_that_are_new_enough_suit() {
        for (cuda, capability) in [((13, 0), (9, 0)), ((13, 0), (7, 5)), ((13, 2), (12, 1)), ((14, 0), (8, 6))] {
            assert_eq!(driver_of(cuda, vec![card(0, "gem", capability)]).suits(), Ok(()), "{cuda:?} {capability:?}");
        }
    }

    #[test]
    fn a_driver_that_is_too_old_is_told_with_what_it_knows_and_what_is_wanted() {
        let fatal = driver_of((12, 8), vec![card(0, "NVIDIA H200", (9, 0))]).suits().unwrap_err();
        for word in ["580.95.05", "CUDA 12.8", "CUDA 13.0", "580 or newer"] {
            assert!(fatal.message.contains(word), "{fatal}");
        }
        assert!(fatal.hint.contains("update the driver") && fatal.hint.contains("--device cpu"), "{}", fatal.hint);
    }

    #[test]
    fn a_card_that_is_too_old_is_named_and_does_not_spoil_another() {
        let old = card(0, "Tesla V100-SXM2-16GB", (7, 0));
        let fatal = old.suits().unwrap_err();
        assert!(fatal.message.contains("card 0 (Tesla V100-SXM2-16GB, compute capability 7.0)"), "{fatal}");
        assert!(fatal.message.contains("7.5"), "{fatal}");
        let fatal = driver_of((13, 0), vec![old.clone(), card(1, "Quadro P400", (6, 1))]).suits().unwrap_err();
        assert!(fatal.message.contains("V100") && fatal.message.contains("P400"), "{fatal}");
        assert_eq!(driver_of((13, 0), vec![old, card(1, "NVIDIA L4", (8, 9))]).suits(), Ok(()));
    }

    #[test]
    fn a_driver_without_a_card_says_which_it_has_lost() {
        let mut driver = driver_of((13, 0), Vec::new());
        driver.lost.push("card 0: device fell off the bus".to_owned());
        let fatal = driver.suits().unwrap_err();
        assert!(fatal.message.contains("no card") && fatal.message.contains("fell off the bus"), "{fatal}");
    }

    #[test]
    fn a_driver_that_does_not_answer_is_told_with_what_helps() {
        let cases = [
            (NvmlError::DriverNotLoaded, "not loaded", "--gpus all"),
            (NvmlError::LibRmVersionMismatch, "different versions", "reboot"),
            (NvmlError::NoPermission, "may not speak", "/dev/nvidia*"),
            (NvmlError::LibraryNotFound, "libcuda.so.1", "NVIDIA_DRIVER_CAPABILITIES"),
            (NvmlError::FailedToLoadSymbol("nvmlInit_v2".to_owned()), "too old", "580"),
            (NvmlError::GpuLost, "fell off the bus", "nvidia-smi"),
        ];
        for (error, what, now) in cases {
            let fatal = refused(&error);
            assert!(fatal.message.contains(what) && fatal.hint.contains(now), "{error:?}: {fatal} {}", fatal.hint);
        }
    }

    #[test]
    fn where_there_is_no_library_there_is_no_driver() {
        assert_eq!(find_by(OsStr::new("/nowhere/libnvidia-ml.so.1")), Ok(None));
        let fatal = no_driver();
        assert!(fatal.message.contains("no NVIDIA driver is installed"), "{fatal}");
        assert!(fatal.hint.contains("580") && fatal.hint.contains("--device cpu"), "{}", fatal.hint);
    }

    /// As images of containers carry it.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_empty_library_is_no_driver_and_not_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LIBRARY);
        std::fs::write(&path, "").unwrap();
        let fatal = find_by(path.as_os_str()).unwrap_err();
        assert!(fatal.message.contains("cannot be loaded") && fatal.hint.contains("container"), "{fatal}");
    }

    #[test]
    fn what_is_too_old_is_told_before_the_download_and_what_is_missing_is_a_remark() {
        assert!(before_fetching(Ok(None)).unwrap().contains("no NVIDIA driver here"));
        assert!(before_fetching(Err(refused(&NvmlError::DriverNotLoaded))).unwrap().contains("modprobe"));
        assert!(before_fetching(Ok(Some(driver_of((13, 0), Vec::new())))).unwrap().contains("no card"));
        let good = driver_of((13, 0), vec![card(0, "NVIDIA H200", (9, 0))]);
        assert!(before_fetching(Ok(Some(good))).unwrap().contains("580.95.05"));
        let old_driver = before_fetching(Ok(Some(driver_of((12, 4), Vec::new())))).unwrap_err();
        assert!(old_driver.message.contains("CUDA 12.4"), "{old_driver}");
        let titan = driver_of((13, 0), vec![card(0, "Titan X", (5, 2))]);
        let old_card = before_fetching(Ok(Some(titan))).unwrap_err();
        assert!(old_card.message.contains("Titan X") && old_card.hint.contains("without `--cuda`"), "{old_card}");
    }
}
