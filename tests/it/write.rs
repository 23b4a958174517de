//! `write`: rows become Parquet that others can read, whole or not at all, and the totals add up.

mod dataset;
mod read_back;
mod round_trip;
mod support;
