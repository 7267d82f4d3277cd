//! Advice for a person when the daemon may not read or write a directory.

use std::path::Path;

/// Advice if the daemon may not write into the directory.
pub fn how_to_write(directory: &Path) -> Vec<String> {
    use rustix::fs::{Access, access};
    match access(directory, Access::WRITE_OK) {
        Ok(()) => Vec::new(),
        Err(rustix::io::Errno::ROFS) => vec![
            "the service may not write there yet; as root, put these two lines into \
             /etc/systemd/system/neurosearchd.service.d/launch.conf, then `systemctl daemon-reload && systemctl restart neurosearchd`:"
                .to_string(),
            "[Service]".to_string(),
            read_write_paths(directory),
        ],
        Err(_) => {
            let path = shell_word(directory);
            vec![format!("the daemon may not write there yet; `chgrp neurosearch {path} && chmod g+ws {path}` lets the service")]
        }
    }
}

/// Advice if the daemon may not read the directory because it, or one above it, is closed.
pub fn how_to_read(directory: &Path) -> String {
    use rustix::fs::{Access, access};
    let closed = |directory: &&Path| access(*directory, Access::EXEC_OK) == Err(rustix::io::Errno::ACCESS);
    let outermost = directory.ancestors().filter(closed).last().unwrap_or(directory);
    let path = shell_word(outermost);
    let cure = if outermost == directory {
        format!("`chgrp neurosearch {path} && chmod g+rwxs {path}` lets the service")
    } else {
        format!("{path} is closed to it, and `chmod o+x {path}` opens the way")
    };
    format!("{}: the daemon may not look into it, so that no search there is seen; {cure}", directory.display())
}

/// The directory as a shell word, quoted if it holds more than plain characters.
fn shell_word(directory: &Path) -> String {
    let path = directory.display().to_string();
    let plain = path.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    if plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// The directory as systemd reads it. `%` begins a specifier, so it is doubled. Quotes keep a space from separating words.
fn read_write_paths(directory: &Path) -> String {
    let path = directory.display().to_string();
    let quoted = path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("ReadWritePaths=\"{quoted}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cure_names_any_directory_as_a_shell_reads_it() {
        assert_eq!(shell_word(Path::new("/data/searches-1")), "/data/searches-1");
        assert_eq!(shell_word(Path::new("/it's here")), r"'/it'\''s here'");
    }

    #[test]
    fn the_drop_in_names_any_directory_as_systemd_reads_it() {
        let cases = [
            ("/data/searches", r#"ReadWritePaths="/data/searches""#),
            ("/data/my searches/50%", r#"ReadWritePaths="/data/my searches/50%%""#),
            (r#"/a"b\c"#, r#"ReadWritePaths="/a\"b\\c""#),
        ];
        for (directory, line) in cases {
            assert_eq!(read_write_paths(Path::new(directory)), line);
        }
    }
}
