//! Tests of `write` from outside.
