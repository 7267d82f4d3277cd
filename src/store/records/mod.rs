//! Launch directories and job folders: their layout and the records in them.

pub mod attempt_log;
pub mod create_job;
pub mod finished_folds;
pub mod fold_record;
pub mod free_space;
pub mod job_records;
pub mod layout;
pub mod list_jobs;
pub mod progress;
pub mod record;
pub mod results;
pub mod run_id;
pub mod search_record;
pub mod space_file;
pub mod sweep;
