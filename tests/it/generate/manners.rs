//! Thoughts before answers, and answers as calls: however a model behaves, thoughts keep to their channel and their
//! allowance, and every answer passes its schema.

use std::{fs, path::Path, sync::Arc};

use lapidary::{
    base::{Effort, Extraction, Fault, Finish, Generation, Item, Output, Shape, Stage, Timing},
    generate::{Answer, Channel, Form, Guide, Logits, Rules, Sampler, Settings, Thinking, Thoughts, Turn, Vocabulary},
    parse::Parser,
};
use serde_json::{Value, json};

use super::{closing::scores, desk, models};
use crate::{parse::parser::Emitted, vocabulary};

/// Every schema of the project, and one with all that a call can hold.
fn shapes() -> Vec<(String, Arc<Shape>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let read = |path: &Path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut schemas: Vec<_> = files.map(|path| (path.display().to_string(), read(&path))).collect();
    let inner = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "multipleOf": 7}}});
    schemas.push((
        "all".to_owned(),
        json!({"type": "object", "required": ["zeta", "Alpha", "fixed"], "properties": {
            "zeta": {"type": "string", "minLength": 3, "maxLength": 12, "pattern": "^[a-z]+-?[0-9]*$"},
            "Alpha": {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": ["integer", "null"], "minimum": -5}},
            "fixed": {"const": "say \"<|\\\"|>\"\n"},
            "grid": {"type": "array", "maxItems": 4, "items": {"type": "array", "maxItems": 2, "items": inner}},
            "day": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "date-time"},
            "mail": {"type": "string", "format": "email"}, "id": {"type": "string", "format": "uuid"},
            "host": {"type": "string", "format": "hostname"}, "four": {"type": "string", "format": "ipv4"},
            "six": {"type": "string", "format": "ipv6"}, "link": {"type": "string", "format": "uri"},
            "lasts": {"type": "string", "format": "duration"}, "time": {"type": "string", "format": "time"},
            "has": {"type": "boolean"}, "much": {"type": "number", "multipleOf": 0.01, "minimum": -1},
            "any": {"type": "string", "pattern": "x/\\d", "maxLength": 30}
        }}),
    ));
    let address = json!({"type": "string", "format": "ipv4", "pattern": "^1"});
    let properties = json!({"address": address});
    schemas.push(("address".to_owned(), json!({"type": "object", "required": ["address"], "properties": properties})));
    schemas.into_iter().map(|(name, schema)| (name, Arc::new(Shape::compile(&schema).unwrap()))).collect()
}

fn plain() -> Vocabulary {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/reference/tiny/tokenizer.json");
    Vocabulary::read(&path, 1024, &[1, 16, 9]).unwrap()
}

