//! Models in the layouts of other exporters: graphs of the E2B-like checkpoint that `onnx/reference/make_layouts.py` and
//! mobius wrote (fixtures/layouts), our own under other names, and what transformers makes of that checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lapidary::{
    base::Model,
    bundle::{
        Check, Dtype, Quantize,
        graph::proto::{AttributeProto, GraphProto, ModelProto, NodeProto},
        open,
    },
};
use prost::Message;
use tempfile::TempDir;

use crate::family::member::{Exported, Member};

/// The checkpoint of all foreign graphs.
pub const E2B: Member = Member("e2b");

/// A folder that holds a model.
pub struct Folder {
    place: TempDir,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/layouts").join(name)
}

impl Folder {
    fn empty(member: Member) -> Self {
        let folder = Self { place: tempfile::tempdir().unwrap() };
        fs::copy(member.fixture().join("config.json"), folder.file("config.json")).unwrap();
        fs::write(folder.file("tokenizer.json"), "{}").unwrap();
        folder
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The path of one of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The path with a variant.
    pub fn variant(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}#{name}", self.path().display()))
    }

    /// Changes a graph, whose weights stay where they are.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut GraphProto)) {
        let path = self.file(name);
        let mut model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
        change(model.graph.as_mut().unwrap());
        fs::write(&path, model.encode_to_vec()).unwrap();
    }

    /// Changes our own decoder to take every row for as long as the longest: right alone, wrong beside another.
    pub fn ignore_lengths(&self) {
        self.edit("onnx/decoder_model_merged.onnx", |graph| {
            let sum = graph.node.iter_mut().find(|node| node.op_type == "ReduceSum").unwrap();
            let mask = std::mem::replace(&mut sum.input[0], "all_ones".to_owned());
            let mut cast = node("Cast", &["always"], "all_ones");
            cast.attribute.push(AttributeProto { name: "to".to_owned(), i: 7, kind: 2, ..AttributeProto::default() });
            graph.node.splice(0..0, [node("Equal", &[&mask, &mask], "always"), cast]);
        });
    }

    /// Opened.
    pub fn model(&self) -> Model {
        open(self.path(), Check::Full).unwrap()
    }

    /// The same with its folder.
    pub fn opened(self) -> Exported {
        Exported { model: self.model(), folder: self.place }
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// The committed tiny bundle as a folder without a manifest.
pub fn tiny() -> Folder {
    let (root, folder) = (Path::new(env!("CARGO_MANIFEST_DIR")), Folder { place: tempfile::tempdir().unwrap() });
    for name in ["config.json", "generation_config.json", "tokenizer.json"] {
        fs::copy(root.join("onnx/reference/tiny").join(name), folder.file(name)).unwrap();
    }
    fs::create_dir(folder.file("onnx")).unwrap();
    for entry in fs::read_dir(root.join("onnx/tiny/onnx")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.file("onnx").join(entry.file_name())).unwrap();
    }
    folder
}

/// Our own graphs of a checkpoint of the family, in the onnx-community layout with a suffix.
pub fn own(member: Member, dtype: Dtype, suffix: &str) -> Folder {
    let folder = Folder::empty(member);
    let (graphs, exported) = (folder.file("onnx"), member.export(dtype, Quantize::None));
    fs::rename(exported.model.file("onnx"), &graphs).unwrap();
    for name in ["embed_tokens", "decoder_model_merged", "vision_encoder", "audio_encoder"] {
        let graph = graphs.join(format!("{name}.onnx"));
        if graph.exists() {
            fs::rename(graph, graphs.join(format!("{name}{suffix}.onnx"))).unwrap();
        }
    }
    folder
}

/// The foreign decoder that cannot share buffers, as `suffix`, with our own embeddings and encoders as f32.
pub fn community(suffix: &str) -> Folder {
    let folder = own(E2B, Dtype::F32, "");
    let graphs = folder.file("onnx");
    fs::remove_file(graphs.join("decoder_model_merged.onnx")).unwrap();
    let decoder = format!("decoder_model_merged{suffix}.onnx");
    for name in [decoder.as_str(), "decoder_model_merged.onnx_data", "decoder_model_merged.onnx_data_1"] {
        fs::copy(fixture("community/onnx").join(name), graphs.join(name)).unwrap();
    }
    folder
}

/// The package of mobius.
pub fn mobius() -> Folder {
    let folder = Folder::empty(E2B);
    for role in ["decoder", "embedding", "vision_encoder", "audio_encoder"] {
        fs::create_dir(folder.file(role)).unwrap();
        for name in ["model.onnx", "model.onnx.data"] {
            let name = format!("{role}/{name}");
            fs::copy(fixture("mobius").join(&name), folder.file(&name)).unwrap();
        }
    }
    folder
}
