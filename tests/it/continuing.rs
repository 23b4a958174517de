//! A run on a folder that holds a dataset goes on with it: the program over the tiny bundle, whose greedy answers are the
//! same in every run.

pub mod archive;
mod changes;
mod kills;
