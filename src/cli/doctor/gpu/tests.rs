//! What is made of facts that no machine here has.

use super::*;

fn card(index: u32, capability: (u32, u32)) -> GpuCard {
    GpuCard {
        index,
        name: format!("NVIDIA Gem {index}"),
        uuid: format!("GPU-{index}"),
        bus: format!("00000000:0{index}:00.0"),
        capability,
        total: 150_000_000_000,
        free: 149_500_000_000,
    }
}

fn driver(cards: Vec<GpuCard>) -> Driver {
    Driver { version: "580.95.05".to_owned(), cuda: (13, 0), cards, lost: Vec::new() }
}

fn library(folder: &str, name: &'static str, present: bool) -> GpuLibrary {
    GpuLibrary { name, path: Path::new("/native").join(folder).join(name), present }
}

/// A machine without anything.
fn bare(asked: Device) -> Facts {
    Facts {
        asked,
        driver: Ok(None),
        build: CudaBuild::Missing,
        cuda: ["libcudart.so.13", "libcublas.so.13"].map(|name| library("cuda", name, false)).to_vec(),
        tensorrt: Vec::new(),
        builders: Vec::new(),
        pins: Vec::new(),
        visible: None,
    }
}

/// A machine with a card of the latest generation, and all that it takes.
fn whole(asked: Device) -> Facts {
    let pinned = Provenance::Pinned { package: "gem".to_owned(), version: "1".to_owned(), sha256: "ab".to_owned() };
    Facts {
        driver: Ok(Some(driver(vec![card(0, (9, 0))]))),
        build: CudaBuild::Pinned,
        cuda: ["libcudart.so.13", "libcublas.so.13"].map(|name| library("cuda", name, true)).to_vec(),
        pins: vec![("cuda/libcudart.so.13".to_owned(), Ok(pinned))],
        ..bare(asked)
    }
}

/// Lines of which each begins with how it is.
fn lines(facts: &Facts) -> Vec<String> {
    let line = |finding: Finding| match finding {
        Finding::Well(what, told) => format!("ok {what}: {told}"),
        Finding::Remark(what, fatal) => format!("note {what}: {} {}", fatal.message, fatal.hint),
        Finding::Failed(what, fatal) => format!("failed {what}: {} {}", fatal.message, fatal.hint),
    };
    facts.findings().into_iter().map(line).collect()
}

fn failed(facts: &Facts) -> Vec<String> {
    lines(facts).into_iter().filter(|line| line.starts_with("failed")).collect()
}

#[test]
fn a_machine_without_a_card_reads_one_line_and_has_not_failed() {
    assert_eq!(lines(&bare(Device::Auto)), ["ok GPU: none (no NVIDIA driver; runs go to the processor)"]);
    assert!(bare(Device::Auto).places().is_empty());
}

#[test]
fn who_asks_for_a_card_is_told_all_that_is_missing_and_what_to_do() {
    for asked in [Device::Cuda, Device::TensorRt] {
        let facts = bare(asked);
        let failed = failed(&facts);
        assert_eq!(failed.len(), lines(&facts).len());
        let told = failed.join("\n");
        for word in
            ["no NVIDIA driver is installed", "580", "runtime install --cuda", "libcudart.so.13", "libcublas.so.13"]
        {
            assert!(told.contains(word), "{told}");
        }
    }
}

#[test]
fn a_machine_that_has_everything_is_told_of_card_memory_and_libraries() {
    let facts = whole(Device::Auto);
    let told = lines(&facts).join("\n");
    assert!(failed(&facts).is_empty() && !told.contains("note"), "{told}");
    for word in
        ["580.95.05", "CUDA 13.0", "GPU 0: NVIDIA Gem 0", "capability 9.0", "149.5 GB of 150.0 GB free", "libcublas"]
    {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(facts.places(), [Place::first(Device::Cuda)]);
}

#[test]
fn a_driver_alone_is_a_note_unless_a_card_is_asked_for() {
    let facts = |asked| Facts { driver: whole(asked).driver, ..bare(asked) };
    let told = lines(&facts(Device::Auto)).join("\n");
    assert!(failed(&facts(Device::Auto)).is_empty(), "{told}");
    assert!(told.contains("note GPU build") && told.contains("runtime install --cuda"), "{told}");
    assert!(!told.contains("libcudart"), "{told}");
    assert_eq!(failed(&facts(Device::Cuda)).len(), 2);
    assert!(facts(Device::Cuda).places().is_empty());
}

#[test]
fn a_driver_with_a_fault_is_told_also_where_nothing_is_installed_for_it() {
    let fault = Err(Fatal::new("the driver is not loaded", "reboot"));
    let facts = |asked| Facts { driver: fault.clone(), ..bare(asked) };
    assert_eq!(lines(&facts(Device::Auto)), ["note GPU driver: the driver is not loaded reboot"]);
    assert!(failed(&facts(Device::Cuda))[0].contains("reboot"));
}

/// As an image that is made for cards has them, on a machine that has none.
#[test]
fn libraries_without_a_driver_are_a_note_and_a_failure_where_a_card_is_asked_for() {
    let facts = |asked| Facts { driver: Ok(None), ..whole(asked) };
    let told = lines(&facts(Device::Auto));
    assert!(failed(&facts(Device::Auto)).is_empty(), "{told:?}");
    assert!(told[0].starts_with("note GPU driver") && told[0].contains("no NVIDIA driver is installed"), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("ok GPU libraries of CUDA")), "{told:?}");
    let failed = failed(&facts(Device::Cuda));
    assert_eq!(failed.len(), 1);
    assert!(failed[0].contains("--device cpu"), "{failed:?}");
    assert!(facts(Device::Auto).places().is_empty() && facts(Device::Cuda).places().is_empty());
}

