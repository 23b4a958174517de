//! Tests of `line` from outside.