fn guide(output: Output, vocabulary: &Vocabulary, shape: &Shape) -> Guide {
    Guide::compile_as(output, vocabulary, &shape.guide()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn parsed(output: Output, shape: &Arc<Shape>, item: Item<Generation>) -> Result<Extraction, Fault> {
    let mut rows = Emitted::default();
    Parser::of(output, shape.clone()).process(item, &mut rows)?;
    Ok(rows.0.remove(0))
}

/// An answer to random scores, as the seat would hand it on.
fn answer(vocabulary: &Vocabulary, seed: u64, rules: Rules, temperature: f32) -> Item<Generation> {
    let settings = Settings { temperature, seed, ..Settings::default() };
    let item = desk::item(seed as u32, desk::prompt(1, 3));
    let mut answer = Answer::new(rules, Sampler::new(&settings, &item.origin), vocabulary.clone());
    let (mut state, liked) = (seed, b"a\\1,.{\xe2e-["[(seed % 10) as usize]);
    let finish = loop {
        let scores = scores(&mut state, liked, vocabulary);
        match answer.advance(Logits::Scores(&scores)).unwrap() {
            Turn::Feed(tokens) => assert!(!tokens.is_empty()),
            Turn::Finished(finish) => break finish,
        }
    };
    let (text, controls) = answer.text();
    let thought = answer.thinking().map(|thinking| thinking.finish(vocabulary, true));
    let body = Generation {
        places: answer.places(),
        logprobs: answer.logprobs,
        tokens: answer.tokens,
        text,
        controls,
        thought,
        finish,
        confined: None,
        facts: Default::default(),
        layer: None,
        effort: Effort::default(),
        timing: Timing::default(),
    };
    Item { origin: item.origin, attempt: 0, lease: item.lease, body }
}

#[test]
fn calls_pass_the_last_check_wherever_they_are_closed() {
    for vocabulary in [plain(), vocabulary::tiny_speller()] {
        let mut closed = 0;
        for (name, shape) in shapes() {
            let mut guide = guide(Output::ToolCall, &vocabulary, &shape);
            for seed in 0..16 {
                let (reserve, allowance) = (guide.reserve(), guide.reserve() + 1 + 9 * seed as usize);
                let rules = Rules { thinking: None, guided: Some(guide.begin()), allowance, reserve, loop_tokens: 0 };
                let item = answer(&vocabulary, seed, rules, [0.0, 1.0][(seed % 2) as usize]);
                let text = item.body.text.clone();
                assert!(item.body.tokens.len() <= allowance, "{name}: more than {allowance} tokens: {text}");
                closed += usize::from(item.body.finish == Finish::Closed);
                assert!(text.starts_with("<|tool_call>call:record{") && text.ends_with("}<tool_call|>"), "{text}");
                let row =
                    parsed(Output::ToolCall, &shape, item).unwrap_or_else(|fault| panic!("{name}: {fault}\n{text}"));
                assert_eq!(row.raw, text);
            }
        }
        assert!(closed > 10, "only {closed} answers had to be closed: the test shows little");
    }
}

#[test]
fn thoughts_keep_to_their_channel_and_allowance() {
    let (vocabulary, mut cut) = (vocabulary::tiny_speller(), 0);
    let channel = Arc::new(Channel::of(&vocabulary).unwrap());
    for (name, shape) in shapes() {
        for output in [Output::Json, Output::ToolCall] {
            let mut guide = guide(output, &vocabulary, &shape);
            for seed in 0..6 {
                let (reserve, allowance) = (guide.reserve(), guide.reserve() + 20);
                let most = 1 + 11 * seed as usize;
                let thinking = Some(Thinking::new(channel.clone(), most));
                let rules = Rules { thinking, guided: Some(guide.begin()), allowance, reserve, loop_tokens: 0 };
                let item = answer(&vocabulary, seed, rules, 1.0);
                let thought = item.body.thought.clone().unwrap();
                assert!(thought.tokens as usize <= most.max(channel.least()), "{name}: {thought:?}");
                assert!(item.body.tokens.len() <= allowance);
                cut += usize::from(thought.cut);
                let row = parsed(output, &shape, item).unwrap_or_else(|fault| panic!("{name}: {fault}"));
                assert_eq!(row.problems.iter().any(|problem| problem.contains("thoughts cut")), thought.cut);
                assert_eq!(row.thought, Some(thought));
            }
        }
    }
    assert!(cut > 10, "only {cut} thoughts had to be cut: the test shows little");
}

fn settings(temperature: f32) -> Settings {
    Settings { context: Some(700), max_tokens: 400, slots: Some(3), temperature, ..Settings::default() }
}

fn run(settings: &Settings, output: Output, shape: &Shape) -> Vec<Item<Generation>> {
    run_units(6, settings, output, shape)
}

fn run_units(count: u32, settings: &Settings, output: Output, shape: &Shape) -> Vec<Item<Generation>> {
    let vocabulary = vocabulary::tiny_speller();
    let guide = guide(output, &vocabulary, shape);
    let units = (0..count).map(|number| desk::item(number, desk::prompt(number % 3, 20))).collect();
    let engine = models::engine(tiny(), settings);
    desk::generations(engine, vocabulary, Some(guide), settings.clone(), units)
}

fn tiny() -> &'static models::Exported {
    static TINY: std::sync::OnceLock<models::Exported> = std::sync::OnceLock::new();
    TINY.get_or_init(models::tiny)
}

#[test]
fn a_model_that_knows_nothing_thinks_and_calls_within_every_schema() {
    for (name, shape) in shapes() {
        for temperature in [0.0, 1.2] {
            let output = Output::ToolCall;
            let vocabulary = vocabulary::tiny_speller();
            let max_tokens = guide(output, &vocabulary, &shape).reserve() + 60;
            let settings = Settings { thinking: true, thinking_tokens: Some(40), max_tokens, ..settings(temperature) };
            for item in run_units(1, &settings, output, &shape) {
                let special: Vec<u32> = (0..17).filter(|id| [7, 8, 11].binary_search(id).is_err()).collect();
                assert!(item.body.tokens.iter().all(|token| !special.contains(token)), "{:?}", item.body.tokens);
                let row = parsed(output, &shape, item).unwrap_or_else(|fault| panic!("{name}: {fault}"));
                let thought = row.thought.unwrap();
                assert!(thought.tokens <= 40 && !row.raw.contains("<|channel>"), "{thought:?}");
                let words = thought.text.unwrap_or_default();
                assert!(words.is_empty() || !row.raw.contains(&words), "the thought is in the answer: {words}");
            }
        }
    }
}

#[test]
fn thoughts_and_calls_are_the_same_in_every_mode() {
    let schema = serde_json::from_str(include_str!("../../../schemas/receipt.json")).unwrap();
    let shape = Shape::compile(&schema).unwrap();
    let told = |settings: Settings, output| -> Vec<_> {
        let done = run(&settings, output, &shape);
        done.into_iter().map(|item| (item.body.tokens, item.body.thought)).collect()
    };
    for (output, temperature, thinking) in
        [(Output::ToolCall, 0.0, false), (Output::ToolCall, 0.9, true), (Output::Json, 0.0, true)]
    {
        // Among few candidates: the forms of the decoder differ in the last bits, which move one draw in thousands among all.
        let plainest = Settings {
            slots: Some(1),
            top_k: (temperature > 0.0).then_some(8),
            drafts: false,
            decoder: Form::Sequences,
            thinking,
            thinking_tokens: thinking.then_some(60),
            ..settings(temperature)
        };
        let busiest = Settings { slots: Some(3), drafts: true, decoder: Form::Slots, ..plainest.clone() };
        assert_eq!(told(busiest, output), told(plainest, output), "{output:?} {thinking}");
    }
}

#[test]
fn calls_are_forced_and_guessed_too() {
    let schema = serde_json::from_str(include_str!("../../../schemas/receipt.json")).unwrap();
    let done = run(&settings(0.0), Output::ToolCall, &Shape::compile(&schema).unwrap());
    let sum = |of: fn(&Effort) -> u32| done.iter().map(|item| of(&item.body.effort)).sum::<u32>();
    assert!(sum(|effort| effort.forced) > 0 && sum(|effort| effort.accepted) > 0, "{:?}", done[5].body.effort);
}

#[test]
fn dropped_thoughts_leave_their_number() {
    let schema = serde_json::from_str(include_str!("../../../schemas/transcript.json")).unwrap();
    let dropping =
        Settings { thinking: true, thoughts: Some(Thoughts::Drop), thinking_tokens: Some(30), ..settings(0.0) };
    for item in run(&dropping, Output::Json, &Shape::compile(&schema).unwrap()) {
        let thought = item.body.thought.unwrap();
        assert!(thought.text.is_none() && (1..=30).contains(&thought.tokens), "{thought:?}");
    }
}

#[test]
fn the_real_vocabulary_opens_the_channel_as_the_model_does() {
    let (vocabulary, _) = vocabulary::full_speller();
    let mut thinking = Thinking::new(Arc::new(Channel::of(&vocabulary).unwrap()), 5);
    let mut sampler = Sampler::new(&Settings::default(), &desk::item(1, desk::prompt(1, 3)).origin);
    let mut say = |token| thinking.advance(Logits::Certain(token), &mut sampler).unwrap();
    // `<|channel>`, `thought`, a line break; then a word, and the end by force though the model has more to say.
    assert_eq!([say(1), say(4368), say(4368)], [vec![100, 45_518, 107], vec![4368], vec![101]]);
    assert!(thinking.is_over());
}

#[test]
fn a_vocabulary_without_the_marks_is_refused() {
    let vocabulary = desk::vocabulary();
    let error = Channel::of(&vocabulary).err().unwrap();
    assert!(error.message.contains("no special token `<|channel>`"), "{error}");
    let shape = Shape::compile(&json!({"type": "object", "properties": {"a": {"type": "boolean"}}})).unwrap();
    let problems = Guide::compile_as(Output::ToolCall, &vocabulary, &shape.guide()).err().unwrap();
    assert!(problems[0].contains("no special token `<|\"|>`"), "{problems:?}");
}

#[test]
fn what_a_call_cannot_carry_is_said_with_its_place() {
    let anchors = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a|b$"}}});
    let shape = Shape::compile(&anchors).unwrap();
    let problems = Guide::compile_as(Output::ToolCall, &plain(), &shape.guide()).err().unwrap();
    assert!(problems[0].starts_with("/a: its pattern `^a|b$`") && problems[0].contains("json"), "{problems:?}");
    let both =
        json!({"type": "object", "properties": {"a": {"type": "string", "format": "email", "pattern": "@example"}}});
    let shape = Shape::compile(&both).unwrap();
    let problems = Guide::compile_as(Output::ToolCall, &plain(), &shape.guide()).err().unwrap();
    assert!(problems[0].starts_with("/a: its `pattern` and its `format`"), "{problems:?}");
    let spaced =
        json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b c": {"type": "string"}}}}});
    let problems = Shape::compile(&spaced).unwrap().function().unwrap_err();
    assert!(problems[0].starts_with("/a/b c: a call's keys"), "{problems:?}");
}

/// True when a call may say this text as a string of that schema.
fn may_say(string: &Value, text: &str) -> bool {
    let vocabulary = plain();
    let schema = json!({"type": "object", "required": ["a"], "properties": {"a": string}});
    let mut guide = guide(Output::ToolCall, &vocabulary, &Shape::compile(&schema).unwrap());
    let spelled = |text: &str| vocabulary.spell(text.as_bytes()).unwrap();
    let tokens =
        [vec![7], spelled("call:record{a:"), vec![11], spelled(text), vec![11], spelled("}"), vec![8]].concat();
    guide.begin().allowed_prefix(&tokens).unwrap() == tokens.len()
}

#[test]
fn a_text_of_a_call_may_be_empty_where_its_pattern_lets_it() {
    let digits = |bounds: Value| {
        let mut string = json!({"type": "string", "pattern": "^[0-9]*$"});
        bounds.as_object().unwrap().iter().for_each(|(name, bound)| string[name] = bound.clone());
        string
    };
    let free = digits(json!({}));
    assert!(may_say(&free, "") && may_say(&free, "17") && !may_say(&free, "x"));
    assert!(!may_say(&digits(json!({"minLength": 1})), ""));
    assert!(!may_say(&json!({"type": "string", "pattern": "^[0-9]+$"}), ""));
    let none = digits(json!({"maxLength": 0}));
    assert!(may_say(&none, "") && !may_say(&none, "1"));
}

#[test]
fn a_text_of_a_call_that_nothing_can_be_is_refused_in_words() {
    let text = json!({"type": "string", "pattern": "^[0-9]+$", "maxLength": 0});
    let schema = json!({"type": "object", "required": ["a"], "properties": {"a": text}, "additionalProperties": false});
    let problems = Guide::compile_as(Output::ToolCall, &plain(), &schema).err().unwrap();
    assert!(problems[0].starts_with("/a: must be empty by its `maxLength`"), "{problems:?}");
}

#[test]
fn a_call_can_say_every_text_of_a_format_that_is_met_and_no_other() {
    let says = |format: &str, text: &str| may_say(&json!({"type": "string", "format": format}), text);
    for (format, good, bad) in [
        ("date", "2024-02-29", "2023-02-29"),
        ("date", "2000-02-29", "1900-02-29"),
        ("date-time", "2024-12-31T23:59:59.25+01:00", "2024-12-31T24:00:00Z"),
        ("time", "09:30:00Z", "9:30"),
        ("duration", "P1Y2M10DT2H30M", "P"),
        ("email", "ada.m.king+x@mail.example.org", "ada@"),
        ("hostname", "a-b.example.org", "-a"),
        ("ipv4", "192.168.0.255", "192.168.0.256"),
        ("ipv6", "2001:db8::1", "1::2::3"),
        ("ipv6", "::", ":"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("uri", "https://example.org:8080/a%20b?c=d&e#f", "example"),
    ] {
        assert!(says(format, good), "{format} {good}");
        assert!(!says(format, bad), "{format} {bad}");
    }
}
