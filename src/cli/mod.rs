//! The command line: arguments, one file a verb, rendering, exit codes.
