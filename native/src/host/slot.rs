//! What the kernels of a registration belong to.

use std::sync::{Arc, Mutex};

use crate::call::tickets::Tickets;
use crate::failure::Problem;
use crate::guard::lock;
use crate::ort::{KernelInfo, OrtError};
use crate::session::scope::Scope;

/// A scope, and the tickets that its `Begin` nodes give to its `Await` nodes.
///
/// An open ticket holds a call, and a call its scope. So the tickets are held beside the scope, not by it.
#[derive(Clone, Default)]
pub struct Owner {
    /// The scope.
    pub scope: Arc<Scope>,
    /// Its calls that were begun and not yet awaited.
    pub tickets: Arc<Tickets>,
}

/// Finds the owner of a kernel that is created.
type Find = Box<dyn Fn(&KernelInfo) -> Result<Owner, OrtError> + Send + Sync>;

/// The owner of the kernels that a registration creates from now on; at first a scope that nothing else belongs to.
#[derive(Default)]
pub struct ScopeSlot {
    owner: Mutex<Owner>,
    /// Where one registration serves many sessions, what finds each kernel's owner.
    find: Option<Find>,
}

impl ScopeSlot {
    /// The owner of each kernel is the one that `find` has for it.
    pub fn of_each(find: impl Fn(&KernelInfo) -> Result<Owner, OrtError> + Send + Sync + 'static) -> Self {
        Self { owner: Mutex::default(), find: Some(Box::new(find)) }
    }

    /// The owner of the kernel that is created with `info`.
    pub fn owner_of(&self, info: &KernelInfo) -> Result<Owner, Problem> {
        match &self.find {
            None => Ok(self.owner()),
            Some(find) => Ok(find(info)?),
        }
    }

    /// The owner of the next kernel.
    pub fn owner(&self) -> Owner {
        lock(&self.owner).clone()
    }

    /// Hands the next kernels to `owner`.
    pub fn set(&self, owner: Owner) {
        let replaced = std::mem::replace(&mut *lock(&self.owner), owner);
        // Dropped here, after the lock: closing connections takes its time.
        drop(replaced);
    }

    /// Hands the next kernels to `scope`. Where it is the scope of those before, they share their tickets.
    pub fn set_scope(&self, scope: Arc<Scope>) {
        let mut owner = lock(&self.owner);
        if !Arc::ptr_eq(&owner.scope, &scope) {
            let replaced = std::mem::replace(&mut *owner, Owner { scope, tickets: Arc::default() });
            drop(owner); // before what was replaced, as in `set`
            drop(replaced);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_set_again_keeps_its_tickets() {
        let (slot, scope) = (ScopeSlot::default(), Arc::<Scope>::default());
        slot.set_scope(scope.clone());
        let first = slot.owner();
        slot.set_scope(scope);
        assert!(Arc::ptr_eq(&first.tickets, &slot.owner().tickets));
        slot.set_scope(Arc::default());
        assert!(!Arc::ptr_eq(&first.tickets, &slot.owner().tickets));
    }
}
