//! Where a page says something like a value: places that share sequences of three characters with it, compared by edits.
//!
//! Work is bounded: of each value two places are compared, in pieces of at most [`PIECE`] characters.

use std::{collections::HashMap, ops::Range};

use super::spelling::Spelling;

/// Characters that are compared at once; a longer value is compared piece by piece.
const PIECE: usize = 128;

/// Pieces of a value that are compared; what is longer is judged by them.
const MOST_PIECES: usize = 32;

/// The shortest value that is worth it: of fewer characters too many words are alike.
const SHORTEST: usize = 5;

/// Where three characters stand more often than this, they say little.
const MOST_PLACES: usize = 32;

/// Places are counted together when they are nearer than this.
const BUCKET: i64 = 16;

/// The least likeness, one less the edits per character, that counts.
pub const LEAST: f32 = 0.8;

/// A page's text, made for looking up what is like it.
#[derive(Debug)]
pub struct Likeness<'a> {
    spelling: &'a Spelling,
    characters: Vec<char>,
    /// Byte at which each character begins.
    bytes: Vec<usize>,
    /// Three characters and where they stand, sorted.
    grams: Vec<([char; 3], u32)>,
}

/// Edits, and the characters of the page that need them.
type Nearest = (usize, Range<usize>);

/// A place that is like a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Like {
    /// 0 to 1.
    pub score: f32,
    /// The words.
    pub words: Range<usize>,
}

impl<'a> Likeness<'a> {
    /// Reads a page.
    pub fn new(spelling: &'a Spelling) -> Self {
        let (bytes, characters): (Vec<usize>, Vec<char>) = spelling.text().char_indices().unzip();
        let mut grams: Vec<([char; 3], u32)> = (0..).zip(grams(&characters)).map(|(at, gram)| (gram, at)).collect();
        grams.sort_unstable();
        Self { spelling, characters, bytes, grams }
    }

    /// The place that is most like the value; `None` where nothing is alike enough.
    pub fn find(&self, value: &str) -> Option<Like> {
        let value: Vec<char> = value.chars().take(PIECE * MOST_PIECES).collect();
        if value.len() < SHORTEST {
            return None;
        }
        let pieces: Vec<(usize, Option<Nearest>)> =
            value.chunks(PIECE).map(|piece| (piece.len(), self.nearest(piece))).collect();
        let edits: usize =
            pieces.iter().map(|(length, found)| found.as_ref().map_or(*length, |(edits, _)| *edits)).sum();
        let score = 1.0 - edits as f32 / value.len() as f32;
        let places = pieces.into_iter().filter_map(|(_, found)| found.map(|(_, place)| place));
        let all = places.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))?;
        (score >= LEAST).then(|| Like { score, words: self.words(all) })
    }

    fn words(&self, characters: Range<usize>) -> Range<usize> {
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or(self.spelling.text().len());
        self.spelling.words(byte(characters.start)..byte(characters.end))
    }

    /// The fewest edits to a piece of a value, and the characters that need them.
    fn nearest(&self, piece: &[char]) -> Option<Nearest> {
        let slack = piece.len() / 5 + 1;
        let places = self.promising(piece).into_iter().map(|bucket| {
            let start = usize::try_from((bucket * BUCKET).max(0)).unwrap_or(0).saturating_sub(slack);
            let end = usize::try_from(((bucket + 2) * BUCKET).max(0)).unwrap_or(0) + piece.len() + slack;
            let window = start.min(self.characters.len())..end.min(self.characters.len());
            let (edits, place) = edits(piece, &self.characters[window.clone()]);
            (edits, window.start + place.start..window.start + place.end)
        });
        places.min_by_key(|(edits, place)| (*edits, place.start))
    }

    /// The two diagonals that share most with the piece, if they share enough to be worth a look.
    fn promising(&self, piece: &[char]) -> Vec<i64> {
        let mut shared: HashMap<i64, usize> = HashMap::new();
        for (offset, gram) in (0_i64..).zip(grams(piece)) {
            for place in self.places(gram) {
                *shared.entry((i64::from(*place) - offset).div_euclid(BUCKET)).or_default() += 1;
            }
        }
        let with_next = |bucket: &i64| shared[bucket] + shared.get(&(bucket + 1)).copied().unwrap_or(0);
        let mut buckets: Vec<(usize, i64)> = shared.keys().map(|bucket| (with_next(bucket), *bucket)).collect();
        buckets.sort_unstable_by_key(|(count, bucket)| (std::cmp::Reverse(*count), *bucket));
        let enough = piece.len().saturating_sub(2).div_ceil(4).max(1);
        buckets.into_iter().take(2).filter(|(count, _)| *count >= enough).map(|(_, bucket)| bucket).collect()
    }

    fn places(&self, gram: [char; 3]) -> impl Iterator<Item = &u32> {
        let start = self.grams.partition_point(|(held, _)| *held < gram);
        let alike = self.grams[start..].iter().take(MOST_PLACES + 1).take_while(move |(held, _)| *held == gram);
        let often = alike.clone().count() > MOST_PLACES;
        alike.filter(move |_| !often).map(|(_, place)| place)
    }
}

fn grams(characters: &[char]) -> impl Iterator<Item = [char; 3]> {
    characters.windows(3).map(|three| std::array::from_fn(|index| three[index]))
}

/// The fewest edits between `piece` and any stretch of `window`, and that stretch (Sellers 1980).
fn edits(piece: &[char], window: &[char]) -> (usize, Range<usize>) {
    // For each beginning of the piece: edits, and where the stretch begins that needs them.
    let mut column: Vec<(usize, usize)> = (0..=piece.len()).map(|length| (length, 0)).collect();
    let mut best = (piece.len(), 0..0);
    for (at, held) in window.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut column[0], (0, at + 1));
        for (row, wanted) in piece.iter().enumerate() {
            let changed = (diagonal.0 + usize::from(held != wanted), diagonal.1);
            let (left, above) = (column[row + 1], column[row]);
            diagonal = left;
            column[row + 1] = changed.min((left.0 + 1, left.1)).min((above.0 + 1, above.1));
        }
        let (edits, start) = column[piece.len()];
        if edits < best.0 {
            best = (edits, start..at + 1);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(page: &str, value: &str) -> Option<(f32, Range<usize>)> {
        let mut spelling = Spelling::default();
        page.split_whitespace().for_each(|word| spelling.push(word, true));
        Likeness::new(&spelling).find(value).map(|like| (like.score, like.words))
    }

    #[test]
    fn a_slip_of_the_pen_is_found_with_its_score() {
        let page = "sold by granat & sons, lapidary supplies in idar";
        assert_eq!(like(page, "granat & sons, lapidary suppiles"), Some((1.0 - 2.0 / 32.0, 2..7)));
        assert_eq!(like(page, "granit"), Some((1.0 - 1.0 / 6.0, 2..3)));
        assert_eq!(like(page, "opal workshop"), None);
        assert_eq!(like(page, "sans"), None, "too short to be like something");
    }

    #[test]
    fn long_texts_are_compared_in_pieces() {
        let page: String = (0..400).map(|n| format!("word{} ", n * 7919 % 1000)).collect();
        let mut value = page.trim().to_owned();
        value.replace_range(1000..1004, "####");
        let (score, words) = like(&page, &value).unwrap();
        assert!(score > 0.99 && score < 1.0, "{score}");
        assert_eq!(words, 0..400);
    }
}
