//! A sound track of a file, decoded by Symphonia and averaged to mono, block by block.

use std::io;

use symphonia::core::{
    audio::GenericAudioBufferRef,
    codecs::audio::{AudioDecoder, AudioDecoderOptions},
    errors::Error,
    formats::{self, FormatReader, TrackType, probe::Hint, well_known::FORMAT_ID_MP3},
    io::MediaSourceStream,
    packet::Packet,
};

use crate::base::{Fault, FaultKind};

use super::{
    super::{
        input::Input,
        output::refuse,
        settings::{AllTracks, SoundTrack},
        shelter::sheltered,
    },
    breaks_off,
    edit::{Edit, Edited},
    finite,
    lag::Lag,
    wave,
};

/// Some samples of one rate.
#[derive(Debug)]
pub struct Block {
    /// Samples a second.
    pub rate: u32,
    /// Mono, in [-1, 1].
    pub samples: Vec<f32>,
}

/// A track being read.
pub struct Track {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    id: u32,
    wanted: SoundTrack,
    lag: Lag,
    edit: Option<Edit>,
    /// Samples decoded so far, in the track's own rate.
    passed: u64,
    good: u64,
    bad: u64,
    broken: Option<String>,
    /// The header was written before the length was known: the end of the file is the end.
    endless: bool,
    /// Seconds that there should be, where an MP3 says so.
    stated: Option<f64>,
}

/// Seconds that may be missing of what an MP3 says that it holds: encoders and editors round.
const MISSING: f64 = 1.0;

impl Track {
    /// Opens a sound track.
    ///
    /// # Errors
    /// `Unsupported` or `Corrupt` when Symphonia does not know the format or codec, or cannot give what is wanted: another
    /// program may.
    pub fn open(input: &Input, wanted: SoundTrack) -> Result<Self, Fault> {
        let mut file = input.reader()?;
        if file.metadata().map_err(|error| unreadable(&error))?.len() == 0 {
            return Err(refuse(FaultKind::Empty, "the file has no bytes", "leave it out"));
        }
        if !matches!(wanted, SoundTrack::Number(1) | SoundTrack::Named(AllTracks::All)) {
            return Err(unsupported("another track than the first is wanted"));
        }
        let edit = match Edited::read(&mut file).map_err(|error| unreadable(&error))? {
            Edited::Not => None,
            Edited::Span(edit) => Some(edit),
            Edited::Pieces => return Err(unsupported("the track is put together of several spans")),
        };
        let endless = wave::is_endless(&mut file).map_err(|error| unreadable(&error))?;
        let stream = || MediaSourceStream::new(Box::new(file), Default::default());
        let track = sheltered("sound", || Self::of(stream(), edit, wanted))?;
        Ok(Self { endless, ..track })
    }

    fn of(stream: MediaSourceStream<'static>, edit: Option<Edit>, wanted: SoundTrack) -> Result<Self, Fault> {
        let probe = symphonia::default::get_probe();
        let format = probe.probe(&Hint::new(), stream, Default::default(), Default::default());
        let format = format.map_err(|error| fault(&error))?;
        let (track, decoder) = decoder(format.as_ref(), wanted)?;
        let (id, lag) = (track.id, Lag::new(track.time_base));
        let stated = stated(format.as_ref(), track);
        let (passed, good, bad) = (0, 0, 0);
        Ok(Self { format, decoder, id, wanted, lag, edit, passed, good, bad, broken: None, endless: false, stated })
    }

    /// The next block; `None` at the end. Packets that cannot be decoded are left out.
    pub fn next(&mut self) -> Result<Option<Block>, Fault> {
        let block = sheltered("sound", || self.advance())?;
        Ok(block.map(|block| self.heard(block)))
    }

    /// True when no packet could be decoded so far.
    pub fn is_mute(&self) -> bool {
        self.good == 0
    }

    /// A fault when most of what was there was no sound at all.
    pub fn check_noise(&self) -> Result<(), Fault> {
        if self.bad <= self.good {
            return Ok(());
        }
        let message = format!("{} of {} packets cannot be decoded", self.bad, self.bad + self.good);
        Err(refuse(FaultKind::Corrupt, message, "listen to the file: it is damaged or no sound at all"))
    }

