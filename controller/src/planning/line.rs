//! Who is planned next: namespaces in turn, so that the many jobs of one keep nobody else's waiting. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// The line of a few places.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// By namespace.
    waiting: BTreeMap<String, VecDeque<T>>,
    /// Whose turn it was last.
    last: String,
    free: usize,
}

impl<T> Line<T> {
    /// A line before so many places.
    pub(super) fn new(places: usize) -> Self {
        Self { waiting: BTreeMap::new(), last: String::new(), free: places }
    }

    /// One more waits.
    pub(super) fn join(&mut self, namespace: String, item: T) {
        self.waiting.entry(namespace).or_default().push_back(item);
    }

    /// Those who are meant wait no more.
    pub(super) fn leave(&mut self, is_meant: impl Fn(&T) -> bool) {
        for items in self.waiting.values_mut() {
            items.retain(|item| !is_meant(item));
        }
        self.waiting.retain(|_, items| !items.is_empty());
    }

    /// Whoever is next, if a place is free: it is taken then.
    pub(super) fn next(&mut self) -> Option<T> {
        if self.free == 0 {
            return None;
        }
        let after = self.waiting.range::<str, _>((Excluded(self.last.as_str()), Unbounded)).next();
        let namespace = after.or_else(|| self.waiting.first_key_value())?.0.clone();
        let items = self.waiting.get_mut(&namespace)?;
        let item = items.pop_front()?;
        if items.is_empty() {
            self.waiting.remove(&namespace);
        }
        self.last = namespace;
        self.free -= 1;
        Some(item)
    }

    /// A place is free again.
    pub(super) fn ended(&mut self) {
        self.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_take_turns_and_who_leaves_is_not_waited_for() {
        let mut line = Line::new(2);
        for number in 0..100 {
            line.join("many".to_owned(), number);
        }
        assert_eq!([line.next(), line.next(), line.next()], [Some(0), Some(1), None], "two places");
        line.join("one".to_owned(), 1000);
        line.join("another".to_owned(), 2000);
        line.ended();
        assert_eq!(line.next(), Some(1000), "after those of `many` in the order of names");
        line.ended();
        assert_eq!(line.next(), Some(2000));
        line.ended();
        assert_eq!(line.next(), Some(2));
        line.leave(|&number| number != 50);
        line.ended();
        assert_eq!(line.next(), Some(50));
        line.ended();
        assert_eq!(line.next(), None);
    }
}
