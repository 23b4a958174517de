//! PDFs that are not what they say, put together object by object.

pub mod encryption;
pub mod fonts;
pub mod streams;
pub mod tables;
pub mod tree;

use std::{collections::BTreeMap, io::Write};

use flate2::{Compression, write::ZlibEncoder};

/// Objects by number, and what stands in the trailer beside `/Size`.
#[derive(Clone)]
pub struct Pdf {
    objects: BTreeMap<u32, Vec<u8>>,
    trailer: String,
}

impl Pdf {
    /// One page with some words: 1 is the catalogue, 2 the page tree, 3 the page, 4 its content, 5 its font.
    pub fn page() -> Self {
        let plain = Self { objects: BTreeMap::new(), trailer: "/Root 1 0 R".to_owned() };
        let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R \
                    /Resources << /Font << /F1 5 0 R >> >> >>";
        plain
            .with(1, "<< /Type /Catalog /Pages 2 0 R >>")
            .with(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
            .with(3, page)
            .stream(4, "", b"BT /F1 18 Tf 40 100 Td (A page that means no harm) Tj ET")
            .with(5, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    }

    /// With this object under this number.
    pub fn with(mut self, number: u32, object: impl Into<Vec<u8>>) -> Self {
        self.objects.insert(number, object.into());
        self
    }

    /// With a stream under this number; `dictionary` may say more than its length.
    pub fn stream(self, number: u32, dictionary: &str, data: &[u8]) -> Self {
        self.raw_stream(number, &format!("/Length {} {dictionary}", data.len()), data)
    }

    /// With a stream whose dictionary is all that is given.
    pub fn raw_stream(self, number: u32, dictionary: &str, data: &[u8]) -> Self {
        let head = format!("<< {dictionary} >>\nstream\n");
        self.with(number, [head.as_bytes(), data, b"\nendstream"].concat())
    }

    /// With entries of the page beside or instead of its own; the last of a name counts.
    pub fn page_entries(self, entries: &str) -> Self {
        self.with(3, format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R {entries} >>"))
    }

    /// With these operators on the page, and these resources beside its font.
    pub fn drawing(self, resources: &str, operators: &str) -> Self {
        self.page_entries(&format!("/Resources << /Font << /F1 5 0 R >> {resources} >>")).stream(
            4,
            "",
            operators.as_bytes(),
        )
    }

    /// With this trailer.
    pub fn trailer(self, trailer: &str) -> Self {
        Self { trailer: trailer.to_owned(), ..self }
    }

    /// The file, with a table of cross-references that is right.
    pub fn bytes(&self) -> Vec<u8> {
        let (mut file, offsets) = self.body();
        let start = file.len();
        let size = self.objects.keys().last().map_or(1, |last| last + 1);
        file.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").bytes());
        for number in 1..size {
            let entry = offsets.get(&number).map(|offset| format!("{offset:010} 00000 n \n"));
            file.extend(entry.unwrap_or_else(|| "0000000000 00000 f \n".to_owned()).bytes());
        }
        file.extend(format!("trailer\n<< /Size {size} {} >>\nstartxref\n{start}\n%%EOF\n", self.trailer).bytes());
        file
    }

    /// The objects alone, and where each begins.
    pub fn body(&self) -> (Vec<u8>, BTreeMap<u32, usize>) {
        let (mut file, mut offsets) = (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(), BTreeMap::new());
        for (number, object) in &self.objects {
            offsets.insert(*number, file.len());
            file.extend(format!("{number} 0 obj\n").bytes());
            file.extend(object);
            file.extend(b"\nendobj\n");
        }
        (file, offsets)
    }
}

/// Deflated, with the header of zlib.
pub fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// So many zeros, deflated: about a thousandth of their length.
pub fn deflated_zeros(count: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let block = vec![0; 1 << 20];
    for start in (0..count).step_by(block.len()) {
        encoder.write_all(&block[..block.len().min(count - start)]).unwrap();
    }
    encoder.finish().unwrap()
}
