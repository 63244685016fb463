use std::fs::{self, File};
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::record::{PART, Record, SIZE};
use super::*;
use crate::transport::runtime::block_on;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ledger-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("spend.ledger")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn in_millis(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

/// One more call, of `most` at most.
fn call(ledger: &Ledger, most: u64, patience: u64) -> Result<(), Code> {
    let change = |spent: Spent| match spent.calls < most {
        true => Ok(Spent { calls: spent.calls + 1, ..spent }),
        false => Err(Problem::new(Code::Budget, "")),
    };
    let outcome = block_on(in_millis(60_000), ledger.change(in_millis(patience), &change));
    outcome.unwrap().map(drop).map_err(|problem| problem.code)
}

fn opened(path: &Path) -> Result<Ledger, Code> {
    Ledger::open(path).map_err(|problem| problem.code)
}

#[test]
fn what_is_spent_is_there_for_the_next_and_in_a_file_for_its_owner_alone() {
    let folder = Folder::new();
    let (one, two) = (opened(&folder.ledger()).unwrap(), opened(&folder.ledger()).unwrap());
    assert_eq!((call(&one, 2, 1000), call(&two, 2, 1000)), (Ok(()), Ok(())));
    assert_eq!((call(&one, 2, 1000), call(&two, 2, 1000)), (Err(Code::Budget), Err(Code::Budget)));
    drop((one, two));
    assert_eq!(opened(&folder.ledger()).unwrap().spent().calls, 2);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(folder.ledger()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn threads_of_many_sessions_spend_exactly_what_there_is() {
    let folder = Folder::new();
    let ledgers: Vec<_> = (0..4).map(|_| opened(&folder.ledger()).unwrap()).collect();
    let passed: usize = thread::scope(|scope| {
        let work = |ledger| move || (0..60).filter(|_| call(ledger, 300, 60_000).is_ok()).count();
        let threads: Vec<_> =
            ledgers.iter().flat_map(|ledger| [ledger, ledger]).map(|l| scope.spawn(work(l))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((passed, ledgers[0].spent().calls), (300, 300));
}

#[test]
fn what_came_later_is_written_by_whoever_comes_next_and_by_the_last_to_leave() {
    let folder = Folder::new();
    let ledger = opened(&folder.ledger()).unwrap();
    call(&ledger, 9, 1000).unwrap();
    ledger.later(Later { bytes: 5, cost: 7, aside: 0 }, 0);
    ledger.later(Later { bytes: 1, cost: 0, aside: 3 }, 0);
    assert_eq!(opened(&folder.ledger()).unwrap().spent(), Spent { calls: 1, bytes: 0, cost: 0 });
    assert_eq!(call(&ledger, 1, 1000), Err(Code::Budget)); // also where it is refused
    assert_eq!(opened(&folder.ledger()).unwrap().spent(), Spent { calls: 1, bytes: 6, cost: 4 });
    ledger.later(Later { bytes: u64::MAX, cost: u64::MAX, aside: 0 }, 0);
    drop(ledger);
    assert_eq!(opened(&folder.ledger()).unwrap().spent(), Spent { calls: 1, bytes: u64::MAX, cost: u64::MAX });
}

#[test]
fn a_ledger_that_somebody_holds_is_waited_for_until_the_deadline() {
    let folder = Folder::new();
    let ledger = opened(&folder.ledger()).unwrap();
    let other = File::open(folder.ledger()).unwrap();
    other.lock().unwrap();
    let begun = Instant::now();
    assert_eq!(call(&ledger, 9, 50), Err(Code::LedgerLocked));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(ledger.spent(), Spent::default());
    other.unlock().unwrap();
    assert_eq!(call(&ledger, 9, 1000), Ok(()));
}

#[test]
fn what_is_no_ledger_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let path = folder.ledger();
    drop(opened(&path).unwrap());
    let whole = fs::read(&path).unwrap();
    let version = String::from_utf8(whole.clone()).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    let longer = [&whole[..], b"\n"].concat();
    let blank = [&whole[..PART], &[b' '; 2 * PART]].concat();
    let (cut, other) = (&whole[..SIZE - 1], b"photo".to_vec());
    for content in [&other, cut, &whole[..PART], &longer, &blank, version.as_bytes(), &vec![0; SIZE]] {
        fs::write(&path, content).unwrap();
        assert_eq!(opened(&path).err(), Some(Code::LedgerFile));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    for path in [folder.0.clone(), folder.0.join("none").join("ledger")] {
        assert_eq!(opened(&path).err(), Some(Code::LedgerFile), "{path:?}");
    }
}

#[test]
fn a_ledger_that_is_gone_or_damaged_refuses_the_request() {
    let folder = Folder::new();
    let path = folder.ledger();
    let ledger = opened(&path).unwrap();
    call(&ledger, 9, 1000).unwrap();
    fs::write(&path, b"").unwrap();
    assert_eq!(call(&ledger, 9, 1000), Err(Code::Ledger));
    fs::remove_file(&path).unwrap();
    assert_eq!(call(&ledger, 9, 1000), Err(Code::Ledger));
    assert_eq!(ledger.spent().calls, 1);
    let anew = opened(&path).unwrap();
    assert_eq!((call(&ledger, 9, 1000), anew.spent().calls), (Ok(()), 1));
}

#[test]
fn what_was_set_aside_in_a_ledger_that_was_replaced_is_not_taken_from_the_new_one() {
    let folder = Folder::new();
    let path = folder.ledger();
    let spend = |ledger: &Ledger, cost: u64| {
        let change = |spent: Spent| Ok(Spent { cost: spent.cost + cost, ..spent });
        block_on(in_millis(60_000), ledger.change(in_millis(1000), &change)).unwrap().unwrap()
    };
    let ledger = opened(&path).unwrap();
    let era = spend(&ledger, 100);
    ledger.later(Later { bytes: 0, cost: 1, aside: 50 }, era); // not written before the file is another
    fs::remove_file(&path).unwrap();
    let anew = opened(&path).unwrap();
    spend(&anew, 10);
    assert_eq!(ledger.spent().cost, 11);
    ledger.later(Later { bytes: 0, cost: 2, aside: 50 }, era);
    assert_eq!(ledger.spent().cost, 13);
    let era = spend(&ledger, 100);
    ledger.later(Later { bytes: 0, cost: 0, aside: 100 }, era);
    assert_eq!((ledger.spent().cost, anew.spent().cost), (13, 13));
}

#[cfg(unix)]
#[test]
fn a_link_is_no_ledger() {
    let folder = Folder::new();
    let link = folder.0.join("link");
    for target in [folder.ledger(), folder.0.join("nothing")] {
        drop(opened(&folder.ledger()).unwrap());
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert_eq!(opened(&link).err(), Some(Code::LedgerFile));
        fs::remove_file(&link).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_write_that_was_cut_short_leaves_the_sum_before_or_after_it(calls in 1u64..6, cut in 0..=PART) {
        let folder = Folder::new();
        let ledger = opened(&folder.ledger()).unwrap();
        (0..calls).for_each(|_| call(&ledger, 9, 1000).unwrap());
        let before = fs::read(folder.ledger()).unwrap();
        call(&ledger, 9, 1000).unwrap();
        let mut torn = fs::read(folder.ledger()).unwrap();
        let at = (PART..SIZE).step_by(PART).find(|at| before[*at..at + PART] != torn[*at..at + PART]).unwrap();
        torn[at + cut..at + PART].copy_from_slice(&before[at + cut..at + PART]);
        let whole = Record::read(&torn[at..at + PART]).is_some_and(|record| record.spent.calls == calls + 1);
        fs::write(folder.ledger(), &torn).unwrap();
        prop_assert_eq!(ledger.spent().calls, calls + u64::from(whole));
        call(&ledger, 9, 1000).unwrap();
        prop_assert_eq!(opened(&folder.ledger()).unwrap().spent().calls, calls + 1 + u64::from(whole));
    }
}
