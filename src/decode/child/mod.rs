//! The child process: reads requests from standard input, decodes, and answers on standard output.

mod fence;
mod pipe;

use std::{fs::File, io, process::ExitCode};

use crate::base::{Fault, FaultKind, Kind};

use super::{
    film,
    output::refuse,
    pdf::PdfReader,
    picture, sound, text,
    wire::{self, Ask, Reply, Request},
};
use pipe::Pipe;

/// The main function of `lapidary decode-child`. Ends when its parent closes the pipe.
///
/// A panic ends the process, as a crash of a native library would: the parent reads why from the last line of
/// standard error, and sends the rest of the document to the next child.
pub fn main() -> ExitCode {
    follow_parent();
    std::panic::set_hook(Box::new(|panic| eprintln!("{}", panic.to_string().replace('\n', " "))));
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// A decoder that loops would outlive a parent that was killed: a thread sees that the parent has changed.
fn follow_parent() {
    #[cfg(unix)]
    std::thread::spawn(|| {
        let parent = std::os::unix::process::parent_id();
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        std::process::exit(3);
    });
}

fn serve() -> io::Result<()> {
    let mut output = fence::take_standard_output()?;
    let mut input = io::stdin().lock();
    let mut reader = None;
    while let Some(ask) = wire::receive::<Ask>(&mut input)? {
        let (settled, only) = match &ask {
            Ask::Decode(request) => (request.settled, request.only),
            Ask::Probe => (0, None),
        };
        let mut pipe = Pipe::new(&mut input, &mut output, settled, only);
        let outcome = match &ask {
            Ask::Probe => PdfReader::ready(&mut reader).map(|_| ()),
            Ask::Decode(request) => decode(request, &mut pipe, &mut reader),
        };
        pipe.finish(outcome)?;
    }
    Ok(())
}

fn decode(request: &Request, pipe: &mut Pipe<'_>, reader: &mut Option<PdfReader>) -> Result<(), Fault> {
    let (path, order) = (request.path.as_path(), &request.order);
    fence::confine(order.limits.memory);
    File::open(path).map_err(|error| refuse(FaultKind::Unreadable, error.to_string(), "check its permissions"))?;
    match request.kind {
        Kind::Pdf => PdfReader::ready(reader)?.decode(path, order, pipe),
        Kind::Text => text::decode(path, order, pipe),
        Kind::Image => picture::decode(path, order, pipe),
        Kind::Audio => sound::decode(path, order, pipe),
        Kind::Video => film::decode(path, order, pipe),
    }
}
