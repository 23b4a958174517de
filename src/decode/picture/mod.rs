//! Pictures: JPEG, PNG, WebP, GIF, BMP, PNM and TIFF become one raster, or one for each page of a TIFF; others go through an
//! ffmpeg process.

mod chain;
mod directory;
mod fault;
mod flatten;
mod foreign;
mod group3;
mod jpeg;
mod mirrored;
mod pages;
mod reader;
mod samples;
mod square;
mod turned;

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
};

use crate::base::{Fault, FaultKind, Part, Raster, Unit, picture};

use super::{
    input::Input,
    order::Order,
    output::{Output, refuse},
    settings::Limits,
};
use chain::Header;
pub(super) use fault::too_large;

/// Bytes of the beginning that tell the format.
const HEAD: usize = if Header::LENGTH > picture::HEAD { Header::LENGTH } else { picture::HEAD };

/// A picture whose beginning was looked at.
struct Opened {
    /// At its beginning.
    file: BufReader<File>,
    head: Vec<u8>,
}

/// Reads the picture: one [`Unit::Image`] at its stored size, upright, over white.
///
/// # Errors
/// When the file cannot be read, is empty, or is a TIFF without readable pages. What is wrong with one picture is a
/// fault of its unit.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let opened = Opened::new(input)?;
    match opened.takes_ffmpeg() {
        true => hand_over(out, |out| foreign::read(input, &order.limits, out)),
        false => opened.decode(order, out),
    }
}

/// The same without an ffmpeg; false when it takes one, and nothing has been promised.
pub fn decode_alone(input: &Input, order: &Order, out: &mut dyn Output) -> Result<bool, Fault> {
    let opened = Opened::new(input)?;
    match opened.takes_ffmpeg() {
        true => Ok(false),
        false => opened.decode(order, out).map(|()| true),
    }
}

impl Opened {
    fn new(input: &Input) -> Result<Self, Fault> {
        let mut file = BufReader::new(input.reader()?);
        let mut head = Vec::with_capacity(HEAD);
        file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|error| fault::unreadable(&error))?;
        if head.is_empty() {
            return Err(refuse(FaultKind::Empty, "the file has no bytes", "leave it out"));
        }
        file.rewind().map_err(|error| fault::unreadable(&error))?;
        Ok(Self { file, head })
    }

    fn takes_ffmpeg(&self) -> bool {
        picture::takes_ffmpeg(&self.head)
    }

    fn decode(self, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
        match Header::parse(&self.head) {
            Some(header) => pages::decode(self.file, &header, order, out),
            None => hand_over(out, |_| read_whole(self.file, &order.limits)),
        }
    }
}

fn read_whole(mut file: BufReader<File>, limits: &Limits) -> Result<Raster, Fault> {
    jpeg::check_end(&mut file)?;
    reader::read(file, limits)
}

/// The file as one unit.
fn hand_over(out: &mut dyn Output, read: impl FnOnce(&mut dyn Output) -> Result<Raster, Fault>) -> Result<(), Fault> {
    if out.promise(&[Part::Whole])? == 0 || out.passed_over() {
        return Ok(());
    }
    match read(out) {
        Ok(raster) => out.unit(Part::Whole, Unit::Image(raster)),
        Err(fault) => out.fault(Part::Whole, fault),
    }
}