#[test]
fn a_card_that_cannot_be_had_is_a_note_unless_asked_for_and_one_that_is_wrong_never_is() {
    let busy = || Err(Fatal::new("cuda:0 cannot be used: the card is busy", "end what is on it"));
    assert!(matches!(whole(Device::Auto).of_proof(busy()), Finding::Remark(..)));
    assert!(matches!(whole(Device::Cuda).of_proof(busy()), Finding::Failed(..)));
    let wrong = Err(Fatal::new(format!("cuda:0 cannot be used: {}", generate::MISCOMPUTES), ""));
    assert!(matches!(whole(Device::Auto).of_proof(wrong), Finding::Failed(..)));
    assert!(matches!(whole(Device::Auto).of_proof(Ok("it is right".to_owned())), Finding::Well(..)));
}

#[test]
fn an_old_card_is_a_note_beside_a_new_one_and_a_failure_alone() {
    let with = |cards| Facts { driver: Ok(Some(driver(cards))), ..whole(Device::Cuda) };
    let both = with(vec![card(0, (6, 1)), card(1, (8, 9))]);
    assert!(failed(&both).is_empty());
    assert!(lines(&both).iter().any(|line| line.starts_with("note GPU 0:") && line.contains("6.1")));
    assert_eq!(both.places().len(), 1);
    let old = with(vec![card(0, (6, 1))]);
    assert_eq!(failed(&old).len(), 2);
    assert!(old.places().is_empty());
    // With nothing installed for it, nothing is advised either.
    let alone = Facts { build: CudaBuild::Missing, asked: Device::Auto, ..with(vec![card(0, (6, 1))]) };
    assert!(failed(&alone).is_empty());
    assert!(!lines(&alone).join("\n").contains("runtime install"));
}

#[test]
fn each_card_is_tried_unless_cuda_is_told_to_see_others() {
    let cards = vec![card(0, (9, 0)), card(1, (9, 0))];
    let mut facts = Facts { driver: Ok(Some(driver(cards))), ..whole(Device::Cuda) };
    assert_eq!(facts.places().iter().map(Place::to_string).collect::<Vec<_>>(), ["cuda:0", "cuda:1"]);
    facts.visible = Some("1".to_owned());
    assert_eq!(facts.places(), [Place::first(Device::Cuda)]);
    assert!(lines(&facts).iter().any(|line| line.contains("CUDA_VISIBLE_DEVICES is `1`")));
}

#[test]
fn a_lost_card_is_a_failure_where_cards_are_asked_for() {
    let mut lame = driver(vec![card(0, (9, 0))]);
    lame.lost.push("card 1: device fell off the bus".to_owned());
    let facts = |asked| Facts { driver: Ok(Some(lame.clone())), ..whole(asked) };
    let told = failed(&facts(Device::Cuda));
    assert!(told.len() == 1 && told[0].contains("fell off the bus"), "{told:?}");
    let told = lines(&facts(Device::Auto));
    assert!(failed(&facts(Device::Auto)).is_empty(), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("note GPU:") && line.contains("fell off the bus")), "{told:?}");
}

#[test]
fn missing_libraries_are_named_and_may_be_the_systems_beside_an_onnx_runtime_of_ones_own() {
    let mut facts = whole(Device::Cuda);
    facts.cuda[1].present = false;
    let told = failed(&facts);
    assert!(
        told.len() == 1 && told[0].contains("missing in `/native/cuda`: libcublas.so.13; found: libcudart"),
        "{told:?}"
    );
    facts.build = CudaBuild::Own;
    assert!(failed(&facts).is_empty());
    assert!(lines(&facts).iter().any(|line| line.starts_with("note") && line.contains("libcublas.so.13")));
}

#[test]
fn tensorrt_is_proved_too_and_its_missing_builders_are_named() {
    let tensorrt = vec![library("tensorrt", "libnvinfer.so.10", true)];
    let mut facts = Facts { tensorrt, ..whole(Device::TensorRt) };
    assert_eq!(facts.places(), [Place::first(Device::Cuda), Place::first(Device::TensorRt)]);
    let told = failed(&facts);
    assert!(told.len() == 1 && told[0].contains("libnvinfer_builder_resource*"), "{told:?}");
    assert!(told[0].contains("--tensorrt DIR"), "{told:?}");
    facts.builders.push("libnvinfer_builder_resource_sm90.so.10.16.1".to_owned());
    assert!(failed(&facts).is_empty());
}

#[test]
fn a_changed_file_is_named() {
    let mut facts = whole(Device::Auto);
    facts.pins.push(("cuda/libcublas.so.13".to_owned(), Err(Fatal::new("it is not what was installed", "install"))));
    facts.pins.push(("tensorrt/libnvinfer.so.10".to_owned(), Ok(Provenance::Own)));
    assert_eq!(failed(&facts), ["failed GPU pin of cuda/libcublas.so.13: it is not what was installed install"]);
    let told = lines(&facts).join("\n");
    assert!(told.contains("1 files are what was installed, 1 are your own"), "{told}");
}
