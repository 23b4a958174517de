//! Encoding on one thread: a page at each budget, and sound of several lengths.
//!
//! `RAYON_NUM_THREADS=1 cargo bench --bench encode`; `benches/peers/encode.py` runs it beside transformers' processors.

use std::path::{Path, PathBuf};

use divan::{Bencher, black_box};
use lapidary::{
    base::{Clip, Raster, grid::BUDGETS},
    encode::{audio::Spectrograph, image::Patcher},
};

fn main() {
    divan::main();
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference").join(name)
}

/// 827 x 1169 pixels.
fn page() -> Raster {
    let picture = image::open(fixture("page.png")).expect("the fixture is a PNG").into_rgb8();
    Raster { width: picture.width(), height: picture.height(), rgb: picture.into_raw() }
}

/// A second of a tone, again and again.
fn tone(seconds: usize) -> Clip {
    let file = std::fs::File::open(fixture("audio_sine440_1s.npz")).expect("the fixture is there");
    let mut arrays = ndarray_npy::NpzReader::new(file).expect("an npz");
    let second: ndarray::Array1<f32> = arrays.by_name("waveform").expect("a waveform");
    Clip { samples: second.to_vec().repeat(seconds) }
}

/// Resize, cut and scale.
#[divan::bench(args = BUDGETS)]
fn picture(bencher: Bencher, budget: u32) {
    let (page, mut patcher) = (page(), Patcher::default());
    bencher.bench_local(|| patcher.patches(black_box(&page), budget, 10_240));
}

/// Seconds of sound to log-mel.
#[divan::bench(args = [1, 10, 30])]
fn sound(bencher: Bencher, seconds: usize) {
    let (clip, spectrograph) = (tone(seconds), Spectrograph::default());
    bencher.bench_local(|| spectrograph.log_mel(black_box(&clip), 750));
}
