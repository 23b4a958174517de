//! For systems on which no memory is shared.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Empty},
};

/// Is never had.
#[derive(Debug)]
pub struct SharedMemory(Infallible);

/// Is never had.
pub struct Mapping(Infallible);

impl SharedMemory {
    /// # Errors
    /// Always.
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What goes to the child.
    pub fn file(&self) -> &File {
        match self.0 {}
    }

    /// What lies in it.
    pub fn reader(&self) -> Empty {
        match self.0 {}
    }
}

impl Mapping {
    /// # Errors
    /// Always.
    pub fn of(_file: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// All of it.
    pub fn bytes(&mut self) -> &mut [u8] {
        match self.0 {}
    }
}
