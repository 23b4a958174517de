//! One page: loaded, measured, rendered.

use pdfium_render::prelude::{
    PdfBitmap, PdfBitmapFormat, PdfDocument, PdfPage, PdfPageObject, PdfPageObjectCommon, PdfPageObjectType,
    PdfPageObjectsCommon, PdfRenderConfig, PdfiumError,
};

use crate::base::{Budget, Fault, FaultKind, Limit, Page, Raster, TextLayer, Unit, grid::Grid, visual::for_print};

use super::{
    super::{order::Order, output::refuse},
    layer::{self, View, edges},
};

/// Renders page `number` (from 1) of a document.
pub fn render(document: &PdfDocument<'_>, number: u32, order: &Order) -> Result<Unit, Fault> {
    let index = i32::try_from(number).unwrap_or(i32::MAX) - 1;
    let page = document.pages().get(index).map_err(|error| damaged("loaded", &error))?;
    let text = text(&page, order).map_err(|error| damaged("read as text", &error))?;
    let grid = fit(&page, text.as_ref(), order)?;
    let raster = draw(&page, grid).map_err(|error| damaged("drawn", &error))?;
    Ok(Unit::Page(Page { raster, text }))
}

/// The size in pixels: never larger than the budget asks for, whatever the page's size in points.
fn fit(page: &PdfPage<'_>, text: Option<&TextLayer>, order: &Order) -> Result<Grid, Fault> {
    let (width, height) = (f64::from(page.width().value), f64::from(page.height().value));
    let positive = |side: f64| side.is_finite() && side > 0.0;
    if !positive(width) || !positive(height) {
        let message = format!("the page is {width} x {height} points: it has no area");
        return Err(refuse(FaultKind::Corrupt, message, "repair it with a PDF tool"));
    }
    let most = order.limits.pixels;
    if width * height > most as f64 {
        let message = format!("the page is {width:.0} x {height:.0} points, the limit is {most} square points");
        return Err(refuse(FaultKind::TooLarge, message, "raise `[decode.limits] pixels`").over(Limit::Pixels));
    }
    // Hundredths of a point keep the shape of small pages.
    let fine = |side: f64| (side * 100.0).round().clamp(1.0, f64::from(u32::MAX)) as u32;
    let (width, height) = (fine(width), fine(height));
    let budget = match (order.render.page_budget, text) {
        (Budget::Auto, Some(layer)) if !may_hold_more_print(page) => for_print(layer, width, height),
        (budget, _) => budget.most(),
    };
    let grid = Grid::fit(width, height, budget)
        .map(|grid| Grid { width: grid.width * order.tiles, height: grid.height * order.tiles });
    grid.ok_or_else(|| refuse(FaultKind::Corrupt, "the page has no area", "repair it with a PDF tool"))
}

/// True when the page may hold print that its text layer does not: pictures, whole, in strips or in forms, take a
/// quarter of it, or it is drawn of many lines.
fn may_hold_more_print(page: &PdfPage<'_>) -> bool {
    const MOST_OBJECTS: usize = 10_000;
    /// Frames and rules of tables take some hundred.
    const MOST_PATHS: usize = 500;
    let Ok(view) = View::of(page) else { return true };
    let share = |object: &PdfPageObject<'_>| {
        let share = object.bounds().map_or(0.0, |bounds| view.share(edges(bounds.to_rect())));
        // Of a box that is no number, zero.
        share.max(0.0)
    };
    let (mut covered, mut paths) = (0.0, 0);
    page.objects().iter().take(MOST_OBJECTS).any(|object| {
        match object.object_type() {
            PdfPageObjectType::Image | PdfPageObjectType::XObjectForm | PdfPageObjectType::Shading => {
                covered += share(&object);
            }
            PdfPageObjectType::Path => paths += 1,
            _ => {}
        }
        covered > 0.25 || paths > MOST_PATHS
    })
}

/// Draws into our own buffer: the sides of a grid are multiples of 48, so rows need no padding.
fn draw(page: &PdfPage<'_>, grid: Grid) -> Result<Raster, PdfiumError> {
    let (width, height) = (grid.width as i32, grid.height as i32);
    let mut rgb = vec![0; grid.width as usize * grid.height as usize * 3];
    let config = PdfRenderConfig::new()
        .set_format(PdfBitmapFormat::BGR)
        .set_reverse_byte_order(true)
        .set_fixed_size(width, height)
        .render_form_data(true)
        .render_annotations(true);
    let mut bitmap = PdfBitmap::from_bytes(width, height, PdfBitmapFormat::BGR, &mut rgb)?;
    page.render_into_bitmap_with_config(&mut bitmap, &config)?;
    drop(bitmap);
    Ok(Raster { width: grid.width, height: grid.height, rgb })
}

fn text(page: &PdfPage<'_>, order: &Order) -> Result<Option<TextLayer>, PdfiumError> {
    if order.text_layer { layer::read(page) } else { Ok(None) }
}

fn damaged(verb: &str, error: &PdfiumError) -> Fault {
    refuse(FaultKind::Corrupt, format!("the page cannot be {verb}: {error:?}"), "repair the file with a PDF tool")
}
