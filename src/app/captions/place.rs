//! Where the files of recordings go: beside one another as the recordings are, whatever their names.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

/// A path for each of these names, relative and of ordinary steps alone. The ending takes the place of the recording's own,
/// unless two recordings would share a file.
pub fn places(names: &[&str], ending: &str) -> Vec<PathBuf> {
    let bare: Vec<PathBuf> = names.iter().map(|name| inside(name).with_extension(ending)).collect();
    let mut shared: HashMap<&PathBuf, usize> = HashMap::new();
    bare.iter().for_each(|place| *shared.entry(place).or_default() += 1);
    let whole = |name: &str| {
        let mut place = inside(name).into_os_string();
        place.push(format!(".{ending}"));
        PathBuf::from(place)
    };
    let place = |(name, bare): (&&str, &PathBuf)| if shared[bare] > 1 { whole(name) } else { bare.clone() };
    names.iter().zip(&bare).map(place).collect()
}

/// The name's own steps: no root, no drive, no way up, nothing that no file system takes.
fn inside(name: &str) -> PathBuf {
    let step = |component: Component| match component {
        Component::Normal(step) => {
            let plain = |c: char| {
                if c.is_control() || matches!(c, ':' | '\\' | '*' | '?' | '"' | '<' | '>' | '|') { '_' } else { c }
            };
            Some(step.to_string_lossy().chars().map(plain).collect::<String>())
        }
        _ => None,
    };
    let steps: PathBuf = Path::new(name).components().filter_map(step).collect();
    if steps.as_os_str().is_empty() { PathBuf::from("recording") } else { steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_as_their_recordings_do_and_nowhere_else() {
        let names = ["talks/a.mp3", "/srv/b.wav", "../../c.mp4", "d.wav", "d.mp3", "e\u{1b}\n.ogg", ".."];
        let found: Vec<String> = places(&names, "srt").iter().map(|place| place.display().to_string()).collect();
        assert_eq!(found, ["talks/a.srt", "srv/b.srt", "c.srt", "d.wav.srt", "d.mp3.srt", "e__.srt", "recording.srt"]);
    }
}
