//! The options that the reference takes on its command line, with `_` as its documentation spells them or with `-`.

use super::args::whole;
use super::exit::{Exit, Failure};
use crate::domain::space::{self, SearchSpace};

/// Flags that win over the file.
#[derive(Debug, Clone, clap::Args)]
pub struct FlagArguments {
    /// Train on the processor
    #[arg(long = "use_cpu", alias = "use-cpu")]
    use_cpu: bool,
    /// Workers that load data; 0 loads in the training thread
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    nproc: Option<usize>,
    /// Items in a batch
    #[arg(long = "batch_size", alias = "batch-size", value_name = "N", value_parser = whole::<usize>)]
    batch_size: Option<usize>,
    /// Batches between evaluations within an epoch; 0 for none
    #[arg(long = "evaluation_steps", alias = "evaluation-steps", value_name = "N", value_parser = whole::<usize>)]
    evaluation_steps: Option<usize>,
    /// Folds of the cross-validation; 0 for one single split
    #[arg(long = "n_splits", alias = "n-splits", value_name = "K", value_parser = whole::<u32>)]
    n_splits: Option<u32>,
    /// The folds to train, as `--split 0 2`; all of them by default
    #[arg(long, value_name = "FOLD", num_args = 1.., value_delimiter = ',', value_parser = whole::<u32>)]
    split: Option<Vec<u32>>,
}

impl FlagArguments {
    /// The space with the flags in force.
    ///
    /// # Errors
    /// A flag's value is not allowed, alone or with the file's.
    pub fn over(&self, space: SearchSpace) -> Result<SearchSpace, Failure> {
        let file = space.origin.file.clone();
        // Without them the file was accepted.
        let refused = |fault| Failure::new(Exit::Usage, format!("the flags, which win over {file}: {fault}"));
        space.override_with(&self.given()).map_err(refused)
    }

    /// The flags as the search space takes them.
    pub fn given(&self) -> space::Flags {
        space::Flags {
            use_cpu: self.use_cpu,
            nproc: self.nproc,
            batch_size: self.batch_size,
            evaluation_steps: self.evaluation_steps,
            n_splits: self.n_splits,
            split: self.split.clone(),
        }
    }
}
