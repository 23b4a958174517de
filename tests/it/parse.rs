//! Tests of `parse` from outside.
