//! The label tables of a fold: which images are trained on, which validate, and the class of each.

use super::caps::CapsSession;
use super::probe;
use crate::domain::folds::Folds;
use crate::domain::options::JobOptions;
use crate::domain::plain_name::is_plain;
use crate::domain::text::quote::quoted;
use crate::domain::words::Diagnosis;
use crate::store::formats::tsv::{Table, TableLine};
use crate::store::fs::error::StoreError;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One image with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRow {
    pub participant: String,
    pub session: String,
    pub diagnosis: Diagnosis,
    /// 0 or 1, from the row's diagnosis and not from the file's name.
    pub class: usize,
    pub source: Source,
}

impl LabelRow {
    /// Whose image it is, for paths in the CAPS.
    pub fn at(&self) -> CapsSession<'_> {
        CapsSession { participant: &self.participant, session: &self.session }
    }
}

/// Where a row was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub file: Arc<PathBuf>,
    /// From 1; the header is line 1.
    pub line: u64,
}

/// Both sides of a fold. Labels as in `diagnoses`, rows as in their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldLabels {
    pub train: Vec<LabelRow>,
    pub validation: Vec<LabelRow>,
}

/// The labels of fold `fold`.
///
/// # Errors
/// Names the file, and the line where there is one: missing file or column, an unknown diagnosis, a name that cannot stand in
/// a path, an image that stands twice on one side.
pub fn read_fold(options: &JobOptions, fold: u32) -> Result<FoldLabels, StoreError> {
    let suffix = if options.baseline { "_baseline" } else { "" };
    let train = read_side(&options.tsv_path.join(side_folder(&options.folds, "train", fold)), &options.diagnoses, suffix)?;
    let validation =
        read_side(&options.tsv_path.join(side_folder(&options.folds, "validation", fold)), &options.diagnoses, "_baseline")?;
    Ok(FoldLabels { train, validation })
}

/// `train`, or `train_splits-n/split-i`, below `tsv_path`; `side` is `train` or `validation`.
pub fn side_folder(folds: &Folds, side: &str, fold: u32) -> PathBuf {
    match folds {
        Folds::Single => PathBuf::from(side),
        Folds::Splits { n, .. } => PathBuf::from(format!("{side}_splits-{n}")).join(format!("split-{fold}")),
    }
}

/// The most folds that are looked for; nobody has split labels into more.
const MOST_SPLITS: u32 = 100;

/// How many folds the labels in `tsv_path` are split into, or None if they have a `train` folder, and so a single split.
pub fn splits(tsv_path: &Path) -> Option<u32> {
    let is_there = |folds: &Folds| probe::directory(&tsv_path.join(side_folder(folds, "train", 0))).is_ok();
    if is_there(&Folds::Single) {
        return None;
    }
    (1..=MOST_SPLITS).find(|&n| is_there(&Folds::Splits { n, chosen: Vec::new() }))
}

