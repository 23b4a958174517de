//! `lapidary captions`: a file for each recording of a dataset.

use super::{
    Ended,
    args::{CaptionFormat, CaptionsArguments},
    note_unfinished, print,
};
use crate::{
    app::captions::{self, Format, Request, Unwritten},
    base::Fatal,
};

pub fn run(arguments: &CaptionsArguments) -> Result<Ended, Fatal> {
    let format = match arguments.format {
        CaptionFormat::Srt => Format::Srt,
        CaptionFormat::Vtt => Format::Vtt,
        CaptionFormat::Txt => Format::Txt,
    };
    let (dataset, out, field) = (arguments.dataset.clone(), arguments.out.clone(), arguments.field.clone());
    let written = captions::write(&Request { dataset, out, format, field })?;
    let files: String = written.files.iter().map(|path| format!("{}\n", path.display())).collect();
    print::result(&files)?;
    note_unfinished(&arguments.dataset)?;
    if written.others > 0 {
        print::note(&format!("{} rows are not about a span of sound and were left out", written.others));
    }
    written.failed.iter().for_each(tell);
    Ok(if written.failed.is_empty() { Ended::Well } else { Ended::WithFailures })
}

/// One line for a recording without a file.
fn tell(failed: &Unwritten) {
    let Unwritten { source, why } = failed;
    print::fault(&format!("{source:?}: {why} (hint: {})", why.hint));
}
