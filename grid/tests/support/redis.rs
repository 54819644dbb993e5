//! A real Redis server on a free port of the loopback interface.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blockgrid_grid::RedisQueue;

/// A server with a directory of its own, killed when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    options: Vec<String>,
    dir: tempfile::TempDir,
}

/// Why there is none.
#[derive(Debug)]
pub enum NoServer {
    Installed,
    Starts,
}

impl RedisServer {
    /// Starts one with options such as `["--appendonly", "yes"]`; `None`, with a word about it, when none is installed.
    pub fn start(options: &[&str]) -> Option<Self> {
        match Self::try_start(options) {
            Ok(server) => Some(server),
            Err(NoServer::Installed) => {
                println!("skipped: redis-server is not installed (apt-get install redis-server)");
                None
            }
            Err(NoServer::Starts) => panic!("redis-server does not start with {options:?}"),
        }
    }

    pub fn try_start(options: &[&str]) -> Result<Self, NoServer> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        // Somebody may take the port before the server does.
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let child = spawn(port, &options, dir.path()).ok_or(NoServer::Installed)?;
            let mut server = Self { child, port, options: options.clone(), dir };
            if server.is_up() {
                return Ok(server);
            }
        }
        Err(NoServer::Starts)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A queue on a connection of its own.
    pub async fn queue(&self) -> RedisQueue {
        RedisQueue::connect(&self.url(), None).await.unwrap()
    }

    /// What the server answers to a command.
    pub fn ask(&self, command: &str) -> redis::Value {
        let mut words = command.split_whitespace();
        let mut cmd = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            cmd.arg(word);
        });
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        cmd.query(&mut connection).unwrap()
    }

    /// SIGKILL, as when its node is lost.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on its port and directory.
    pub fn revive(&mut self) {
        self.child = spawn(self.port, &self.options, self.dir.path()).unwrap();
        assert!(self.is_up());
    }

    /// STOP or CONT.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Whether it answers within some seconds.
    fn is_up(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && self.child.try_wait().unwrap().is_none() {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                // Over TLS it answers with an alert, which will do; while it loads its data, with an error.
                let mut answer = [0; 1];
                let _ = stream.write_all(b"PING\r\n");
                let is_answer = stream.read(&mut answer).is_ok_and(|n| n == 1 && answer != *b"-");
                if is_answer || self.options.iter().any(|option| option == "--tls-port") {
                    return true;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(port: u16, options: &[String], dir: &Path) -> Option<Child> {
    let port = port.to_string();
    let is_tls = options.iter().any(|option| option == "--tls-port");
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--dir"]).arg(dir);
    command.args(["--port", if is_tls { "0" } else { &port }]);
    // `--tls-port` stands without its number, which is not known before.
    for option in options {
        command.arg(option);
        if option == "--tls-port" {
            command.arg(&port);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}
