//! scratch
use ntsim::{
    devices::*,
    io::{driver, pnp},
    machine::*,
    sched::*,
    user::*,
    *,
};
use std::path::Path;

fn run(seed: u64, print: bool) -> (u64, bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/driver/release/customdpc.sys");
    let image = DriverImage::open(&path).unwrap();
    let mut machine = Machine::new(Config {
        seed,
        ..Config::default()
    })
    .unwrap();
    let slot = machine.plug(Box::new(Edu::new(EduProfile::default()))).unwrap();
    machine.load(&image).unwrap();
    machine.spawn(ThreadSpec::system("PnP manager"), move |k| async move {
        let (base, entry) = k.driver_image().unwrap();
        let size = 0x8000;
        let driver = driver::load(&k, "customdpc", driver::LoadedImage { base, size, entry })
            .await?
            .unwrap();
        ntsim::mm::driver_image::discard_initialization(&k);
        let pdo = pnp::enumerate(&k, slot)?;
        assert!(pnp::add_device(&k, pdo, driver).await?.is_success());
        assert!(pnp::start_device(&k, pdo).await?.is_success());
        let class = Guid::from_fields(
            0xD20D_5FBE,
            0xF51D,
            0x4CA4,
            [0xB3, 0x08, 0x58, 0xE1, 0x86, 0x3B, 0x19, 0xE1],
        );
        let links = device_interfaces(&k, class);
        let mut threads = vec![];
        for t in 0..2 {
            let link = links[0].clone();
            threads.push(k.spawn(ThreadSpec::user(format!("user{t}")), move |k| async move {
                let h = Handle::open(&k, &link, 3).await?.unwrap();
                let mut reqs = vec![];
                for n in 0..4u32 {
                    let code = edu_factorial();
                    reqs.push((n + 3, h.device_io_control(&k, code, &(n + 3).to_le_bytes(), 4).await?));
                }
                if t == 1 {
                    h.cancel_io(&k, Some(&reqs[2].1)).await?;
                }
                for (n, r) in &reqs {
                    let c = r.wait(&k).await?;
                    let want: u32 = (1..=*n).product();
                    if c.status.is_success() {
                        assert_eq!(c.output, want.to_le_bytes());
                    } else {
                        assert_eq!(c.status, NtStatus::CANCELLED, "{n}");
                    }
                }
                h.close(&k).await
            }));
        }
        for t in threads {
            k.join(t).await?;
        }
        if seed % 2 == 0 {
            assert_eq!(pnp::remove_device(&k, pdo).await?, pnp::Removal::Done);
        } else {
            pnp::surprise_remove(&k, pdo).await?;
            pnp::wait_for_removal(&k, pdo).await?;
        }
        assert!(driver::unload(&k, driver).await?);
        ntsim::mm::driver_image::unload(&k, "customdpc")?;
        assert_eq!(ntsim::io::leftovers(&k, driver), Vec::<String>::new());
        Ok(())
    });
    let end = machine.run();
    let k = machine.kernel();
    if print {
        for r in k.recorded().story() {
            println!("{r}");
        }
    }
    if end == RunEnd::Crashed {
        println!("seed {seed}\n{}", machine.crash_report(None).unwrap());
    }
    (k.recorded().digest().0, end == RunEnd::Idle)
}
fn edu_factorial() -> u32 {
    std::env::var("CODE")
        .map(|s| u32::from_str_radix(&s, 16).unwrap())
        .unwrap_or(0x0022_E008)
}

#[test]
fn one() {
    let s = std::env::var("SEED").map(|s| s.parse().unwrap()).unwrap_or(1);
    assert!(run(s, true).1);
}
#[test]
#[ignore]
fn many() {
    let n: u64 = std::env::var("N").map(|s| s.parse().unwrap()).unwrap_or(100);
    let mut d = std::collections::BTreeSet::new();
    for s in 1..=n {
        let (x, ok) = run(s, false);
        assert!(ok, "seed {s}");
        d.insert(x);
    }
    println!("{} distinct of {n}", d.len());
}

