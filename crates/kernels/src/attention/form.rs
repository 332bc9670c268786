//! The forms that keys and values come in.

use half::f16;

use super::KvPage;
use crate::simd::Element;

/// One form of [`KvPage`]. All pages of a sequence have the same.
pub(super) trait Form: Copy + Send + Sync {
    type Key: Element;
    type Value: Element;

    /// Keys, and where there are scales those.
    fn keys<'a>(page: &KvPage<'a>) -> (&'a [Self::Key], Option<&'a [f32]>);
    /// Values.
    fn values<'a>(page: &KvPage<'a>) -> (&'a [Self::Value], Option<&'a [f32]>);
}

/// Calls with the form of a page what is generic over it.
macro_rules! with_form {
    ($page:expr, $form:ident => $call:expr) => {
        match $page {
            None | Some(KvPage::Half { .. }) => {
                type $form = $crate::attention::form::Half;
                $call
            }
            Some(KvPage::F32 { .. }) => {
                type $form = $crate::attention::form::Single;
                $call
            }
            Some(KvPage::Int8 { .. }) => {
                type $form = $crate::attention::form::Int8;
                $call
            }
        }
    };
}
pub(super) use with_form;

/// What a page is asked for that has another form.
#[cold]
fn mixed() -> ! {
    panic!("the pages of a sequence are of several forms")
}

#[derive(Clone, Copy)]
pub(super) struct Half;

impl Form for Half {
    type Key = i16;
    type Value = f16;

    #[inline(always)]
    fn keys<'a>(page: &KvPage<'a>) -> (&'a [i16], Option<&'a [f32]>) {
        match *page {
            KvPage::Half { k, k_scales, .. } => (k, Some(k_scales)),
            _ => mixed(),
        }
    }
    #[inline(always)]
    fn values<'a>(page: &KvPage<'a>) -> (&'a [f16], Option<&'a [f32]>) {
        match *page {
            KvPage::Half { v, .. } => (v, None),
            _ => mixed(),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Single;

impl Form for Single {
    type Key = f32;
    type Value = f32;

    #[inline(always)]
    fn keys<'a>(page: &KvPage<'a>) -> (&'a [f32], Option<&'a [f32]>) {
        match *page {
            KvPage::F32 { k, .. } => (k, None),
            _ => mixed(),
        }
    }
    #[inline(always)]
    fn values<'a>(page: &KvPage<'a>) -> (&'a [f32], Option<&'a [f32]>) {
        match *page {
            KvPage::F32 { v, .. } => (v, None),
            _ => mixed(),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Int8;

impl Form for Int8 {
    type Key = i8;
    type Value = i8;

    #[inline(always)]
    fn keys<'a>(page: &KvPage<'a>) -> (&'a [i8], Option<&'a [f32]>) {
        match *page {
            KvPage::Int8 { k, k_scales, .. } => (k, Some(k_scales)),
            _ => mixed(),
        }
    }
    #[inline(always)]
    fn values<'a>(page: &KvPage<'a>) -> (&'a [i8], Option<&'a [f32]>) {
        match *page {
            KvPage::Int8 { v, v_scales, .. } => (v, Some(v_scales)),
            _ => mixed(),
        }
    }
}
