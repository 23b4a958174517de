//! The `collect` room.
