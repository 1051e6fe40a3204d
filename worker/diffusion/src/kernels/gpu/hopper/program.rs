//! A kernel that is a text, and its launch.

use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::ir::attributes::BufferIOAttr;
use cubecl::ir::settings::{Dim3, KernelSettings};
use cubecl::prelude::{AddressType, CubeCount, ExecutionMode, KernelId};
use cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use cubecl::{CubeKernel, PrecompiledSource};

/// One of the kernels of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Program {
    /// Its name in the text.
    pub(super) entry: &'static str,
    pub(super) text: Text,
    /// Threads of a block.
    pub(super) threads: u32,
}

/// The texts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Text {
    Attention,
    Pack,
    Product(super::product::Tile),
}

impl Text {
    fn words(self) -> String {
        match self {
            Self::Attention => include_str!("attention.cu").to_owned(),
            Self::Pack => include_str!("pack.cu").to_owned(),
            Self::Product(tile) => format!("{}{}", tile.beginning(), include_str!("product.cu")),
        }
    }
}

/// What a kernel gets.
pub(super) enum Argument<'a> {
    Read(&'a Handle),
    Written(&'a Handle),
}

impl Program {
    /// Puts the kernel into the queue. `numbers` is the structure that its last parameter is, four bytes each.
    pub(super) fn launch(
        self,
        client: &Client,
        blocks: [u32; 3],
        arguments: &[Argument<'_>],
        numbers: &[u32],
    ) {
        let mut all = KernelArguments::new();
        for argument in arguments {
            let (handle, use_of_it) = match argument {
                Argument::Read(handle) => (handle, BufferIOAttr::ReadOnly),
                Argument::Written(handle) => (handle, BufferIOAttr::WriteOnly),
            };
            all = all.with_buffer_io((*handle).clone().binding(), use_of_it);
        }
        let pair = |two: &[u32]| u64::from(two[0]) | u64::from(two.get(1).copied().unwrap_or(0)) << 32;
        let data: Vec<u64> = numbers.chunks(2).map(pair).collect();
        let dynamic_metadata_offset = data.len();
        let all = all.with_info(MetadataBindingInfo { data, dynamic_metadata_offset });
        client.launch(Box::new(self), CubeCount::Static(blocks[0], blocks[1], blocks[2]), all);
    }

    fn settings(&self) -> KernelSettings {
        let block = Dim3 { x: self.threads, y: 1, z: 1 };
        let mut settings = KernelSettings::new(block, ExecutionMode::Checked, AddressType::U32);
        settings.kernel_name = self.entry.to_owned();
        settings
    }
}

impl cubecl::prelude::KernelMetadata for Program {
    /// As the path of its type would be, for those who sort kernels by what they do.
    fn name(&self) -> &'static str {
        match (self.text, self.entry) {
            (Text::Attention, "attend") => "hopper::attention::attend",
            (Text::Attention, "attend_sums") => "hopper::attention::attend_sums",
            (Text::Attention, "gradient_of_queries") => "hopper::attention::gradient_of_queries",
            (Text::Attention, _) => "hopper::attention::gradient_of_keys",
            (Text::Pack, "for_gradient") => "hopper::pack::for_gradient",
            (Text::Pack, _) => "hopper::pack::weights",
            (Text::Product(tile), "product") if tile.is_a_matrix() => "hopper::matmul::product",
            (Text::Product(tile), _) if tile.is_a_matrix() => "hopper::matmul::gather",
            (Text::Product(_), "product") => "hopper::convolution::product",
            (Text::Product(_), _) => "hopper::convolution::gather",
        }
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(*self).cube_dim(Dim3 { x: self.threads, y: 1, z: 1 })
    }

    fn address_type(&self) -> ElemType {
        AddressType::U32.unsigned_type()
    }
}

impl CubeKernel for Program {
    /// Nothing but the settings: the text is compiled as it stands.
    fn define(&self) -> cubecl::prelude::KernelDefinition {
        let settings = self.settings();
        cubecl::prelude::KernelDefinition {
            body: cubecl::ir::Scope::root(settings.clone()),
            info: cubecl::ir::metadata::Info::default(),
            settings,
        }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        // cubecl keeps what it compiled by the text alone: kernels of one text need one each.
        let source = format!("// For {}.\n{}", self.entry, self.text.words());
        Some(PrecompiledSource { source, entrypoint_name: self.entry.to_owned(), lang: "cuda" })
    }
}
