//! What a decoder is asked for: the settings as they reach the child process.

use serde::{Deserialize, Serialize};

use crate::base::{Budget, grid::BUDGETS};

use super::{
    pages::PageRanges,
    settings::{Limits, Settings, SoundSettings, TextSettings, VideoSettings},
};

/// The sizes that `encode` will want, so that nothing is rendered larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Render {
    /// Soft tokens of a page or picture.
    pub page_budget: Budget,
    /// Soft tokens of one frame of a film.
    pub frame_budget: u32,
}

impl Render {
    /// The smallest, where it does not matter what pages and frames look like.
    pub const SMALLEST: Self = Self { page_budget: Budget::Tokens(BUDGETS[0]), frame_budget: BUDGETS[0] };
}

/// Everything that shapes the units of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Budgets of soft tokens.
    pub render: Render,
    /// A page is drawn so many times as large along each side, to be shown in tiles.
    pub tiles: u32,
    /// Which pages of a document of pages (PDF, TIFF).
    pub pages: PageRanges,
    /// Most pages in a row that make one unit.
    pub pages_per_unit: u32,
    /// Passwords to try on an encrypted PDF.
    pub passwords: Vec<String>,
    /// Whether the text layer of a PDF comes along.
    pub text_layer: bool,
    /// Most seconds of work on the document.
    pub seconds: f64,
    /// What is too large.
    pub limits: Limits,
    /// How long texts are parted.
    pub text: TextSettings,
    /// How films are sampled.
    pub video: VideoSettings,
    /// How recordings are cut.
    pub sound: SoundSettings,
    /// Seconds by which the sound of each clip begins before the clip does.
    pub ahead: f64,
}

impl Order {
    /// The order that these settings amount to.
    ///
    /// # Errors
    /// What is wrong with `settings.pages`.
    pub fn new(settings: &Settings, render: Render) -> Result<Self, String> {
        Ok(Self {
            render,
            tiles: 1,
            pages: settings.pages.parse()?,
            pages_per_unit: settings.pages_per_unit,
            passwords: settings.passwords.clone(),
            text_layer: settings.text_layer,
            seconds: settings.seconds_per_document,
            limits: settings.limits.clone(),
            text: settings.text.clone(),
            video: settings.video.clone(),
            sound: settings.sound.clone(),
            ahead: 0.0,
        })
    }
}
