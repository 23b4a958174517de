//! A table of embeddings: stored as its part's format has it, looked up, and lent to a head that is the same table.

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use crate::{
    base::Fatal,
    bundle::{
        Format, Tensor,
        draft::{Blocks, Draft, Int4Codes, Linear},
        graph::{Attribute, Element, Graph, Stored, Value},
        quantize::{self, BLOCK, Losses},
    },
};

/// A table `[rows, parts * width]` of which each row holds `parts` embeddings side by side.
pub struct Table<'a> {
    /// In the checkpoint.
    pub tensor: Tensor<'a>,
    /// Embeddings per row.
    pub parts: usize,
    /// For the account of losses.
    pub kind: &'static str,
}

/// A table as it lies in the graph.
enum Held {
    /// `[rows, width]` floats.
    Dense(Value, Element),
    /// Codes `[width, rows]` s8 and scales `[rows]`, as a product wants them.
    Turned(Value, Value),
    /// Codes `[rows, width]` s8 and scales `[rows, parts, 1]`.
    Rows(Value, Value),
    /// Codes `[rows, width / 2]`, scales `[rows, blocks]`, zero points `[rows, blocks / 2]`.
    Int4(Value, Value, Option<Value>),
}

/// A table that another graph of the folder may use as the weight of a linear map.
pub enum Lent {
    /// Floats.
    Dense(Stored),
    /// Codes and scales.
    Int8(Stored, Stored),
    /// Codes, scales, zero points.
    Int4(Stored, Stored, Option<Stored>),
}

impl Table<'_> {
    /// The rows of `ids` at the bundle's dtype, each embedding times the root of its width. The root is rounded to the
    /// checkpoint's type, as transformers does (bf16 makes 39.25 of `sqrt(1536)`), and multiplied with after
    /// the lookup. With `lend`, the table is stored so that a head can use it.
    pub fn look_up(&self, draft: &mut Draft, ids: &Value, lend: bool) -> Result<(Value, Option<Lent>), Fatal> {
        let held = self.hold(draft, lend)?;
        let rows = held.rows(&mut draft.graph, ids, self.parts);
        let rows = match held.element(draft) {
            Element::F32 => rows,
            _ => draft.graph.cast(&rows, Element::F32),
        };
        let root = rounded(((self.tensor.row_length() / self.parts) as f64).sqrt(), self.tensor.dtype());
        let root = draft.graph.float(root);
        let scaled = draft.graph.mul(&rows, &root);
        let (dtype, lent) = (draft.dtype(), lend.then(|| held.lend(&draft.graph)).flatten());
        Ok((draft.convert(&scaled, Element::F32, dtype), lent))
    }

    fn hold(&self, draft: &mut Draft, lend: bool) -> Result<Held, Fatal> {
        let (name, tensor) = (self.tensor.name(), &self.tensor);
        let (rows, width) = (tensor.rows(), tensor.row_length());
        match draft.format() {
            Format::F32 => Ok(Held::Dense(draft.dense(name, tensor, &[rows, width])?, Element::F32)),
            Format::F16 => Ok(Held::Dense(draft.dense(name, tensor, &[rows, width])?, Element::F16)),
            Format::Int8 if lend => {
                let map = std::slice::from_ref(tensor);
                draft.int8(name, map, &[], self.kind).map(|(codes, scales)| Held::Turned(codes, scales))
            }
            Format::Int8 => self.int8_rows(draft),
            Format::Int4 | Format::Int4Asymmetric => {
                let Int4Codes { codes, scales, zeros } =
                    draft.int4(name, tensor, &[rows, width.div_ceil(2)], self.kind)?;
                let blocks = width.div_ceil(BLOCK);
                let scales = draft.floats(&format!("{name}.scales"), &[rows, blocks], &scales, draft.dtype())?;
                let zeros = draft.zeros(name, &[rows, blocks.div_ceil(2)], &zeros)?;
                Ok(Held::Int4(codes, scales, zeros))
            }
        }
    }

    /// Codes with one scale per embedding.
    fn int8_rows(&self, draft: &mut Draft) -> Result<Held, Fatal> {
        let (name, table, width) = (self.tensor.name(), &self.tensor, self.tensor.row_length());
        let (mut scales, mut losses) = (Vec::new(), Losses::default());
        let codes = draft.store(&format!("{name}.s8"), Element::I8, &[table.rows(), width], |out| {
            table.chunks().try_for_each(|chunk| {
                let (_, values) = chunk.map_err(std::io::Error::other)?;
                let (codes, of_rows, loss) = quantize::int8_rows(name, &values, width / self.parts)?;
                scales.extend(of_rows);
                losses.add(self.kind, loss);
                out.write_all(&codes.into_iter().map(i8::cast_unsigned).collect::<Vec<u8>>())
            })
        })?;
        draft.losses.merge(losses);
        let scales = draft.floats(&format!("{name}.scales"), &[table.rows(), self.parts, 1], &scales, Element::F32)?;
        Ok(Held::Rows(codes, scales))
    }
}

