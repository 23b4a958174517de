//! One page as a document of its own.

use pdfium_render::prelude::PdfiumError;

use super::{
    super::{input::Input, order::Order, output::refuse},
    PdfReader, count,
};
use crate::base::{Fault, FaultKind};

impl PdfReader {
    /// A PDF that holds page `number` (from 1) and what it needs: not encrypted, without outlines and without the form that
    /// its fields belong to.
    ///
    /// # Errors
    /// When the document cannot be read, or the page cannot be copied.
    pub fn page_alone(&self, input: &Input, order: &Order, number: u32) -> Result<Vec<u8>, Fault> {
        let document = self.open(input, &order.passwords)?;
        let last = count(&document, order)?;
        if !(1..=last).contains(&number) {
            return Err(refuse(FaultKind::Empty, format!("it has {last} pages, and no page {number}"), ""));
        }
        let index = i32::try_from(number).unwrap_or(i32::MAX) - 1;
        let mut alone = self.0.create_new_pdf().map_err(|error| uncopied(&error))?;
        alone.pages_mut().copy_page_from_document(&document, index, 0).map_err(|error| uncopied(&error))?;
        alone.save_to_bytes().map_err(|error| uncopied(&error))
    }
}

fn uncopied(error: &PdfiumError) -> Fault {
    refuse(FaultKind::Corrupt, format!("the page cannot be copied: {error:?}"), "look at the whole document")
}
