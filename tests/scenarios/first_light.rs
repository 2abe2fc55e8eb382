//! A started device answers every request.

use std::{fs, ops::Range};

use edu::{
    ioctl::{ABI_VERSION, Factorial, FactorialInput, Liveness, LivenessInput, QueryInfo},
    registers::Identification,
};
use ntsim::trace::Counter;
use scenarios::{
    boot::{Run, Setup},
    image,
    program::Program,
};
use version_resource::VersionInfo;

#[test]
fn query_info_tells_the_revision_and_the_versions() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let info = program.request::<QueryInfo>(()).await?;
        assert_eq!(info.abi_version, ABI_VERSION);
        let shown = VersionInfo::read(&fs::read(image::customdpc_path()).unwrap()).unwrap();
        assert_eq!(
            info.driver_version, shown.file_version,
            "Windows shows the version that the driver tells"
        );
        assert_eq!(info.driver_version, edu::VERSION);
        let identification = Identification::decode(info.identification).expect("an edu device");
        assert_eq!((identification.major(), identification.minor()), (1, 0));
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn liveness_is_the_bitwise_inverse() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        for value in [0, 1, 0x1234_5678, u32::MAX] {
            let answer = program.request::<Liveness>(LivenessInput { value }).await?.answer;
            assert_eq!(answer, !value);
        }
        program.close().await
    });
    let _ = run.clean();
}

/// Two callers must not read each other's answer.
#[test]
fn liveness_of_two_callers_at_a_time() {
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let callers: Vec<_> = [0x1111_1111_u32, 0x2222_2222]
                .into_iter()
                .map(|value| {
                    let spec = ntsim::sched::ThreadSpec::user(format!("caller {value:#x}"));
                    let pc = pc.clone();
                    pc.k.clone().spawn(spec, async move |_| {
                        let program = Program::open(&pc).await?;
                        for _ in 0..4 {
                            let answer = program.request::<Liveness>(LivenessInput { value }).await?.answer;
                            assert_eq!(answer, !value);
                        }
                        program.close().await
                    })
                })
                .collect();
            for caller in callers {
                pc.k.join(caller).await?;
            }
            Ok(())
        });
        let _ = run.clean();
    }
}

#[test]
fn factorials_are_right_modulo_2_to_the_32() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        for n in 0..=33 {
            let input = FactorialInput { n };
            assert_eq!(program.request::<Factorial>(input).await?, input.expected(), "{n}!");
        }
        program.close().await
    });
    let _ = run.clean();
    assert_eq!(run.count(Counter::InterruptsClaimed), 34, "one interrupt each");
    assert_eq!(
        run.count(Counter::DpcsRun),
        34,
        "the DPC of compute each: nobody waits at the doorbell"
    );
}

/// Each is served in the order in which it came, though all wait at a time.
#[test]
fn queued_factorials_are_all_served() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let mut under_way = Vec::new();
        for n in 1..=20 {
            under_way.push(program.factorial(n).await?);
        }
        for computation in &under_way {
            assert!(computation.wait().await?.is_success());
        }
        program.close().await
    });
    let _ = run.clean();
}

/// How many register accesses it takes to start the device, to compute these factorials, and to remove it.
fn accesses(factorials: Range<u32>) -> u64 {
    let run = Run::started(Setup::seed(1), async move |pc| {
        let program = Program::open(&pc).await?;
        for n in factorials {
            program.request::<Factorial>(FactorialInput { n }).await?;
        }
        program.close().await
    });
    let _ = run.clean();
    run.count(Counter::RegisterReads) + run.count(Counter::RegisterWrites)
}

/// n is written; the ISR reads what interrupted and acknowledges it; the CustomDpc reads the result, and whether the device computes.
#[test]
fn a_factorial_costs_five_register_accesses() {
    assert_eq!(accesses(0..11) - accesses(0..1), 50);
    assert_eq!(
        accesses(34..44) - accesses(34..34),
        50,
        "a result of 0, as an absent device may read"
    );
}
