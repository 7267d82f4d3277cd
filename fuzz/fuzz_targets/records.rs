//! Every record of a job's and a launch directory's private folder, progress first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::domain::progress::Progress;
use neurosearch::store::records::job_records::{EndRecord, JobRecord, TrainerRecord};
use neurosearch::store::records::record::{parse, Record};
use neurosearch::store::records::search_record::SearchRecord;

fn read<T: Record>(text: &str) {
    if let Err(sentence) = parse::<T>(text) {
        assert!(!sentence.is_empty());
    }
}

fuzz_target!(|text: &str| {
    read::<Progress>(text);
    read::<EndRecord>(text);
    read::<JobRecord>(text);
    read::<TrainerRecord>(text);
    read::<SearchRecord>(text);
});
