//! A TIFF as a document of pages: the pages that the order wants, one by one or several together.

use std::io::{BufReader, Read, Seek};

use crate::base::{Fault, FaultKind, Limit, Raster, Unit};

use super::{
    super::{
        order::Order,
        output::{Output, refuse},
        settings::Limits,
        together,
    },
    fault, reader,
    tiff::Header,
};

/// Hands over the wanted pages, in the order of the file.
///
/// # Errors
/// When no page can be found, or more than `[decode.limits] pages`.
pub fn decode<R: Read + Seek>(
    mut source: R,
    header: &Header,
    order: &Order,
    out: &mut dyn Output,
) -> Result<(), Fault> {
    let directories = directories(&mut source, header, &order.limits)?;
    let of = directories.len() as u32;
    together::make(&together::parts(order, of), order, out, |number| {
        page(&mut source, header, directories[number as usize - 1], &order.limits).map(Unit::Image)
    })
}

fn directories(source: &mut (impl Read + Seek), header: &Header, limits: &Limits) -> Result<Vec<u64>, Fault> {
    let most = limits.pages as usize;
    let directories = header.pages(source, most).map_err(|error| fault::of_io(&error))?;
    if directories.is_empty() {
        return Err(fault::corrupt("the TIFF has no page that can be found"));
    }
    if directories.len() > most {
        let message = format!("the TIFF has more than {most} pages");
        return Err(
            refuse(FaultKind::TooLarge, message, "raise `[decode.limits] pages` or split the file").over(Limit::Pages)
        );
    }
    Ok(directories)
}

fn page(source: &mut (impl Read + Seek), header: &Header, directory: u64, limits: &Limits) -> Result<Raster, Fault> {
    let turned = header.turned_to(directory, source).map_err(|error| fault::of_io(&error))?;
    reader::read(BufReader::new(turned), limits)
}
