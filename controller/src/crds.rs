//! Whether the CustomResourceDefinitions of the cluster are those of this program: `helm upgrade` once left old ones in
//! place for many, and fields that they do not know are dropped without a word.

use blockgrid_job::crd::{self, Kind};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Outdated {
    /// It is not there.
    #[error(
        "the CustomResourceDefinition {0} is not installed: `blockgrid crds | kubectl apply --server-side -f -`"
    )]
    Missing(String),
    /// It is another version's.
    #[error(
        "the CustomResourceDefinition {0} is of another version of blockgrid: fields that it does not know are dropped; `blockgrid crds | kubectl apply --server-side -f -`"
    )]
    Other(String),
}

/// Looks at the definitions of the cluster. `None` where this program may not read them, as in one namespace alone.
///
/// # Errors
/// The API server's.
pub async fn look(client: &Client) -> Result<Option<Vec<Outdated>>, kube::Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let name = kind.name();
        match definitions.get_opt(&name).await {
            Ok(None) => found.push(Outdated::Missing(name)),
            Ok(Some(there)) => {
                let digest = there.annotations().get(crd::DIGEST_ANNOTATION);
                if digest != Some(&crd::digest(kind)) {
                    found.push(Outdated::Other(name));
                }
            }
            Err(kube::Error::Api(error)) if error.code == 403 => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(found))
}
