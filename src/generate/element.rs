//! The element types of tensors, as we name them, as ONNX Runtime numbers them and as Rust lays them out.

use half::f16;
use ort::sys;

/// Element types that our graphs speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F16,
    I64,
    Bool,
}

impl Element {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I64 => 8,
            Self::Bool => 1,
        }
    }

    /// ONNX Runtime's number.
    pub(super) fn code(self) -> sys::ONNXTensorElementDataType {
        match self {
            Self::F32 => sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
            Self::F16 => sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
            Self::I64 => sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
            Self::Bool => sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        }
    }

    /// The type of that number, when it is one of ours.
    pub(super) fn from_code(code: sys::ONNXTensorElementDataType) -> Option<Self> {
        [Self::F32, Self::F16, Self::I64, Self::Bool].into_iter().find(|element| element.code() == code)
    }
}

/// Rust types that are laid out as an [`Element`].
pub(super) trait Native: Copy {
    const ELEMENT: Element;
}

impl Native for f32 {
    const ELEMENT: Element = Element::F32;
}

impl Native for f16 {
    const ELEMENT: Element = Element::F16;
}

impl Native for i64 {
    const ELEMENT: Element = Element::I64;
}

impl Native for bool {
    const ELEMENT: Element = Element::Bool;
}
