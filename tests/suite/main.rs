//! The one integration binary: each module drives the real programs, or holds the source against the house's rules.

mod adoption;
mod analysis;
mod analysis_again;
mod another_executor;
mod browser_rules;
mod chromium;
mod command_line;
mod configuration;
mod control_verbs;
mod daemon_control;
mod daemon_life;
mod daemon_rights;
mod daemon_search;
#[cfg(feature = "torch")]
mod demo;
#[cfg(feature = "torch")]
mod documentation;
#[cfg(feature = "torch")]
mod event_files;
mod explained;
mod faults;
mod generate_job;
mod harness;
mod house;
mod imports;
#[cfg(feature = "torch")]
mod installed;
mod lent;
mod libtorch_script;
mod linking;
mod needs;
mod network_shapes;
mod other_users;
mod quarter;
mod queue;
mod records;
mod reload;
mod replies;
mod retrain_job;
mod search_checks;
mod search_verbs;
mod service;
mod service_manager;
mod shared_devices;
mod stand_in;
mod terminal;
mod too_large;
#[cfg(feature = "torch")]
mod trainer_again;
#[cfg(feature = "torch")]
mod trainer_failures;
#[cfg(feature = "torch")]
mod trainer_golden;
#[cfg(feature = "torch")]
mod trainer_items;
#[cfg(feature = "torch")]
mod trainer_kinds;
#[cfg(feature = "torch")]
mod trainer_labels;
#[cfg(feature = "torch")]
mod trainer_options;
#[cfg(feature = "torch")]
mod trainer_resume;
#[cfg(feature = "torch")]
mod trainer_rights;
#[cfg(feature = "torch")]
mod trainer_run;
#[cfg(feature = "torch")]
mod trainer_search;
#[cfg(feature = "torch")]
mod trainer_seed;
#[cfg(feature = "torch")]
mod trainer_small;
#[cfg(feature = "torch")]
mod trainer_standby;
#[cfg(feature = "torch")]
mod trainer_steps;
#[cfg(feature = "torch")]
mod trainer_transfer;
#[cfg(feature = "torch")]
mod trainer_upgrade;
#[cfg(feature = "torch")]
mod trainer_weights;
mod upgrade;
mod verbs;
mod watched;
