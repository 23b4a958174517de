//! A graph that is ready to run: its session, and the names and types of its inputs and outputs.

use std::{
    ffi::{CStr, CString},
    fmt,
    path::Path,
    time::Duration,
};

use ort::{
    ep::ExecutionProviderDispatch,
    session::{Session, builder::GraphOptimizationLevel},
    value::{Outlet, TensorElementType, ValueType},
};

use super::{
    engine::causes,
    operators,
    providers::{Attention, providers},
    raw::Element,
    runtime::{Device, Place, Runtime},
    tensorrt::Profile,
    watchdog::{Watch, Watchdog},
};
use crate::base::Fatal;

/// How sessions are opened.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    /// Watches the runs.
    pub(super) watchdog: &'a Watchdog,
    pub(super) place: Place,
    pub(super) threads: usize,
    pub(super) spinning: bool,
    /// With TensorRT: the shapes for which the graph has engines.
    pub(super) engines: Option<&'a Profile>,
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
    place: Place,
    watch: Watch,
    path: String,
    /// Those that must be fed, then those with a default.
    inputs: Vec<Port>,
    /// How many must be fed.
    needed: usize,
    outputs: Vec<Port>,
    spent: Duration,
}

struct Port {
    name: CString,
    element: Option<Element>,
    shape: Vec<i64>,
}

/// What an axis is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// A length that only a run knows.
    Open(&'static str),
    /// This long, or open.
    Fixed(usize),
}

impl fmt::Display for Expected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(name) => out.write_str(name),
            Self::Fixed(length) => write!(out, "{length}"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |length: &i64| if *length < 0 { "?".to_owned() } else { length.to_string() };
        let lengths: Vec<String> = self.shape.iter().map(length).collect();
        let element = self.element.map_or("of a type that is not known here", Element::as_str);
        write!(out, "`{}` {element} [{}]", self.name.to_string_lossy(), lengths.join(", "))
    }
}

impl Network {
    /// # Errors
    /// When the file is no graph that this runtime can run, or the device cannot be had.
    pub(super) fn open(runtime: &Runtime, path: &Path, opening: Opening) -> Result<Self, Fatal> {
        Self::attending(runtime, path, opening, Attention::Any)
    }

    /// A decoder, with the attention that suits it.
    ///
    /// # Errors
    /// As [`Network::open`].
    pub(super) fn open_decoder(runtime: &Runtime, path: &Path, opening: Opening) -> Result<Self, Fatal> {
        Self::attending(runtime, path, opening, Attention::OfDecoder)
    }

    fn attending(runtime: &Runtime, path: &Path, opening: Opening, attention: Attention) -> Result<Self, Fatal> {
        let cannot = |why: &str| format!("`{}` cannot be opened on {}: {why}", path.display(), opening.place);
        let providers = providers(opening.place, attention, opening.engines)
            .map_err(|fatal| Fatal::new(cannot(&fatal.message), fatal.hint))?;
        let session = session(runtime, path, opening, providers)
            .map_err(|error| Fatal::new(cannot(&causes(&error)), hint(opening.place.device)))?;
        let ports = |outlets: &[Outlet]| outlets.iter().map(|outlet| port(outlet.name(), outlet.dtype())).collect();
        let (mut inputs, outputs): (Vec<Port>, Vec<Port>) = (ports(session.inputs()), ports(session.outputs()));
        let needed = inputs.len();
        inputs.extend(session.overridable_initializers().iter().map(|outlet| port(outlet.name(), outlet.dtype())));
        let watch = opening.watchdog.watch(path)?;
        let place = opening.place;
        Ok(Self {
            session,
            place,
            watch,
            path: path.display().to_string(),
            inputs,
            needed,
            outputs,
            spent: Duration::ZERO,
        })
    }

    /// Counts time as spent inside a run.
    pub(super) fn spend(&mut self, time: Duration) {
        self.spent += time;
    }

    /// Time spent inside runs so far.
    pub(super) fn spent(&self) -> Duration {
        self.spent
    }

    /// Where it runs.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
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

    /// How many axes an output was declared with.
    pub(super) fn output_rank(&self, output: Output) -> usize {
        self.outputs[output.0].shape.len()
    }

