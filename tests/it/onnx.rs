//! ONNX Runtime for tests that look at graphs without the engine.

use std::{path::Path, sync::OnceLock};

use lapidary::base::native::{self, Library};
use ort::{environment::Environment, session::Session};

/// The one environment of this process.
fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let library = native::locate(Library::OnnxRuntime).expect("run `lapidary runtime install` first");
        ort::init_from(library).expect("ONNX Runtime loads").build().expect("no other environment")
    })
}

/// A session of one graph on one thread.
pub fn session(path: &Path) -> Session {
    let builder = Session::builder(environment()).expect("a session builder");
    builder.with_intra_threads(1).expect("one thread").commit_from_file(path).expect("the graph loads")
}
