//! Where the picture changes: ffmpeg scores each frame against the one before it.

use crate::base::Fault;

use super::{
    super::{ffmpeg::Ffmpeg, input::Input, output::Output},
    survey::Pictures,
};

/// Small frames tell scenes as well, and are compared much faster. Scores are written at once, since nothing else shows that
/// work goes on.
const FILTER: &str =
    "scale=160:-2:flags=area,select=gte(scene\\,0),metadata=print:key=lavfi.scene_score:file=-:direct=1";

/// The score of each frame, 0 to 1 (ffmpeg-filters, `select`, `scene`); 0 for those that cannot be decoded. Decodes the whole
/// film once.
pub fn scores(input: &Input, pictures: &Pictures, out: &mut dyn Output) -> Result<Vec<f32>, Fault> {
    let after = ["-map", "0:V:0", "-an", "-sn", "-dn", "-vf", FILTER, "-f", "null", "-"];
    let mut ffmpeg = Ffmpeg::start(input, &["-loglevel", "error"], &after)?;
    let (mut scores, mut frame) = (vec![0.0; pictures.times.len()], None);
    while let Some(line) = ffmpeg.line(out)? {
        if let Some(time) = value(&line, "pts_time:") {
            frame = pictures.shown_at(time);
        } else if let (Some(score), Some(frame)) = (value(&line, "lavfi.scene_score="), frame) {
            scores[frame] = score as f32;
        }
    }
    ffmpeg.finish()?;
    Ok(scores)
}

fn value(line: &str, name: &str) -> Option<f64> {
    let (_, rest) = line.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The first of the frames with these scores, and those over the threshold, the greatest first, at most `most`; ascending.
pub fn chosen(scores: &[f32], threshold: f64, most: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = (1..scores.len()).filter(|frame| f64::from(scores[*frame]) > threshold).collect();
    cuts.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
    let first = (!scores.is_empty()).then_some(0);
    let mut chosen: Vec<usize> = first.into_iter().chain(cuts).take(most).collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;
    use crate::base::native::{Library, locate};

    #[test]
    fn scores_come_while_the_film_is_decoded_and_not_all_at_its_end() {
        // A film that takes as long to read as it lasts.
        let film = ["-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc=duration=30:rate=10"];
        let mut command = Command::new(locate(Library::Ffmpeg).unwrap());
        command.args(film).args(["-vf", FILTER, "-f", "null", "-"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let (began, mut line) = (Instant::now(), String::new());
        let mut child = command.spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let waited = began.elapsed();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(value(&line, "pts_time:"), Some(0.0), "{line}");
        assert!(waited < Duration::from_secs(15), "the first score came after {waited:?}");
    }

    #[test]
    fn the_first_frame_and_the_greatest_changes_are_chosen() {
        let scores = [0.9, 0.1, 0.4, 0.0, 0.7, 0.31, 0.5];
        assert_eq!(chosen(&scores, 0.3, 32), [0, 2, 4, 5, 6]);
        assert_eq!(chosen(&scores, 0.3, 3), [0, 4, 6]);
        assert_eq!(chosen(&[0.0; 4], 0.3, 3), [0], "nothing changes");
        assert_eq!(chosen(&[], 0.3, 3), [] as [usize; 0]);
    }

    #[test]
    fn lines_of_ffmpeg_are_read() {
        assert_eq!(value("frame:1    pts:1024    pts_time:0.0833333", "pts_time:"), Some(0.083_333_3));
        assert_eq!(value("lavfi.scene_score=0.010148", "lavfi.scene_score="), Some(0.010_148));
        assert_eq!(value("lavfi.scene_score=", "lavfi.scene_score="), None);
    }
}
