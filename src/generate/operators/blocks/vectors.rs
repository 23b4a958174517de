//! The product of a strip and a tile in the vectors that this processor has. All kinds give the same bits, whatever rows
//! stand beside a row: the dots of a block are whole numbers, and blocks are added from the top down.

use pulp::Arch;

#[cfg(target_arch = "x86_64")]
use super::{avx2, vnni::Vnni};
use super::{
    plain,
    tiles::{ROWS, Tile},
    weights::{Columns, Strip},
};

/// A row of a tile times the columns of a strip, for each row.
pub(super) type Made = [Columns; ROWS];

/// Kinds of vectors.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vectors {
    /// 16 columns at once.
    #[cfg(target_arch = "x86_64")]
    Vnni(Vnni),
    /// 8 columns at once.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// What the compiler makes of loops.
    Plain(Arch),
}

impl Vectors {
    /// The best that there are.
    pub(super) fn best() -> Self {
        Self::all().next().unwrap_or_else(|| Self::Plain(Arch::new()))
    }

    /// Those that this processor has, the best first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [Vnni::find().map(Self::Vnni), pulp::x86::V3::try_new().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let special = [];
        special.into_iter().flatten().chain([Self::Plain(Arch::new())])
    }

    /// What the processor has, and what of it matters to whoever picks a bundle.
    pub(super) fn describe(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(_) => "AVX-512 with VNNI",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) if is_x86_feature_detected!("avxvnni") => "AVX2 with VNNI",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "AVX2 without VNNI; weights of 4 bits are faster here than weights of 8",
            Self::Plain(_) => "none that weights of 4 bits are multiplied in quickly",
        }
    }

    /// The first `rows` rows of a tile, `tiles` being its blocks, times a strip.
    pub(super) fn multiply(self, strip: Strip, tiles: &[Tile], rows: usize, made: &mut Made) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.multiply(strip, tiles, rows, made),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => avx2::multiply(simd, strip, tiles, rows, made),
            Self::Plain(arch) => arch.dispatch(
                #[inline(always)]
                || plain::multiply(strip, tiles, rows, made),
            ),
        }
    }
}
