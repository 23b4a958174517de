//! Tests of the line as a whole, with stages that count instead of working.

mod stages;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use lapidary::{
    app::{
        gauge::Gauge,
        line::{Found, Line},
    },
    base::{ByteBudget, Document, Emit, Fatal, Fault, Item, Outcome, RecordOf, Stage, Stop, Unit},
};

use crossbeam::channel::bounded;
use stages::{Accept, AtPrompt, Blank, Pages, Setup, Tally, answer, collator, document, judge, run};

const STEPS: &str = "steps = [{ budget = 560 }, { temperature = 0.5 }]";

#[test]
fn every_promise_is_settled_whatever_the_decoders_do() {
    let (result, tally, in_use) = run(Setup::of(60), &Stop::default());
    assert_eq!(tally.found, 60);
    assert_eq!(tally.promised, tally.rows + tally.failures);
    // 60 documents of 10 pages; two fail whole, two panic, and two break the promise of their last page.
    assert_eq!(tally.promised, 56 * 10 + 4);
    assert_eq!(tally.rows, 54 * 7 + 2 * 6);
    assert_eq!(result, Ok(tally.rows));
    assert_eq!(in_use, 0, "every byte was given back");
}

#[test]
fn a_document_is_one_row_when_all_of_its_units_are_settled() {
    let ladder = "steps = [{ budget = 560 }, { rotate = 90 }]";
    let setup = Setup { record: RecordOf::Document, ladder, ..Setup::of(60) };
    let (_, tally, in_use) = run(setup, &Stop::default());
    assert_eq!(tally.promised, tally.answered + tally.failures);
    assert_eq!(tally.rows, 56, "all documents but those that fail whole");
    assert_eq!(tally.parts, [tally.answered, tally.failures - 4]);
    assert_eq!(in_use, 0, "what waits for its document holds no bytes");
}

#[test]
fn answers_about_parts_are_read_again_until_they_are_one() {
    let ladder = "steps = [{ budget = 560 }, { rotate = 90 }]";
    // Notes of some 24 characters: ten are read in three groups, then those.
    let reduce = Some("prompt = \"Make one of them.\"\nlongest = 100");
    let setup = Setup { record: RecordOf::Document, reduce, ladder, ..Setup::of(60) };
    let (_, tally, in_use) = run(setup, &Stop::default());
    assert_eq!(tally.promised, tally.answered + tally.failures);
    assert_eq!(tally.rows, 56, "all documents but those that fail whole");
    let read_again = tally.answered - tally.parts[0];
    assert!(read_again >= 3 * tally.rows, "{read_again} answers about several parts");
    assert_eq!(in_use, 0);
}

#[test]
fn a_stop_in_the_middle_of_making_one_ends_the_run() {
    let reduce = Some("prompt = \"Make one of them.\"");
    for at in [5, 30, 300] {
        let at_prompt = Box::new(move |count, stop: &Stop| {
            if count == at {
                stop.abort();
            }
            Ok(())
        });
        let setup = Setup { record: RecordOf::Document, reduce, at_prompt, ..Setup::of(60) };
        let (_, _, in_use) = run(setup, &Stop::default());
        assert_eq!(in_use, 0);
    }
}

#[test]
fn a_limit_is_kept_to_the_unit() {
    let (_, tally, _) = run(Setup { limit: Some(25), ..Setup::of(9) }, &Stop::default());
    assert_eq!((tally.promised, tally.rows + tally.failures), (25, 25));
    assert!(tally.kept[1] <= 2, "of documents of ten pages 25 pages are two");
}

#[test]
fn documents_that_fail_as_a_whole_count_in_a_limit() {
    let (_, tally, _) = run(Setup { limit: Some(2), pages: 0, ..Setup::of(6) }, &Stop::default());
    assert_eq!((tally.found, tally.promised, tally.failures), (6, 2, 2));
    assert_eq!(tally.kept[1], 2, "the others are left for another run");
}

/// A document of more units than the limit goes on behind those that are held, and is through only at its end.
#[test]
fn what_is_held_takes_nothing_of_a_limit() {
    let (_, tally, _) = run(Setup { limit: Some(3), held: 5, ..Setup::of(1) }, &Stop::default());
    assert_eq!((tally.promised, tally.kept), (8, [4, 0]), "of the five that are held one fails on the way");
    assert_eq!(tally.settled_now, tally.rows + tally.failures, "what is held says nothing of the speed");
    let (_, tally, _) = run(Setup { limit: Some(3), held: 7, ..Setup::of(1) }, &Stop::default());
    assert_eq!((tally.promised, tally.kept), (10, [5, 1]));
}

