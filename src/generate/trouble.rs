//! What an error on a card means: the text that ONNX Runtime gives in, [`Trouble`] out.
//!
//! Whatever fails in NVIDIA's libraries has one form of words, in ONNX Runtime and in our own calls; the number is the
//! library's:
//!
//! ```text
//! CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h ; file=f.cc ; line=7 ; expr=f(x);
//! ```
//!
//! ONNX Runtime's own store of memory, the arena, has words of its own, and covers with them what CUDA has told it: so
//! a lost card may look like one without memory, until its next call.

use crate::base::Fatal;

/// What a text tells of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There was not enough memory. With less at once there may be; of the processor's memory too.
    OutOfMemory,
    /// Whatever this process has on the card is of no more use: every call to come will fail.
    LostCard,
    /// Neither, as far as the text tells. What cuBLAS and cuDNN say when they cannot run is among it: behind it may be
    /// a lost card, which shows at the next call, or a kernel that cannot do what one unit asks.
    Other,
}

/// Errors of CUDA (`cudaError_t` of CUDA 13) after which the card, or what the process has on it, is gone. Of most of
/// them NVIDIA says that "the process must be terminated and relaunched".
const LOST: [u32; 25] = [
    4,   // cudaErrorCudartUnloading: driver shutting down
    46,  // cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable
    100, // cudaErrorNoDevice: no CUDA-capable device is detected
    101, // cudaErrorInvalidDevice: invalid device ordinal
    201, // cudaErrorDeviceUninitialized: invalid device context
    214, // cudaErrorECCUncorrectable: uncorrectable ECC error encountered
    220, // cudaErrorNvlinkUncorrectable: uncorrectable NVLink error detected during the execution
    226, // cudaErrorContained: Invalid access of peer GPU memory over nvlink or a hardware error
    700, // cudaErrorIllegalAddress: an illegal memory access was encountered
    702, // cudaErrorLaunchTimeout: the launch timed out and was terminated
    709, // cudaErrorContextIsDestroyed: context is destroyed
    710, // cudaErrorAssert: device-side assert triggered
    714, // cudaErrorHardwareStackError: hardware stack error
    715, // cudaErrorIllegalInstruction: an illegal instruction was encountered
    716, // cudaErrorMisalignedAddress: misaligned address
    717, // cudaErrorInvalidAddressSpace: operation not supported on global/shared address space
    718, // cudaErrorInvalidPc: invalid program counter
    719, // cudaErrorLaunchFailure: unspecified launch failure
    721, // cudaErrorTensorMemoryLeak: tensor memory not completely freed
    802, // cudaErrorSystemNotReady: system not yet initialized
    805, // cudaErrorMpsConnectionFailed: MPS client failed to connect to the MPS control daemon or the MPS server
    806, // cudaErrorMpsRpcFailure: the remote procedural call between the MPS server and the MPS client failed
    810, // cudaErrorMpsClientTerminated: the MPS client has been terminated by the server
    911, // cudaErrorExternalDevice: an async error has occured in external entity outside of CUDA
    999, // cudaErrorUnknown: unknown error, which is also what a card says that has fallen off the bus
];

/// What the driver, and those who ask it, say of a card that is no longer there.
const LOST_WORDS: [&str; 4] = ["fallen off the bus", "GPU is lost", "device is lost", "an illegal memory access"];

/// Errors of NVIDIA's libraries for want of memory, by library and number.
const SHORT: [(&str, u32); 4] = [
    ("CUDA", 2),     // cudaErrorMemoryAllocation: out of memory
    ("CUBLAS", 3),   // CUBLAS_STATUS_ALLOC_FAILED: the resource allocation failed
    ("CUDNN", 4003), // CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED
    ("CUDNN", 4004), // CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
];

