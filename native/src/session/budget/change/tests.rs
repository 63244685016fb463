use std::sync::Arc;

use proptest::prelude::*;

use super::super::BudgetConfig;
use super::*;
use crate::session::credential::Resolver;

fn budget(text: &str) -> Budget {
    let config: BudgetConfig = serde_json::from_str(text).unwrap();
    Budget::new(config).unwrap().open(None).unwrap()
}

#[test]
fn a_broker_spends_within_the_limits_and_gives_back() {
    let budget = budget(r#"{"calls": 5, "bytes": 100}"#);
    assert_eq!(budget.change(r#"{"spend": {"calls": 4, "cost_billionths": 7}}"#).unwrap()["calls"], 4);
    assert_eq!(budget.change(r#"{"spend": {"calls": 2}}"#).unwrap_err().code, Code::Budget);
    assert_eq!(budget.change(r#"{"count": {"calls": -3, "bytes": 200}}"#).unwrap()["bytes"], 200);
    assert_eq!(budget.change("null").unwrap(), json!({"calls": 1, "bytes": 200, "cost_billionths": 7}));
    assert_eq!(budget.change(r#"{"spend": {"bytes": 1}}"#).unwrap_err().code, Code::Budget);
}

#[test]
fn what_is_no_change_is_refused() {
    let budget = budget(r#"{"calls": 5}"#);
    for text in ["", "{}", r#"{"spend": {"calls": -1}}"#, r#"{"spend": {"x": 1}}"#, r#"{"allow": {"calls": 1}}"#] {
        assert_eq!(budget.change(text).unwrap_err().code, Code::Scope, "{text}");
    }
}

#[test]
fn a_budget_that_is_lent_needs_a_host() {
    let config: BudgetConfig = serde_json::from_str(r#"{"lent": true}"#).unwrap();
    assert_eq!(Budget::new(config).unwrap().open(None).unwrap_err().code, Code::Scope);
}

#[test]
fn a_budget_that_is_lent_is_allowed_and_not_spent_by_hand() {
    struct Nobody;
    impl Resolver for Nobody {
        fn resolve(&self, _: &str) -> Result<Vec<u8>, String> {
            Err("nobody".into())
        }
    }
    let lender: Arc<dyn Resolver> = Arc::new(Nobody);
    let config: BudgetConfig = serde_json::from_str(r#"{"calls": 5, "lent": true}"#).unwrap();
    let budget = Budget::new(config).unwrap().open(Some(&lender)).unwrap();
    assert_eq!(budget.change(r#"{"allow": {"calls": 3}}"#).unwrap()["calls"], 0);
    assert_eq!(budget.to_json()["left"]["calls"], 3);
    assert_eq!(budget.change(r#"{"spend": {"calls": 1}}"#).unwrap_err().code, Code::Scope);
}

proptest! {
    #[test]
    fn the_limit_is_never_passed_by_spending(amounts in proptest::collection::vec(any::<u64>(), 0..20), limit: u64) {
        let budget = budget(&format!(r#"{{"calls": {limit}}}"#));
        for calls in amounts {
            let _ = budget.change(&format!(r#"{{"spend": {{"calls": {calls}}}}}"#));
            prop_assert!(budget.purse.spent().calls <= limit);
        }
    }
}
