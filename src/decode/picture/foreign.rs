//! Pictures that take an ffmpeg: HEIF as telephones write it, AVIF, JPEG 2000 and JPEG XL.
//!
//! ffmpeg puts the tiles of a HEIF together and turns it upright (ISO/IEC 23008-12, sections 6.6.2.3 and 6.5.10). What it makes
//! comes as a PAM, which says its own size (netpbm, pam(5)).

use std::{
    fs::File,
    io::{self, Read},
};

use image::{DynamicImage, ImageFormat, RgbaImage};

use crate::base::{Fault, FaultKind, Raster, picture::is_heif};

use super::{
    super::{
        ffmpeg::Ffmpeg,
        input::Input,
        output::{Output, refuse},
        settings::Limits,
    },
    fault, flatten,
};

/// Bytes of a HEIF in which the sizes stand: its items are described before them.
const DESCRIBED: u64 = 1 << 16;

/// Lines that the head of a PAM may have.
const MOST_LINES: usize = 16;

/// The picture that counts, with its transparency; what ffmpeg knows beside the pixels stays behind.
const FORM: [&str; 11] =
    ["-frames:v", "1", "-map_metadata", "-1", "-pix_fmt", "rgba", "-c:v", "pam", "-f", "image2pipe", "-"];

/// Reads the picture, upright and over white.
///
/// # Errors
/// `TooLarge` over `[decode.limits] pixels`, `Corrupt` when not all of it can be decoded, `Unsupported` without an ffmpeg or
/// with one that does not put tiles together.
pub fn read(input: &Input, limits: &Limits, out: &mut dyn Output) -> Result<Raster, Fault> {
    let described = described(input.reader()?).map_err(|error| fault::unreadable(&error))?;
    if let Some((width, height)) = described.filter(|size| pixels(*size) > limits.pixels) {
        return Err(fault::too_large(width, height, limits));
    }
    let most = limits.pixels.min(i32::MAX as u64).to_string();
    let before = ["-loglevel", "error", "-xerror", "-max_pixels", &most];
    let mut ffmpeg = Ffmpeg::start(input, &before, &FORM)?;
    let picture = pam(&mut ffmpeg, limits, out)?;
    let notes = ffmpeg.finish()?;
    let picture = picture.ok_or_else(|| notes.fault())?;
    check_tiles(picture.dimensions(), described)?;
    Ok(flatten::over_white(DynamicImage::ImageRgba8(picture), ImageFormat::Png))
}

/// Width and height of the largest item that a HEIF describes in an `ispe` (ISO/IEC 23008-12, section 6.5.3).
fn described(file: File) -> io::Result<Option<(u32, u32)>> {
    const PROPERTY: &[u8] = b"ispe\0\0\0\0";
    let mut head = Vec::new();
    file.take(DESCRIBED).read_to_end(&mut head)?;
    if !is_heif(&head) {
        return Ok(None);
    }
    let ends = (PROPERTY.len()..=head.len()).filter(|end| head[..*end].ends_with(PROPERTY));
    let number = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    Ok(ends.filter_map(|end| Some((number(end)?, number(end + 4)?))).max_by_key(|size| pixels(*size)))
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Versions of ffmpeg before 8 hand over one tile for the whole.
fn check_tiles(read: (u32, u32), described: Option<(u32, u32)>) -> Result<(), Fault> {
    let Some((width, height)) = described.filter(|size| pixels(read) < pixels(*size) / 2) else { return Ok(()) };
    let message = format!("this ffmpeg reads one tile of {} x {} pixels of the {width} x {height}", read.0, read.1);
    Err(refuse(FaultKind::Unsupported, message, "run `lapidary runtime install`"))
}

/// The picture, or `None` when the output ends before it does.
fn pam(ffmpeg: &mut Ffmpeg, limits: &Limits, out: &mut dyn Output) -> Result<Option<RgbaImage>, Fault> {
    let (mut width, mut height) = (0, 0);
    for _ in 0..MOST_LINES {
        let Some(line) = ffmpeg.line(out)? else { return Ok(None) };
        match line.split_once(' ') {
            Some(("WIDTH", value)) => width = value.parse().unwrap_or(0),
            Some(("HEIGHT", value)) => height = value.parse().unwrap_or(0),
            None if line == "ENDHDR" => break,
            _ => {}
        }
    }
    if pixels((width, height)) > limits.pixels {
        return Err(fault::too_large(width, height, limits));
    }
    let mut rgba = vec![0; 4 * pixels((width, height)) as usize];
    let whole = !rgba.is_empty() && ffmpeg.fill(&mut rgba, out)? == rgba.len();
    Ok(whole.then(|| RgbaImage::from_raw(width, height, rgba)).flatten())
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn described_in(parts: &[&[u8]]) -> Option<(u32, u32)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&parts.concat()).unwrap();
        file.rewind().unwrap();
        described(file).unwrap()
    }

    #[test]
    fn of_the_sizes_in_a_heif_the_largest_is_the_pictures() {
        let head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let tile = b"\0\0\0\x14ispe\0\0\0\0\0\0\x02\0\0\0\x02\0";
        let whole = b"\0\0\0\x14ispe\0\0\0\0\0\0\x0f\xc0\0\0\x0b\xd0";
        assert_eq!(described_in(&[head, tile, whole, tile]), Some((4032, 3024)));
        assert_eq!(described_in(&[head, tile, &whole[..17]]), Some((512, 512)), "one that is cut off");
        assert_eq!(described_in(&[b"\0\0\0\x0cjP  \r\n\x87\n", whole]), None);
    }

    #[test]
    fn one_tile_is_not_the_picture_but_a_margin_may_be_cut_off() {
        let fault = check_tiles((512, 512), Some((4032, 3024))).unwrap_err();
        assert_eq!((fault.kind, fault.hint.as_str()), (FaultKind::Unsupported, "run `lapidary runtime install`"));
        assert!(fault.message.contains("512 x 512 pixels of the 4032 x 3024"), "{}", fault.message);
        assert_eq!(check_tiles((3000, 4000), Some((4032, 3024))), Ok(()));
        assert_eq!(check_tiles((16, 16), None), Ok(()));
    }
}
