//! Every random choice follows from the job's seed, whatever the network, the mode and the number of workers.

use super::trainer_run::assert_same;
use super::trainer_small::Small;
use neurosearch::domain::words::Preprocessing;
use serde_json::json;

#[test]
fn the_same_seed_gives_the_same_training_of_every_kind_whatever_nproc() {
    let small = Small::new(Preprocessing::T1Linear);
    small.labels_of_six();
    for (index, participant) in ["ad0", "ad1", "ad2", "cn0", "cn1", "cn2"].iter().enumerate() {
        let voxels: Vec<f32> = (0..96).map(|voxel| ((voxel * (37 + 2 * index)) % 97) as f32).collect();
        small.image(participant, [6, 4, 4], &voxels);
    }
    for (mode, network_type) in [("image", "cnn"), ("patch", "cnn"), ("patch", "multicnn"), ("image", "autoencoder")] {
        let with = |nproc: u32| {
            let job = small.job(json!({
                "mode": mode, "network_type": network_type, "patch_size": 4, "stride_size": 2, "epochs": 2, "nproc": nproc,
                "learning_rate": 0.01, "dropout": 0.2, "sampler": "weighted", "unnormalize": false,
                "data_augmentation": ["Noise", "Erasing", "CropPad", "Smoothing"]
            }));
            job.train();
            job
        };
        assert_same(&with(3).fold(0), &with(0).fold(0));
    }
}
