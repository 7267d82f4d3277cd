//! The jobs of `jobs.tsv`, best first.

use crate::domain::natural::Natural;
use crate::domain::options::Selection;
use crate::store::error::StoreError;
use crate::store::layout::LaunchDir;
use crate::store::tsv::Table;
use std::cmp::Ordering;

/// One job's balanced accuracy on the validation images; by selection, `best_loss` first. None where there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub job: String,
    pub state: String,
    /// Over the folds found.
    pub means: [Option<f64>; 2],
    /// Each fold by its index, ascending.
    pub folds: Vec<(u32, [Option<f64>; 2])>,
}

/// The jobs that have a result, by the mean of the models kept for their balanced accuracy, then for their loss.
///
/// # Errors
/// When `jobs.tsv` cannot be read, as before the first analysis.
pub fn ranking(launch: &LaunchDir) -> Result<Vec<Ranked>, StoreError> {
    let path = launch.jobs_table();
    let table = Table::read(&path)?;
    let columns = Columns::of(&table)
        .ok_or_else(|| StoreError::content(&path, "not a table of this version; delete it, and it comes back"))?;
    let mut jobs: Vec<Ranked> =
        table.rows.iter().map(|row| columns.job(&row.cells)).filter(|job| job.means.iter().any(Option::is_some)).collect();
    jobs.sort_by(better);
    Ok(jobs)
}

/// Where the figures stand.
struct Columns {
    job: usize,
    state: usize,
    means: [usize; 2],
    folds: Vec<(u32, [usize; 2])>,
}

impl Columns {
    fn of(table: &Table) -> Option<Self> {
        let both = |name: &dyn Fn(Selection) -> String| {
            let [loss, accuracy] = [Selection::BestLoss, Selection::BestBalancedAccuracy].map(|s| table.column(&name(s)));
            Some([loss?, accuracy?])
        };
        let prefix = format!("{}_fold-", Selection::BestLoss);
        let fold = |name: &String| name.strip_prefix(&prefix)?.strip_suffix("_balanced_accuracy")?.parse().ok();
        let mut folds = Vec::new();
        for index in table.header.iter().filter_map(fold) {
            folds.push((index, both(&|s| format!("{s}_fold-{index}_balanced_accuracy"))?));
        }
        let means = both(&|s| format!("{s}_mean_balanced_accuracy"))?;
        Some(Columns { job: table.column("job")?, state: table.column("state")?, means, folds })
    }

    fn job(&self, row: &[String]) -> Ranked {
        let cell = |column: usize| row.get(column).map(String::as_str).unwrap_or_default();
        let figures =
            |columns: [usize; 2]| columns.map(|column| cell(column).parse().ok().filter(|figure: &f64| figure.is_finite()));
        Ranked {
            job: cell(self.job).to_string(),
            state: cell(self.state).to_string(),
            means: figures(self.means),
            folds: self.folds.iter().map(|&(index, columns)| (index, figures(columns))).collect(),
        }
    }
}

/// The greater mean first; jobs that are equal in both stand in natural order.
fn better(a: &Ranked, b: &Ranked) -> Ordering {
    let figure = |job: &Ranked, selection: Selection| job.means[selection as usize].unwrap_or(-1.0);
    let by = |selection| figure(b, selection).total_cmp(&figure(a, selection));
    let name = |job: &Ranked| Natural(job.job.clone());
    by(Selection::BestBalancedAccuracy).then_with(|| by(Selection::BestLoss)).then_with(|| name(a).cmp(&name(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_ranked_by_the_mean_and_those_without_a_result_are_left_out() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let launch = LaunchDir::new(dir.path());
        assert!(ranking(&launch).expect_err("nothing there").is_missing());
        let header = "job\tstate\tbest_loss_mean_balanced_accuracy\tbest_loss_fold-0_balanced_accuracy\t\
                      best_balanced_accuracy_mean_balanced_accuracy\tbest_balanced_accuracy_fold-0_balanced_accuracy";
        let rows = [
            "job-2\tdone\t0.5\t0.5\t0.75\t0.75",
            "job-10\tdone\t0.5\t0.5\t0.75\t0.75",
            "job-1\tfailed\t\t\t\t",
            "job-3\trunning\t0.25\t0.25\t1.0\t1.0",
        ];
        std::fs::write(launch.jobs_table(), format!("{header}\n{}\n", rows.join("\n"))).expect("written");
        let ranked = ranking(&launch).expect("read");
        let names: Vec<&str> = ranked.iter().map(|job| job.job.as_str()).collect();
        assert_eq!(names, ["job-3", "job-2", "job-10"]);
        assert_eq!(ranked[0].folds, [(0, [Some(0.25), Some(1.0)])]);
    }
}
