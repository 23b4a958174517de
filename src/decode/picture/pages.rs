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
    chain::{Chain, Header},
    fault, group3, reader, samples,
    square::square,
};

/// Hands over the wanted pages, in the order of the file. What lies behind a chain that breaks off counts as one more page,
/// which cannot be had.
///
/// # Errors
/// When no page can be found, none is wanted, or there are more than `[decode.limits] pages`.
pub fn decode<R: Read + Seek>(
    mut source: R,
    header: &Header,
    order: &Order,
    out: &mut dyn Output,
) -> Result<(), Fault> {
    let Chain { pages, breaks_off } = chain(&mut source, header, &order.limits)?;
    let found = pages.len() as u32;
    let parts = match together::parts(order, found + u32::from(breaks_off), found) {
        Err(_) if breaks_off => return Err(lost(found)),
        parts => parts?,
    };
    together::make(&parts, order, out, |number| match pages.get(number as usize - 1) {
        Some(directory) => page(&mut source, header, *directory, &order.limits).map(Unit::Image),
        None => Err(lost(found)),
    })
}

fn chain(source: &mut (impl Read + Seek), header: &Header, limits: &Limits) -> Result<Chain, Fault> {
    let most = limits.pages as usize;
    let chain = header.chain(source, most).map_err(|error| fault::of_io(&error))?;
    if chain.pages.is_empty() {
        return Err(fault::corrupt("the TIFF has no page that can be found"));
    }
    if chain.pages.len() > most {
        let message = format!("the TIFF has more than {most} pages");
        return Err(
            refuse(FaultKind::TooLarge, message, "raise `[decode.limits] pages` or split the file").over(Limit::Pages)
        );
    }
    Ok(chain)
}

fn lost(after: u32) -> Fault {
    let message = format!("the chain of pages leads out of the file after page {after}");
    refuse(FaultKind::Corrupt, message, "fetch the file again or save it anew; the pages before are extracted")
}

/// A page of pixels that nobody reads keeps the fault that names a way out.
fn page(source: &mut (impl Read + Seek), header: &Header, directory: u64, limits: &Limits) -> Result<Raster, Fault> {
    let lost = |error: std::io::Error| fault::of_io(&error);
    let directory = header.directory(source, directory).map_err(lost)?;
    let aspect = directory.aspect(source).map_err(lost)?;
    let mut page = BufReader::new(header.turned_to(&directory, source).map_err(lost)?);
    let raster = match reader::read_tiff(&mut page, limits) {
        Err(fault) if fault.kind == FaultKind::Unsupported => match group3::read(&mut page, &directory, limits)? {
            Some(fax) => fax,
            None => samples::read(page, &directory, limits)?.ok_or(fault)?,
        },
        outcome => outcome?,
    };
    Ok(square(raster, aspect, limits.pixels))
}
