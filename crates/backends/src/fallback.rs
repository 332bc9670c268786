//! Going on with the next device where one fails.

use std::sync::{Arc, Mutex};

use inhouse_engine::{EngineError, ErrorKind};

use crate::device::Device;
use crate::failure::Failure;
use crate::runner::lock;

/// Something that is loaded on the first of some devices that works.
pub(crate) struct Fallback<T, D = Device> {
    /// In the order they are tried in.
    devices: Vec<D>,
    /// The place of the device that is used, and what is loaded on it.
    current: Mutex<(usize, Arc<T>)>,
    notes: Mutex<Vec<String>>,
}

/// Loads it on a device. It fails where another device may do, and gives an error where none would.
pub(crate) type Load<'a, T, D = Device> =
    dyn Fn(&D) -> Result<Result<T, EngineError>, Failure> + 'a;

/// What it is loaded on.
pub(crate) trait Named {
    /// As users call it.
    fn name(&self) -> &'static str;
}

impl Named for Device {
    fn name(&self) -> &'static str {
        self.provider.name()
    }
}

impl<T, D: Named> Fallback<T, D> {
    /// Loads it on the first of `devices` that works, of those that `may_begin`: the others are only gone on with.
    /// `notes` say which were passed over before.
    ///
    /// # Errors
    /// No device works, or none would.
    pub(crate) fn load(
        devices: Vec<D>,
        mut notes: Vec<String>,
        may_begin: impl Fn(&D) -> bool,
        load: &Load<'_, T, D>,
    ) -> Result<Self, EngineError> {
        let each = devices.iter().enumerate();
        let begin = each.filter(|(_, device)| may_begin(device));
        let (place, loaded) = first_that_works(begin, &mut notes, load)?;
        Ok(Self {
            devices,
            current: Mutex::new((place, Arc::new(loaded))),
            notes: Mutex::new(notes),
        })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&lock(&self.current).1)
    }

    /// Nothing is left to go on with.
    pub(crate) fn is_on_the_last(&self) -> bool {
        lock(&self.current).0 + 1 >= self.devices.len()
    }

    /// Devices passed over or lost, and why.
    pub(crate) fn notes(&self) -> Vec<String> {
        lock(&self.notes).clone()
    }

    /// Goes on after `failed` failed with `failure`, unless somebody else has gone on already.
    ///
    /// # Errors
    /// No further device works.
    pub(crate) fn next_after(
        &self,
        failed: &Arc<T>,
        failure: Failure,
        load: &Load<'_, T, D>,
    ) -> Result<(), EngineError> {
        let mut current = lock(&self.current);
        let (place, now) = &*current;
        if !Arc::ptr_eq(now, failed) {
            return Ok(());
        }
        let next = place + 1;
        let lost = self.devices.get(*place).map_or("it", Named::name);
        if next >= self.devices.len() {
            return Err(failure.on(lost));
        }
        let mut notes = vec![format!("{lost} lost: {failure}")];
        let left = self.devices.iter().enumerate().skip(next);
        let found = first_that_works(left, &mut notes, load);
        if let Ok((place, _)) = &found {
            notes.push(format!("went on with {}", self.devices[*place].name()));
        }
        let mut known = lock(&self.notes);
        for note in notes {
            if !known.contains(&note) {
                known.push(note); // what fails at every run is told of once
            }
        }
        drop(known);
        let (place, loaded) = found?;
        *current = (place, Arc::new(loaded));
        Ok(())
    }
}

