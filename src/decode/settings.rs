//! The `[decode]` table of a pipeline.

use serde::{Deserialize, Serialize};

use super::pages::PageRanges;

/// Most pages of one unit: at the largest budget 64 are over 70,000 soft tokens.
const MOST_PAGES: u32 = 64;

/// Seconds that two clips must share for what both say to be found: some four words.
const LEAST_OVERLAP: f64 = 1.3;

/// Seconds that the models hear at once (transformers' `feature_extraction_gemma4.py`).
pub const LONGEST_CLIP: f64 = 30.0;

/// How documents become units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Page ranges such as `1-3,7,10-`; empty is all pages.
    pub pages: String,
    /// Pages in a row of a document (PDF, TIFF) that are shown to the model together and become one record; 1 is each page by
    /// itself.
    pub pages_per_unit: u32,
    /// Passwords to try, in turn, on encrypted PDFs.
    pub passwords: Vec<String>,
    /// Whether the text layer of a PDF comes along with the picture of its page.
    pub text_layer: bool,
    /// Child processes at work at the same time; 0 is as many as the machine has cores.
    pub lanes: usize,
    /// A child is replaced after this many documents, so that no leak of a decoder grows; 0 is never.
    pub recycle_after: u32,
    /// A child that shows no progress for so long is killed.
    pub seconds_without_progress: f64,
    /// A document that takes so long in all, waiting for the rest of the line left out, is given up.
    pub seconds_per_document: f64,
    /// A document that costs so many children, dead or killed, is given up: what is left of it fails.
    pub children_per_document: u32,
    /// What is too large to be decoded.
    pub limits: Limits,
    /// How long texts are parted.
    pub text: TextSettings,
    /// How films are sampled.
    pub video: VideoSettings,
    /// How recordings, and the sound tracks of films, are cut into clips.
    pub sound: SoundSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pages: String::new(),
            pages_per_unit: 1,
            passwords: Vec::new(),
            text_layer: true,
            lanes: 0,
            recycle_after: 200,
            seconds_without_progress: 60.0,
            seconds_per_document: 3600.0,
            children_per_document: 32,
            limits: Limits::default(),
            text: TextSettings::default(),
            video: VideoSettings::default(),
            sound: SoundSettings::default(),
        }
    }
}

/// Documents over a limit become failures of kind `too_large`, with the limit in the column `limit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most pixels (width x height) of a picture or frame as stored, and of the pages or frames of one unit together.
    pub pixels: u64,
    /// Most pages of one document, before `pages` chooses among them.
    pub pages: u32,
    /// Longest recording or film.
    pub seconds: f64,
    /// Largest file.
    pub bytes: u64,
    /// Largest text document.
    pub text_bytes: u64,
    /// Most bytes of pixels, samples and text that one document may become.
    pub decoded_bytes: u64,
    /// Most memory (address space) that a child may take.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels: 400_000_000,
            pages: 20_000,
            seconds: 12.0 * 3600.0,
            bytes: 16 << 30,
            text_bytes: 4 << 20,
            decoded_bytes: 256 << 30,
            memory: 8 << 30,
        }
    }
}

/// How long texts are parted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextSettings {
    /// Most characters of a unit: a longer text is cut between paragraphs, else lines, sentences or words. Without it every
    /// text is one unit.
    pub longest: Option<u32>,
}

/// How films are sampled (transformers' `video_processing_gemma4.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VideoSettings {
    /// Frames spread evenly over the film, or the most frames when `fps` is given; 0 is none, the sound alone.
    pub frames: u32,
    /// Frames per second instead of an even spread.
    pub fps: Option<f64>,
    /// Where the picture changes by more than this, from 0 to 1 (ffmpeg's scene score), instead of an even spread: the first
    /// frame and those, at most `frames`, the greatest changes first.
    pub scenes: Option<f64>,
    /// A unit, of at most `frames` frames, for each so many seconds of the film; without it the film is one unit.
    pub window: Option<f64>,
    /// Frames that differ by less from the one before, on average in shares of full brightness, are left out; 0 keeps all.
    pub least_change: f32,
    /// Whether the sound track comes along as clips.
    pub sound: bool,
}

impl Default for VideoSettings {
    fn default() -> Self {
        Self { frames: 32, fps: None, scenes: None, window: None, least_change: 0.0, sound: true }
    }
}

/// Where clips end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Every `longest` seconds, whatever is heard.
    #[default]
    Even,
    /// In the pauses of speech; what nobody speaks in becomes no clip.
    Pauses,
}

/// Which sound track of a file with several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SoundTrack {
    /// This one, from 1, in the order of the file.
    Number(u32),
    /// All of them, mixed: a meeting with a track for each speaker.
    Named(AllTracks),
}

/// The word for all tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AllTracks {
    /// `"all"`.
    All,
}

/// How recordings are cut into clips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoundSettings {
    /// Where clips end.
    pub cut: Cut,
    /// Longest clip in seconds; the models hear 30 at once.
    pub longest: f64,
    /// Seconds that two clips share where speech has no pause to cut in: enough for some words, so that what both say is found, or
    /// none, which cuts words.
    pub overlap: f64,
    /// Which sound track is heard: its number, from 1, or `"all"`, mixed.
    pub track: SoundTrack,
}

