//! How a volume becomes items (image, patch, region, slice): their number, order and shapes.