fn stress(seed: u64, print: bool) -> (u64, bool, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/driver/release/customdpc.sys");
    let image = DriverImage::open(&path).unwrap();
    let mut machine = Machine::new(Config {
        seed,
        processors: 2 + (seed % 3) as usize,
        ..Config::default()
    })
    .unwrap();
    let slot = machine.plug(Box::new(Edu::new(EduProfile::default()))).unwrap();
    machine.load(&image).unwrap();
    let stats = std::rc::Rc::new(std::cell::RefCell::new(vec![]));
    let st = stats.clone();
    machine.spawn(ThreadSpec::system("PnP manager"), move |k| async move {
        let (base, entry) = k.driver_image().unwrap();
        let driver = driver::load(
            &k,
            "customdpc",
            driver::LoadedImage {
                base,
                size: 0x8000,
                entry,
            },
        )
        .await?
        .unwrap();
        ntsim::mm::driver_image::discard_initialization(&k);
        let pdo = pnp::enumerate(&k, slot)?;
        assert!(pnp::add_device(&k, pdo, driver).await?.is_success());
        assert!(pnp::start_device(&k, pdo).await?.is_success());
        let class = Guid::from_fields(
            0xD20D_5FBE,
            0xF51D,
            0x4CA4,
            [0xB3, 0x08, 0x58, 0xE1, 0x86, 0x3B, 0x19, 0xE1],
        );
        let links = device_interfaces(&k, class);
        let mut threads = vec![];
        for t in 0..3u64 {
            let link = links[0].clone();
            let st = st.clone();
            threads.push(k.spawn(ThreadSpec::user(format!("user{t}")), move |k| async move {
                let rnd = |n: u64| k.random().borrow_mut().below(n);
                let h = match Handle::open(&k, &link, 3).await? {
                    Ok(h) => h,
                    Err(e) => {
                        st.borrow_mut().push(format!("open {e}"));
                        return Ok(());
                    }
                };
                let mut reqs = vec![];
                for n in 0..4u32 {
                    reqs.push((
                        n + 3,
                        h.device_io_control(&k, 0x0022_E008, &(n + 3).to_le_bytes(), 4).await?,
                    ));
                    let d = rnd(3000);
                    if d > 1500 {
                        k.delay(d).await?;
                    }
                }
                for _ in 0..2 {
                    let d = rnd(60_000);
                    k.delay(d).await?;
                    let i = rnd(4) as usize;
                    let s = h.cancel_io(&k, Some(&reqs[i].1)).await?;
                    st.borrow_mut().push(format!("cancel {s}"));
                }
                if t == 1 {
                    h.close(&k).await?;
                    for (_, r) in &reqs {
                        let c = r.wait(&k).await?;
                        st.borrow_mut().push(format!("req {}", c.status));
                    }
                    return Ok(());
                }
                for (n, r) in &reqs {
                    let c = r.wait(&k).await?;
                    let want: u32 = (1..=*n).product();
                    if c.status.is_success() {
                        assert_eq!(c.output, want.to_le_bytes());
                    }
                    st.borrow_mut().push(format!("req {}", c.status));
                }
                h.close(&k).await
            }));
        }
        if seed % 4 == 1 {
            let d = k.random().borrow_mut().below(30_000);
            k.delay(d).await?;
            if pnp::query_stop_device(&k, pdo).await?.is_success() {
                pnp::stop_device(&k, pdo).await?;
                k.delay(d).await?;
                assert!(pnp::start_device(&k, pdo).await?.is_success());
            }
        }
        if seed % 4 != 0 {
            let d = k.random().borrow_mut().below(100_000);
            k.delay(d).await?;
            pnp::surprise_remove(&k, pdo).await?;
        }
        for t in threads {
            k.join(t).await?;
        }
        if seed % 4 == 0 {
            let r = pnp::remove_device(&k, pdo).await?;
            assert_eq!(r, pnp::Removal::Done);
        }
        pnp::wait_for_removal(&k, pdo).await?;
        assert!(driver::unload(&k, driver).await?);
        ntsim::mm::driver_image::unload(&k, "customdpc")?;
        assert_eq!(ntsim::io::leftovers(&k, driver), Vec::<String>::new());
        Ok(())
    });
    let end = machine.run();
    let k = machine.kernel();
    if print {
        for r in k.recorded().records() {
            println!("{r}");
        }
    }
    if end == RunEnd::Crashed {
        println!("seed {seed}\n{}", machine.crash_report(None).unwrap());
    }
    let s = stats.borrow().clone();
    (k.recorded().digest().0, end == RunEnd::Idle, s)
}
#[test]
#[ignore]
fn stress_one() {
    let s = std::env::var("SEED").map(|s| s.parse().unwrap()).unwrap_or(1);
    assert!(stress(s, true).1);
}
#[test]
#[ignore]
fn stress_many() {
    let n: u64 = std::env::var("N").map(|s| s.parse().unwrap()).unwrap_or(100);
    let mut d = std::collections::BTreeSet::new();
    let mut h = std::collections::BTreeMap::<String, u32>::new();
    let mut bad = vec![];
    for s in 1..=n {
        let (x, ok, st) = stress(s, false);
        if !ok {
            bad.push(s);
            if bad.len() > 2 {
                break;
            }
        }
        d.insert(x);
        for e in st {
            *h.entry(e).or_default() += 1;
        }
    }
    println!("{} distinct of {n}; {h:#?}; bad {bad:?}", d.len());
    assert!(bad.is_empty());
}
