//! The label tables of a fold: which images are trained on, which validate, and the class of each.

use super::caps::CapsSession;
use super::{label_tree, probe};
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
    let side = |side: &str, baseline: bool| {
        if let Some(root) = tree(&options.tsv_path, &options.folds)? {
            let folder = label_tree::folder(&root, &options.folds, fold);
            return read_table(&label_tree::table(&folder, side, baseline), &options.diagnoses);
        }
        let folder = options.tsv_path.join(side_folder(&options.folds, side, fold));
        read_side(&folder, &options.diagnoses, if baseline { "_baseline" } else { "" })
    };
    Ok(FoldLabels { train: side("train", options.baseline)?, validation: side("validation", true)? })
}

/// The folder of a split by ClinicaDL 1.2 or later that labels are read from, below `tsv_path` or `tsv_path` itself; None if they are
/// read from tables by diagnosis.
///
/// # Errors
/// When that cannot be known.
pub fn tree(tsv_path: &Path, folds: &Folds) -> Result<Option<PathBuf>, StoreError> {
    let by_diagnosis = match folds {
        Folds::Single => tsv_path.join("train"),
        Folds::Splits { n, .. } => tsv_path.join(format!("train_splits-{n}")),
    };
    match probe::directory(&by_diagnosis) {
        Err(error) if error.is_missing() => label_tree::root(tsv_path, folds),
        _ => Ok(None),
    }
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
    let old = (1..=MOST_SPLITS).find(|&n| is_there(&Folds::Splits { n, chosen: Vec::new() }));
    // What cannot be looked at is told when the labels are read.
    old.or_else(|| label_tree::splits(tsv_path).unwrap_or_default())
}

/// The tables of ClinicaDL 0.2.2 to 1.1: one for each diagnosis.
fn read_side(folder: &Path, diagnoses: &[Diagnosis], suffix: &str) -> Result<Vec<LabelRow>, StoreError> {
    let files = diagnoses.iter().map(|label| read_file(&folder.join(format!("{label}{suffix}.tsv"))));
    each_once(files.collect::<Result<Vec<_>, _>>()?.concat())
}

/// The table of ClinicaDL 1.2 and later, without the rows of other diagnoses. Rows come in the order of `diagnoses` and then of
/// lines, as from the tables of 0.2.2.
fn read_table(file: &Path, diagnoses: &[Diagnosis]) -> Result<Vec<LabelRow>, StoreError> {
    let table = Table::read(file)?;
    let content = |sentence: String| StoreError::content(file, sentence);
    let column = |name| table.column(name).ok_or_else(|| content(no_column(name, &table.header)));
    let columns = [column(COLUMNS[0])?, column(COLUMNS[1])?];
    let above = LabelsAbove::of(file, &table)?;
    let source = Arc::new(file.to_path_buf());
    let mut rows = Vec::new();
    for line in &table.rows {
        let [participant, session] = names(line, columns).map_err(content)?;
        let cell = |name: &str| match table.column(name) {
            Some(column) => line.cells.get(column).map(String::as_str),
            None => above.as_ref()?.cell(participant, session, name),
        };
        let word = cell(DIAGNOSIS).ok_or_else(|| {
            let labels = above.as_ref().map_or_else(String::new, |above| format!(" in {}", above.file.display()));
            content(format!("line {}: {participant} {session} has no row{labels}, which has the diagnoses", line.number))
        })?;
        let progression = cell(PROGRESSION).unwrap_or_default();
        for diagnosis in diagnoses.iter().copied().filter(|diagnosis| is_called(*diagnosis, word, progression)) {
            let source = Source { file: Arc::clone(&source), line: line.number };
            let (participant, session) = (participant.to_string(), session.to_string());
            rows.push(LabelRow { participant, session, diagnosis, class: diagnosis.class(), source });
        }
    }
    rows.sort_by_key(|row| diagnoses.iter().position(|diagnosis| *diagnosis == row.diagnosis));
    each_once(rows)
}