/// Its units become one record: half a document would look like a whole one.
#[test]
fn a_limit_does_not_cut_a_document_that_becomes_one_record() {
    let setup = Setup { limit: Some(3), record: RecordOf::Document, ..Setup::of(9) };
    let (_, tally, _) = run(setup, &Stop::default());
    assert!((1..=2).contains(&tally.kept[1]) && tally.promised == 10 * tally.kept[1], "{}", tally.promised);
    assert_eq!((tally.rows, tally.parts[0] + tally.parts[1]), (tally.kept[1], tally.promised));
}

/// Else every other thread would wait for it.
#[test]
fn a_thread_that_panics_ends_the_run() {
    let at_prompt = Box::new(|count, _: &Stop| {
        assert!(count < 20, "the engine panics");
        Ok(())
    });
    let (stop, setup) = (Stop::default(), Setup { ladder: STEPS, at_prompt, ..Setup::of(1000) });
    let ended = catch_unwind(AssertUnwindSafe(|| run(setup, &stop)));
    assert!(ended.is_err() && stop.aborting());

    let at_outcome = Box::new(|tally: &Tally| {
        assert!(tally.rows < 20, "the writer panics");
        Ok(())
    });
    let (stop, setup) = (Stop::default(), Setup { ladder: STEPS, at_outcome, ..Setup::of(1000) });
    let ended = catch_unwind(AssertUnwindSafe(|| run(setup, &stop)));
    assert!(ended.is_err() && stop.aborting());
}

#[test]
fn draining_finishes_what_is_begun() {
    let stop = Stop::default();
    let at_prompt = Box::new(|count, stop: &Stop| {
        if count == 20 {
            stop.ask();
        }
        Ok(())
    });
    let (_, tally, in_use) = run(Setup { at_prompt, ..Setup::of(1000) }, &stop);
    assert!(tally.promised < 9000, "not every document was begun");
    assert_eq!(tally.promised, tally.rows + tally.failures);
    assert_eq!(in_use, 0);
}

#[test]
fn an_aborted_run_ends_and_gives_everything_back() {
    let stop = Stop::default();
    let at_prompt = Box::new(|count, stop: &Stop| {
        if count == 20 {
            stop.abort();
        }
        Ok(())
    });
    let (_, tally, in_use) = run(Setup { at_prompt, ..Setup::of(1000) }, &stop);
    assert!(tally.rows <= 21);
    assert_eq!(in_use, 0);
}

#[test]
fn an_engine_that_cannot_go_on_ends_the_run_with_its_own_words() {
    let at_prompt = Box::new(|count, _: &Stop| match count {
        5 => Err(Fatal::new("the card is lost", "")),
        _ => Ok(()),
    });
    let (result, _, in_use) = run(Setup { at_prompt, ..Setup::of(1000) }, &Stop::default());
    assert_eq!(result.unwrap_err().message, "the card is lost");
    assert_eq!(in_use, 0);
}

#[test]
fn a_writer_that_fails_ends_the_run_with_its_own_words() {
    let at_outcome = Box::new(|tally: &Tally| match tally.rows {
        0..10 => Ok(()),
        _ => Err(Fatal::new("the disk is full", "")),
    });
    let (result, _, in_use) = run(Setup { at_outcome, ..Setup::of(1000) }, &Stop::default());
    assert_eq!(result.unwrap_err().message, "the disk is full");
    assert_eq!(in_use, 0);
}

