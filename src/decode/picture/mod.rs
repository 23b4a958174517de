//! Pictures: JPEG, PNG, WebP, GIF, BMP and TIFF become one raster, or one for each page of a TIFF.

mod fault;
mod flatten;
mod jpeg;
mod mirrored;
mod pages;
mod reader;
mod tiff;

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
};

use crate::base::{Fault, FaultKind, Part, Unit};

use super::{
    input::Input,
    order::Order,
    output::{Output, refuse},
    settings::Limits,
};
pub(super) use fault::too_large;
use tiff::Header;

/// Reads the picture: one [`Unit::Image`] at its stored size, upright, over white.
///
/// # Errors
/// When the file cannot be read, is empty, or is a TIFF without readable pages. What is wrong with one picture is a
/// fault of its unit.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let mut file = BufReader::new(input.reader()?);
    let mut head = Vec::with_capacity(Header::LENGTH);
    file.by_ref().take(Header::LENGTH as u64).read_to_end(&mut head).map_err(|error| fault::unreadable(&error))?;
    if head.is_empty() {
        return Err(refuse(FaultKind::Empty, "the file has no bytes", "leave it out"));
    }
    file.rewind().map_err(|error| fault::unreadable(&error))?;
    match Header::parse(&head) {
        Some(header) => pages::decode(file, &header, order, out),
        None => decode_whole(file, &order.limits, out),
    }
}

fn decode_whole(mut file: BufReader<File>, limits: &Limits, out: &mut dyn Output) -> Result<(), Fault> {
    if out.promise(&[Part::Whole])? == 0 || out.passed_over() {
        return Ok(());
    }
    let whole = jpeg::check_end(&mut file).and_then(|()| reader::read(file, limits));
    match whole {
        Ok(raster) => out.unit(Part::Whole, Unit::Image(raster)),
        Err(fault) => out.fault(Part::Whole, fault),
    }
}
