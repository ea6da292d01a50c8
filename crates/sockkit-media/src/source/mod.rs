//! Where pictures come from: cameras, patterns, clips, stills.
