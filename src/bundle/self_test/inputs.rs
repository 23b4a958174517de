//! The prompt of a self-test: BOS, random text with two pictures of different shapes and a clip between its parts, where
//! the model sees and hears.

use ndarray::Array2;

use super::{KEPT, random::Random};
use crate::{
    base::{Fatal, ImagePatches, LogMel, Prompt, model::TokenIds},
    bundle::{Config, VisionConfig},
};

/// Columns and rows of soft tokens of the pictures.
const PICTURES: [[usize; 2]; 2] = [[3, 2], [2, 2]];

/// Frames of the clip, of which the last few are padding.
const FRAMES: usize = 53;
const PADDING: usize = 7;

const MEL_BINS: usize = 128;

/// A prompt of so many tokens, the same for the same configuration.
///
/// # Errors
/// When pictures and sound alone are longer, or the vocabulary has no ordinary words.
pub fn inputs(config: &Config, tokens: usize) -> Result<Prompt, Fatal> {
    let mut random = Random(0x6c61_7069_6461_7279);
    let images = config
        .vision
        .as_ref()
        .map_or(Vec::new(), |vision| PICTURES.map(|grid| picture(vision, grid, &mut random)).to_vec());
    let clips = config.audio.as_ref().map_or(Vec::new(), |_| vec![clip(&mut random)]);
    let media = media(&config.tokens, &images, &clips);
    let least = 1 + media.iter().map(Vec::len).sum::<usize>() + KEPT * (media.len() + 1);
    let most = config.text.max_positions - 1;
    if !(least..=most).contains(&tokens) {
        let message = format!("a prompt of {tokens} tokens cannot be made: pictures and sound alone want {least}");
        return Err(Fatal::new(message, format!("ask for {least} to {most} tokens")));
    }
    let text = text(config, tokens - (least - KEPT * (media.len() + 1)), &mut random)?;
    Ok(Prompt { tokens: joined(config.tokens.bos, &media, &text), images, clips, ..Prompt::default() })
}

/// The marks and soft tokens of each picture and clip.
fn media(ids: &TokenIds, images: &[ImagePatches], clips: &[LogMel]) -> Vec<Vec<u32>> {
    let framed = |begin: u32, soft: u32, end: u32, count: usize| [vec![begin], vec![soft; count], vec![end]].concat();
    let pictures = images.iter().map(|image| framed(ids.begin_image, ids.image, ids.end_image, image.soft_tokens));
    let sound = clips.iter().map(|clip| framed(ids.begin_audio, ids.audio, ids.end_audio, clip.soft_tokens));
    pictures.chain(sound).collect()
}

/// Ordinary ids.
fn text(config: &Config, count: usize, random: &mut Random) -> Result<Vec<u32>, Fatal> {
    let ids = &config.tokens;
    let mut special = vec![ids.pad, ids.bos, ids.image, ids.video, ids.audio];
    special.extend([ids.begin_image, ids.end_image, ids.begin_audio, ids.end_audio]);
    special.extend(&ids.eos);
    let ordinary: Vec<u32> = (0..config.text.vocab_size as u32).filter(|id| !special.contains(id)).collect();
    match ordinary.len() {
        0 => Err(Fatal::new("the vocabulary has no ordinary words", "the configuration does not describe a model")),
        words => Ok((0..count).map(|_| ordinary[random.below(words)]).collect()),
    }
}

/// BOS, then text and media by turns; the text is cut into parts of about one length.
fn joined(bos: u32, media: &[Vec<u32>], text: &[u32]) -> Vec<u32> {
    let parts = media.len() + 1;
    let part = |index: usize| &text[index * text.len() / parts..(index + 1) * text.len() / parts];
    let mut tokens = [&[bos], part(0)].concat();
    for (index, piece) in media.iter().enumerate() {
        tokens.extend(piece);
        tokens.extend(part(index + 1));
    }
    tokens
}

fn picture(config: &VisionConfig, [columns, rows]: [usize; 2], random: &mut Random) -> ImagePatches {
    let (wide, high) = (columns * config.pooling, rows * config.pooling);
    let values = 3 * config.patch_size * config.patch_size;
    ImagePatches {
        pixels: Array2::from_shape_simple_fn((wide * high, values), || random.eighth(0, 1)),
        positions: Array2::from_shape_fn((wide * high, 2), |(patch, axis)| [patch % wide, patch / wide][axis] as i64),
        soft_tokens: columns * rows,
    }
}

fn clip(random: &mut Random) -> LogMel {
    let mask: Vec<bool> = (0..FRAMES).map(|frame| frame < FRAMES - PADDING).collect();
    let mut features = Array2::from_shape_simple_fn((FRAMES, MEL_BINS), || random.eighth(-7, 1));
    features.rows_mut().into_iter().zip(&mask).filter(|(_, valid)| !**valid).for_each(|(mut row, _)| row.fill(0.0));
    let soft_tokens = mask.iter().step_by(4).filter(|valid| **valid).count();
    LogMel { features, mask, soft_tokens }
}