impl Default for SoundSettings {
    fn default() -> Self {
        Self { cut: Cut::Even, longest: LONGEST_CLIP, overlap: 2.0, track: SoundTrack::Number(1) }
    }
}

impl SoundSettings {
    fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1.0..=LONGEST_CLIP).contains(&self.longest) {
            problems.push(format!("sound.longest: must be from 1 to {LONGEST_CLIP} seconds"));
        }
        let told_apart = self.overlap == 0.0 || (LEAST_OVERLAP..=5.0).contains(&self.overlap);
        let shared = told_apart && self.overlap <= self.longest / 2.0;
        if self.cut == Cut::Pauses && !shared {
            problems.push(format!(
                "sound.overlap: must be 0, or from {LEAST_OVERLAP} to 5 seconds and at most half of `longest`"
            ));
        }
        if self.track == SoundTrack::Number(0) {
            problems.push("sound.track: tracks are counted from 1".to_owned());
        }
        if self.cut == Cut::Even && self.overlap != Self::default().overlap {
            problems.push("sound.overlap: has no effect without `cut = \"pauses\"`".to_owned());
        }
        problems
    }
}

impl Settings {
    /// Everything that is wrong, one line each.
    pub fn validate(&self) -> Vec<String> {
        let (limits, video) = (&self.limits, &self.video);
        let mut problems: Vec<String> =
            self.pages.parse::<PageRanges>().err().into_iter().map(|e| format!("pages: {e}")).collect();
        let mut demand = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        let (progress, document) = (self.seconds_without_progress, self.seconds_per_document);
        demand(progress.is_finite() && progress > 0.0, "seconds_without_progress: must be more than 0");
        demand(progress.is_finite() && progress <= 86_400.0, "seconds_without_progress: must be at most 86400");
        demand(document.is_finite() && document > 0.0, "seconds_per_document: must be more than 0");
        demand(document.is_finite() && document <= 604_800.0, "seconds_per_document: must be at most 604800");
        demand((1..=MOST_PAGES).contains(&self.pages_per_unit), "pages_per_unit: must be from 1 to 64");
        demand(self.children_per_document > 0, "children_per_document: must be more than 0");
        demand(self.lanes <= 1024, "lanes: must be at most 1024");
        demand(limits.pixels > 0, "limits.pixels: must be more than 0");
        demand(limits.pages > 0, "limits.pages: must be more than 0");
        demand(limits.seconds.is_finite() && limits.seconds > 0.0, "limits.seconds: must be more than 0");
        demand(limits.bytes > 0, "limits.bytes: must be more than 0");
        demand(limits.text_bytes > 0, "limits.text_bytes: must be more than 0");
        demand(limits.decoded_bytes > 0, "limits.decoded_bytes: must be more than 0");
        demand(limits.memory >= 256 << 20, "limits.memory: must be at least 268435456 (256 MiB)");
        let longest = self.text.longest.is_none_or(|longest| longest >= 200);
        demand(longest, "text.longest: must be at least 200 characters");
        demand(video.frames <= 1024, "video.frames: must be from 0 to 1024");
        demand(video.frames > 0 || video.fps.is_none(), "video.fps: has no effect when `video.frames` is 0");
        demand(video.frames > 0 || video.sound, "video.sound: nothing is left of a film when `video.frames` is 0 too");
        demand(
            video.window.is_none_or(|window| window.is_finite() && window >= 1.0),
            "video.window: must be at least 1 second",
        );
        let scene = video.scenes.is_none_or(|score| (0.0..1.0).contains(&score) && score > 0.0);
        demand(scene, "video.scenes: must be more than 0 and less than 1; 0.3 suits most films");
        demand(video.scenes.is_none() || video.fps.is_none(), "video.scenes: choose it or `video.fps`");
        demand((0.0..=1.0).contains(&video.least_change), "video.least_change: must be from 0 to 1");
        let idle = video.window.is_some() || video.least_change > 0.0 || video.scenes.is_some();
        demand(
            !(idle && video.frames == 0),
            "video.window, video.scenes, video.least_change: have no effect when `video.frames` is 0",
        );
        demand(video.fps.is_none_or(|fps| fps.is_finite() && fps > 0.0), "video.fps: must be more than 0");
        problems.extend(self.sound.validate());
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Settings::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let text = "pages = \"3-1\"\nseconds_without_progress = 0\n[limits]\npixels = 0\n[video]\nfps = -1.0";
        let settings: Settings = toml::from_str(text).unwrap();
        let problems = settings.validate();
        for key in ["pages", "seconds_without_progress", "limits.pixels", "video.fps"] {
            assert!(problems.iter().any(|problem| problem.starts_with(key)), "{key}: {problems:?}");
        }
    }

    #[test]
    fn films_without_frames_must_keep_their_sound() {
        let problems = |video: VideoSettings| Settings { video, ..Settings::default() }.validate().len();
        assert_eq!(problems(VideoSettings { frames: 0, fps: None, sound: true, ..VideoSettings::default() }), 0);
        assert_eq!(problems(VideoSettings { frames: 0, fps: Some(1.0), sound: false, ..VideoSettings::default() }), 2);
        assert_eq!(problems(VideoSettings { frames: 1025, fps: None, sound: true, ..VideoSettings::default() }), 1);
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Settings>("page = \"1\"").is_err());
        assert!(toml::from_str::<Settings>("[limits]\npixel = 1").is_err());
    }
}
