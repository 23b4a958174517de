//! The two vocabularies of the tests: the full one of Gemma 4 (262,144 tokens), unpacked on first use, and the small
//! one of `onnx/reference/tiny`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lapidary::{base::model::TokenIds, encode::vocabulary::Vocabulary as Tokenizer, generate::Vocabulary};

/// `tokenizer.json` with the full vocabulary. Several test processes may unpack it at the same time.
pub fn full() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gemma4-tokenizer.json");
    if !unpacked.is_file() {
        let packed = fs::File::open(root("fixtures/tokenizer/tokenizer.json.zst")).expect("the fixture is there");
        let mut aside = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a writable target folder");
        io::copy(&mut zstd::Decoder::new(packed).expect("a zstd stream"), &mut aside).expect("unpacks");
        aside.persist(&unpacked).expect("the same folder");
    }
    unpacked
}

/// The ids of the full vocabulary.
pub fn full_ids() -> TokenIds {
    TokenIds {
        pad: 0,
        bos: 2,
        eos: vec![1, 106, 50],
        image: 258_880,
        begin_image: 255_999,
        end_image: 258_882,
        video: 258_884,
        audio: 258_881,
        begin_audio: 256_000,
        end_audio: 258_883,
    }
}

/// `tokenizer.json` of the tiny checkpoint.
pub fn tiny() -> PathBuf {
    root("onnx/reference/tiny/tokenizer.json")
}

/// The ids of the tiny checkpoint.
pub fn tiny_ids() -> TokenIds {
    TokenIds {
        pad: 0,
        bos: 2,
        eos: vec![1, 16, 9],
        image: 1019,
        begin_image: 1017,
        end_image: 1021,
        video: 1023,
        audio: 1020,
        begin_audio: 1018,
        end_audio: 1022,
    }
}

/// The full vocabulary that spells as its tokenizer does, and the tokenizer.
pub fn full_speller() -> (Vocabulary, Arc<Tokenizer>) {
    speller(&full(), 262_144, &full_ids())
}

/// The tiny vocabulary that spells as its tokenizer does.
pub fn tiny_speller() -> Vocabulary {
    speller(&tiny(), 1024, &tiny_ids()).0
}

fn speller(path: &Path, width: usize, ids: &TokenIds) -> (Vocabulary, Arc<Tokenizer>) {
    let tokenizer = Arc::new(Tokenizer::open(path, ids).unwrap());
    let speller = tokenizer.clone();
    let vocabulary = Vocabulary::read(path, width, &ids.eos).unwrap();
    (vocabulary.with_speller(Arc::new(move |text: &str| speller.ids(text).ok())), tokenizer)
}

/// A path of the repository.
pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