fn first_that_works<'d, T, D: Named + 'd>(
    devices: impl Iterator<Item = (usize, &'d D)>,
    notes: &mut Vec<String>,
    load: &Load<'_, T, D>,
) -> Result<(usize, T), EngineError> {
    let mut last = None;
    for (place, device) in devices {
        match load(device) {
            Ok(loaded) => return loaded.map(|loaded| (place, loaded)),
            Err(failure) => {
                notes.push(format!("{} passed over: {failure}", device.name()));
                last = Some((failure, device.name()));
            }
        }
    }
    Err(match last {
        Some((failure, device)) => failure.on(device),
        None => EngineError::new(
            ErrorKind::Device,
            "there is no execution provider to run on",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type OnNames<'a> = Load<'a, &'static str, &'static str>;

    impl Named for &'static str {
        fn name(&self) -> &'static str {
            self
        }
    }

    fn devices() -> Vec<&'static str> {
        vec!["first", "second", "cpu"]
    }

    /// Works on the devices whose names are given.
    fn on<'a>(names: &'a [&str]) -> Box<OnNames<'a>> {
        Box::new(|device| match names.contains(device) {
            true => Ok(Ok(device)),
            false => Err(Failure::Device("no driver".into())),
        })
    }

    #[test]
    fn the_first_device_that_works_is_taken_and_the_others_are_told_of() {
        let check = |works: &[&str], taken: &str, notes: &[&str]| {
            let place =
                Fallback::load(devices(), vec!["before".into()], |_| true, &on(works)).unwrap();
            assert_eq!(*place.current(), taken);
            assert_eq!(place.notes()[1..], *notes, "{works:?}");
        };
        check(&["first", "cpu"], "first", &[]);
        check(&["second"], "second", &["first passed over: no driver"]);
        check(
            &["cpu"],
            "cpu",
            &[
                "first passed over: no driver",
                "second passed over: no driver",
            ],
        );
    }

    #[test]
    fn a_device_that_may_not_begin_goes_on() {
        let works = on(&["cpu"]);
        let begun = Fallback::load(devices(), Vec::new(), |name| *name != "cpu", &works);
        assert_eq!(begun.err().unwrap().to_string(), "second failed: no driver");
        let works = on(&["second", "cpu"]);
        let place = Fallback::load(devices(), Vec::new(), |name| *name != "cpu", &works).unwrap();
        let lost = Failure::Device("it is gone".into());
        place.next_after(&place.current(), lost, &works).unwrap();
        assert_eq!(*place.current(), "cpu");
    }

    #[test]
    fn where_none_works_the_last_one_says_why() {
        let error = Fallback::load(devices(), Vec::new(), |_| true, &on(&[]))
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Device);
        assert_eq!(error.to_string(), "cpu failed: no driver");
        let error = Fallback::load(Vec::new(), Vec::new(), |_| true, &on(&[]))
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Device);
    }

    #[test]
    fn an_error_that_is_no_devices_fault_ends_the_search() {
        let error = Fallback::<(), _>::load(devices(), Vec::new(), |_| true, &|_| {
            Ok(Err(EngineError::config("a wrong graph")))
        });
        assert_eq!(error.err().unwrap().to_string(), "a wrong graph");
    }

    #[test]
    fn a_lost_device_is_left_once_and_the_last_one_is_not() {
        let works = on(&["first", "cpu"]);
        let place = Fallback::load(devices(), Vec::new(), |_| true, &works).unwrap();
        let lost = || Failure::Device("it is gone".into());
        let first = place.current();
        place.next_after(&first, lost(), &works).unwrap();
        place.next_after(&first, lost(), &works).unwrap(); // another run that failed with it
        assert_eq!(*place.current(), "cpu");
        assert!(place.is_on_the_last());
        let notes = [
            "first lost: it is gone",
            "second passed over: no driver",
            "went on with cpu",
        ];
        assert_eq!(place.notes(), notes);
        let error = place.next_after(&place.current(), lost(), &works);
        assert_eq!(error.unwrap_err().to_string(), "cpu failed: it is gone");
    }

    #[test]
    fn what_fails_again_and_again_is_told_of_once() {
        let place = Fallback::load(devices(), Vec::new(), |_| true, &on(&["first"])).unwrap();
        for _ in 0..3 {
            let lost = Failure::Device("it is gone".into());
            let error = place.next_after(&place.current(), lost, &on(&[]));
            assert_eq!(error.unwrap_err().to_string(), "cpu failed: no driver");
        }
        assert_eq!(place.notes().len(), 3, "{:?}", place.notes());
    }
}