    /// # Errors
    /// When the graph needs an input that is not among `known`.
    pub(super) fn takes_only(&self, known: &[Input]) -> Result<(), Fatal> {
        match self.inputs[..self.needed].iter().enumerate().find(|(place, _)| !known.contains(&Input(*place))) {
            None => Ok(()),
            Some((_, port)) => Err(self.wrong(&format!("takes an input that is not known here, {port}"))),
        }
    }

    /// Looks at how an input was declared.
    ///
    /// # Errors
    /// When it is none of these types, or a length differs from one that is expected.
    pub(super) fn check_input(&self, input: Input, elements: &[Element], shape: &[Expected]) -> Result<(), Fatal> {
        self.check("input", &self.inputs[input.0], elements, shape)
    }

    /// Looks at how an output was declared.
    ///
    /// # Errors
    /// As [`Network::check_input`].
    pub(super) fn check_output(&self, output: Output, elements: &[Element], shape: &[Expected]) -> Result<(), Fatal> {
        self.check("output", &self.outputs[output.0], elements, shape)
    }

    fn check(&self, what: &str, port: &Port, elements: &[Element], shape: &[Expected]) -> Result<(), Fatal> {
        let typed = port.element.is_some_and(|element| elements.contains(&element));
        // Exporters may leave a shape out altogether.
        let shaped = port.shape.is_empty() || agrees(&port.shape, shape);
        if typed && shaped {
            return Ok(());
        }
        let names: Vec<&str> = elements.iter().map(|element| element.as_str()).collect();
        let lengths: Vec<String> = shape.iter().map(Expected::to_string).collect();
        let expected = format!("{} [{}]", names.join(" or "), lengths.join(", "));
        Err(self.wrong(&format!("declares the {what} {port}; expected {expected}")))
    }

    fn lacks(&self, what: &str, name: &str) -> Fatal {
        self.wrong(&format!("has no {what} `{name}`"))
    }

    pub(super) fn wrong(&self, what: &str) -> Fatal {
        let hint = "graph and config.json do not belong together, or the graph is of a kind that lapidary does not \
                    know: download it again, or make a bundle with `lapidary model export`";
        Fatal::new(format!("`{}` {what}", self.path), hint)
    }
}

/// How long a thread without work looks for more before it sleeps: the best of none, 200, 2,000 and no end on two cores.
const SPIN_MICROSECONDS: u32 = 200;

fn session(
    runtime: &Runtime,
    path: &Path,
    opening: Opening,
    providers: Vec<ExecutionProviderDispatch>,
) -> ort::Result<Session> {
    let builder = runtime.session()?.with_intra_op_spinning(true)?;
    let builder = match opening.spinning {
        true => builder,
        false => builder.with_config_entry("session.intra_op.spin_duration_us", SPIN_MICROSECONDS.to_string())?,
    };
    builder
        .with_execution_providers(providers)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(opening.threads)?
        .with_inter_threads(1)?
        .with_memory_pattern(false)?
        .with_operators(operators::domain()?)?
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
            "run `lapidary runtime install --cuda --tensorrt DIR` with a folder of TensorRT 10, or choose `--device cuda` or `cpu`"
        }
    }
}

/// A declared length of -1 is open.
fn agrees(declared: &[i64], expected: &[Expected]) -> bool {
    let length = |(declared, expected): (&i64, &Expected)| match expected {
        Expected::Fixed(length) => *declared < 0 || usize::try_from(*declared) == Ok(*length),
        Expected::Open(_) => true,
    };
    declared.len() == expected.len() && declared.iter().zip(expected).all(length)
}

fn position(ports: &[Port], name: &str) -> Option<usize> {
    ports.iter().position(|port| port.name.to_bytes() == name.as_bytes())
}

fn port(name: &str, dtype: &ValueType) -> Port {
    let element = dtype.tensor_type().and_then(|element| match element {
        TensorElementType::Float32 => Some(Element::F32),
        TensorElementType::Float16 => Some(Element::F16),
        TensorElementType::Int64 => Some(Element::I64),
        TensorElementType::Bool => Some(Element::Bool),
        _ => None,
    });
    let shape = dtype.tensor_shape().map(|shape| shape.iter().copied().collect()).unwrap_or_default();
    Port { name: CString::new(name).unwrap_or_default(), element, shape }
}