    fn advance(&mut self) -> Result<Option<Block>, Fault> {
        loop {
            if let Some(block) = self.lag.next() {
                return Ok(Some(block));
            }
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.id => packet,
                Ok(Some(_)) => continue,
                Ok(None) => return Ok(self.end()),
                Err(Error::ResetRequired) => {
                    self.reset()?;
                    continue;
                }
                Err(error) => return self.stop(&error),
            };
            match decoded(&mut *self.decoder, &packet).or_else(|_| self.begin_anew(&packet)) {
                Ok(block) if block.samples.is_empty() => {}
                Ok(block) => {
                    self.good += 1;
                    self.lag.take(packet.pts.get(), block);
                }
                Err(_) => self.bad += 1,
            }
        }
    }

    /// A new decoder for what the old one could not go on with: a stream whose rate or channels change on the way.
    fn begin_anew(&mut self, packet: &Packet) -> Result<Block, Error> {
        let fresh = decoder(self.format.as_ref(), self.wanted);
        let (track, mut fresh) = fresh.map_err(|_| Error::ResetRequired)?;
        let block = decoded(&mut *fresh, packet)?;
        (self.id, self.decoder) = (track.id, fresh);
        Ok(block)
    }

    /// The stream begins again, with times of its own.
    fn reset(&mut self) -> Result<(), Fault> {
        let (track, decoder) = decoder(self.format.as_ref(), self.wanted)?;
        (self.id, self.lag, self.decoder) = (track.id, Lag::new(track.time_base), decoder);
        Ok(())
    }

    /// What the edit list leaves of a block.
    fn heard(&mut self, mut block: Block) -> Block {
        let from = self.passed;
        self.passed += block.samples.len() as u64;
        if let Some(edit) = self.edit {
            let sample =
                |seconds: f64| ((seconds * f64::from(block.rate)).round() as u64).saturating_sub(from) as usize;
            block.samples.truncate(edit.length.map_or(usize::MAX, |length| sample(edit.start + length)));
            block.samples.drain(..sample(edit.start).min(block.samples.len()));
        }
        block
    }

    /// The end, which may come before the one that was stated.
    fn end(&mut self) -> Option<Block> {
        let missing = self.stated.filter(|stated| stated - self.lag.seconds() > MISSING);
        self.broken = missing.map(|stated| format!("its header speaks of {stated:.2} s"));
        None
    }

    /// A recording that breaks off keeps what came before; one that never began is at fault.
    fn stop(&mut self, error: &Error) -> Result<Option<Block>, Fault> {
        if self.endless && matches!(error, Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof) {
            return Ok(None);
        }
        if self.good == 0 {
            return Err(fault(error));
        }
        self.broken = Some(error.to_string());
        Ok(None)
    }

    /// Why the recording breaks off after `seconds`, when it does.
    pub fn loss(&self, seconds: f64) -> Option<Fault> {
        self.broken.as_ref().map(|why| breaks_off(seconds, why))
    }
}

fn decoded(decoder: &mut dyn AudioDecoder, packet: &Packet) -> Result<Block, Error> {
    decoder.decode(packet).map(|buffer| mono(&buffer))
}

/// The track that is wanted, and a decoder for it.
fn decoder(format: &dyn FormatReader, wanted: SoundTrack) -> Result<(&formats::Track, Box<dyn AudioDecoder>), Fault> {
    let sound = |track: &&formats::Track| track.track_type() == Some(TrackType::Audio);
    let tracks: Vec<&formats::Track> = format.tracks().iter().filter(sound).collect();
    if tracks.len() > 1 && wanted != SoundTrack::Number(1) {
        return Err(unsupported("several tracks are to be mixed"));
    }
    let silent = || refuse(FaultKind::Unsupported, "there is no sound track in the file", "leave it out");
    let track = *tracks.first().ok_or_else(silent)?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio()).ok_or_else(silent)?;
    let codecs = symphonia::default::get_codecs();
    let decoder = codecs.make_audio_decoder(parameters, &AudioDecoderOptions::default());
    decoder.map(|decoder| (track, decoder)).map_err(|error| fault(&error))
}

/// How long an MP3 with a header of LAME's kind says that it is. Of others Symphonia estimates it by their size, which says
/// nothing: those have no delay.
fn stated(format: &dyn FormatReader, track: &formats::Track) -> Option<f64> {
    let rate = track.codec_params.as_ref()?.audio()?.sample_rate.filter(|rate| *rate > 0)?;
    let told = format.format_info().format == FORMAT_ID_MP3 && track.delay.is_some();
    track.num_frames.filter(|_| told).map(|frames| frames as f64 / f64::from(rate))
}

/// The average of all channels.
fn mono(buffer: &GenericAudioBufferRef<'_>) -> Block {
    let mut samples: Vec<f32> = Vec::new();
    buffer.copy_to_vec_interleaved(&mut samples);
    let channels = buffer.num_planes().max(1);
    let average = |frame: &[f32]| finite(frame.iter().sum::<f32>() / channels as f32);
    Block { rate: buffer.spec().rate(), samples: samples.chunks_exact(channels).map(average).collect() }
}

/// What ffmpeg can do.
fn unsupported(what: &str) -> Fault {
    refuse(FaultKind::Unsupported, what, "install ffmpeg with `lapidary runtime install`")
}

fn unreadable(error: &io::Error) -> Fault {
    refuse(FaultKind::Unreadable, error.to_string(), "check the file and its permissions")
}

fn fault(error: &Error) -> Fault {
    let kind = match error {
        Error::Unsupported(_) => FaultKind::Unsupported,
        Error::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => FaultKind::Unreadable,
        _ => FaultKind::Corrupt,
    };
    refuse(kind, format!("the sound cannot be decoded: {error}"), "convert the file to WAV or FLAC")
}
