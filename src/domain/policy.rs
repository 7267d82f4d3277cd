//! Early stopping and best models as values that answer what to do after an epoch.
