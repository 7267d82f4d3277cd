//! Confusion counts, balanced accuracy, and the vote that makes an image's label from its items'.
