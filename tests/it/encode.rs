//! Tests of `encode` from outside.
