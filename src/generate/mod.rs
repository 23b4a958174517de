//! The `generate` room.
