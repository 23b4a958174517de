//! The `parse` room.
