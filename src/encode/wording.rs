//! The words of the task: system text and prompt, with the JSON Schema put where they ask for it.

use super::Settings;

/// Where the schema is to stand.
pub(super) const PLACE: &str = "{schema}";

/// What is added to the system text when neither text has a place for the schema: what stands before the pictures is the
/// same for all units, and is prefilled once.
const SENTENCE: &str =
    "Answer with one JSON object that follows this JSON Schema, its properties in the order of the schema:\n{schema}";

/// The same where the schema is declared as a function.
const CALL: &str = "Answer with one call of the declared function.";

/// Both texts as the model will read them, without white space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wording {
    /// The system turn, if there is one.
    pub system: Option<String>,
    /// The task.
    pub task: String,
}

impl Wording {
    /// The texts of the settings with the schema filled in; an empty schema adds nothing. `declared` is true where the
    /// schema is declared as a function.
    pub fn new(settings: &Settings, schema: &str, declared: bool) -> Self {
        Self::of_task(settings, &settings.prompt, schema, declared)
    }

    /// The same for what was said of the parts of a document, where that is to become one. The system turn stays as it is.
    pub fn to_reduce(settings: &Settings, schema: &str, declared: bool) -> Option<Self> {
        let prompt = settings.reduce.as_ref()?;
        Some(Self::of_task(settings, prompt, schema, declared))
    }

    fn of_task(settings: &Settings, prompt: &str, schema: &str, declared: bool) -> Self {
        let placed = [&settings.system, &settings.prompt].iter().any(|text| text.contains(PLACE));
        let mut system = settings.system.trim().to_owned();
        if settings.schema_in_prompt && !placed && !schema.trim().is_empty() {
            let gap = if system.is_empty() { "" } else { "\n\n" };
            system = format!("{system}{gap}{}", if declared { CALL } else { SENTENCE });
        }
        let filled = |text: &str| text.replace(PLACE, schema.trim()).trim().to_owned();
        let system = Some(filled(&system)).filter(|text| !text.is_empty());
        Self { system, task: filled(prompt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(system: &str, prompt: &str, schema: &str) -> Wording {
        let settings = Settings { system: system.to_owned(), prompt: prompt.to_owned(), ..Settings::default() };
        Wording::new(&settings, schema, false)
    }

    #[test]
    fn the_schema_stands_where_the_prompt_asks_for_it() {
        assert_eq!(wording("", " Use {schema} now. ", "{}\n").task, "Use {} now.");
        let by_system = wording("Always {schema}", "Read.", "{}");
        assert_eq!((by_system.system.as_deref(), by_system.task.as_str()), (Some("Always {}"), "Read."));
    }

    #[test]
    fn without_a_place_the_schema_ends_the_system_text() {
        let both = wording("You read pages.", "Read the page.", r#"{"type":"object"}"#);
        let system = both.system.unwrap();
        assert!(system.starts_with("You read pages.\n\nAnswer with one JSON object"), "{system}");
        assert!(system.ends_with(r#"{"type":"object"}"#), "{system}");
        assert_eq!(both.task, "Read the page.");
        assert!(wording("", "Read.", "{}").system.unwrap().starts_with("Answer with one"));
        assert_eq!(wording("", "Read.", "").system, None);
    }

    #[test]
    fn a_model_that_knows_its_task_is_not_told_the_schema() {
        let settings = Settings { prompt: "Read.".to_owned(), schema_in_prompt: false, ..Settings::default() };
        assert_eq!(Wording::new(&settings, "{}", false), Wording { system: None, task: "Read.".to_owned() });
    }
}
