//! PDF: every page as a picture of exactly the size that `encode` wants, with its own text beside it.

mod alone;
mod layer;
mod page;

use pdfium_render::prelude::{PdfDocument, Pdfium, PdfiumError, PdfiumInternalError};

use crate::base::{
    Fault, FaultKind, Limit,
    native::{Library, pinned},
};

use super::{
    input::Input,
    order::Order,
    output::{Output, refuse},
    together,
};

/// PDFium, loaded. It is not thread-safe, so there is one a process.
pub struct PdfReader(Pdfium);

impl PdfReader {
    /// Loads PDFium. To be called once, before the walls are raised.
    ///
    /// # Errors
    /// When the library is missing, not what was installed, or too old.
    pub fn load() -> Result<Self, Fault> {
        let path = pinned(Library::Pdfium).map_err(|fatal| refuse(FaultKind::Internal, fatal.message, fatal.hint))?;
        let bound = Pdfium::bind_to_library(&path).map_err(|error| {
            let message = format!("`{}` cannot be used as PDFium: {error:?}", path.display());
            refuse(FaultKind::Internal, message, "run `lapidary runtime install`")
        })?;
        Ok(Self(Pdfium::new(bound)))
    }

    /// Renders the wanted pages of a PDF.
    ///
    /// # Errors
    /// When the document as a whole cannot be read: damaged, encrypted, without pages, with too many.
    pub fn decode(&self, input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
        let document = self.open(input, &order.passwords)?;
        let count = count(&document, order)?;
        let parts = together::parts(order, count, count)?;
        together::make(&parts, order, out, |number| page::render(&document, number, order))
    }

    fn open<'a>(&'a self, input: &Input, passwords: &[String]) -> Result<PdfDocument<'a>, Fault> {
        let mut keys = std::iter::once(None).chain(passwords.iter().map(|password| Some(password.as_str())));
        let opened = keys.find_map(|key| match input.reader().map(|file| self.0.load_pdf_from_reader(file, key)) {
            Ok(Err(error)) if asks_for_password(&error) => None,
            other => Some(other),
        });
        match opened {
            Some(result) => result?.map_err(|error| unopened(&error)),
            None => Err(encrypted(passwords.len())),
        }
    }
}

fn count(document: &PdfDocument<'_>, order: &Order) -> Result<u32, Fault> {
    let (count, most) = (u32::try_from(document.pages().len()).unwrap_or(0), order.limits.pages);
    match count {
        0 => Err(refuse(FaultKind::Empty, "the PDF has no pages", "look for an interrupted export")),
        _ if count > most => {
            let message = format!("it has {count} pages, the limit is {most}");
            Err(refuse(FaultKind::TooLarge, message, "raise `[decode.limits] pages`").over(Limit::Pages))
        }
        _ => Ok(count),
    }
}

fn asks_for_password(error: &PdfiumError) -> bool {
    matches!(error, PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::PasswordError))
}

fn encrypted(tried: usize) -> Fault {
    let message = match tried {
        0 => "the PDF is encrypted and no password is given".to_owned(),
        _ => format!("the PDF is encrypted and none of the {tried} passwords opens it"),
    };
    refuse(FaultKind::Encrypted, message, "add its password to `[decode] passwords`")
}

fn unopened(error: &PdfiumError) -> Fault {
    use PdfiumInternalError::{FileError, FormatError, SecurityError};
    match error {
        PdfiumError::IoError(error) => refuse(FaultKind::Unreadable, error.to_string(), "check its permissions"),
        PdfiumError::PdfiumLibraryInternalError(SecurityError) => {
            refuse(FaultKind::Unsupported, "the PDF uses an encryption that PDFium does not know", "save it without")
        }
        PdfiumError::PdfiumLibraryInternalError(FileError | FormatError) => {
            let hint = "look for an interrupted copy, or repair it with a PDF tool";
            refuse(FaultKind::Corrupt, "the PDF is damaged: its structure cannot be read", hint)
        }
        other => {
            refuse(FaultKind::Corrupt, format!("the PDF cannot be opened: {other:?}"), "repair it with a PDF tool")
        }
    }
}
