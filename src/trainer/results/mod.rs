//! What a training leaves behind: checkpoints, tables and event files.

pub mod background_writer;
pub mod checkpoint;
pub mod checkpoint_stamp;
pub mod classification_tables;
pub mod container;
pub mod epoch_commit;
pub mod fold_files;
pub mod tensorboard;
