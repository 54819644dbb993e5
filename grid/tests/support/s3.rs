//! A real S3 server for a test: versitygw over a folder that goes with it, or moto.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blockgrid_grid::Options;
use blockgrid_grid::store::Credentials;

/// The key that it knows.
pub const KEY: &str = "test-key";
/// Its secret.
pub const SECRET: &str = "test-secret";

/// A running server with one bucket, `grid`. It is killed, and its folder removed, when this is dropped.
pub struct S3 {
    pub address: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

impl S3 {
    /// Starts versitygw; None, with a word about it, where it is not installed.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (objects, versions) = (folder.path().join("objects"), folder.path().join("versions"));
        fs::create_dir_all(objects.join("grid")).unwrap();
        fs::create_dir(&versions).unwrap();
        let install = "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0";
        Self::run("versitygw", install, folder, |program, address| {
            program.args(["--access", KEY, "--secret", SECRET, "--port", &address.to_string()]);
            program
                .args(["--quiet", "--keep-alive", "posix", "--versioning-dir"])
                .args([&versions, &objects]);
        })
    }

    /// Starts moto, which knows every setting of a bucket but checks no signature.
    pub fn start_moto() -> Option<Self> {
        let install = "pip install 'moto[server]'";
        let moto = Self::run("moto_server", install, tempfile::tempdir().unwrap(), |program, address| {
            program.args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
        })?;
        let mut server = TcpStream::connect(moto.address).unwrap();
        let put = format!("PUT /grid HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", moto.address);
        server.write_all(put.as_bytes()).unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Some(moto)
    }

    fn run(
        name: &str,
        install: &str,
        folder: tempfile::TempDir,
        args: impl Fn(&mut Command, SocketAddr),
    ) -> Option<Self> {
        let Some(program) = installed(name) else {
            println!("skipped: {name} is not installed ({install})");
            return None;
        };
        // Between finding a free port and its use another test may take it: then try the next.
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let mut command = Command::new(&program);
            args(&mut command, address);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let end = Instant::now() + Duration::from_secs(20);
            while Instant::now() < end && child.try_wait().unwrap().is_none() {
                if TcpStream::connect(address).is_ok() {
                    return Some(Self { address, child, folder });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("{} did not start: run it by hand to see why", program.display());
    }

    /// The file of an object, to be damaged behind the server's back.
    pub fn file(&self, key: &str) -> PathBuf {
        self.folder.path().join("objects/grid").join(key)
    }

    /// STOP or CONT.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Impatient options for this server, or for a proxy before it.
    pub fn options(&self, address: SocketAddr) -> Options {
        Options {
            endpoint: Some(format!("http://{address}")),
            region: Some("us-east-1".to_owned()),
            credentials: Some(Credentials { key_id: KEY.to_owned(), secret: SECRET.to_owned(), token: None }),
            patience: Duration::from_secs(5),
            request_timeout: Duration::from_secs(2),
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(50),
            ..Options::default()
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program is: on the path, or where Go puts programs.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.extend(std::env::var_os("GOPATH").map(|go| PathBuf::from(go).join("bin")));
    folders.extend(std::env::home_dir().map(|home| home.join("go/bin")));
    folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}
