//! Chat templates: the Jinja that a checkpoint brings, as transformers runs it, or the built-in one.
//!
//! Source: the Gemma 4 checkpoints' own templates; transformers' `chat_template_utils.py` for what a template may rely on.

use minijinja::{
    Environment, Error, ErrorKind, Value, context,
    syntax::SyntaxConfig,
    value::{Kwargs, Serde},
};
use serde::Serialize;

use super::{manner::Manner, vocabulary::Vocabulary};
use crate::base::{Fatal, Model};

/// The form that the E models use: no newlines around pictures, no empty thought before the answer.
const BUILT_IN: &str = include_str!("chat_template.jinja");

/// What to do about a template that is of no use.
pub(super) const TEMPLATE_HINT: &str = "correct the chat template, or leave it out of the bundle";

/// A medium that stands in a message before its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A page or picture.
    Image,
    /// A clip of sound.
    Audio,
    /// The frames of a film.
    Video,
}

impl Medium {
    fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// A compiled chat template with the spellings of the bundle's tokens.
pub struct ChatTemplate {
    environment: Environment<'static>,
    name: String,
    spellings: Value,
}

impl ChatTemplate {
    /// The bundle's own template, else the built-in one.
    pub fn of(model: &Model, vocabulary: &Vocabulary) -> Result<Self, Fatal> {
        let (name, source) = match &model.manifest.graphs.chat_template {
            None => ("the built-in chat template".to_owned(), BUILT_IN.to_owned()),
            Some(file) => (model.file(file).display().to_string(), read(model, file)?),
        };
        let mut environment = environment();
        environment.add_template_owned("chat", source).map_err(|error| wrong(&name, &error))?;
        let ids = &model.manifest.tokens;
        let spelled = |id: u32| vocabulary.spelling(id);
        let spellings = context! {
            bos_token => spelled(ids.bos), pad_token => spelled(ids.pad),
            eos_token => ids.eos.first().map(|id| spelled(*id)).unwrap_or_default(),
            image_token => spelled(ids.image), audio_token => spelled(ids.audio), video_token => spelled(ids.video),
        };
        Ok(Self { environment, name, spellings })
    }

    /// One user turn with its medium before its text, after a system turn if there is one, up to where the model
    /// is to begin. The texts are single characters that stand for what the caller will put there; what `manner` asks
    /// for, thoughts or calls, is put there by the template.
    ///
    /// # Errors
    /// When the template fails, or leaves out what `manner` asks for.
    pub fn render(
        &self,
        system: Option<char>,
        medium: Option<Medium>,
        user: char,
        manner: &Manner,
    ) -> Result<String, Fatal> {
        let medium = medium.map(|medium| context! { type => medium.as_str() });
        let text = context! { type => "text", text => user.to_string() };
        let content: Vec<Value> = medium.into_iter().chain([text]).collect();
        let system = system.map(|text| context! { role => "system", content => text.to_string() });
        let turn = context! { role => "user", content => content };
        let messages: Vec<Value> = system.into_iter().chain([turn]).collect();
        let chat = context! { messages => messages, add_generation_prompt => true, enable_thinking => manner.thinking };
        let tools = manner.function.as_ref().map(|function| context! { tools => [Value::from(Serde(function))] });
        let given = context! { ..chat, ..tools.unwrap_or_default(), ..self.spellings.clone() };
        let template = self.environment.get_template("chat");
        let rendered =
            template.and_then(|template| template.render(given)).map_err(|error| wrong(&self.name, &error))?;
        match manner.missing_in(&rendered) {
            None => Ok(rendered),
            Some(missing) => Err(Fatal::new(format!("{} {missing}", self.name), TEMPLATE_HINT)),
        }
    }
}

fn read(model: &Model, file: &str) -> Result<String, Fatal> {
    let path = model.file(file);
    std::fs::read_to_string(&path)
        .map_err(|error| Fatal::new(format!("cannot read `{}`: {error}", path.display()), "export the bundle again"))
}

fn wrong(name: &str, error: &Error) -> Fatal {
    Fatal::new(format!("{name} does not render: {error:#}"), TEMPLATE_HINT)
}

/// What transformers gives to its templates.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Fails only on delimiters that clash; these are the usual ones.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", to_json);
    environment
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(format: &str) -> Result<String, Error> {
    use std::fmt::Write;
    let mut text = String::new();
    write!(text, "{}", chrono::Local::now().format(format))
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("`{format}` is no date format")))?;
    Ok(text)
}

/// As Python's `json.dumps(value, ensure_ascii=False)`: minijinja's own filter escapes for HTML.
fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let mut text = Vec::new();
    let written = match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(16));
            let layout = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, layout))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, OneLine)),
    };
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from(String::from_utf8_lossy(&text).into_owned()))
}

/// JSON on one line with Python's separators, `, ` and `: `.
struct OneLine;

impl serde_json::ser::Formatter for OneLine {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> Result<String, Error> {
        environment().render_str(source, context! { record => context! { a => 1, b => "<x> 'y' é" }, text => "a-b-c" })
    }

    #[test]
    fn templates_find_what_transformers_gives_them() {
        assert_eq!(rendered("{{ record | tojson }}").unwrap(), r#"{"a": 1, "b": "<x> 'y' é"}"#);
        assert_eq!(rendered("{{ text.split('-')[1] | upper }}{{ text.startswith('a') }}").unwrap(), "BTrue");
        assert_eq!(rendered("{% for k, v in record | dictsort %}{{ k }}{% endfor %}").unwrap(), "ab");
        assert_eq!(rendered("{{ record.get('c', 'none') }}").unwrap(), "none");
        assert_eq!(rendered("{{ strftime_now('%Y') | length }}").unwrap(), "4");
        assert_eq!(rendered("  {% if true %}\nx\n  {% endif %}\ny").unwrap(), "x\ny");
        let error = rendered("{{ raise_exception('roles must alternate') }}").unwrap_err();
        assert!(error.to_string().contains("roles must alternate"));
    }
}
