//! What the trainer saves is held, without PyTorch, against what `torch.load(weights_only=True)` accepts.

use super::needs::needs;
use super::trainer_run::{Job, files};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

fn saved(job: &Job) -> Vec<PathBuf> {
    let models = files(&job.folder).into_iter().map(|(path, _)| job.folder.join(path));
    models.filter(|path| path.file_name().is_some_and(|name| name == "model_best.pth.tar")).collect()
}

#[test]
fn every_trained_model_holds_only_what_weights_only_accepts() {
    let Some(python) = needs("python3") else { return };
    let kinds = [
        (json!({ "epochs": 1, "network_normalization": "BatchNorm" }), 2),
        (json!({ "epochs": 1, "network_type": "autoencoder" }), 1),
        (
            json!({ "epochs": 1, "mode": "patch", "network_type": "multicnn", "patch_size": 26, "stride_size": 16, "batch_size": 4 }),
            16,
        ),
    ];
    for (changes, expected) in kinds {
        let job = Job::new(changes.clone());
        job.train();
        let models = saved(&job);
        assert_eq!(models.len(), expected, "{changes}");
        let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check_weights_only.py");
        let output = Command::new(&python).arg(checker).args(&models).output().expect("python3 runs");
        assert!(output.status.success(), "{changes}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
