//! UDP endpoints: single calls, batches, segmentation offload.
