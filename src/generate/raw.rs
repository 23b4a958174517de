//! The one place where tensors are handed to ONNX Runtime by pointer: views of our own memory as inputs, the same
//! memory, of the host or of a card, as input and output at once (past and present keys and values), and outputs that are
//! read where they lie.
//!
//! `ort` opens the sessions; its own `run` and `IoBinding` are not used here, because binding a borrowed tensor
//! deadlocks in 2.0.0-rc.15 (the clone that it makes goes through the same lock twice).
//!
//! # SAFETY
//! - Every pointer given to `Run` comes from a borrow that lives as long as its [`Call`], which `run` consumes; `Run`
//!   is synchronous, on cards too (it waits for their stream before it returns, unless told otherwise by an option that
//!   we do not set), so ONNX Runtime holds no pointer when it returns.
//! - The options of a run outlive it: its [`Watched`](super::watchdog::Watched) is held until `Run` has returned. Another
//!   thread only sets their flag, which ONNX Runtime allows while a run reads it.
//! - A view's length in bytes is checked against its shape before the pointer is handed over.
//! - A tensor without elements is a view of no bytes; its pointer is aligned, not null, and never read.
//! - Inputs are never written by ONNX Runtime. Memory that is written is a [`Region`], which borrows mutably.
//! - A [`Region`] on a card is described to ONNX Runtime as what it is, and its pointer is never read here. Who makes one
//!   answers for the pointer ([`Region::on_card`]).
//! - A [`Fetched`] owns its `OrtValue` and is the only one to touch its data; its element type and shape are asked of
//!   ONNX Runtime when it is made, and data is only given out as the type it has. It lies on the host, whatever the
//!   device: that is where `Run` puts outputs that it allocates itself.
//! - A [`Fetched`] keeps the session alive whose allocator its memory came from.
#![allow(unsafe_code)]

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    ffi::c_void,
    marker::PhantomData,
    ptr::{self, NonNull},
    sync::Arc,
    time::Instant,
};

use ort::{
    AsPointer,
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
    ortsys,
    session::SharedSessionInner,
    sys,
};

pub(super) use super::element::{Element, Native};
use super::network::{Input, Network, Output};

/// Zeroed memory whose pages the system gives only when they are touched; aligned to cache lines.
pub(super) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is owned and reached only through borrows of `Memory`.
unsafe impl Send for Memory {}

impl Memory {
    const ALIGNMENT: usize = 64;

    /// `None` when there is not that much.
    pub(super) fn zeroed(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.max(Self::ALIGNMENT), Self::ALIGNMENT).ok()?;
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { start, layout })
    }

    /// All of it, to be copied from and into between runs.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the allocation is initialised (zeroed), owned, and mutably borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }

    /// The same, to be read.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: as in `bytes_mut`, and borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }

    /// A part of it, to be read and written by ONNX Runtime. `None` beyond the end.
    pub(super) fn region(&mut self, offset: usize, bytes: usize) -> Option<Region<'_>> {
        let end = offset.checked_add(bytes)?;
        if end > self.layout.size() {
            return None;
        }
        // SAFETY: `offset` lies within the allocation.
        Some(Region { start: unsafe { self.start.add(offset) }, bytes, card: None, owner: PhantomData })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A mutably borrowed part of a [`Memory`], or of that of a card.
pub(super) struct Region<'a> {
    start: NonNull<u8>,
    bytes: usize,
    /// The card that it lies on, as CUDA counts them; none for the host.
    card: Option<u32>,
    owner: PhantomData<&'a mut [u8]>,
}

impl Region<'_> {
    /// # Safety
    /// At `start` so many bytes of this card's memory must be allocated, and must be nobody else's to reach, for as long
    /// as the region lives.
    pub(super) unsafe fn on_card(start: NonNull<u8>, bytes: usize, ordinal: u32) -> Self {
        Self { start, bytes, card: Some(ordinal), owner: PhantomData }
    }
}

/// A value of ONNX Runtime that we release.
struct Handle(NonNull<sys::OrtValue>);

impl Drop for Handle {
    fn drop(&mut self) {
        ortsys![unsafe ReleaseValue(self.0.as_ptr())];
    }
}

/// One run of a session: what is fed, what is fetched, what is shared.
pub(super) struct Call<'a> {
    network: &'a mut Network,
    /// What ONNX Runtime is told of memory of the host.
    host: MemoryInfo<'static>,
    /// The same of memory of a card, by its number, once there is some.
    card: Option<(u32, MemoryInfo<'static>)>,
    inputs: Vec<(Input, *const sys::OrtValue)>,
    outputs: Vec<(Output, *mut sys::OrtValue)>,
    fetched: usize,
    /// Of what is fed first: batch times sequence.
    rows: Option<usize>,
    handles: Vec<Handle>,
    borrows: PhantomData<&'a mut [u8]>,
}