#[test]
fn a_slow_engine_holds_back_the_decoders() {
    static DECODED: AtomicU64 = AtomicU64::new(0);
    struct Counting(Pages);
    impl Stage for Counting {
        type In = Document;
        type Out = Unit;
        fn process(&mut self, item: Item<Document>, emit: &mut dyn Emit<Unit>) -> Result<(), Fault> {
            DECODED.fetch_add(1, Ordering::SeqCst);
            self.0.process(item, emit)
        }
    }
    let (stop, gauge, budget) = (Stop::default(), Gauge::default(), ByteBudget::new(1000));
    let pages = Pages { pages: 10, budget, stop: stop.clone() };
    let ahead_at_first_prompt = AtomicU64::new(0);
    let _ = Line {
        collect: Box::new(|found| (1..9).for_each(|n| found(Found::Document(document(n))))),
        decode: vec![Box::new(Counting(pages))],
        allowance: Setup::of(0).allowance(),
        encode: vec![Box::new(Blank)],
        generate: vec![Box::new(|prompts, _| {
            // Wait until the line is full to the brim: one document (7 good pages of 10) does not fit into the
            // channels (2 units and 1 prompt) and the hands of the stages, so the second is never begun.
            let first = prompts.recv().ok();
            std::thread::sleep(std::time::Duration::from_millis(100));
            ahead_at_first_prompt.store(DECODED.load(Ordering::SeqCst), Ordering::SeqCst);
            drop(first);
            prompts.into_iter().for_each(drop);
            Ok(())
        })],
        parse: Box::new(Accept),
        judge: &mut judge(""),
        collator: &mut collator(RecordOf::Unit, None),
        write: Box::new(|_| Ok(())),
        last_words: Box::new(|why| panic!("{why}")),
        ahead: 1,
    }
    .run(&gauge, &stop);
    assert_eq!(ahead_at_first_prompt.load(Ordering::SeqCst), 1);
    assert_eq!(DECODED.load(Ordering::SeqCst), 8);
}

#[test]
fn units_whose_answer_is_not_good_enough_are_tried_again_and_settled_once() {
    let (result, tally, in_use) = run(Setup { ladder: STEPS, ..Setup::of(60) }, &Stop::default());
    assert_eq!((tally.found, tally.promised, tally.rows), (60, 56 * 10 + 4, 54 * 7 + 2 * 6));
    assert_eq!(tally.promised, tally.rows + tally.failures);
    // Of the pages 2, 4, 8 and 10 (every third fails before it is asked about), 8 of 9 documents: number 29 breaks its
    // promise of page 10 and 50 panics.
    let climbed = (0..60).filter(|ordinal| ordinal % 7 == 1 && ![10, 20].contains(&(ordinal % 30))).count() as u64;
    let broken = (0..60).filter(|ordinal| ordinal % 7 == 1 && ordinal % 30 == 29).count() as u64;
    assert_eq!(tally.attempts, [tally.rows - (4 * climbed - broken), 0, 4 * climbed - broken, 0]);
    assert_eq!(result, Ok(tally.rows + tally.attempts[2]), "texts have no budget: they pass the first step over");
    assert_eq!(in_use, 0);
}

#[test]
fn a_limited_run_with_a_ladder_ends_and_a_try_takes_nothing_of_the_limit() {
    let (_, tally, _) = run(Setup { ladder: STEPS, limit: Some(25), ..Setup::of(9) }, &Stop::default());
    assert_eq!((tally.promised, tally.rows + tally.failures), (25, 25));
    assert_eq!(tally.attempts[2], 4);
}

/// The pages of the second document are on their way then, or wait for another try.
fn at_the_ninth_prompt(ask: fn(&Stop)) -> AtPrompt {
    Box::new(move |count: u64, stop: &Stop| {
        if count == 8 {
            ask(stop);
        }
        Ok(())
    })
}

#[test]
fn a_run_that_is_asked_to_stop_makes_all_tries_of_what_it_has_begun() {
    let setup = Setup { at_prompt: at_the_ninth_prompt(Stop::ask), ladder: STEPS, ..Setup::of(1000) };
    let (_, tally, in_use) = run(setup, &Stop::default());
    assert!(tally.promised < 9000, "not every document was begun");
    assert_eq!(tally.promised, tally.rows + tally.failures);
    assert_eq!(10 * tally.failures, 3 * tally.promised, "no try fails for want of time");
    assert!(tally.attempts[2] >= 4, "{:?}", tally.attempts);
    assert_eq!((tally.unfinished, in_use), (0, 0));
}

/// A row of theirs would look final to the next run.
#[test]
fn an_aborted_run_writes_no_unit_whose_tries_are_not_through() {
    let setup = Setup { at_prompt: at_the_ninth_prompt(Stop::abort), ladder: STEPS, ..Setup::of(1000) };
    let (_, tally, in_use) = run(setup, &Stop::default());
    assert!(tally.rows <= 9, "{}", tally.rows);
    assert_eq!((tally.unfinished, in_use), (0, 0));
}