fn read_side(folder: &Path, diagnoses: &[Diagnosis], suffix: &str) -> Result<Vec<LabelRow>, StoreError> {
    let mut rows: Vec<LabelRow> = Vec::new();
    let mut seen: HashMap<(String, String), (Source, usize)> = HashMap::new();
    for label in diagnoses {
        let file = folder.join(format!("{label}{suffix}.tsv"));
        for row in read_file(&file)? {
            let key = (row.participant.clone(), row.session.clone());
            if let Some((first, class)) = seen.insert(key, (row.source.clone(), row.class)) {
                return Err(StoreError::content(&file, twice(&row, &first, class)));
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Which of the two is meant is for a person to say: taken as they stand, they would contradict each other, or the image
/// would count double in every loss and metric with nothing to show it.
fn twice(row: &LabelRow, first: &Source, class: usize) -> String {
    let LabelRow { participant, session, source, .. } = row;
    let why = if class == row.class { "it would count twice" } else { "with the other class" };
    let (line, file_1, line_1) = (source.line, first.file.display(), first.line);
    format!("line {line}: {participant} {session} stands in line {line_1} of {file_1} already, {why}; keep one")
}

/// The columns that are read.
const COLUMNS: [&str; 3] = ["participant_id", "session_id", "diagnosis"];

/// What is said of a table that lacks a column. A file with none of ours is no table of labels, and its text is nobody's business.
fn no_column(name: &str, header: &[String]) -> String {
    if !header.iter().any(|column| COLUMNS.contains(&column.trim())) {
        return format!("no table of labels: its first line has none of the columns {}, which tabs separate", COLUMNS.join(", "));
    }
    let there: Vec<String> = header.iter().map(|column| quoted(column)).collect();
    format!("has no column {name}; its columns, which tabs separate, are {}", there.join(", "))
}

fn read_file(file: &Path) -> Result<Vec<LabelRow>, StoreError> {
    let table = Table::read(file)?;
    let column = |name| table.column(name).ok_or_else(|| StoreError::content(file, no_column(name, &table.header)));
    let columns = [column(COLUMNS[0])?, column(COLUMNS[1])?, column(COLUMNS[2])?];
    let source = Arc::new(file.to_path_buf());
    table.rows.iter().map(|line| row(line, columns, &source).map_err(|sentence| StoreError::content(file, sentence))).collect()
}

fn row(line: &TableLine, columns: [usize; 3], file: &Arc<PathBuf>) -> Result<LabelRow, String> {
    let number = line.number;
    let [participant, session, diagnosis] = columns.map(|column| line.cells.get(column).map_or("", String::as_str));
    for (column, name) in [("participant_id", participant), ("session_id", session)] {
        if !is_plain(name) {
            return Err(format!(
                "line {number}: {column} is {}; it is one letter or digit, then at most 99 letters, digits, '.', '_' or '-'",
                quoted(name)
            ));
        }
    }
    let known = || Diagnosis::ALL.iter().map(|d| d.as_str()).collect::<Vec<_>>().join(", ");
    let diagnosis = Diagnosis::from_word(diagnosis)
        .ok_or_else(|| format!("line {number}: diagnosis is {}; it is one of {}", quoted(diagnosis), known()))?;
    let source = Source { file: Arc::clone(file), line: number };
    Ok(LabelRow {
        participant: participant.to_string(),
        session: session.to_string(),
        diagnosis,
        class: diagnosis.class(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    fn fixtures() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mni-quarter/labels")
    }

    #[test]
    fn the_number_of_folds_is_that_of_the_folders() {
        assert_eq!(splits(&fixtures()), None);
        let dir = tempdir();
        assert_eq!(splits(dir.path()), None);
        std::fs::create_dir_all(dir.path().join("train_splits-5/split-0")).expect("made");
        assert_eq!(splits(dir.path()), Some(5));
        std::fs::create_dir(dir.path().join("train")).expect("made");
        assert_eq!(splits(dir.path()), None, "the single split is the simpler one");
    }

    const LABELS: [Diagnosis; 2] = [Diagnosis::Ad, Diagnosis::Cn];

    fn side(files: &[(&str, &str)]) -> Result<Vec<LabelRow>, String> {
        let dir = tempdir();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("written");
        }
        read_side(dir.path(), &LABELS, "").map_err(|e| e.to_string())
    }

    const HEADER: &str = "participant_id\tsession_id\tdiagnosis\n";

    #[test]
    fn rows_come_in_the_order_of_labels_and_then_of_lines() {
        let rows = read_side(&fixtures().join("train"), &[Diagnosis::Cn, Diagnosis::Ad], "").expect("read");
        assert!(rows.iter().take(6).all(|row| row.class == 0 && row.diagnosis == Diagnosis::Cn));
        assert_eq!((rows[0].participant.as_str(), rows[0].source.line), ("sub-MNI0003", 2));
        assert_eq!(rows.iter().filter(|row| row.class == 1).count() * 2, rows.len());
        assert_eq!(rows.last().map(|row| row.diagnosis), Some(Diagnosis::Ad));
    }

    #[test]
    fn the_folder_of_a_side_is_that_of_the_split() {
        let splits = Folds::Splits { n: 5, chosen: vec![2] };
        assert_eq!(side_folder(&Folds::Single, "train", 0), Path::new("train"));
        assert_eq!(side_folder(&splits, "validation", 2), Path::new("validation_splits-5/split-2"));
    }

    #[test]
    fn the_class_comes_from_the_row_and_not_from_the_file() {
        let rows = side(&[("AD.tsv", &format!("{HEADER}sub-1\tses-M00\tsMCI\nsub-2\tses-M00\tpMCI\n")), ("CN.tsv", HEADER)]);
        assert_eq!(rows.expect("read").iter().map(|row| row.class).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn columns_may_stand_in_any_order_among_others() {
        let text = "age\tdiagnosis\tsession_id\tparticipant_id\n70\tAD\tses-M06\tsub-1\n";
        let rows = side(&[("AD.tsv", text), ("CN.tsv", HEADER)]).expect("read");
        assert_eq!((rows[0].participant.as_str(), rows[0].session.as_str(), rows[0].class), ("sub-1", "ses-M06", 1));
    }

    #[test]
    fn of_a_file_that_is_no_table_of_labels_nothing_is_shown_and_of_a_cell_little() {
        let fault = |text: &str| side(&[("AD.tsv", text), ("CN.tsv", HEADER)]).expect_err("refused");
        let error = fault("root:secret-hash:19000:0\nmore\n");
        assert!(error.contains("no table of labels") && !error.contains("secret"), "{error}");
        let secret = format!("{}secret", "x".repeat(40));
        for row in [format!("{secret}/\tses-M00\tAD\n"), format!("sub-1\t{secret}/\tAD\n"), format!("sub-1\tses-M00\t{secret}\n")]
        {
            let error = fault(&format!("{HEADER}{row}"));
            assert!(error.contains("xx...\"") && !error.contains("secret"), "{error}");
        }
        let error = fault(&format!("participant_id \tsession_id\t{secret}\n"));
        assert!(error.contains("\"participant_id \", \"session_id\"") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn no_row_is_lost_behind_a_quotation_mark() {
        let row = |name: &str, comment: &str| format!("{name}\tses-M00\tAD\t{comment}\n");
        let header = HEADER.replace('\n', "\tcomment\n");
        let rows = [row("sub-1", "fine"), row("sub-2", "\"open"), row("sub-3", "fine")].concat();
        let error = side(&[("AD.tsv", &format!("{header}{rows}")), ("CN.tsv", HEADER)]).expect_err("refused");
        assert!(error.contains("AD.tsv") && error.contains("line 3") && error.contains("line 5"), "{error}");
    }

    #[test]
    fn faults_name_the_file_and_the_line() {
        let fault = |text: &str| side(&[("AD.tsv", text), ("CN.tsv", HEADER)]).expect_err("refused");
        for (text, words) in [
            (format!("{HEADER}sub-1\tses-M00\tAD\nsub-2\tses-M00\tLMCI\n"), ["AD.tsv", "line 3", "\"LMCI\"", "pMCI"]),
            (format!("{HEADER}../../etc\tses-M00\tAD\n"), ["AD.tsv", "line 2", "participant_id", "../../etc"]),
            (format!("{HEADER}sub-1\tses/M00\tAD\n"), ["AD.tsv", "line 2", "session_id", "ses/M00"]),
            (format!("{HEADER}sub-1\tses-M00\tAD\nsub-1\tses-M00\tAD\n"), ["AD.tsv", "line 3", "line 2", "already"]),
            ("participant_id\tsession_id\tdx\n".to_string(), ["AD.tsv", "no column", "diagnosis", "dx"]),
            (format!("{HEADER}sub-1\tses-M00\n"), ["AD.tsv", "line 2", "2 cells", "tabs"]),
        ] {
            let error = fault(&text);
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
        let twice =
            side(&[("AD.tsv", &format!("{HEADER}sub-1\tses-M00\tAD\n")), ("CN.tsv", &format!("{HEADER}sub-1\tses-M00\tCN\n"))]);
        let error = twice.expect_err("refused");
        assert!(error.contains("CN.tsv") && error.contains("AD.tsv") && error.contains("with the other class"), "{error}");
        let row = "sub-1\tses-M00\tAD\n";
        let error = side(&[("AD.tsv", &format!("{HEADER}{row}")), ("CN.tsv", &format!("{HEADER}{row}"))]).expect_err("refused");
        assert!(error.contains("count twice"), "{error}");
        assert!(side(&[("AD.tsv", HEADER)]).expect_err("missing").contains("CN.tsv"));
    }
}
