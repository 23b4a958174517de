//! What the parent makes of a child's words, without a child: for the tests that make words up.

use crate::base::{Kind, Part, Unit};

use super::{
    course::{Course, DocumentQuota},
    settings::Settings,
    wire::{self, Reply},
    word::{Refused, Word},
};

/// The units that `words` hold, of a document of `kind`, up to the first word that is not believed, and why that is.
pub fn overhear(mut words: &[u8], kind: Kind, settings: &Settings) -> (Vec<Unit>, Result<(), String>) {
    let (mut units, mut course) = (Vec::new(), Course::new(DocumentQuota::of(settings)));
    course.begin();
    loop {
        match hear(&mut words, kind, settings, &mut course) {
            Ok(Heard::Unit(unit)) => units.push(unit),
            Ok(Heard::Word) => {}
            Ok(Heard::End) => return (units, Ok(())),
            Err(Refused::Lie(why)) => return (units, Err(why)),
            Err(Refused::Excess(fault)) => return (units, Err(fault.message)),
        }
    }
}

enum Heard {
    Unit(Unit),
    Word,
    End,
}

/// One word, and the unit that follows it.
fn hear(words: &mut &[u8], kind: Kind, settings: &Settings, course: &mut Course) -> Result<Heard, Refused> {
    let reply = wire::receive::<Reply>(words).map_err(|error| error.to_string())?;
    let reply = reply.ok_or_else(|| "it ended without a word".to_owned())?;
    match Word::of(reply, kind, &settings.limits, course, <[Part]>::len)? {
        Word::Unit { of, form, .. } => {
            let unit = form.read(words).map_err(|error| error.to_string())?;
            course.settle(of)?;
            Ok(Heard::Unit(unit))
        }
        Word::Alive | Word::Silence(_) | Word::Promise { .. } | Word::UnitFault { .. } => Ok(Heard::Word),
        Word::End(Ok(())) => Ok(Heard::End),
        Word::End(Err(fault)) => Err(Refused::Excess(fault)),
        Word::NeedsFfmpeg => Err(Refused::Lie("it asked for another child".to_owned())),
    }
}
