//! `blockgrid crds`: the CustomResourceDefinitions of the grid, for `kubectl apply --server-side -f -`.

use blockgrid_job::crd::Kind;

use crate::failure::Failure;
use crate::show;

pub(crate) fn crds(name: Option<&str>) -> Result<(), Failure> {
    let kinds: Vec<_> =
        Kind::ALL.into_iter().filter(|kind| name.is_none_or(|name| is_name(*kind, name))).collect();
    if kinds.is_empty() {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.plural()).collect();
        let message = format!("`{}` is none: write {}", name.unwrap_or_default(), known.join(" or "));
        return Err(Failure::input("cannot print the definition".to_owned(), "--name", message));
    }
    let documents: Vec<_> = kinds.into_iter().map(Kind::yaml).collect();
    show::print(&documents.join("---\n"));
    Ok(())
}

/// Whether a kind is called so, in any of the ways in which kubectl lets one.
fn is_name(kind: Kind, name: &str) -> bool {
    let name = name.to_lowercase();
    [kind.plural().to_owned(), kind.id().to_lowercase(), kind.name(), kind.short().to_owned()].contains(&name)
}
