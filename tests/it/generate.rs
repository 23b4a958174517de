//! Tests of `generate` from outside.
