//! Where the files of recordings go: beside one another as the recordings are, whatever their names.

use std::{
    collections::{HashMap, HashSet},
    path::{Component, Path, PathBuf},
};

/// Bytes of a step's name: file systems take 255, and a number and an ending may come behind it.
const LONGEST: usize = 200;

/// Bytes of an ending that is kept where a name is cut, with its point.
const LONGEST_ENDING: usize = 12;

/// A path for each of these names, relative and of ordinary steps alone, of which no two are the same and none is a
/// folder of another. The ending takes the place of the recording's own; where two recordings would share a file, or
/// others have their folder there, it stands behind it, and where that is taken too, behind a number.
pub fn places(names: &[&str], ending: &str) -> Vec<PathBuf> {
    let folders: HashSet<String> = names.iter().flat_map(|name| folders(name)).collect();
    let wanted = wanted(names, &folders, ending);
    let mut taken: HashSet<String> = wanted.iter().map(|place| folded(place)).chain(folders.iter().cloned()).collect();
    let mut given = folders;
    let place = |(name, wanted): (&&str, PathBuf)| {
        if given.insert(folded(&wanted)) {
            return wanted;
        }
        let mut others = (1_u32..).map(|number| whole(name, number, ending));
        others.find(|place| taken.insert(folded(place))).unwrap_or(wanted)
    };
    names.iter().zip(wanted).map(place).collect()
}

/// The places that the names would have by themselves, with their own ending where others would have the same without
/// it, or have their folder there.
fn wanted(names: &[&str], folders: &HashSet<String>, ending: &str) -> Vec<PathBuf> {
    let bare: Vec<PathBuf> = names.iter().map(|name| inside(name).with_extension(ending)).collect();
    let mut shared: HashMap<String, usize> = HashMap::new();
    bare.iter().for_each(|place| *shared.entry(folded(place)).or_default() += 1);
    let place = |(name, bare): (&&str, PathBuf)| {
        let plain = folded(&bare);
        if shared[&plain] > 1 || folders.contains(&plain) { whole(name, 1, ending) } else { bare }
    };
    names.iter().zip(bare).map(place).collect()
}

/// The ending behind the whole name, and from the second on a number between them.
fn whole(name: &str, number: u32, ending: &str) -> PathBuf {
    let number = if number > 1 { format!("-{number}") } else { String::new() };
    let mut place = inside(name).into_os_string();
    place.push(format!("{number}.{ending}"));
    PathBuf::from(place)
}

/// The folders that the file of a recording lies in.
fn folders(name: &str) -> Vec<String> {
    inside(name).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).map(folded).collect()
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
            Some(shortened(&step.to_string_lossy().chars().map(plain).collect::<String>()))
        }
        _ => None,
    };
    let steps: PathBuf = Path::new(name).components().filter_map(step).collect();
    if steps.as_os_str().is_empty() { PathBuf::from("recording") } else { steps }
}

/// The name of a step that is not too long for a file system, cut at a character before its ending.
fn shortened(step: &str) -> String {
    if step.len() <= LONGEST {
        return step.to_owned();
    }
    let ending = step.rfind('.').map(|point| &step[point..]).filter(|ending| ending.len() <= LONGEST_ENDING);
    let ending = ending.unwrap_or_default();
    let most = step.floor_char_boundary(LONGEST - ending.len());
    format!("{}{ending}", &step[..most])
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

    #[test]
    fn no_file_stands_where_others_have_their_folder() {
        let names = ["a/b.mp3", "a/B.srt/c.mp3", "d.mp3", "d.srt/e.mp3", "d.mp3.srt/f.mp3"];
        let found: Vec<String> = places(&names, "srt").iter().map(|place| place.display().to_string()).collect();
        assert_eq!(found, ["a/b.mp3.srt", "a/B.srt/c.srt", "d.mp3-2.srt", "d.srt/e.srt", "d.mp3.srt/f.srt"]);
    }

    #[test]
    fn long_names_are_cut_at_a_character_and_stay_apart() {
        let no_text = "\u{fffd}ff".repeat(60);
        let names: Vec<String> = [
            format!("{no_text}.wav"),
            format!("{no_text}fe.wav"),
            format!("{no_text}.mp3"),
            format!("{no_text}/a.wav"),
            format!("x{}.wav", "\u{e9}".repeat(125)),
            format!("talk 1.5 {}", "y".repeat(240)),
        ]
        .into();
        let places = places(&names.iter().map(String::as_str).collect::<Vec<_>>(), "srt");
        for step in places.iter().flat_map(|place| place.components()) {
            assert!(step.as_os_str().len() <= 220, "{step:?}");
        }
        assert_eq!(places.iter().map(|place| folded(place)).collect::<HashSet<_>>().len(), names.len(), "{places:?}");
        let cut = "\u{fffd}ff".repeat(39);
        assert_eq!(places[0], PathBuf::from(format!("{cut}.wav.srt")));
        assert_eq!(places[1], PathBuf::from(format!("{cut}.wav-2.srt")));
        assert_eq!(places[3], PathBuf::from(format!("{}/a.srt", "\u{fffd}ff".repeat(40))));
        assert_eq!(places[4], PathBuf::from(format!("x{}.srt", "\u{e9}".repeat(97))));
    }
}
