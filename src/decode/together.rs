//! Documents of pages: which pages make a unit together, and how its pages become one.

use crate::base::{Fault, FaultKind, Part, Unit};

use super::{
    order::Order,
    output::{Output, refuse},
    several::Several,
};

/// The wanted parts of a document of `of` pages: the pages one by one, or as many in a row as make one unit. Pages that do not
/// follow each other are never put together, nor those behind the `found` pages that are there.
///
/// # Errors
/// `Empty` when it has none of the wanted pages.
pub fn parts(order: &Order, of: u32, found: u32) -> Result<Vec<Part>, Fault> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in order.pages.of(of) {
        let joins = |first, last| last + 1 == number && number - first < order.pages_per_unit && number <= found;
        match runs.last_mut() {
            Some((first, last)) if joins(*first, *last) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    if runs.is_empty() {
        let message = format!("it has {of} pages, and `pages = \"{}\"` is none of them", order.pages);
        return Err(refuse(FaultKind::Empty, message, "change `pages` or leave the file out"));
    }
    let part = |(first, last)| match first == last {
        true => Part::Page { number: first, of },
        false => Part::Pages { first, last, of },
    };
    Ok(runs.into_iter().map(part).collect())
}

/// Promises these parts and makes those that are granted, page by page.
///
/// # Errors
/// When nobody listens any more. What is wrong with a page is a fault of its unit.
pub fn make(
    parts: &[Part],
    order: &Order,
    out: &mut dyn Output,
    mut page: impl FnMut(u32) -> Result<Unit, Fault>,
) -> Result<(), Fault> {
    let granted = out.promise(parts)?;
    for &part in &parts[..granted.min(parts.len())] {
        let Some((first, last)) = part.pages().filter(|_| !out.passed_over()) else { continue };
        let made = match first == last {
            true => page(first),
            false => several(first..=last, order, out, &mut page)?,
        };
        match made {
            Ok(unit) => out.unit(part, unit)?,
            Err(fault) => out.fault(part, fault)?,
        }
    }
    Ok(())
}

/// The outer error is that nobody listens.
fn several(
    numbers: impl Iterator<Item = u32>,
    order: &Order,
    out: &mut dyn Output,
    page: &mut impl FnMut(u32) -> Result<Unit, Fault>,
) -> Result<Result<Unit, Fault>, Fault> {
    let (mut pages, mut bytes) = (Vec::new(), 0_u64);
    for number in numbers {
        match page(number) {
            Ok(unit) => {
                bytes = bytes.saturating_add(unit.bytes());
                pages.push(unit);
            }
            Err(fault) => return Ok(Err(named(fault, number))),
        }
        if let Err(fault) = Several::Pages.check(bytes, order.limits.pixels) {
            return Ok(Err(fault));
        }
        out.heartbeat()?;
    }
    Ok(Ok(Unit::Pages(pages)))
}

fn named(fault: Fault, number: u32) -> Fault {
    let hint = format!("{}; with `pages_per_unit = 1` the pages beside it come through", fault.hint);
    Fault { message: format!("page {number}: {}", fault.message), hint, ..fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Limit, Raster},
        decode::{Gathered, Render, Settings},
    };

    fn order(pages: &str, pages_per_unit: u32) -> Order {
        Order::new(&Settings { pages: pages.to_owned(), pages_per_unit, ..Settings::default() }, Render::SMALLEST)
            .unwrap()
    }

    fn spans(pages: &str, pages_per_unit: u32, of: u32) -> Vec<(u32, u32)> {
        parts(&order(pages, pages_per_unit), of, of).unwrap().iter().filter_map(Part::pages).collect()
    }

    fn dot(number: u32) -> Unit {
        Unit::Image(Raster { width: 1, height: 1, rgb: vec![number as u8; 3] })
    }

    #[test]
    fn pages_in_a_row_make_a_unit_together() {
        assert_eq!(spans("", 1, 3), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(spans("", 2, 5), [(1, 2), (3, 4), (5, 5)]);
        assert_eq!(spans("2-4,6-", 2, 8), [(2, 3), (4, 4), (6, 7), (8, 8)]);
        assert_eq!(spans("", 64, 3), [(1, 3)]);
        assert_eq!(parts(&order("", 2), 3, 3).unwrap()[1], Part::Page { number: 3, of: 3 }, "one page is a page");
        assert_eq!(parts(&order("2-", 1), 1, 1).unwrap_err().kind, FaultKind::Empty);
        let behind = parts(&order("", 4), 3, 2).unwrap();
        assert_eq!(
            behind,
            [Part::Pages { first: 1, last: 2, of: 3 }, Part::Page { number: 3, of: 3 }],
            "it is not there"
        );
    }

    #[test]
    fn a_page_that_fails_is_named_and_costs_its_unit_alone() {
        let (order, mut out) = (order("", 2), Gathered::default());
        let broken = |number| match number {
            3 => Err(refuse(FaultKind::Corrupt, "the page cannot be drawn", "repair it")),
            _ => Ok(dot(number)),
        };
        make(&parts(&order, 5, 5).unwrap(), &order, &mut out, broken).unwrap();
        let [(_, Ok(first)), (_, Err(fault)), (_, Ok(last))] = &out.settled[..] else { panic!("{:?}", out.settled) };
        assert_eq!((first, last), (&Unit::Pages(vec![dot(1), dot(2)]), &dot(5)));
        assert!(fault.message.starts_with("page 3: ") && fault.hint.contains("pages_per_unit"), "{fault:?}");
    }

    #[test]
    fn pages_that_are_too_large_together_are_refused_before_all_are_made() {
        let (mut order, mut out) = (order("", 9), Gathered::default());
        order.limits.pixels = 2;
        let mut made = 0;
        make(&parts(&order, 9, 9).unwrap(), &order, &mut out, |number| {
            made += 1;
            Ok(dot(number))
        })
        .unwrap();
        let [(_, Err(fault))] = &out.settled[..] else { panic!("{:?}", out.settled) };
        assert_eq!((fault.kind, fault.limit, made), (FaultKind::TooLarge, Some(Limit::Pixels), 3));
    }
}
