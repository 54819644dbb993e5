//! What cannot be done is told with what to do about it.

use serde_json::json;

use crate::plane::{Plane, Tenant, plane};
use crate::support::{Ran, small, with};

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("names");
    tenant
        .run(&["watch", "small"])
        .fails(2, &["`small` is none in namespace names, where there are no jobs"]);
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file, "--suspend"]).ok();
    for command in ["watch", "why", "logs", "cancel", "suspend", "resume", "results"] {
        tenant.run(&[command, "smal"]).fails(2, &["no such job", "did you mean `small`?"]);
    }
    tenant.run(&["why", "crossover"]).fails(2, &["(there are small)"]);
    let elsewhere = plane.command(&["why", "small", "-n", "kube-public"]).output().unwrap();
    Ran::of(elsewhere).fails(2, &["there is one in namespace "]);
    tenant.run(&["submit", &file, "--name", "Small"]).fails(2, &["metadata.name: is \"Small\""]);
    let nowhere = plane.command(&["submit", &file, "-n", "nowhere"]).output().unwrap();
    Ran::of(nowhere).fails(2, &["no such namespace", "`nowhere` does not exist"]);
}

#[test]
fn what_is_wrong_in_a_manifest_is_told_without_a_cluster() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("wrong");
    let bad = with(small(), "/spec/strategy/long/enter", "smaa(close, fast) > 1".into());
    let bad = tenant.write("bad.json", &bad);
    let run = |args: &[&str]| Ran::of(tenant.command(args).env("KUBECONFIG", "/nowhere").output().unwrap());
    run(&["submit", &bad]).fails(2, &["cannot run", "spec.strategy.long.enter", "sma"]);
    let file = with(with(small(), "/spec/data/dataset", json!(null)), "/spec/data/file", "a.csv".into());
    let file = tenant.write("file.json", &file);
    run(&["submit", &file]).fails(2, &["spec.data.file", "registered data sets only"]);
    let unknown = tenant.write("unknown.json", &with(small(), "/spec/data/dataset", "binance".into()));
    run(&["quote", &unknown])
        .fails(2, &["`binance` is no data set of this machine", "--suspend", "status.quote"]);
    let quoted = tenant.write("small.json", &small());
    let quote = run(&["quote", &quoted]).ok().stdout;
    let same = crate::support::run_in(tenant.path(), ["quote", quoted.as_str()]).ok().stdout;
    assert_eq!(quote, same);
    run(&["ls"]).fails(2, &["no cluster", "--kubeconfig FILE"]);
}

#[test]
fn a_cluster_that_is_not_there_or_lacks_the_grid_is_told() {
    let Some(plane) = plane() else { return };
    assert_eq!(plane.before.code, Some(1), "{:?}", plane.before);
    for part in ["does not know backtestjobs", "install the chart", "blockgrid crds | kubectl apply"] {
        assert!(plane.before.stderr.contains(part), "{}", plane.before.stderr);
    }
    let run = |args: &[&str]| Ran::of(plane.command(args).output().unwrap());
    run(&["ls", "--context", "blockgird"]).fails(2, &["did you mean `blockgrid`?"]);
    let tenant = plane.tenant("nobody");
    let text = std::fs::read_to_string(&plane.kubeconfig).unwrap();
    let server = text.split("server: \"").nth(1).unwrap().split('"').next().unwrap();
    let dead = tenant.path().join("dead");
    // Nobody listens on the discard port.
    std::fs::write(&dead, text.replace(server, "https://127.0.0.1:9")).unwrap();
    let dead = dead.display().to_string();
    run(&["ls", "--kubeconfig", &dead]).fails(1, &["no cluster answers at https://127.0.0.1:9"]);
    run(&["watch", "x", "--kubeconfig", &dead]).fails(1, &["no cluster answers at"]);
    let stranger = kubeconfig(plane, &tenant, "stranger", "no-such-token");
    run(&["ls", "--kubeconfig", &stranger]).fails(1, &["does not know who you are (401)"]);
}

#[test]
fn whoever_lacks_a_right_hears_which() {
    let Some(plane) = plane() else { return };
    let tenant = plane.tenant("rights");
    let file = tenant.write("small.json", &small());
    tenant.run(&["submit", &file]).ok();
    tenant.run(&["watch", "small"]).ok();
    plane.kubectl(&["create", "serviceaccount", "nobody", "-n", "rights"]);
    plane.kubectl(&["create", "serviceaccount", "viewer", "-n", "rights"]);
    plane.apply(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: view, namespace: rights}, rules: [{apiGroups: [grid.blockbuilders.app], resources: [backtestjobs], verbs: [get, list, watch]}]}",
    );
    let binding = "--serviceaccount=rights:viewer";
    plane.kubectl(&["create", "rolebinding", "view", "--role=view", binding, "-n", "rights"]);
    let token = |account: &str| plane.kubectl(&["create", "token", account, "-n", "rights"]);
    let nobody = kubeconfig(plane, &tenant, "nobody", token("nobody").trim());
    let run = |kubeconfig: &str, args: &[&str]| {
        Ran::of(tenant.command(args).args(["--kubeconfig", kubeconfig]).output().unwrap())
    };
    let lacks = |verb: &str| {
        [
            format!("you may not {verb} backtestjobs in namespace rights"),
            format!("the right `{verb}` on `backtestjobs.grid.blockbuilders.app`"),
            "system:serviceaccount:rights:".to_owned(),
        ]
    };
    let fails = |ran: Ran, verb: &str| {
        let parts = lacks(verb);
        ran.fails(1, &parts.each_ref().map(String::as_str));
    };
    fails(run(&nobody, &["ls"]), "list");
    fails(run(&nobody, &["why", "small"]), "get");
    fails(run(&nobody, &["watch", "small"]), "get");
    fails(run(&nobody, &["submit", &file]), "create");
    run(&nobody, &["ls", "-A"]).fails(1, &["you may not list backtestjobs in all namespaces"]);

    let viewer = kubeconfig(plane, &tenant, "viewer", token("viewer").trim());
    run(&viewer, &["watch", "small"]).ok();
    let why = run(&viewer, &["why", "small"]).ok();
    assert!(why.stdout.contains("at: finished"), "{}", why.stdout);
    fails(run(&viewer, &["results", "small"]), "patch");
    tenant.run(&["submit", &file, "--name", "resting", "--suspend"]).ok();
    tenant.await_phase("resting", "Suspended");
    fails(run(&viewer, &["cancel", "resting"]), "patch");
    let why = run(&viewer, &["why", "resting"]).ok().stdout;
    assert!(
        why.contains("not shown: budgets of namespace rights: you may not list backtestbudgets"),
        "{why}"
    );
}

/// A kubeconfig of somebody else.
fn kubeconfig(plane: &Plane, tenant: &Tenant, name: &str, token: &str) -> String {
    let text = std::fs::read_to_string(&plane.kubeconfig).unwrap();
    let admin = text.split("token: ").nth(1).unwrap().split('}').next().unwrap();
    let file = tenant.path().join(name);
    std::fs::write(&file, text.replace(admin, token)).unwrap();
    file.display().to_string()
}
