//! Times a pack: `cargo run --release -p inhouse-engine --example pack -- FOLDER [MB [THREADS]]` writes one of 2200 MB into
//! FOLDER, opens it a few times, which verifies all of it, and removes it.
#![allow(clippy::print_stdout, reason = "a program, not the library")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use inhouse_engine::pack::{Fingerprint, PackFile, PackFolder, PackWriter};
use inhouse_kernels::Pool;

const ENTRY: usize = 12 << 20; // a matrix of a few thousand rows and columns

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("name a folder to write into")?);
    let number = |arg: Option<String>, default| arg.map_or(Ok(default), |arg| arg.parse());
    let megabytes: usize = number(args.next(), 2200)?;
    let entries = (megabytes * 1_000_000).div_ceil(ENTRY);
    let threads = number(args.next(), std::thread::available_parallelism()?.into())?;
    let pool = Pool::new(threads);

    let path = PackFolder::new(&folder).path_of(&folder)?;
    let source = Fingerprint::of(&folder, [&folder; 0])?;
    let start = Instant::now();
    let mut writer = PackWriter::create(&path, &source, (entries * ENTRY) as u64)?;
    let bytes: Vec<u8> = (0..ENTRY).map(|i| (i % 251) as u8).collect();
    for i in 0..entries {
        writer.begin(&format!("layers.{i}"), "rows", ENTRY)?;
        writer.write(&bytes)?;
    }
    writer.finish()?;
    println!("written in {:.2} s", start.elapsed().as_secs_f64());

    for _ in 0..5 {
        let start = Instant::now();
        let pack = PackFile::open(&path, &source, &pool)?;
        let seconds = start.elapsed().as_secs_f64();
        let gb = pack.bytes() as f64 / 1e9;
        println!(
            "{gb:.2} GB opened in {seconds:.3} s with {threads} threads, {:.1} GB/s",
            gb / seconds
        );
    }
    PackFolder::remove(&path)?;
    Ok(())
}
