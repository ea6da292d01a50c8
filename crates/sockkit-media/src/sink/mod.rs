//! Where pictures go: files, browsers, windows.