impl<'a> Call<'a> {
    pub(super) fn new(network: &'a mut Network) -> ort::Result<Self> {
        let (host, card) = (MemoryInfo::default(), None);
        let (inputs, outputs, handles) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { network, host, card, inputs, outputs, fetched: 0, rows: None, handles, borrows: PhantomData })
    }

    /// Feeds a view of `data`.
    pub(super) fn feed<T: Native>(&mut self, input: Input, data: &'a [T], shape: &[usize]) -> ort::Result<()> {
        let value = self.view(None, data.as_ptr().cast_mut().cast(), size_of_val(data), T::ELEMENT, shape)?;
        self.measure(shape);
        self.inputs.push((input, value.cast_const()));
        Ok(())
    }

    /// Feeds the front of a memory, as much as the shape asks for.
    pub(super) fn feed_memory(
        &mut self,
        input: Input,
        memory: &'a Memory,
        element: Element,
        shape: &[usize],
    ) -> ort::Result<()> {
        let bytes = shape.iter().try_fold(element.bytes(), |product, length| product.checked_mul(*length));
        let front = bytes.and_then(|bytes| memory.bytes().get(..bytes));
        let front = front.ok_or_else(|| ort::Error::new("a shape beyond the end of its memory"))?;
        let value = self.view(None, front.as_ptr().cast_mut().cast(), front.len(), element, shape)?;
        self.inputs.push((input, value.cast_const()));
        Ok(())
    }

    /// Feeds a tensor without elements.
    pub(super) fn feed_nothing(&mut self, input: Input, element: Element, shape: &[usize]) -> ort::Result<()> {
        // Never read: the view has no bytes, which `view` checks against the shape.
        let value = self.view(None, NonNull::<u64>::dangling().as_ptr().cast(), 0, element, shape)?;
        self.inputs.push((input, value.cast_const()));
        Ok(())
    }

    /// Feeds what another run gave.
    pub(super) fn feed_fetched(&mut self, input: Input, fetched: &'a Fetched) {
        self.measure(fetched.shape());
        self.inputs.push((input, fetched.value.0.as_ptr().cast_const()));
    }

    /// Binds one region as an input and as an output: the graph continues it in place.
    pub(super) fn share(
        &mut self,
        input: Input,
        output: Output,
        region: Region<'a>,
        element: Element,
        shape: &[usize],
    ) -> ort::Result<()> {
        let start = region.start.as_ptr().cast();
        let past = self.view(region.card, start, region.bytes, element, shape)?;
        let present = self.view(region.card, start, region.bytes, element, shape)?;
        self.inputs.push((input, past.cast_const()));
        self.outputs.push((output, present));
        Ok(())
    }

    /// Asks for an output that ONNX Runtime allocates. All of these come before what is shared.
    pub(super) fn fetch(&mut self, output: Output) {
        self.outputs.insert(self.fetched, (output, ptr::null_mut()));
        self.fetched += 1;
    }

    /// Runs the session and gives what was asked for with [`Call::fetch`], in that order.
    pub(super) fn run(self) -> ort::Result<Vec<Fetched>> {
        let input_names: Vec<_> =
            self.inputs.iter().map(|(input, _)| self.network.input_name(*input).as_ptr()).collect();
        let output_names: Vec<_> =
            self.outputs.iter().map(|(output, _)| self.network.output_name(*output).as_ptr()).collect();
        let inputs: Vec<_> = self.inputs.iter().map(|(_, value)| *value).collect();
        let mut outputs: Vec<_> = self.outputs.iter().map(|(_, value)| *value).collect();
        let session = self.network.session();
        let start = Instant::now();
        let watched = self.network.watch().begin(self.rows.unwrap_or(1));
        let status = ortsys![
            unsafe Run(
                session.ptr().cast_mut(),
                watched.options().ptr(),
                input_names.as_ptr(),
                inputs.as_ptr(),
                inputs.len(),
                output_names.as_ptr(),
                output_names.len(),
                outputs.as_mut_ptr(),
            )
        ];
        let inner = session.inner();
        // SAFETY: the status comes from the call above.
        match unsafe { ort::Error::result_from_status(status) } {
            Ok(()) => watched.succeeded(),
            Err(error) => return Err(watched.failed(error)),
        }
        self.network.spend(start.elapsed());
        let fetched = outputs.into_iter().take(self.fetched).map(|value| {
            let value = NonNull::new(value).ok_or_else(|| ort::Error::new("an output was not made"))?;
            Fetched::new(Handle(value), inner.clone())
        });
        fetched.collect()
    }

    fn measure(&mut self, shape: &[usize]) {
        self.rows.get_or_insert_with(|| shape.iter().take(2).product());
    }

    /// What ONNX Runtime is told of where memory lies: on a card, or on the host.
    fn place(&mut self, card: Option<u32>) -> ort::Result<*const sys::OrtMemoryInfo> {
        let Some(ordinal) = card else { return Ok(self.host.ptr()) };
        let info = match self.card.take() {
            Some((known, info)) if known == ordinal => info,
            _ => {
                let (device, index) = (AllocationDevice::CUDA, ordinal.cast_signed());
                MemoryInfo::new(device, index, AllocatorType::Device, MemoryType::Default)?
            }
        };
        Ok(self.card.insert((ordinal, info)).1.ptr())
    }

    /// A value over memory that is not its own; it is released with this call.
    fn view(
        &mut self,
        card: Option<u32>,
        start: *mut c_void,
        bytes: usize,
        element: Element,
        shape: &[usize],
    ) -> ort::Result<*mut sys::OrtValue> {
        let count = shape.iter().try_fold(element.bytes(), |product, length| product.checked_mul(*length));
        if count != Some(bytes) {
            return Err(ort::Error::new(format!("{bytes} bytes do not have the shape {shape:?} of {element:?}")));
        }
        let shape: Vec<i64> = shape.iter().map(|length| *length as i64).collect();
        let place = self.place(card)?;
        let mut value = ptr::null_mut();
        ortsys![
            unsafe CreateTensorWithDataAsOrtValue(
                place,
                start,
                bytes,
                shape.as_ptr(),
                shape.len(),
                element.code(),
                &mut value
            )?
        ];
        let handle = NonNull::new(value).ok_or_else(|| ort::Error::new("a tensor was not made"))?;
        self.handles.push(Handle(handle));
        Ok(value)
    }
}

