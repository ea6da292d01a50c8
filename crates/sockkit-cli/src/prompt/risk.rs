//! Which names deserve a second look.

use sockkit::file::EntryPath;

/// Whether a component of the path is hidden from `ls` and file managers: shells and
/// programs read such files without being told to.
pub(super) fn is_hidden(path: &EntryPath) -> bool {
    path.components()
        .any(|component| component.starts_with('.'))
}

/// Whether some system runs such a file when it is opened.
pub(super) fn is_program(path: &EntryPath) -> bool {
    let Some((_stem, extension)) = path.file_name().rsplit_once('.') else {
        return false;
    };
    let extension = extension.to_ascii_lowercase();
    PROGRAMS.contains(&extension.as_str())
}

const PROGRAMS: [&str; 63] = [
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
    "bin",
    "elf",
    "so",
    "dylib",
    "out",
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
    // Read by an interpreter that desktops start.
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
