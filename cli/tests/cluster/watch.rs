//! Watching: what ends it and what does not.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::plane::{Tenant, await_text, plane};
use crate::support::small;

/// Bytes passed on to a server, until they are cut.
struct Wire {
    port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
    is_dead: Arc<AtomicBool>,
    begun: Arc<AtomicUsize>,
}

impl Wire {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Self { port, open: Arc::default(), is_dead: Arc::default(), begun: Arc::default() };
        let (open, is_dead, begun) = (wire.open.clone(), wire.is_dead.clone(), wire.begun.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if is_dead.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&server) else { continue };
                begun.fetch_add(1, Ordering::SeqCst);
                open.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)]
                {
                    std::thread::spawn(move || {
                        let mut buffer = [0; 16 << 10];
                        while let Ok(n @ 1..) = from.read(&mut buffer) {
                            if to.write_all(&buffer[..n]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        wire
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn watch(tenant: &Tenant, kubeconfig: Option<&str>) -> (Child, std::path::PathBuf) {
    let log = tenant.path().join("watch.log");
    let file = File::create(&log).unwrap();
    let mut command = tenant.command(&["watch", "small"]);
    command.stdout(file.try_clone().unwrap()).stderr(file);
    if let Some(kubeconfig) = kubeconfig {
        command.args(["--kubeconfig", kubeconfig]);
    }
    (command.spawn().unwrap(), log)
}

#[test]
fn a_watch_survives_that_its_connections_are_cut_and_refused() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("cut");
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file, "--suspend"]).ok();
    tenant.await_phase("small", "Suspended");
    let text = std::fs::read_to_string(&plane.kubeconfig).unwrap();
    let server = text.split("https://").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let wire = Wire::to(server.clone());
    let kubeconfig = tenant.path().join("wire");
    std::fs::write(&kubeconfig, text.replace(&server, &format!("127.0.0.1:{}", wire.port))).unwrap();
    let (mut child, log) = watch(&tenant, Some(kubeconfig.to_str().unwrap()));
    await_text(&log, "Suspended");
    let begun = wire.begun.load(Ordering::SeqCst);
    wire.is_dead.store(true, Ordering::SeqCst);
    wire.cut();
    await_text(&log, "trying again until it does");
    // Meanwhile it ends, which no event tells.
    tenant.run(&["resume", "small"]).ok();
    tenant.await_phase("small", "Succeeded");
    assert!(child.try_wait().unwrap().is_none());
    wire.is_dead.store(false, Ordering::SeqCst);
    assert!(child.wait().unwrap().success(), "{}", std::fs::read_to_string(&log).unwrap());
    await_text(&log, "small: Succeeded");
    assert!(wire.begun.load(Ordering::SeqCst) > begun);
}

/// Whether this process ignores SIGINT, as under `nohup` or in the background of a shell: those it starts do so too.
fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    // SIGINT is the second signal.
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 0b10 != 0)
}

#[test]
fn interrupting_ends_the_watching_alone() {
    if ignores_interrupts() {
        println!("skipped: SIGINT is ignored here (nohup?), and with it in the program");
        return;
    }
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("interrupted");
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file, "--suspend"]).ok();
    tenant.await_phase("small", "Suspended");
    let (mut child, log) = watch(&tenant, None);
    await_text(&log, "Ctrl-C ends that, not the job");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(!child.wait().unwrap().success());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(tenant.job("small")["status"]["phase"], "Suspended");
}

#[test]
fn a_job_that_is_deleted_ends_the_watching_with_a_word() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("deleted");
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file, "--suspend"]).ok();
    tenant.await_phase("small", "Suspended");
    let (mut child, log) = watch(&tenant, None);
    await_text(&log, "Suspended");
    plane.kubectl(&["delete", "btj", "small", "-n", "deleted"]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    await_text(&log, "small was deleted");
}
