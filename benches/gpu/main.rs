//! What the engine does on a card: the part of `benches/gpu/measure.py` that runs in our own process. What comes of
//! it goes to standard output, one JSON object a line: `measure`, `value`, and `began` and `ended` in seconds since
//! 1970, so that whoever watches the card beside us can tell how busy it was meanwhile.
//!
//! `cargo bench --bench gpu -- --what exact|rates|pictures|extraction --model BUNDLE [--device cuda] ...`
//!
//! - `exact [--reference BUNDLE]`: logits on the device against those on the processor
//! - `rates [--slots 1] [--lengths 128,512] [--short 32] [--steps 64] [--repeats 3]`
//! - `pictures --budgets 70,140,280,560,1120 [--count 16] [--together true]`
//! - `extraction --schema FILE [--units 64] [--slots 32] [--shared 400] [--own 296] [--allowance 156]`
//!
//! All take `--chunk N` (prompt tokens of one call) and `--threads N`. Which card it is, `CUDA_VISIBLE_DEVICES` says.

#[path = "../peers/arguments.rs"]
mod arguments;
#[path = "../peers/desk.rs"]
mod desk;
mod exact;
mod extraction;
mod pictures;
mod prompts;
mod rates;

use std::{
    path::Path,
    str::FromStr,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use arguments::Arguments;
use lapidary::{
    base::{Fatal, Model},
    bundle::{Check, open},
    generate::{Device, EngineError, EngineSettings, OrtEngine, Runtime, Settings},
};
use serde_json::{Value, json};

const HINT: &str = "benches/gpu/measure.py gives the right options; the head of benches/gpu/main.rs lists them";

fn main() {
    if let Err(fatal) = run() {
        eprintln!("gpu: {}; {}", fatal.message, fatal.hint);
        std::process::exit(2);
    }
}

fn run() -> Result<(), Fatal> {
    let bench = Bench::read()?;
    match bench.arguments.text("--what")? {
        "exact" => exact::run(&bench),
        "rates" => rates::run(&bench),
        "pictures" => pictures::run(&bench),
        "extraction" => extraction::run(&bench),
        other => Err(Fatal::new(format!("`--what {other}` is unknown"), HINT)),
    }
}

impl Arguments {
    /// The value, or what stands for it where the option is absent.
    fn value<T: FromStr>(&self, name: &str, absent: T) -> Result<T, Fatal> {
        self.find(name).map_or(Ok(absent), |word| parsed(name, word))
    }

    /// Numbers separated by commas; none where the option is absent.
    fn list(&self, name: &str) -> Result<Vec<usize>, Fatal> {
        let words = self.find(name).unwrap_or_default().split(',').filter(|word| !word.is_empty());
        words.map(|word| parsed(name, word)).collect()
    }
}

fn parsed<T: FromStr>(name: &str, word: &str) -> Result<T, Fatal> {
    word.parse().map_err(|_| Fatal::new(format!("`{name} {word}` cannot be read"), HINT))
}

/// What is measured, and where.
struct Bench {
    arguments: Arguments,
    runtime: Runtime,
    model: Model,
    device: Device,
}

impl Bench {
    fn read() -> Result<Self, Fatal> {
        let arguments = Arguments::read(HINT)?;
        let device = device(arguments.find("--device").unwrap_or("cuda"))?;
        let runtime = Runtime::load()?;
        let model = open(Path::new(arguments.text("--model")?), Check::Sizes)?;
        Ok(Self { arguments, runtime, model, device })
    }

    /// The settings of a generator and of an engine: so many slots of so many tokens.
    fn settings(&self, slots: usize, context: usize) -> Result<Settings, Fatal> {
        Ok(Settings {
            slots: Some(slots),
            context: Some(context.next_multiple_of(64)),
            prefill_chunk: self.arguments.value("--chunk", 1024)?,
            threads: self.arguments.find("--threads").map(|word| parsed("--threads", word)).transpose()?,
            ..Settings::default()
        })
    }

    /// How an engine on our device is laid out.
    fn layout(&self, settings: &Settings) -> EngineSettings {
        EngineSettings::new(settings, self.device)
    }

    /// Opens the engine on our device, and says how long that took.
    fn open(&self, layout: EngineSettings) -> Result<OrtEngine, Fatal> {
        let clock = Clock::start();
        let engine = OrtEngine::open(&self.runtime, &self.model, layout)?;
        clock.say("open", clock.seconds(), json!({"slots": layout.slots, "context": layout.context}));
        Ok(engine)
    }
}

fn device(name: &str) -> Result<Device, Fatal> {
    let devices = [Device::Cpu, Device::Cuda, Device::TensorRt];
    let found = devices.into_iter().find(|device| device.as_str() == name);
    found.ok_or_else(|| Fatal::new(format!("`--device {name}` is unknown"), "say cpu, cuda or tensorrt"))
}

/// What an engine could not do ends the measurement.
fn failed(error: EngineError) -> Fatal {
    match error {
        EngineError::Session(fatal) => fatal,
        EngineError::Unit(fault) => Fatal::new(fault.message, fault.hint),
    }
}

/// Since when something has been going on.
struct Clock {
    began: Instant,
    on_the_wall: f64,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), on_the_wall: wall() }
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// One measurement that ends now, as a line; `facts` is an object of what else is to be known of it.
    fn say(&self, measure: &str, value: f64, facts: Value) {
        let mut line = json!({"measure": measure, "value": value, "began": self.on_the_wall, "ended": wall()});
        if let (Some(line), Value::Object(facts)) = (line.as_object_mut(), facts) {
            line.extend(facts);
        }
        println!("{line}");
    }
}

/// Seconds since 1970.
fn wall() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
