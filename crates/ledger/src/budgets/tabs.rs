//! What single requests have run up, for budgets whose window is the request.

use std::collections::{HashMap, VecDeque};

use inhouse_chat::Money;

/// How many requests are remembered after their last attempt.
const REMEMBERED: usize = 4_096;

/// Requests and what they may have cost so far, in memory.
#[derive(Debug, Default)]
pub(crate) struct Tabs {
    open: HashMap<Box<str>, Tab>,
    /// In the order of their first attempts.
    order: VecDeque<Box<str>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tab {
    pub(super) spent: Money,
    pub(super) reserved: Money,
    /// Attempts under way.
    live: usize,
}

impl Tabs {
    pub(super) fn read(&self, request: &str) -> Tab {
        self.open.get(request).copied().unwrap_or_default()
    }

    pub(super) fn reserve(&mut self, request: &str, amount: Money) {
        if let Some(tab) = self.open.get_mut(request) {
            tab.reserved += amount;
            tab.live += 1;
            return;
        }
        self.forget();
        let tab = Tab {
            reserved: amount,
            live: 1,
            ..Tab::default()
        };
        self.open.insert(request.into(), tab);
        self.order.push_back(request.into());
    }

    pub(super) fn settle(&mut self, request: &str, reserved: Money, spent: Money) {
        if let Some(tab) = self.open.get_mut(request) {
            tab.reserved = super::counter::less(tab.reserved, reserved);
            tab.spent += spent;
            tab.live = tab.live.saturating_sub(1);
        }
    }

    /// Makes room. Requests with attempts under way stay, at the end of the line.
    fn forget(&mut self) {
        for _ in 0..self.order.len() {
            if self.order.len() < REMEMBERED {
                return;
            }
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if self.open.get(&oldest).is_some_and(|tab| tab.live > 0) {
                self.order.push_back(oldest);
            } else {
                self.open.remove(&oldest);
            }
        }
    }
}
