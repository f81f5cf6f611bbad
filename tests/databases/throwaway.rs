//! A server for one test: in a temporary folder, reachable by a Unix socket there only, and gone when the test ends.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// The user and group `nobody` of Debian and Ubuntu: no database server starts as root.
const NOBODY: u32 = 65534;

/// How often [`Throwaway::start`] asks whether the server is there, ten times a second.
const MAX_TRIES: u32 = 600;

/// The folder of a server, and the server if it runs.
pub(crate) struct Throwaway {
    folder: TempDir,
    is_root: bool,
    server: Option<Child>,
}

impl Throwaway {
    /// An empty folder, of `nobody` if the test runs as root.
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("authlimit-databases-").expect("a temporary folder can be made");
        let is_root = fs::metadata(folder.path()).expect("it was made").uid() == 0;
        if is_root {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may give a folder away");
        }
        Self { folder, is_root, server: None }
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, file: &str) -> String {
        self.folder.path().join(file).to_str().expect("a temporary folder has a plain name").to_owned()
    }

    /// A command in the folder, of its user. It is ended with the test, however that ends.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]);
        if self.is_root {
            command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
        }
        command.arg("--").arg(program.as_ref());
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command with `input` and returns its output; it must succeed.
    pub(crate) fn run(&self, command: &mut Command, input: &str) -> String {
        let script = self.path("input");
        fs::write(&script, input).expect("the folder is writable");
        let output = command.stdin(File::open(script).expect("it was written")).output().expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
        String::from_utf8(output.stdout).expect("the output is UTF-8")
    }

    /// Starts the server, and returns when a command of `client` succeeds.
    pub(crate) fn start(&mut self, server: &mut Command, client: impl Fn(&Self) -> Command) {
        let log = File::create(self.path("log")).expect("the folder is writable");
        let errors = log.try_clone().expect("a file can be opened twice");
        self.server = Some(server.stdout(log).stderr(errors).spawn().expect("the server is installed"));
        for _ in 0..MAX_TRIES {
            if client(self).output().expect("the client is installed").status.success() {
                return;
            }
            let has_ended = self.server.as_mut().and_then(|server| server.try_wait().ok()?).is_some();
            assert!(!has_ended, "the server ended: {}", self.log());
            sleep(Duration::from_millis(100));
        }
        panic!("the server does not answer: {}", self.log());
    }

    /// What the server has written to its log.
    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Throwaway {
    /// Ends the server, before its folder goes.
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = Command::new("kill").arg(server.id().to_string()).status();
            let _ = server.wait();
        }
    }
}

/// The file `under` the newest version in a folder of versions, as in `/usr/lib/postgresql/15`.
pub(crate) fn newest(versions: &str, under: &str) -> PathBuf {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let all = fs::read_dir(versions).expect("the package is installed").filter_map(|entry| Some(entry.ok()?.path()));
    let newest = all.filter(|path| path.join(under).exists()).max_by_key(|path| version(path));
    newest.expect("the package is installed").join(under)
}