/// Since ClinicaDL 1.2, stable and progressive MCI are MCI with a progression.
fn is_called(diagnosis: Diagnosis, word: &str, progression: &str) -> bool {
    word == diagnosis.as_str()
        || match diagnosis {
            Diagnosis::SMci => word == Diagnosis::Mci.as_str() && progression == "s",
            Diagnosis::PMci => word == Diagnosis::Mci.as_str() && progression == "p",
            _ => false,
        }
}

/// A `labels.tsv` in a folder above a table that lacks the diagnosis or the progression.
struct LabelsAbove {
    file: PathBuf,
    table: Table,
    /// The row of a participant's session.
    rows: HashMap<[String; 2], usize>,
}

impl LabelsAbove {
    /// None if the table needs none, or has a diagnosis and there is none.
    fn of(file: &Path, table: &Table) -> Result<Option<Self>, StoreError> {
        let has = |name| table.column(name).is_some();
        if has(DIAGNOSIS) && has(PROGRESSION) {
            return Ok(None);
        }
        match label_tree::labels_above(file.parent().unwrap_or(file))? {
            Some(labels) => LabelsAbove::read(labels).map(Some),
            None if has(DIAGNOSIS) => Ok(None),
            None => {
                let sentence = format!("{}, and no folder above has a labels.tsv", no_column(DIAGNOSIS, &table.header));
                Err(StoreError::content(file, sentence))
            }
        }
    }

    fn read(file: PathBuf) -> Result<Self, StoreError> {
        let table = Table::read(&*file)?;
        let column = |name| table.column(name).ok_or_else(|| StoreError::content(&file, no_column(name, &table.header)));
        let columns = [column(COLUMNS[0])?, column(COLUMNS[1])?];
        let mut rows = HashMap::new();
        for (at, line) in table.rows.iter().enumerate() {
            let names = names(line, columns).map_err(|sentence| StoreError::content(&file, sentence))?;
            if rows.insert(names.map(str::to_string), at).is_some() {
                let sentence = format!("line {}: {} stands in it twice; keep one row", line.number, names.join(" "));
                return Err(StoreError::content(&file, sentence));
            }
        }
        Ok(LabelsAbove { file, table, rows })
    }

    fn cell(&self, participant: &str, session: &str, name: &str) -> Option<&str> {
        let row = self.rows.get(&[participant, session].map(str::to_string))?;
        self.table.rows.get(*row)?.cells.get(self.table.column(name)?).map(String::as_str)
    }
}

