//! What the errors of the `image` crate mean to a user.

use std::io;

use image::{
    ImageError, ImageFormat,
    error::{ImageFormatHint, UnsupportedError, UnsupportedErrorKind},
};

use crate::base::{Fault, FaultKind, Limit};

use super::super::{output::refuse, settings::Limits};

/// The file could not be opened or read.
pub fn unreadable(error: &io::Error) -> Fault {
    refuse(FaultKind::Unreadable, error.to_string(), "check the file and its permissions")
}

/// The content contradicts its format.
pub fn corrupt(message: impl Into<String>) -> Fault {
    refuse(FaultKind::Corrupt, message, "open it in a picture viewer and save it anew")
}

/// More pixels than `[decode.limits] pixels` allows.
pub fn too_large(width: u32, height: u32, limits: &Limits) -> Fault {
    let pixels = u64::from(width) * u64::from(height);
    let message = format!("the picture is {width} x {height} = {pixels} pixels, the limit is {}", limits.pixels);
    refuse(FaultKind::TooLarge, message, "raise `[decode.limits] pixels` or make the picture smaller")
        .over(Limit::Pixels)
}

/// What an error while decoding means.
pub fn of(error: &ImageError) -> Fault {
    match error {
        ImageError::Unsupported(error) if is_tiff(error) => {
            refuse(FaultKind::Unsupported, of_tiff(error), "convert it to RGB, as with `tiff2rgba IN OUT`, or to PNG")
        }
        ImageError::Unsupported(error) => {
            refuse(FaultKind::Unsupported, error.to_string(), "convert it to PNG or JPEG")
        }
        ImageError::Limits(error) => {
            let message = format!("decoding takes more memory than `[decode.limits] pixels` allows: {error}");
            refuse(FaultKind::TooLarge, message, "raise `[decode.limits] pixels` or make the picture smaller")
                .over(Limit::Pixels)
        }
        ImageError::IoError(error) => of_io(error),
        error => corrupt(error.to_string()),
    }
}

fn is_tiff(error: &UnsupportedError) -> bool {
    matches!(error.format_hint(), ImageFormatHint::Exact(ImageFormat::Tiff))
}

/// For a kind of pixels that it does not read, the decoder only names the bits of one.
fn of_tiff(error: &UnsupportedError) -> String {
    match error.kind() {
        UnsupportedErrorKind::Color(_) => {
            "the TIFF stores its pixels in a way that is not read, as with CIE L*a*b*, or with more channels than colours"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// A decoder that runs out of bytes reports it as an error of reading; only the others are about the disk.
pub fn of_io(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => corrupt("the file ends before the picture does"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => corrupt(error.to_string()),
        _ => unreadable(error),
    }
}
