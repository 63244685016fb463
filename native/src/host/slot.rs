//! What the kernels of a registration belong to.

use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Whether a kernel has asked for it.
    used: AtomicBool,
}

impl ScopeSlot {
    /// The owner of each kernel is the one that `find` has for it.
    pub fn of_each(find: impl Fn(&KernelInfo) -> Result<Owner, OrtError> + Send + Sync + 'static) -> Self {
        Self { find: Some(Box::new(find)), ..Self::default() }
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
        let owner = lock(&self.owner);
        self.used.store(true, Ordering::Relaxed); // under the lock, as it is read
        owner.clone()
    }

    /// Hands the next kernels to `owner`.
    pub fn set(&self, owner: Owner) {
        let replaced = std::mem::replace(&mut *lock(&self.owner), owner);
        // Dropped here, after the lock: closing connections takes its time.
        drop(replaced);
    }

    /// Whether it had kernels, and has none any more: the sessions that it was made for are over.
    pub fn is_left(&self) -> bool {
        let owner = lock(&self.owner);
        self.used.load(Ordering::Relaxed) && Arc::strong_count(&owner.scope) == 1
    }

    /// Hands the next kernels to a scope that had none.
    pub fn begin(&self, scope: Scope) {
        self.set_scope(Arc::new(scope));
        self.used.store(false, Ordering::Relaxed);
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
    fn a_slot_is_left_when_the_last_of_its_kernels_is_gone() {
        let slot = ScopeSlot::default();
        slot.begin(Scope::default());
        assert!(!slot.is_left());
        let kernels = (slot.owner(), slot.owner());
        assert!(!slot.is_left());
        drop(kernels);
        assert!(slot.is_left());
        slot.begin(Scope::default());
        assert!(!slot.is_left());
    }

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