/// Refuses an image that stands twice on one side.
fn each_once(rows: Vec<LabelRow>) -> Result<Vec<LabelRow>, StoreError> {
    let mut seen: HashMap<(&str, &str), &LabelRow> = HashMap::new();
    for row in &rows {
        if let Some(first) = seen.insert((&row.participant, &row.session), row) {
            return Err(StoreError::content(&row.source.file, twice(row, &first.source, first.class)));
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
const COLUMNS: [&str; 3] = ["participant_id", "session_id", DIAGNOSIS];
const DIAGNOSIS: &str = "diagnosis";
/// Only read since ClinicaDL 1.2.
const PROGRESSION: &str = "progression";

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

/// The participant and the session of a row, which become parts of paths.
fn names(line: &TableLine, columns: [usize; 2]) -> Result<[&str; 2], String> {
    let names = columns.map(|column| line.cells.get(column).map_or("", String::as_str));
    match COLUMNS.iter().zip(names).find(|(_, name)| !is_plain(name)) {
        None => Ok(names),
        Some((column, name)) => Err(format!(
            "line {}: {column} is {}; it is one letter or digit, then at most 99 letters, digits, '.', '_' or '-'",
            line.number,
            quoted(name)
        )),
    }
}

fn row(line: &TableLine, columns: [usize; 3], file: &Arc<PathBuf>) -> Result<LabelRow, String> {
    let number = line.number;
    let [participant, session] = names(line, [columns[0], columns[1]])?;
    let diagnosis = line.cells.get(columns[2]).map_or("", String::as_str);
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

    /// Rows of one table, in a folder below one with this labels.tsv, as "participant class".
    fn of_table(diagnoses: &[Diagnosis], table: &str, labels: Option<&str>) -> Result<Vec<String>, String> {
        let dir = tempdir();
        let file = dir.path().join("3_fold/split-0/train.tsv");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(&file, table).expect("written");
        if let Some(labels) = labels {
            std::fs::write(dir.path().join("labels.tsv"), labels).expect("written");
        }
        let rows = read_table(&file, diagnoses).map_err(|e| e.to_string())?;
        Ok(rows.iter().map(|row| format!("{} {}", row.participant, row.class)).collect())
    }

    #[test]
    fn a_table_of_all_diagnoses_gives_those_that_are_asked_for_in_their_order() {
        let [ad, cn, smci, pmci, mci] = [Diagnosis::Ad, Diagnosis::Cn, Diagnosis::SMci, Diagnosis::PMci, Diagnosis::Mci];
        let table = "participant_id\tsession_id\tdiagnosis\tprogression\n\
            sub-1\tses-M000\tCN\ts\nsub-2\tses-M000\tAD\tuk\nsub-3\tses-M000\tMCI\ts\nsub-4\tses-M000\tMCI\tp\n\
            sub-5\tses-M000\tMCI\tus\nsub-6\tses-M000\tCN\tuk\nsub-7\tses-M000\tDementia\tuk\n";
        for (diagnoses, rows) in [
            (&[ad, cn][..], &["sub-2 1", "sub-1 0", "sub-6 0"][..]),
            (&[cn, ad], &["sub-1 0", "sub-6 0", "sub-2 1"]),
            (&[smci, pmci], &["sub-3 0", "sub-4 1"]),
            (&[mci, cn], &["sub-3 1", "sub-4 1", "sub-5 1", "sub-1 0", "sub-6 0"]),
        ] {
            assert_eq!(of_table(diagnoses, table, None).expect("read"), rows, "{diagnoses:?}");
        }
        let error = of_table(&[mci, pmci], table, None).expect_err("twice");
        assert!(error.contains("sub-4 ses-M000") && error.contains("already"), "{error}");
    }

    #[test]
    fn what_a_table_lacks_comes_from_the_labels_above() {
        let bare = "participant_id\tsession_id\nsub-1\tses-M000\nsub-2\tses-M000\n";
        let labels = "participant_id\tsession_id\tdiagnosis\tprogression\nsub-2\tses-M000\tMCI\ts\nsub-1\tses-M000\tAD\tuk\n";
        let asked = [Diagnosis::SMci, Diagnosis::Ad];
        assert_eq!(of_table(&asked, bare, Some(labels)).expect("read"), ["sub-2 0", "sub-1 1"]);
        let diagnosed = "participant_id\tsession_id\tdiagnosis\nsub-1\tses-M000\tAD\nsub-2\tses-M000\tMCI\n";
        assert_eq!(of_table(&asked, diagnosed, Some(labels)).expect("read"), ["sub-2 0", "sub-1 1"]);
        assert_eq!(of_table(&asked, diagnosed, None).expect("read"), ["sub-1 1"]);
        let without = |labels: Option<&str>| of_table(&asked, bare, labels).expect_err("refused");
        assert!(without(None).contains("no folder above has a labels.tsv"), "{}", without(None));
        let one = labels.lines().take(2).collect::<Vec<_>>().join("\n");
        assert!(without(Some(&one)).contains("sub-1 ses-M000 has no row in"), "{}", without(Some(&one)));
        let twice = format!("{labels}sub-1\tses-M000\tCN\ts\n");
        assert!(without(Some(&twice)).contains("line 4: sub-1 ses-M000 stands in it twice"), "{}", without(Some(&twice)));
    }

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
