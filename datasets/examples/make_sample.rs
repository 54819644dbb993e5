//! Writes the sample data set anew: `cargo run -p blockgrid-datasets --example make_sample -- datasets/sample`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root: PathBuf =
        std::env::args_os().nth(1).ok_or("give the folder to write, as in datasets/sample")?.into();
    for (path, bytes) in blockgrid_datasets::synthetic::sample_files()? {
        let target = root.join(&path);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&target, &bytes)?;
        println!("{:>8} {path}", bytes.len());
    }
    Ok(())
}