/// A number in the precision of the checkpoint.
fn rounded(number: f64, dtype: Dtype) -> f32 {
    match dtype {
        Dtype::BF16 => bf16::from_f64(number).to_f32(),
        Dtype::F16 => f16::from_f64(number).to_f32(),
        _ => number as f32,
    }
}

impl Held {
    /// What comes out of a lookup.
    fn element(&self, draft: &Draft) -> Element {
        match self {
            Self::Dense(_, element) => *element,
            Self::Turned(..) | Self::Rows(..) => Element::F32,
            Self::Int4(..) => draft.dtype(),
        }
    }

    /// `[batch, sequence, width]`.
    fn rows(&self, graph: &mut Graph, ids: &Value, parts: usize) -> Value {
        match self {
            Self::Dense(table, _) => graph.gather(table, ids, 0),
            Self::Turned(codes, scales) => {
                let codes = graph.gather(codes, ids, 1);
                let codes = graph.transpose(&codes, &[1, 2, 0]);
                let codes = graph.cast(&codes, Element::F32);
                let scales = graph.gather(scales, ids, 0);
                let scales = graph.unsqueeze(&scales, &[2]);
                graph.mul(&codes, &scales)
            }
            Self::Rows(codes, scales) => {
                let codes = graph.gather(codes, ids, 0);
                let codes = graph.cast(&codes, Element::F32);
                let codes = graph.reshape(&codes, &[0, 0, parts as i64, -1]);
                let scales = graph.gather(scales, ids, 0);
                let scaled = graph.mul(&codes, &scales);
                graph.reshape(&scaled, &[0, 0, -1])
            }
            Self::Int4(codes, scales, zeros) => {
                let inputs: Vec<&Value> = [codes, ids, scales].into_iter().chain(zeros).collect();
                graph.contrib("GatherBlockQuantized", &inputs, &gather_attributes(1))
            }
        }
    }

    fn lend(&self, graph: &Graph) -> Option<Lent> {
        match self {
            Self::Dense(table, _) => graph.stored(table).map(Lent::Dense),
            Self::Turned(codes, scales) => Some(Lent::Int8(graph.stored(codes)?, graph.stored(scales)?)),
            Self::Rows(..) => None,
            Self::Int4(codes, scales, zeros) => {
                let zeros = zeros.as_ref().and_then(|zeros| graph.stored(zeros));
                Some(Lent::Int4(graph.stored(codes)?, graph.stored(scales)?, zeros))
            }
        }
    }
}

/// Blocks of 4 bits along one axis.
pub fn gather_attributes(axis: i64) -> [(&'static str, Attribute); 4] {
    [
        ("bits", Attribute::Int(4)),
        ("block_size", Attribute::Int(BLOCK as i64)),
        ("gather_axis", Attribute::Int(0)),
        ("quantize_axis", Attribute::Int(axis)),
    ]
}

impl Lent {
    /// The weight of a map with so many inputs and outputs: the same bytes under the shapes that products want.
    pub fn borrow(&self, graph: &mut Graph, outputs: usize, inputs: usize) -> Linear {
        let blocks = inputs.div_ceil(BLOCK);
        match self {
            Self::Dense(table) => Linear::Dense(graph.shared(table, &[outputs, inputs])),
            Self::Int8(codes, scales) => {
                Linear::Int8(graph.shared(codes, &[inputs, outputs]), graph.shared(scales, &[outputs]))
            }
            Self::Int4(codes, scales, zeros) => Linear::Int4(Blocks {
                codes: graph.shared(codes, &[outputs, blocks, BLOCK / 2]),
                scales: graph.shared(scales, &[outputs * blocks]),
                zeros: zeros.as_ref().map(|zeros| graph.shared(zeros, &[outputs * blocks.div_ceil(2)])),
                outputs,
                inputs,
            }),
        }
    }
}