/// A tensor that a run has made.
pub(super) struct Fetched {
    value: Handle,
    element: Element,
    shape: Vec<usize>,
    _session: Arc<SharedSessionInner>,
}

// SAFETY: the value lies in host memory, is owned, and is reached only through borrows of `Fetched`.
unsafe impl Send for Fetched {}

impl Fetched {
    fn new(value: Handle, session: Arc<SharedSessionInner>) -> ort::Result<Self> {
        let mut info = ptr::null_mut();
        ortsys![unsafe GetTensorTypeAndShape(value.0.as_ptr(), &mut info)?];
        let described = Self::describe(info);
        ortsys![unsafe ReleaseTensorTypeAndShapeInfo(info)];
        let (element, shape) = described?;
        Ok(Self { value, element, shape, _session: session })
    }

    fn describe(info: *mut sys::OrtTensorTypeAndShapeInfo) -> ort::Result<(Element, Vec<usize>)> {
        let mut code = sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        ortsys![unsafe GetTensorElementType(info, &mut code)?];
        let mut rank = 0;
        ortsys![unsafe GetDimensionsCount(info, &mut rank)?];
        let mut shape = vec![0_i64; rank];
        ortsys![unsafe GetDimensions(info, shape.as_mut_ptr(), rank)?];
        let element =
            Element::from_code(code).ok_or_else(|| ort::Error::new("an output has an unknown element type"))?;
        Ok((element, shape.into_iter().map(|length| usize::try_from(length).unwrap_or(0)).collect()))
    }

    pub(super) fn element(&self) -> Element {
        self.element
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements where they lie; empty when they are of another type.
    pub(super) fn data<T: Native>(&self) -> &[T] {
        match self.start(T::ELEMENT) {
            // SAFETY: the value holds `count` elements of this type, and is borrowed.
            Some(start) => unsafe { std::slice::from_raw_parts(start.cast(), self.count()) },
            None => &[],
        }
    }

    /// The bytes of the elements.
    pub(super) fn bytes(&self) -> &[u8] {
        match self.start(self.element) {
            // SAFETY: the value holds `count` initialised elements of this type without padding, and is borrowed.
            Some(start) => unsafe { std::slice::from_raw_parts(start.cast(), self.count() * self.element.bytes()) },
            None => &[],
        }
    }

    /// The elements, to be changed before they are fed to another session.
    pub(super) fn data_mut<T: Native>(&mut self) -> &mut [T] {
        match self.start(T::ELEMENT) {
            // SAFETY: as in `data`, and mutably borrowed.
            Some(start) => unsafe { std::slice::from_raw_parts_mut(start.cast(), self.count()) },
            None => &mut [],
        }
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn start(&self, element: Element) -> Option<*mut c_void> {
        if self.element != element || self.count() == 0 {
            return None;
        }
        let mut start = ptr::null_mut();
        let status = ortsys![unsafe GetTensorMutableData(self.value.0.as_ptr(), &mut start)];
        // SAFETY: the status comes from the call above.
        unsafe { ort::Error::result_from_status(status) }.ok()?;
        (!start.is_null()).then_some(start)
    }
}
