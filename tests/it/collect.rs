//! Tests of `collect` from outside.
