//! File formats of the field: NIfTI, PyTorch's files and tab-separated tables.

pub mod fold_table;
pub mod nifti;
pub mod nifti_grid;
pub mod nifti_header;
pub mod nifti_write;
pub mod pickle;
pub mod pickle_globals;
pub mod pickle_graph;
pub mod pickle_write;
pub mod torch_file;
pub mod torch_tensor;
pub mod torch_value;
pub mod tsv;
