//! What the model receives for one unit: token ids with places for soft tokens, and what fills them.

use ndarray::Array2;

use super::media::TextLayer;

/// One picture as patches, unpadded. Layout: transformers' `image_processing_gemma4.py`.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePatches {
    /// `[9 * soft_tokens, 768]` f32 in [0, 1]: patches row-major, inside a patch (dy, dx, channel).
    pub pixels: Array2<f32>,
    /// `[9 * soft_tokens, 2]` i64: (column, row) of each patch.
    pub positions: Array2<i64>,
    /// Soft tokens that the encoder makes of it.
    pub soft_tokens: usize,
}

/// One clip as a log-mel spectrogram. Layout: transformers' `feature_extraction_gemma4.py`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogMel {
    /// `[frames, 128]` f32; masked frames are 0.
    pub features: Array2<f32>,
    /// `[frames]`: false where a frame is padding.
    pub mask: Vec<bool>,
    /// Soft tokens that the encoder makes of it.
    pub soft_tokens: usize,
}

/// What the encoders have made of a prompt's pictures and clips, which it then no longer holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// `[image_tokens, hidden]` f32, row-major, of all pictures in order.
    pub pictures: Vec<f32>,
    /// `[audio_tokens, hidden]` f32, row-major, of all clips in order.
    pub sound: Vec<f32>,
    /// Soft tokens of all pictures.
    pub image_tokens: usize,
    /// Soft tokens of all clips.
    pub audio_tokens: usize,
    /// Pictures that needed no run, since an earlier one looked alike.
    pub known_pictures: usize,
    /// Microseconds that the encoders took for it.
    pub micros: u64,
}

/// The body of an item between `encode` and `generate`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    /// All ids, soft tokens included: as many image (or video) ids as the pictures have soft tokens, in order.
    pub tokens: Vec<u32>,
    /// Pictures and frames, in the order of their places.
    pub images: Vec<ImagePatches>,
    /// Clips, in the order of their places.
    pub clips: Vec<LogMel>,
    /// What has come in the place of pictures and clips, once they are encoded.
    pub features: Option<Features>,
    /// The visual token budget in use, 0 when there is no picture.
    pub budget: u32,
    /// The page's own text layer, or a text document: kept for checking answers against it.
    pub text: Option<TextLayer>,
    /// Microseconds that encoding took.
    pub encode_micros: u64,
}

impl Prompt {
    /// Soft tokens of all pictures.
    pub fn image_tokens(&self) -> usize {
        let encoded = self.features.as_ref().map_or(0, |features| features.image_tokens);
        encoded + self.images.iter().map(|image| image.soft_tokens).sum::<usize>()
    }

    /// Soft tokens of all clips.
    pub fn audio_tokens(&self) -> usize {
        let encoded = self.features.as_ref().map_or(0, |features| features.audio_tokens);
        encoded + self.clips.iter().map(|clip| clip.soft_tokens).sum::<usize>()
    }

    /// True when there are pictures or clips that have not been encoded.
    pub fn has_media(&self) -> bool {
        !self.images.is_empty() || !self.clips.is_empty()
    }

    /// Patches of all pictures that have not been encoded.
    pub fn patches(&self) -> usize {
        self.images.iter().map(|image| image.pixels.nrows()).sum()
    }

    /// Bytes that this prompt holds in memory.
    pub fn bytes(&self) -> u64 {
        let images: usize = self.images.iter().map(|image| image.pixels.len() * 4 + image.positions.len() * 8).sum();
        let clips: usize = self.clips.iter().map(|clip| clip.features.len() * 4 + clip.mask.len()).sum();
        let features =
            self.features.as_ref().map_or(0, |features| (features.pictures.len() + features.sound.len()) * 4);
        let text = self.text.as_ref().map_or(0, TextLayer::bytes);
        (images + clips + features + text + self.tokens.len() * 4) as u64
    }
}
