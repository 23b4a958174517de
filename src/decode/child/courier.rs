//! What carries messages and units to the parent: units in shared memory where they fit, so that the next one is made while the
//! parent takes the last, else through the pipe.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use serde::Serialize;

use super::super::{
    form::{self, Form},
    shared::{BYTES, Mapping},
    wire::{self, Answer, Reply},
};
use crate::base::{Part, Unit};

/// The way to the parent and back, for one document.
pub struct Courier<'a> {
    input: &'a mut File,
    output: &'a mut File,
    shared: Option<&'a mut Mapping>,
    /// A unit lies in the shared memory that the parent has not yet taken.
    full: bool,
}

impl<'a> Courier<'a> {
    /// With nothing in the shared memory, where there is any.
    pub fn new(input: &'a mut File, output: &'a mut File, shared: Option<&'a mut Mapping>) -> Self {
        Self { input, output, shared, full: false }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the parent is gone.
    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        wire::send(self.output, message)
    }

    /// Hands over a unit.
    ///
    /// # Errors
    /// When the parent is gone.
    pub fn hand(&mut self, of: Part, form: Form, unit: &Unit) -> io::Result<()> {
        self.settle()?;
        let fits = form.bytes().is_some_and(|bytes| bytes <= BYTES as u64);
        if fits && let Some(shared) = &mut self.shared {
            form::write(unit, &mut shared.bytes())?;
            self.full = true;
            return self.send(&Reply::Unit { of, form, shared: true });
        }
        let mut output = BufWriter::with_capacity(1 << 16, &mut *self.output);
        wire::send(&mut output, &Reply::Unit { of, form, shared: false })?;
        form::write(unit, &mut output)?;
        output.flush()
    }

    /// Waits until the parent has granted units.
    ///
    /// # Errors
    /// When it is gone.
    pub fn granted(&mut self) -> io::Result<usize> {
        self.settle()?;
        match self.hear()? {
            Answer::Granted { units } => Ok(units),
            Answer::Taken => Err(io::Error::other("the parent took what was not there")),
        }
    }

    /// Waits until the parent has taken the last unit.
    ///
    /// # Errors
    /// When it is gone.
    pub fn settle(&mut self) -> io::Result<()> {
        if self.full && self.hear()? != Answer::Taken {
            return Err(io::Error::other("the parent granted what was not asked for"));
        }
        self.full = false;
        Ok(())
    }

    fn hear(&mut self) -> io::Result<Answer> {
        wire::receive(self.input)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
