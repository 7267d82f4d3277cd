//! What the command line shows: plain output, lists, tables and the live screen.

pub mod listing;
pub mod out;
pub mod progress_view;
pub mod render;
pub mod screen;
pub mod terminal;
