//! Tests of `decode` from outside.
