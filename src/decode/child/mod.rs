//! The child process: reads requests from standard input, decodes, and answers on standard output.

mod fence;
mod pipe;

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use crate::base::{Fault, FaultKind, Kind};

use super::{
    output::refuse,
    pdf::PdfReader,
    picture, text,
    wire::{self, Reply, Request},
};
use pipe::Pipe;

/// The main function of `lapidary decode-child`. Ends when its parent closes the pipe.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn serve() -> io::Result<()> {
    let mut output = fence::take_standard_output()?;
    let mut input = io::stdin().lock();
    let mut reader = None;
    while let Some(request) = wire::receive::<Request>(&mut input)? {
        fence::confine(request.order.limits.memory);
        let mut pipe = Pipe::new(&mut input, &mut output, request.settled);
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(&request, &mut pipe, &mut reader)));
        let outcome = outcome.unwrap_or_else(|_| Err(refuse(FaultKind::Internal, "the decoder panicked", "report it")));
        pipe.finish(outcome)?;
    }
    Ok(())
}

fn decode(request: &Request, pipe: &mut Pipe<'_>, reader: &mut Option<PdfReader>) -> Result<(), Fault> {
    let (path, order) = (request.path.as_path(), &request.order);
    File::open(path).map_err(|error| refuse(FaultKind::Unreadable, error.to_string(), "check its permissions"))?;
    match request.kind {
        Kind::Pdf => PdfReader::ready(reader)?.decode(path, order, pipe),
        Kind::Text => text::decode(path, order, pipe),
        Kind::Image => picture::decode(path, order, pipe),
        kind @ (Kind::Audio | Kind::Video) => {
            Err(refuse(FaultKind::Unsupported, format!("{kind} is not decoded yet"), "leave it out"))
        }
    }
}
