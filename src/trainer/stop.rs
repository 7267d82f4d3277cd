//! Why a job stops before its end: somebody asked, or it failed.

use super::failure::TrainingFailure;
use neurosearch::domain::job::FailureClass;
use neurosearch::store::fs::disk_fault;
use neurosearch::store::fs::error::StoreError;
use std::any::Any;
use std::path::PathBuf;

#[derive(Debug)]
pub enum TrainingStop {
    /// SIGTERM or SIGINT; the last epoch is kept.
    Interrupted,
    /// The disk is full, read-only, failing or out of reach, which is no fault of the job; the last epoch that was written is
    /// kept. With the input that the disk did not give, if that is why.
    Disk(String, Option<PathBuf>),
    Failed(TrainingFailure),
}

impl TrainingStop {
    pub fn failed(class: FailureClass, sentence: impl Into<String>) -> Self {
        TrainingStop::Failed(TrainingFailure::new(class, sentence))
    }

    /// The code panicked: with its words, where there are some.
    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        TrainingStop::Failed(TrainingFailure::panicked(text.unwrap_or("no words")))
    }

    /// An input of the job cannot be used, or could not be read just now.
    pub fn input(error: &StoreError) -> Self {
        TrainingStop::unread(error, TrainingFailure::new(FailureClass::BadData, error.to_string()))
    }

    /// As [`TrainingStop::input`], where it fails as `failure` says if the file itself is at fault.
    pub fn unread(error: &StoreError, failure: TrainingFailure) -> Self {
        if error.is_of_the_file() {
            return TrainingStop::Failed(failure);
        }
        let file = error.is_of_the_disk().then(|| error.path().to_path_buf());
        TrainingStop::Disk(format!("an input could not be read: {error}"), file)
    }

    /// A file of the job's own folder, not of its data, cannot be used or could not be read just now. The job fails with
    /// `failure` if the file itself is at fault.
    pub fn own(error: &StoreError, failure: TrainingFailure) -> Self {
        if error.is_of_the_file() {
            return TrainingStop::Failed(failure);
        }
        if is_lost(error) {
            return TrainingStop::failed(FailureClass::Crashed, format!("{error}, while its file system gives other files"));
        }
        TrainingStop::Disk(format!("a file of the job could not be read: {error}"), None)
    }

    /// A result cannot be written: the disk's fault, most often, else that of the job's folder.
    pub fn output(error: &StoreError) -> Self {
        if error.is_of_the_disk() {
            return TrainingStop::Disk(format!("a result could not be written: {error}"), None);
        }
        TrainingStop::failed(FailureClass::Crashed, error.to_string())
    }
}

/// Whether a file lies on a bad place of a disk that gives other files: what was in it is as good as gone.
pub fn is_lost(error: &StoreError) -> bool {
    error.is_of_the_disk() && disk_fault::otherwise(error.path())
}

impl From<TrainingFailure> for TrainingStop {
    fn from(failure: TrainingFailure) -> Self {
        TrainingStop::Failed(failure)
    }
}

impl From<tch::TchError> for TrainingStop {
    fn from(error: tch::TchError) -> Self {
        TrainingStop::Failed(TrainingFailure::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use rustix::io::Errno;
    use std::path::Path;

    #[test]
    fn a_fault_of_the_file_system_never_finishes_a_job_and_one_of_the_file_does() {
        let read = |code: Errno| StoreError::io("read", Path::new("/caps/image.nii.gz"), code.into());
        for code in [Errno::IO, Errno::STALE, Errno::NOTCONN, Errno::TIMEDOUT, Errno::HOSTDOWN, Errno::MFILE] {
            let TrainingStop::Disk(sentence, file) = TrainingStop::input(&read(code)) else { panic!("{code} finishes the job") };
            assert!(sentence.contains("/caps/image.nii.gz"), "{sentence}");
            let of_the_disk = (code != Errno::MFILE).then(|| PathBuf::from("/caps/image.nii.gz"));
            assert_eq!(file, of_the_disk, "{code}");
        }
        let content = StoreError::content(Path::new("/caps/image.nii.gz"), "cut short");
        for error in [read(Errno::NOENT), read(Errno::ACCESS), read(Errno::ISDIR), content] {
            let TrainingStop::Failed(failure) = TrainingStop::input(&error) else { panic!("{error} is tried again") };
            assert_eq!(failure.class, FailureClass::BadData);
        }
    }

    #[test]
    fn a_disk_that_does_not_give_a_file_of_the_jobs_own_is_never_bad_data() {
        let dir = tempdir();
        let path = dir.path().join("job-0/commandline.json");
        std::fs::create_dir(dir.path().join("job-0")).expect("made");
        std::fs::write(&path, "{}").expect("written");
        let own = |path: &Path, code: Errno| {
            TrainingStop::own(
                &StoreError::io("read", path, code.into()),
                TrainingFailure::new(FailureClass::BadOptions, "no options"),
            )
        };
        let TrainingStop::Failed(failure) = own(&path, Errno::ACCESS) else { panic!("it is tried again") };
        assert_eq!(failure.class, FailureClass::BadOptions);
        let TrainingStop::Failed(failure) = own(&path, Errno::IO) else { panic!("the disk gives other files") };
        assert!(failure.class == FailureClass::Crashed && failure.sentence.contains("commandline.json"), "{failure}");
        let out_of_reach = dir.path().join("gone/commandline.json");
        for (path, code) in [(&out_of_reach, Errno::IO), (&path, Errno::MFILE)] {
            assert!(matches!(own(path, code), TrainingStop::Disk(_, None)), "{code}");
        }
    }
}
