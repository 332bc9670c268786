//! Stop strings in a text that arrives in pieces.

use crate::error::EngineError;

/// Looks for stop strings and lets through what can be no part of one.
///
/// The match that begins first in the whole text wins, and of those that begin together the shortest: that is the
/// one a plain search finds, however the text is cut into pieces. Text that may still turn out to be the beginning of
/// a stop string is held back until it cannot.
#[derive(Clone, Debug, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    matched: Option<usize>,
}

impl StopStrings {
    /// Looks for any of `stops`.
    ///
    /// # Errors
    /// An empty stop string.
    pub fn new(stops: &[String]) -> Result<Self, EngineError> {
        if stops.iter().any(String::is_empty) {
            return Err(EngineError::options(
                "a stop string is empty; it must have at least one character",
            ));
        }
        Ok(Self {
            stops: stops.to_vec(),
            ..Self::default()
        })
    }

    /// Takes the next piece of text and gives what may be printed now.
    pub fn push(&mut self, text: &str) -> String {
        self.advance(text, false)
    }

    /// The text has ended: gives what was held back, up to a stop string in it.
    pub fn finish(&mut self) -> String {
        self.advance("", true)
    }

    /// Which stop string was found, as an index into those given; nothing is let through from then on.
    pub fn matched(&self) -> Option<usize> {
        self.matched
    }

    fn advance(&mut self, text: &str, ended: bool) -> String {
        if self.matched.is_some() {
            return String::new();
        }
        self.held.push_str(text);
        let mut free = self.held.len();
        for (start, _) in self.held.char_indices() {
            let rest = &self.held[start..];
            self.matched = self.shortest_at(rest);
            if self.matched.is_some() || (!ended && self.may_begin(rest)) {
                free = start;
                break;
            }
        }
        let kept = self.held.split_off(free);
        std::mem::replace(&mut self.held, kept)
    }

    fn shortest_at(&self, rest: &str) -> Option<usize> {
        let found = self
            .stops
            .iter()
            .enumerate()
            .filter(|(_, stop)| rest.starts_with(stop.as_str()));
        found
            .min_by_key(|(_, stop)| stop.len())
            .map(|(index, _)| index)
    }

    fn may_begin(&self, rest: &str) -> bool {
        self.stops
            .iter()
            .any(|stop| stop.len() > rest.len() && stop.starts_with(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pushes `pieces` and compares what each lets through, with what the end does (marked `$`), and the match.
    fn check(stops: &[&str], pieces: &[&str], expected: &[&str], matched: Option<usize>) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut search = StopStrings::new(&stops).unwrap();
        let mut printed: Vec<String> = pieces.iter().map(|piece| search.push(piece)).collect();
        printed.push(search.finish());
        assert_eq!(printed, expected);
        assert_eq!(search.matched(), matched);
    }

    #[test]
    fn without_stop_strings_everything_passes() {
        check(&[], &["a", "", "bc"], &["a", "", "bc", ""], None);
    }

    #[test]
    fn a_stop_string_in_one_piece_cuts_the_text() {
        check(&["END"], &["the END of"], &["the ", ""], Some(0));
    }

    #[test]
    fn a_stop_string_over_three_pieces_is_never_printed() {
        check(
            &["<|end|>"],
            &["hi <", "|en", "d|> more", "x"],
            &["hi ", "", "", "", ""],
            Some(0),
        );
    }

    #[test]
    fn a_beginning_is_released_when_it_cannot_become_a_stop_string() {
        check(&["abc"], &["xab", "d", "ab"], &["x", "abd", "", "ab"], None);
        check(&["aab"], &["aa", "a", "b"], &["", "a", "", ""], Some(0));
    }

    #[test]
    fn the_earlier_beginning_wins_over_the_earlier_end() {
        check(
            &["abcd", "bc"],
            &["a", "b", "c", "d"],
            &["", "", "", "", ""],
            Some(0),
        );
        check(
            &["abcd", "bc"],
            &["a", "b", "c", "x"],
            &["", "", "", "a", ""],
            Some(1),
        );
        check(
            &["abcd", "bc"],
            &["a", "b", "c"],
            &["", "", "", "a"],
            Some(1),
        );
    }

    #[test]
    fn the_shorter_of_two_with_one_beginning_wins() {
        check(&["abc", "ab"], &["a", "b", "c"], &["", "", "", ""], Some(1));
    }

    #[test]
    fn stop_strings_of_several_bytes_a_character_work() {
        check(
            &["日本"],
            &["今日", "は日", "本"],
            &["今", "日は", "", ""],
            Some(0),
        );
        check(&["é!", "ü"], &["café", "!"], &["caf", "", ""], Some(0));
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        let error = StopStrings::new(&[String::new()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a stop string is empty; it must have at least one character"
        );
    }

    /// What is to be printed, and the winning stop string, by searching the whole text.
    fn plain(stops: &[String], text: &str) -> (String, Option<usize>) {
        let found = stops
            .iter()
            .enumerate()
            .filter_map(|(index, stop)| Some((text.find(stop)?, stop.len(), index)));
        found
            .min()
            .map_or((text.to_owned(), None), |(start, _, index)| {
                (text[..start].to_owned(), Some(index))
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_split_agrees_with_a_plain_search(
            stops in prop::collection::vec("[abé]{1,4}", 0..4),
            pieces in prop::collection::vec("[abé]{0,3}", 0..12),
        ) {
            let text = pieces.concat();
            let expected = plain(&stops, &text);
            let mut search = StopStrings::new(&stops).unwrap();
            let mut printed = String::new();
            for piece in &pieces {
                printed += &search.push(piece);
                prop_assert!(expected.0.starts_with(&printed));
            }
            printed += &search.finish();
            prop_assert_eq!((printed, search.matched()), expected);
        }

        #[test]
        fn nothing_is_held_that_cannot_begin_a_stop_string(
            stops in prop::collection::vec("[ab]{1,4}", 1..4),
            pieces in prop::collection::vec("[abc]{0,3}", 0..12),
        ) {
            let mut search = StopStrings::new(&stops).unwrap();
            let (mut pushed, mut printed) = (String::new(), String::new());
            for piece in &pieces {
                pushed += piece;
                printed += &search.push(piece);
                let held = &pushed[printed.len()..];
                let may_grow = held.is_empty() || stops.iter().any(|stop| stop.starts_with(held));
                prop_assert!(search.matched().is_some() || may_grow);
            }
        }
    }
}
