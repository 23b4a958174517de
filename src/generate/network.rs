//! A graph that is ready to run: its session, and the names and types of its inputs and outputs.

use std::{
    ffi::{CStr, CString},
    path::Path,
};

use ort::{
    session::{Session, builder::GraphOptimizationLevel},
    value::{Outlet, TensorElementType},
};

use super::{
    engine::causes,
    raw::Element,
    runtime::{Device, Runtime},
};
use crate::base::Fatal;

/// How sessions are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) device: Device,
    pub(super) threads: usize,
    pub(super) spinning: bool,
}

/// An input, by its place in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Input(usize);

/// An output, by its place in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Output(usize);

/// A session with what it says of itself.
pub(super) struct Network {
    session: Session,
    path: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

struct Port {
    name: CString,
    element: Option<Element>,
    shape: Vec<i64>,
}

impl Network {
    /// # Errors
    /// When the file is no graph that this runtime can run, or the device cannot be had.
    pub(super) fn open(runtime: &Runtime, path: &Path, opening: Opening) -> Result<Self, Fatal> {
        let session = session(runtime, path, opening).map_err(|error| {
            let message =
                format!("`{}` cannot be opened on {}: {}", path.display(), opening.device.as_str(), causes(&error));
            Fatal::new(message, hint(opening.device))
        })?;
        let ports = |outlets: &[Outlet]| outlets.iter().map(port).collect();
        let (inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        Ok(Self { session, path: path.display().to_string(), inputs, outputs })
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn optional_input(&self, name: &str) -> Option<Input> {
        position(&self.inputs, name).map(Input)
    }

    pub(super) fn input(&self, name: &str) -> Result<Input, Fatal> {
        self.optional_input(name).ok_or_else(|| self.lacks("input", name))
    }

    pub(super) fn optional_output(&self, name: &str) -> Option<Output> {
        position(&self.outputs, name).map(Output)
    }

    pub(super) fn output(&self, name: &str) -> Result<Output, Fatal> {
        self.optional_output(name).ok_or_else(|| self.lacks("output", name))
    }

    pub(super) fn input_name(&self, input: Input) -> &CStr {
        &self.inputs[input.0].name
    }

    pub(super) fn output_name(&self, output: Output) -> &CStr {
        &self.outputs[output.0].name
    }

    /// The element type and shape that an input was declared with; -1 where a length is open.
    pub(super) fn declared(&self, input: Input) -> (Option<Element>, &[i64]) {
        let port = &self.inputs[input.0];
        (port.element, &port.shape)
    }

    /// Names of the inputs that are not among `known`.
    pub(super) fn other_inputs(&self, known: &[Input]) -> Vec<String> {
        let others = self.inputs.iter().enumerate().filter(|(place, _)| !known.contains(&Input(*place)));
        others.map(|(_, port)| port.name.to_string_lossy().into_owned()).collect()
    }

    pub(super) fn lacks(&self, what: &str, name: &str) -> Fatal {
        self.wrong(&format!("has no {what} `{name}`"))
    }

    pub(super) fn wrong(&self, what: &str) -> Fatal {
        Fatal::new(format!("`{}` {what}", self.path), "export the bundle again with `lapidary model export`")
    }
}

fn session(runtime: &Runtime, path: &Path, opening: Opening) -> ort::Result<Session> {
    Session::builder(runtime.environment())?
        .with_execution_providers(opening.device.providers())?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(opening.threads)?
        .with_intra_op_spinning(opening.spinning)?
        .with_inter_threads(1)?
        .with_memory_pattern(false)?
        .commit_from_file(path)
}

fn hint(device: Device) -> &'static str {
    match device {
        Device::Cpu | Device::Auto => {
            "check the bundle with `lapidary model verify`, or run `lapidary runtime install`"
        }
        Device::Cuda => {
            "run `lapidary runtime install --cuda` on a machine with an NVIDIA driver, or choose `--device cpu`"
        }
        Device::TensorRt => {
            "install TensorRT 10 beside `lapidary runtime install --cuda`, or choose `--device cuda` or `cpu`"
        }
    }
}

fn position(ports: &[Port], name: &str) -> Option<usize> {
    ports.iter().position(|port| port.name.to_bytes() == name.as_bytes())
}

fn port(outlet: &Outlet) -> Port {
    let element = outlet.dtype().tensor_type().and_then(|element| match element {
        TensorElementType::Float32 => Some(Element::F32),
        TensorElementType::Float16 => Some(Element::F16),
        TensorElementType::Int64 => Some(Element::I64),
        TensorElementType::Bool => Some(Element::Bool),
        _ => None,
    });
    let shape = outlet.dtype().tensor_shape().map(|shape| shape.iter().copied().collect()).unwrap_or_default();
    Port { name: CString::new(outlet.name()).unwrap_or_default(), element, shape }
}
