//! The child process: raises its walls, then reads requests from standard input, decodes, and answers on standard output.

mod courier;
mod deed;
mod fence;
mod guardian;
mod pipe;

use std::{
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use crate::base::{Fault, FaultKind, Kind, Part};

use super::{
    film,
    input::Input,
    output::refuse,
    pdf::PdfReader,
    picture,
    shared::Mapping,
    sound, text,
    walls::{self, Walls},
    wire::{self, Ask, Reply, Request},
};
use courier::Courier;
use pipe::Pipe;

/// The main function of `lapidary decode-child`. Ends when its parent closes the pipe.
///
/// A panic ends the process, as a crash of a native library would: the parent reads why from the last line of
/// standard error, and sends the rest of the document to the next child.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| eprintln!("{}", panic.to_string().replace('\n', " "))));
    let served = guardian::follow_parent().and_then(|()| Child::begin()).and_then(Child::serve);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// A child within its walls.
struct Child {
    input: File,
    output: File,
    /// Memory that it shares with its parent.
    shared: Option<Mapping>,
    /// Loaded before the walls were raised; where it could not be, the first PDF says why.
    pdfium: Result<PdfReader, Fault>,
    /// The document that came with the order for the walls, where they were raised around it.
    document: Option<Input>,
    starts_ffmpeg: bool,
}

impl Child {
    /// The first message must be the order for the walls.
    fn begin() -> io::Result<Self> {
        let (mut input, mut output) = (fence::take_standard_input()?, fence::take_standard_output()?);
        let Some(Ask::Raise { walls, shares }) = wire::receive::<Ask>(&mut input)? else {
            return Err(io::Error::other("the order for the walls is missing"));
        };
        let starts_ffmpeg = walls.ffmpeg.is_some();
        let pdfium = if starts_ffmpeg { Err(without_pdfium()) } else { PdfReader::load() };
        let document = if starts_ffmpeg { handed(&input)? } else { None };
        let shared = if shares { shared(&input)? } else { None };
        let reached = raise(&walls, document.as_ref());
        wire::send(&mut output, &Reply::Raised { reached })?;
        Ok(Self { input, output, shared, pdfium, document, starts_ffmpeg })
    }

    fn serve(mut self) -> io::Result<()> {
        while let Some(ask) = wire::receive::<Ask>(&mut self.input)? {
            match ask {
                Ask::Raise { .. } => return Err(io::Error::other("the walls are raised already")),
                Ask::Try { deed } => {
                    let stopped = deed::try_to(&deed).err().map(|error| error.to_string());
                    wire::send(&mut self.output, &Reply::Tried { stopped })?;
                }
                Ask::Probe => {
                    let outcome = self.pdfium.as_ref().map(drop).map_err(Clone::clone);
                    wire::send(&mut self.output, &Reply::end(outcome))?;
                }
                Ask::Decode(request) => self.decode(&request)?,
                Ask::Cut(request) => self.cut(&request)?,
            }
        }
        Ok(())
    }

    fn cut(&mut self, request: &Request) -> io::Result<()> {
        let input = receive(&self.input, request)?;
        walls::allow_seconds(request.order.seconds);
        let page = input.and_then(|input| match (request.only, &self.pdfium) {
            (Some(Part::Page { number, .. }), Ok(pdfium)) => pdfium.page_alone(&input, &request.order, number),
            (_, Err(fault)) => Err(fault.clone()),
            _ => Err(refuse(FaultKind::Internal, "something else than a page was to be cut out", "report it")),
        });
        match page {
            Ok(bytes) => {
                wire::send(&mut self.output, &Reply::Cut { bytes: bytes.len() as u64 })?;
                self.output.write_all(&bytes)
            }
            Err(fault) => wire::send(&mut self.output, &Reply::end(Err(fault))),
        }
    }

    fn decode(&mut self, request: &Request) -> io::Result<()> {
        let input = match self.document.take() {
            Some(input) => Ok(input),
            None => receive(&self.input, request)?,
        };
        let (order, starts_ffmpeg) = (&request.order, self.starts_ffmpeg);
        walls::allow_seconds(order.seconds);
        let courier = Courier::new(&mut self.input, &mut self.output, self.shared.as_mut());
        let mut pipe = Pipe::new(courier, request.settled, request.only);
        let outcome = input.and_then(|input| match (request.kind, &self.pdfium) {
            (Kind::Pdf, Ok(pdfium)) => pdfium.decode(&input, order, &mut pipe).map(|()| true),
            (Kind::Pdf, Err(fault)) => Err(fault.clone()),
            (Kind::Text, _) => text::decode(&input, order, &mut pipe).map(|()| true),
            (Kind::Video, _) if !starts_ffmpeg => Ok(false),
            (Kind::Image, _) if starts_ffmpeg => picture::decode(&input, order, &mut pipe).map(|()| true),
            (Kind::Image, _) => picture::decode_alone(&input, order, &mut pipe),
            (Kind::Audio, _) if starts_ffmpeg => sound::decode(&input, order, &mut pipe).map(|()| true),
            (Kind::Audio, _) => sound::decode_alone(&input, order, &mut pipe),
            (Kind::Video, _) => film::decode(&input, order, &mut pipe).map(|()| true),
        });
        match outcome {
            Ok(false) => pipe.needs_ffmpeg(),
            outcome => pipe.finish(outcome.map(drop)),
        }
    }
}

fn raise(walls: &Walls, document: Option<&Input>) -> walls::Reached {
    walls::raise(walls, document.map(Input::file))
}

fn without_pdfium() -> Fault {
    refuse(FaultKind::Internal, "a child for ffmpeg was asked for a PDF", "report it")
}

/// The document that comes with the order for the walls.
#[cfg(unix)]
fn handed(input: &File) -> io::Result<Option<Input>> {
    super::hand::take(input).map(Input::of).map(Some)
}

/// The memory that comes with the order for the walls. No program that the child starts inherits it.
#[cfg(unix)]
fn shared(input: &File) -> io::Result<Option<Mapping>> {
    Mapping::of(&super::hand::take(input)?).map(Some)
}

/// Without descriptors no memory comes.
#[cfg(not(unix))]
fn shared(_input: &File) -> io::Result<Option<Mapping>> {
    Ok(None)
}

/// Without descriptors the document comes with its request, by its path.
#[cfg(not(unix))]
fn handed(_input: &File) -> io::Result<Option<Input>> {
    Ok(None)
}

#[cfg(unix)]
fn receive(input: &File, _request: &Request) -> io::Result<Result<Input, Fault>> {
    super::hand::take(input).map(Input::of).map(Ok)
}

#[cfg(not(unix))]
fn receive(_input: &File, request: &Request) -> io::Result<Result<Input, Fault>> {
    Ok(Input::open(&request.path))
}
