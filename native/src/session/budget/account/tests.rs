use proptest::prelude::*;

use super::*;
use crate::failure::Code;
use crate::transport::runtime::block_on;

fn budget(json: &str) -> Arc<Budget> {
    Arc::new(Budget::new(serde_json::from_str(json).unwrap()).unwrap())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A request of the model `m` that was paid, or why it was refused.
fn paid(budget: &Arc<Budget>, body: &str) -> Result<Account, Code> {
    let account = Account::new(Some(budget));
    account.ask_for(&["m".to_owned()]);
    let waiting = account.spend(&Body::from(body.to_owned()), soon()).map_err(|problem| problem.code)?;
    waiting.map_or(Ok(()), |waiting| block_on(soon(), waiting).unwrap()).map_err(|problem| problem.code)?;
    Ok(account)
}

fn settle(account: &Account, body: &str, came: &Came) {
    let waiting = account.settle(&Body::from(body.to_owned()), came, soon());
    if let Some(waiting) = waiting {
        block_on(soon(), waiting).unwrap();
    }
}

fn cost(budget: &Budget) -> f64 {
    budget.to_json()["cost"].as_f64().unwrap()
}

#[test]
fn each_limit_holds_by_itself() {
    for json in [r#"{"calls": 1}"#, r#"{"bytes": 19}"#, r#"{"cost": 0.3, "price": {"m": 0.2}}"#] {
        let budget = budget(json);
        assert!(paid(&budget, "0123456789").is_ok(), "{json}");
        assert_eq!(paid(&budget, "0123456789").err(), Some(Code::Budget), "{json}");
    }
}

#[test]
fn answers_count_and_what_is_refused_does_not() {
    let budget = budget(r#"{"bytes": 100, "calls": 3}"#);
    let body = |bytes| "x".repeat(bytes);
    assert!(paid(&budget, &body(101)).is_err());
    let account = paid(&budget, &body(60)).unwrap();
    assert!(paid(&budget, &body(41)).is_err());
    assert!(paid(&budget, &body(30)).is_ok());
    account.received(u64::MAX);
    assert!(paid(&budget, "").is_err());
}

#[test]
fn a_cost_needs_a_price() {
    assert_eq!(paid(&budget(r#"{"cost": 1}"#), "").err(), Some(Code::NoPrice));
}

#[test]
fn money_is_a_number_that_is_not_negative() {
    for json in [r#"{"cost": -1}"#, r#"{"cost": 1e10}"#, r#"{"price": {"m": -0.1}}"#] {
        assert!(Budget::new(serde_json::from_str(json).unwrap()).is_err(), "{json}");
    }
}

const BY_TOKENS: &str = r#"{"cost": 1, "price": {"m": {"request": 0.1, "input_token": 0.001, "output_token": 0.01}}}"#;
const USAGE: &[u8] = br#"{"usage": {"prompt_tokens": 20, "completion_tokens": 3}}"#;

#[test]
fn tokens_cost_what_the_service_says_whatever_was_set_aside() {
    for body in ["{}", " \n{\"max_tokens\": 9}", r#"{"max_tokens": 3}"#, r#"{"max_tokens": 50}"#, "no object"] {
        let budget = budget(BY_TOKENS);
        let account = paid(&budget, body).unwrap();
        settle(&account, body, &Came::Answer(USAGE, true));
        assert_eq!((account.spent(), account.tokens()), (150_000_000, (20, 3)), "{body}");
        assert!((cost(&budget) - 0.15).abs() < 1e-12, "{body}");
    }
}

#[test]
fn a_request_whose_own_limit_could_cost_too_much_is_refused() {
    let budget = budget(BY_TOKENS);
    assert_eq!(paid(&budget, r#"{"max_tokens": 91}"#).err(), Some(Code::Budget));
    assert!(paid(&budget, r#"{"max_tokens": 90}"#).is_ok());
    assert_eq!(paid(&budget, "{}").err(), Some(Code::Budget));
}

#[test]
fn what_was_set_aside_stays_where_nobody_knows_what_became_of_the_request() {
    let body = r#"{"max_tokens": 50}"#;
    for (came, spent) in [
        (Came::Unknown, 0.6),
        (Came::Nothing, 0.1),
        (Came::Answer(b"busy", false), 0.1),
        (Came::Answer(USAGE, false), 0.15),
        // Each byte counts, 18 and 4 of them.
        (Came::Answer(b"none", true), 0.158),
    ] {
        let budget = budget(BY_TOKENS);
        settle(&paid(&budget, body).unwrap(), body, &came);
        assert!((cost(&budget) - spent).abs() < 1e-12, "{spent} {}", cost(&budget));
    }
}

#[test]
fn what_is_left_is_told_where_there_is_a_limit() {
    let budget = budget(r#"{"calls": 3, "cost": 1, "price": {"m": 0.25}}"#);
    paid(&budget, "12345").unwrap();
    let told = serde_json::json!({"calls": 1, "bytes": 5, "cost": 0.25, "left": {"calls": 2, "cost": 0.75}});
    assert_eq!(budget.to_json(), told);
}

proptest! {
    #[test]
    fn exactly_as_many_requests_pass_as_the_money_buys(price in 1u32..1_000, count in 0u32..200) {
        let config = format!(r#"{{"cost": {}, "price": {{"*": {}}}}}"#,
            f64::from(price) * f64::from(count) / 1000.0, f64::from(price) / 1000.0);
        let budget = budget(&config);
        let passed = (0..count + 5).filter(|_| paid(&budget, "").is_ok()).count();
        prop_assert_eq!(passed, count as usize);
    }

    #[test]
    fn no_answer_breaks_the_sum(answers in proptest::collection::vec(any::<i128>(), 0..9)) {
        let budget = budget(r#"{"price": {"m": {"input_token": 1e9}}}"#);
        let mut before = 0.0;
        for tokens in answers {
            let answer = format!(r#"{{"usage": {{"prompt_tokens": {tokens}}}}}"#);
            settle(&paid(&budget, "{}").unwrap(), "{}", &Came::Answer(answer.as_bytes(), true));
            prop_assert!(cost(&budget) >= before);
            before = cost(&budget);
        }
    }
}
