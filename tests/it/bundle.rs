//! Tests of `bundle` from outside.
