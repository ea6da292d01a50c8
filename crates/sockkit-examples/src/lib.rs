//! What the course programs share: arguments, Ctrl-C, printing.
