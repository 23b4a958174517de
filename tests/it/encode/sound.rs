//! Log-mel spectrograms against transformers' extractor.

use std::fs::File;

use lapidary::{base::Clip, encode::audio::Spectrograph};
use ndarray::{Array1, Array2};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::MediaSourceStream,
    meta::MetadataOptions,
};

use super::reference;
use crate::vocabulary;

/// The natural logarithm of the energy may differ by so much.
const PARITY: f32 = 1e-4;

fn compare(clip: &Clip, file: &str) {
    let found = Spectrograph::default().log_mel(clip, 750).expect("long enough");
    let wanted: Array2<f32> = reference(file, "input_features");
    let mask: Array1<bool> = reference(file, "mask");
    assert_eq!(found.mask, mask.to_vec(), "{file}");
    assert_eq!(found.features.dim(), wanted.dim(), "{file}");
    let largest = (&found.features - &wanted).iter().fold(0f32, |most, apart| most.max(apart.abs()));
    println!("{file}: {largest}");
    assert!(largest < PARITY, "{file}: {largest}");
}

/// `fixtures/reference/speech.flac`: 16 kHz, mono.
fn speech() -> Clip {
    let file = File::open(vocabulary::root("fixtures/reference/speech.flac")).expect("the fixture is there");
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let (format, meta) = (FormatOptions::default(), MetadataOptions::default());
    let mut reader = symphonia::default::get_probe().probe(&Hint::new(), stream, format, meta).expect("FLAC");
    let track = reader.default_track(TrackType::Audio).expect("a track");
    let parameters = track.codec_params.as_ref().and_then(|codec| codec.audio()).expect("sound");
    let options = AudioDecoderOptions::default();
    let mut decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options).expect("a codec");
    let (mut samples, mut block) = (Vec::<f32>::new(), Vec::<f32>::new());
    while let Some(packet) = reader.next_packet().expect("a whole file") {
        decoder.decode(&packet).expect("a whole packet").copy_to_vec_interleaved(&mut block);
        samples.append(&mut block);
    }
    Clip { samples }
}

#[test]
fn a_spoken_sentence_sounds_to_the_model_as_it_does_in_transformers() {
    compare(&speech(), "speech.npz");
}

#[test]
fn a_pure_tone_sounds_to_the_model_as_it_does_in_transformers() {
    let waveform: Array1<f32> = reference("audio_sine440_1s.npz", "waveform");
    compare(&Clip { samples: waveform.to_vec() }, "audio_sine440_1s.npz");
}