/// What is said for want of memory: by ONNX Runtime's arena (the first three), its allocators, the names of NVIDIA's
/// errors, the driver, and C++.
const SHORT_WORDS: [&str; 9] = [
    "Failed to allocate memory for requested buffer of size",
    "is smaller than requested bytes of",
    "Failed to find a free memory block",
    "Memory allocation failed",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
    "out of memory",
    "OUT_OF_MEMORY",
    "bad_alloc",
];

/// Higher numbers of cards are what ONNX Runtime has not filled in.
const MOST_CARDS: u32 = 256;

/// What to do about a lost card.
const RESUME: &str = "no unit is at fault, and none was given a failure: the same command goes on where this run \
                      stopped. `dmesg` (lines with Xid) and `nvidia-smi` tell what became of the card; if the next run \
                      ends like this too, report it, and choose `--device cpu` until then";

impl Trouble {
    /// What an error's text, with all its causes, tells. A lost card comes before memory: one often brings the other.
    pub(super) fn of(text: &str) -> Self {
        if is_lost(text) {
            Self::LostCard
        } else if is_short(text) {
            Self::OutOfMemory
        } else {
            Self::Other
        }
    }
}

fn is_lost(text: &str) -> bool {
    let by_number = failures(text).any(|(library, number)| library == "CUDA" && LOST.contains(&number));
    by_number || LOST_WORDS.iter().any(|words| text.contains(words))
}

fn is_short(text: &str) -> bool {
    failures(text).any(|failure| SHORT.contains(&failure)) || SHORT_WORDS.iter().any(|words| text.contains(words))
}

/// Each `LIBRARY failure NUMBER` of a text.
fn failures(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.match_indices(" failure ").filter_map(move |(at, words)| {
        let is_outside = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
        let library = text[..at].rsplit(is_outside).next()?;
        let number = leading_number(&text[at + words.len()..])?;
        Some((library, number))
    })
}

/// The card that a text is about: `GPU=1` as ONNX Runtime says, `cuda:1` as we do.
fn card(text: &str) -> Option<u32> {
    let behind = |words: &str| leading_number(text.split_once(words)?.1);
    ["GPU=", "cuda:"].into_iter().filter_map(behind).find(|number| *number < MOST_CARDS)
}

