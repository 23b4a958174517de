//! The `write` room.
