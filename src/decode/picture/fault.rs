//! What the errors of the `image` crate mean to a user.

use std::io;

use image::ImageError;

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

/// A decoder that runs out of bytes reports it as an error of reading; only the others are about the disk.
pub fn of_io(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => corrupt("the file ends before the picture does"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => corrupt(error.to_string()),
        _ => unreadable(error),
    }
}
