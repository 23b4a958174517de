//! What the measurements feed: ordinary tokens, pictures of noise, and the choice of the likeliest token.

use lapidary::{
    base::{
        ContentHash, Fatal, ImagePatches, Kind, Origin, Part, Prompt, Source,
        model::{Manifest, TokenIds},
    },
    generate::{Engine, OrtEngine, Sampler, Settings, Slot},
};
use ndarray::Array2;
use toktrie::SimpleVob;

use crate::failed;

/// Numbers of one patch.
const CHANNELS: usize = 768;

/// Patches along each side of a soft token.
const POOL: usize = 3;

/// A vocabulary from this size on has the ids of benches/peers.
const FULL_VOCABULARY: usize = 210_000;

/// `count` ordinary token ids; streams differ from their first token on. With the full vocabulary they are those of
/// benches/peers.
pub fn ids(stream: u64, count: usize, manifest: &Manifest) -> Vec<u32> {
    let width = manifest.text.vocab_size;
    let (least, span) = if width >= FULL_VOCABULARY { (1000, 200_003) } else { (3, (width as u64).saturating_sub(3)) };
    let id = |place: u64| least + ((stream * 7919 + place * 104_729 + place * place * 31) % span.max(1)) as u32;
    (0..count as u64).map(|place| ordinary(id(place), &manifest.tokens)).collect()
}

/// The id, or `<bos>` where it has a meaning of its own.
fn ordinary(id: u32, tokens: &TokenIds) -> u32 {
    let pictures = [tokens.image, tokens.begin_image, tokens.end_image, tokens.video];
    let sound = [tokens.audio, tokens.begin_audio, tokens.end_audio];
    if pictures.contains(&id) || sound.contains(&id) || tokens.eos.contains(&id) { tokens.bos } else { id }
}

/// A prompt of tokens alone.
pub fn text(tokens: Vec<u32>) -> Prompt {
    Prompt { tokens, ..Prompt::default() }
}

/// A picture of so many soft tokens across and down, of noise that `seed` tells from others.
pub fn picture(seed: u64, across: usize, down: usize) -> ImagePatches {
    let (columns, rows) = (POOL * across, POOL * down);
    let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let pixels = Array2::from_shape_simple_fn((columns * rows, CHANNELS), || noise.fraction());
    let place = |(patch, axis): (usize, usize)| if axis == 0 { patch % columns } else { patch / columns };
    let positions = Array2::from_shape_fn((columns * rows, 2), |at| place(at) as i64);
    ImagePatches { pixels, positions, soft_tokens: across * down }
}

/// The tokens around and in the places of a picture.
pub fn places(picture: &ImagePatches, tokens: &TokenIds) -> Vec<u32> {
    let inside = std::iter::repeat_n(tokens.image, picture.soft_tokens);
    std::iter::once(tokens.begin_image).chain(inside).chain([tokens.end_image]).collect()
}

/// Marsaglia's xorshift of 64 bits.
struct Noise(u64);

impl Noise {
    /// In [0, 1).
    fn fraction(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }
}

/// Takes the likeliest token as a run does, but none that stands for a picture or sound.
pub struct Taker {
    sampler: Sampler,
    allowed: SimpleVob,
}

impl Taker {
    pub fn new(manifest: &Manifest) -> Self {
        let (width, tokens) = (manifest.text.vocab_size, &manifest.tokens);
        let mut allowed = SimpleVob::alloc_ones(width);
        let soft = [tokens.image, tokens.video, tokens.audio].into_iter().filter(|id| (*id as usize) < width);
        soft.for_each(|id| allowed.disallow_token(id));
        Self { sampler: Sampler::new(&Settings::default(), &origin()), allowed }
    }

    /// What follows in a slot.
    pub fn take(&mut self, engine: &OrtEngine, slot: Slot) -> Result<u32, Fatal> {
        let message = format!("slot {slot} has no usable scores");
        let nothing = || Fatal::new(message.clone(), "compare the bundle with its checkpoint");
        let scores = engine.logits(slot, 0).ok_or_else(nothing)?;
        self.sampler.choose(scores, &self.allowed).map(|choice| choice.token).ok_or_else(nothing)
    }
}

fn origin() -> Origin {
    let source = Source {
        name: "measurement".to_owned(),
        path: "".into(),
        hash: ContentHash([0; 32]),
        kind: Kind::Text,
        bytes: 1,
        ordinal: 0,
        modified: None,
    };
    Origin { source: source.into(), part: Part::Whole }
}

/// Puts a prompt into a slot and feeds all of it.
pub fn prefill(engine: &mut OrtEngine, slot: Slot, mut prompt: Prompt) -> Result<(), Fatal> {
    engine.admit(slot, &mut prompt).map_err(failed)?;
    engine.prefill(slot).map_err(failed).map(drop)
}