/// What one engine makes of them three do too, whatever else happens on the way.
#[test]
fn several_engines_settle_every_promise_once() {
    for ladder in ["", STEPS] {
        let (alone, wanted, _) = run(Setup { ladder, ..Setup::of(60) }, &Stop::default());
        let (result, tally, in_use) = run(Setup { ladder, engines: 3, ..Setup::of(60) }, &Stop::default());
        assert_eq!((result, tally.attempts), (alone, wanted.attempts));
        assert_eq!((tally.found, tally.promised, tally.rows), (wanted.found, wanted.promised, wanted.rows));
        assert_eq!(tally.promised, tally.rows + tally.failures);
        assert_eq!(in_use, 0, "every byte was given back");
    }
}

#[test]
fn several_engines_drain_and_abort_as_one_does() {
    let setup = |at_prompt| Setup { at_prompt, ladder: STEPS, engines: 3, ..Setup::of(1000) };
    let (_, tally, in_use) = run(setup(at_the_ninth_prompt(Stop::ask)), &Stop::default());
    assert!(tally.promised < 9000, "not every document was begun");
    assert_eq!((tally.promised, tally.unfinished, in_use), (tally.rows + tally.failures, 0, 0));
    // Whoever has the ninth prompt or one behind it aborts before it answers.
    let at_prompt = Box::new(|count, stop: &Stop| {
        if count >= 8 {
            stop.abort();
        }
        Ok(())
    });
    let (_, tally, in_use) = run(setup(at_prompt), &Stop::default());
    assert!(tally.rows <= 8, "{}", tally.rows);
    assert_eq!((tally.unfinished, in_use), (0, 0));
}

#[test]
fn one_engine_of_several_that_cannot_go_on_ends_the_run_with_its_own_words() {
    let at_prompt = Box::new(|count, _: &Stop| match count {
        5 => Err(Fatal::new("cuda:1: the card is lost", "")),
        _ => Ok(()),
    });
    let (stop, setup) = (Stop::default(), Setup { at_prompt, engines: 3, ..Setup::of(1000) });
    let (result, tally, in_use) = run(setup, &stop);
    assert_eq!(result.unwrap_err().message, "cuda:1: the card is lost");
    assert!(stop.aborting() && tally.promised < 9000, "the others do not go on without it");
    assert_eq!(in_use, 0);
}

#[test]
fn one_engine_of_several_that_panics_ends_the_run() {
    let at_prompt = Box::new(|count, _: &Stop| {
        assert!(count != 20, "the engine panics");
        Ok(())
    });
    let (stop, setup) = (Stop::default(), Setup { ladder: STEPS, at_prompt, engines: 3, ..Setup::of(1000) });
    let ended = catch_unwind(AssertUnwindSafe(|| run(setup, &stop)));
    assert!(ended.is_err() && stop.aborting());
}

/// The first has one prompt in hand until the second has come to its end.
#[test]
fn an_engine_that_finds_no_more_prompts_ends_while_another_still_works() {
    let (stop, gauge, budget) = (Stop::default(), Gauge::default(), ByteBudget::new(1000));
    let (has_one, one_is_had) = bounded::<()>(1);
    let (end, ended) = bounded::<()>(0);
    let mut rows = 0;
    let answered = Line {
        collect: Box::new(|found| (1..9).for_each(|n| found(Found::Document(document(n))))),
        decode: vec![Box::new(Pages { pages: 10, budget: budget.clone(), stop: stop.clone() })],
        allowance: Setup::of(0).allowance(),
        encode: vec![Box::new(Blank)],
        generate: vec![
            Box::new(move |prompts, emit| {
                let held = prompts.recv();
                drop((prompts, has_one));
                // An error once the other has ended.
                let other = ended.recv();
                held.into_iter().for_each(|item| emit.item(item.with(answer())));
                Ok((1, other.is_err()))
            }),
            Box::new(move |prompts, emit| {
                let (_end, mut count) = (end, 0);
                let _ = one_is_had.recv();
                for item in prompts {
                    count += 1;
                    emit.item(item.with(answer()));
                }
                Ok((count, true))
            }),
        ],
        parse: Box::new(Accept),
        judge: &mut judge(""),
        collator: &mut collator(RecordOf::Unit, None),
        write: Box::new(|outcome| {
            rows += u64::from(matches!(outcome, Some(Outcome::Row(_))));
            Ok(())
        }),
        last_words: Box::new(|why| panic!("{why}")),
        ahead: 4,
    }
    .run(&gauge, &stop);
    // Seven good pages of ten, of eight documents.
    assert_eq!(answered, Ok(vec![(1, true), (55, true)]));
    assert_eq!((rows, budget.in_use()), (56, 0));
}
