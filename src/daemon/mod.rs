//! The daemon's actors, one file each, and the order of its start and shutdown.