fn leading_number(text: &str) -> Option<u32> {
    text.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// The end of a run whose card is lost, as this text tells.
pub(super) fn lost_card(what: &str, text: &str) -> Fatal {
    let which = card(text).map_or_else(|| "the card".to_owned(), |number| format!("the card cuda:{number}"));
    Fatal::new(format!("{which} is lost: {what}: {text}"), RESUME)
}

/// The end of a run whose card has told of itself before and does not any more.
pub(super) fn silent_card(ordinal: u32) -> Fatal {
    Fatal::new(format!("the card cuda:{ordinal} is lost: it does not tell its memory any more"), RESUME)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as ONNX Runtime 1.31 puts it, of a library of NVIDIA's.
    fn failed(failure: &str) -> String {
        format!(
            "Non-zero status code returned while running MatMul node. Name:'/layers.3/mlp/down_proj/MatMul' Status \
             Message: {failure} ; GPU=1 ; hostname=h200 ; \
             file=/onnxruntime_src/onnxruntime/core/providers/cuda/math/matmul.cc ; line=213 ; expr=Gemm(m, x); "
        )
    }

    #[test]
    fn what_cuda_says_for_want_of_memory_is_that() {
        for failure in [
            "CUDA failure 2: out of memory",
            "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
            "CUBLAS failure 3: the resource allocation failed",
            "CUDNN failure 4004: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "CUDNN failure 4003: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
            "CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED, CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "CUFFT failure 2: CUFFT_ALLOC_FAILED",
        ] {
            assert_eq!(Trouble::of(&failed(failure)), Trouble::OutOfMemory, "{failure}");
        }
    }

    #[test]
    fn what_the_arena_and_our_own_calls_say_for_want_of_memory_is_that() {
        let node = "Non-zero status code returned while running Softmax node. Name:'s' Status Message: \
                    /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:424 void* \
                    onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) ";
        for words in [
            "Failed to allocate memory for requested buffer of size 68719476736",
            "Available memory of 1048576 is smaller than requested bytes of 33554432",
        ] {
            assert_eq!(Trouble::of(&format!("{node}{words}\n")), Trouble::OutOfMemory, "{words}");
        }
        for text in [
            "std::bad_alloc",
            "cudaMalloc of 8589934592 bytes on cuda:0 at 0000:17:00.0: CUDA failure 2: out of memory",
            "Memory allocation failed. Size=1073741824",
        ] {
            assert_eq!(Trouble::of(text), Trouble::OutOfMemory, "{text}");
        }
    }

    #[test]
    fn an_error_that_stays_with_the_process_is_a_lost_card() {
        for failure in [
            "CUDA failure 46: CUDA-capable device(s) is/are busy or unavailable",
            "CUDA failure 100: no CUDA-capable device is detected",
            "CUDA failure 214: uncorrectable ECC error encountered",
            "CUDA failure 220: uncorrectable NVLink error detected during the execution",
            "CUDA failure 700: an illegal memory access was encountered",
            "CUDA failure 719: unspecified launch failure",
            "CUDA failure 999: unknown error",
        ] {
            assert_eq!(Trouble::of(&failed(failure)), Trouble::LostCard, "{failure}");
        }
        for text in [
            "cudaMemcpy2D on cuda:0 at 0000:17:00.0: CUDA failure 700: an illegal memory access was encountered",
            "NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus.",
        ] {
            assert_eq!(Trouble::of(text), Trouble::LostCard, "{text}");
        }
    }

    #[test]
    fn a_card_that_is_lost_is_not_short_of_memory_whatever_else_failed() {
        let text = format!(
            "Failed to allocate memory for requested buffer of size 1024: {}",
            failed("CUDA failure 719: unspecified launch failure")
        );
        assert_eq!(Trouble::of(&text), Trouble::LostCard);
    }

    #[test]
    fn what_may_be_the_units_own_fault_is_neither() {
        for failure in [
            "CUDA failure 1: invalid argument",
            "CUDA failure 219: invalid OpenGL or DirectX context",
            "CUDA failure 701: too many resources requested for launch",
            "CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED",
            "CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR",
            "CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED_CUDART",
            "CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED",
            "XCUDA failure 700: of no library that is known",
        ] {
            assert_eq!(Trouble::of(&failed(failure)), Trouble::Other, "{failure}");
        }
        for text in ["", "no memory", " failure 700", "failure 2", "idx=41 must be within the range [-40,39]"] {
            assert_eq!(Trouble::of(text), Trouble::Other, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_run_names_the_card_and_says_that_the_same_command_goes_on() {
        let text = failed("CUDA failure 700: an illegal memory access was encountered");
        let fatal = lost_card("decoding step", &text);
        assert!(fatal.message.starts_with("the card cuda:1 is lost: decoding step: "), "{}", fatal.message);
        assert!(fatal.message.ends_with(&text));
        for words in ["no unit is at fault", "the same command goes on", "dmesg", "Xid", "nvidia-smi"] {
            assert!(fatal.hint.contains(words), "{words}: {}", fatal.hint);
        }
        assert_eq!(silent_card(3).message, "the card cuda:3 is lost: it does not tell its memory any more");
    }

    #[test]
    fn a_number_that_was_never_filled_in_names_no_card() {
        let named = |text: &str| lost_card("a run", text).message;
        assert!(named("CUDA failure 999: unknown error ; GPU=192915439 ; expr=f();").starts_with("the card is lost: "));
        assert!(named("CUDA failure 999: unknown error ; GPU=-1 ; expr=f();").starts_with("the card is lost: "));
        assert!(named("cudaMemcpy on cuda:2 at 0000:17:00.0: CUDA failure 4: driver shutting down").contains("cuda:2"));
    }
}
