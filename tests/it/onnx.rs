//! ONNX Runtime for tests that look at graphs without the engine.

use std::path::Path;

use lapidary::generate::Runtime;
use ort::session::Session;

/// A session of one graph on one thread.
pub fn session(path: &Path) -> Session {
    let runtime = Runtime::load().expect("run `lapidary runtime install` first");
    let builder = runtime.session().expect("a session builder");
    builder.with_intra_threads(1).expect("one thread").commit_from_file(path).expect("the graph loads")
}
