//! Where the files of recordings go: beside one another as the recordings are, whatever their names.

use std::{
    collections::{HashMap, HashSet},
    path::{Component, Path, PathBuf},
};

/// A path for each of these names, relative and of ordinary steps alone, of which no two are the same. The ending takes the place
/// of the recording's own; where two recordings would share a file it stands behind it, and where they still do, behind a number.
pub fn places(names: &[&str], ending: &str) -> Vec<PathBuf> {
    let wanted = wanted(names, ending);
    let mut taken: HashSet<String> = wanted.iter().map(|place| folded(place)).collect();
    let mut given = HashSet::new();
    let place = |(name, wanted): (&&str, PathBuf)| {
        if given.insert(folded(&wanted)) {
            return wanted;
        }
        let mut others = (1_u32..).map(|number| whole(name, number, ending));
        others.find(|place| taken.insert(folded(place))).unwrap_or(wanted)
    };
    names.iter().zip(wanted).map(place).collect()
}

/// The places that the names would have by themselves, with their own ending where others would have the same without it.
fn wanted(names: &[&str], ending: &str) -> Vec<PathBuf> {
    let bare: Vec<PathBuf> = names.iter().map(|name| inside(name).with_extension(ending)).collect();
    let mut shared: HashMap<String, usize> = HashMap::new();
    bare.iter().for_each(|place| *shared.entry(folded(place)).or_default() += 1);
    let place = |(name, bare): (&&str, PathBuf)| if shared[&folded(&bare)] > 1 { whole(name, 1, ending) } else { bare };
    names.iter().zip(bare).map(place).collect()
}

/// The ending behind the whole name, and from the second on a number between them.
fn whole(name: &str, number: u32, ending: &str) -> PathBuf {
    let number = if number > 1 { format!("-{number}") } else { String::new() };
    let mut place = inside(name).into_os_string();
    place.push(format!("{number}.{ending}"));
    PathBuf::from(place)
}

/// What a file system that heeds no case takes for the same.
fn folded(place: &Path) -> String {
    place.to_string_lossy().to_lowercase()
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

    #[test]
    fn no_two_recordings_share_a_file() {
        let names = [
            "../talks/a.mp3",
            "/srv/b.wav",
            "12:30.wav",
            "12_30.wav",
            "E.wav",
            "d.mp3",
            "d.wav",
            "d.wav.ogg",
            "e.wav",
            "srv/b.wav",
            "talks/a.mp3",
            "talks/a.mp3-2.wav",
        ];
        let found: Vec<String> = places(&names, "srt").iter().map(|place| place.display().to_string()).collect();
        let wanted = [
            "talks/a.mp3.srt",
            "srv/b.wav.srt",
            "12_30.wav.srt",
            "12_30.wav-2.srt",
            "E.wav.srt",
            "d.mp3.srt",
            "d.wav.srt",
            "d.wav.ogg.srt",
            "e.wav-2.srt",
            "srv/b.wav-2.srt",
            "talks/a.mp3-3.srt",
            "talks/a.mp3-2.srt",
        ];
        assert_eq!(found, wanted);
    }
}
