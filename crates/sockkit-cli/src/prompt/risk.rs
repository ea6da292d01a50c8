//! Recognises names that deserve attention.

use sockkit::file::EntryPath;

/// Whether a component of the path is hidden from `ls` and file managers:
/// shells and programs read such files without being asked to.
pub(super) fn is_hidden(path: &EntryPath) -> bool {
    path.components()
        .any(|component| component.starts_with(b"."))
}

/// Whether some system executes such a file when it is opened.
pub(super) fn is_program(path: &EntryPath) -> bool {
    let name = path.file_name();
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else {
        return false;
    };
    let extension = name[dot + 1..].to_ascii_lowercase();
    PROGRAMS
        .iter()
        .any(|program| program.as_bytes() == extension)
}

const PROGRAMS: [&str; 60] = [
    // Unix and its desktops.
    "sh",
    "bash",
    "zsh",
    "fish",
    "csh",
    "tcsh",
    "ksh",
    "command",
    "tool",
    "desktop",
    "appimage",
    "run",
    "so",
    "dylib",
    "deb",
    "rpm",
    "pkg",
    "dmg",
    "app",
    "workflow",
    "scpt",
    "applescript",
    "service",
    // Windows.
    "exe",
    "com",
    "bat",
    "cmd",
    "msi",
    "msp",
    "scr",
    "pif",
    "cpl",
    "dll",
    "lnk",
    "url",
    "reg",
    "inf",
    "hta",
    "ps1",
    "psm1",
    "vbs",
    "vbe",
    "jse",
    "wsf",
    "wsh",
    "scf",
    "gadget",
    "application",
    "appx",
    "msix",
    // Run by an interpreter that desktops start.
    "js",
    "py",
    "pyw",
    "pl",
    "rb",
    "php",
    "jar",
    "jnlp",
    "apk",
    "xpi",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_and_programs_are_found() {
        for (name, hidden, program) in [
            ("photo.jpg", false, false),
            ("notes", false, false),
            // Run for their executable bit alone, which is shown as well.
            ("firmware.bin", false, false),
            ("a.out", false, false),
            (".bashrc", true, false),
            ("a/.git/hooks/pre-commit", true, false),
            ("a.b/c", false, false),
            ("setup.EXE", false, true),
            ("report.pdf.desktop", false, true),
            (".x/run.sh", true, true),
        ] {
            let path = EntryPath::parse(name).unwrap();
            assert_eq!(is_hidden(&path), hidden, "{name}");
            assert_eq!(is_program(&path), program, "{name}");
        }
    }
}
