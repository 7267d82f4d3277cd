//! Tab-separated tables: labels, predictions, `training.tsv`; what is read is written again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::store::formats::tsv::Table;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(table) = Table::parse(bytes) {
        let written = table.to_bytes().expect("every row is as long as the header");
        let again = Table::parse(&written).expect("what was written is read");
        assert_eq!(again.header, table.header);
        let cells = |table: &Table| table.rows.iter().map(|row| row.cells.clone()).collect::<Vec<_>>();
        assert_eq!(cells(&again), cells(&table));
    }
});
