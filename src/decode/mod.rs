//! The `decode` room.
