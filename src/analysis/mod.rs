//! Job folders become the analysis tables.
