//! What users ask for: a handful of usual tasks, and the device time that they truly take.

use likeness_shared::proto::{GenerationSpec, InversionSpec};

use crate::store::fair::{Lane, UnitCost, cost_key, units_left};
use crate::store::record::Spec;

/// A usual task.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) spec: Spec,
    pub(super) lane: Lane,
    /// Share of all tasks.
    pub(super) share: f64,
    /// Device time of a unit of work on a device of speed 1, in nanoseconds; the truth, which the scheduler has to
    /// find out.
    pub(super) unit_ns: f64,
    /// How far single tasks lie from that (sigma of a log-normal).
    pub(super) spread: f64,
    /// Steps to which an interrupted task can be taken up again; 0 = it begins anew.
    pub(super) steps: u32,
}

/// All of them, and what the scheduler believes of their costs.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) products: Vec<Product>,
    /// Every lane once.
    pub(super) lanes: Vec<Lane>,
    /// Products whose units are taken to cost the same have the same number.
    cost_groups: Vec<usize>,
    /// For each device (and, last, for any) and group.
    costs: Vec<Vec<Option<UnitCost>>>,
}

/// The model that not every worker has.
pub(super) const LARGE_MODEL: &str = "large";

fn generation(share: f64, model: &str, size: u32, steps: u32, pictures: u32, unit_ns: f64) -> Product {
    let (width, height) = (Some(size), Some(size));
    let (model, steps, pictures) = (model.to_owned(), Some(steps), Some(pictures));
    let spec = Spec::Generation(GenerationSpec {
        model,
        steps,
        pictures,
        width,
        height,
        ..GenerationSpec::default()
    });
    Product { lane: spec.lane(), spec, share, unit_ns, spread: 0.25, steps: 0 }
}

fn inversion(share: f64, model: &str, steps: u32, unit_ns: f64) -> Product {
    let (model, batch_size) = (model.to_owned(), Some(8));
    let spec =
        Spec::Inversion(InversionSpec { model, steps: Some(steps), batch_size, ..InversionSpec::default() });
    Product { lane: spec.lane(), spec, share, unit_ns, spread: 0.15, steps }
}

impl Catalogue {
    /// Mostly generations, which are short, and some inversions, which are long.
    pub(super) fn mixed(devices: usize) -> Self {
        let products = vec![
            generation(0.52, "", 512, 30, 1, 40e6),
            generation(0.20, "", 512, 50, 4, 40e6),
            generation(0.11, "", 768, 30, 1, 90e6),
            generation(0.12, LARGE_MODEL, 1024, 30, 1, 160e6),
            inversion(0.035, "", 400, 12e6),
            inversion(0.010, "", 1000, 12e6),
            inversion(0.005, LARGE_MODEL, 400, 48e6),
        ];
        Self::of(products, devices)
    }

    /// One kind of task, and every one of it takes exactly the same time.
    pub(super) fn uniform(devices: usize) -> Self {
        Self::of(vec![Product { spread: 0.0, ..generation(1.0, "", 512, 30, 1, 100e6) }], devices)
    }

    fn of(products: Vec<Product>, devices: usize) -> Self {
        let mut lanes: Vec<Lane> = products.iter().map(|product| product.lane.clone()).collect();
        lanes.sort();
        lanes.dedup();
        let names: Vec<(&Lane, String)> =
            products.iter().map(|product| (&product.lane, cost_key(&product.spec, ""))).collect();
        let first_of = |name| names.iter().position(|other| *other == name).unwrap_or(0);
        let cost_groups = names.iter().cloned().map(first_of).collect();
        let costs = vec![vec![None; products.len()]; devices + 1];
        Self { products, lanes, cost_groups, costs }
    }

    /// Makes every task longer or shorter, all by the same factor.
    pub(super) fn stretch(&mut self, factor: f64) {
        self.products.iter_mut().for_each(|product| product.unit_ns *= factor);
    }

    /// Device time of the average task on a device of speed 1, in microseconds.
    pub(super) fn mean_us(&self) -> f64 {
        let cost = |product: &Product| units_left(&product.spec, 0) as f64 * product.unit_ns / 1000.0;
        self.products.iter().map(|product| product.share * cost(product)).sum()
    }

    pub(super) fn lane_of(&self, product: usize) -> usize {
        self.lanes.iter().position(|lane| *lane == self.products[product].lane).unwrap_or(0)
    }

    /// What the scheduler believes a unit to cost, as the store looks it up: on the device, or else on any.
    pub(super) fn believed(&self, product: usize, device: Option<usize>) -> UnitCost {
        let (group, any) = (self.cost_groups[product], self.costs.len() - 1);
        let known = device.and_then(|device| self.costs[device][group]).or(self.costs[any][group]);
        known.unwrap_or(UnitCost::first(&self.products[product].spec))
    }

    /// Learns from an attempt that ended its task, as the store does.
    pub(super) fn learn(&mut self, product: usize, device: usize, units: u64, time_us: u64) {
        let group = self.cost_groups[product];
        for place in [self.costs.len() - 1, device] {
            let known = self.costs[place][group].unwrap_or(UnitCost::first(&self.products[product].spec));
            self.costs[place][group] = Some(known.after(units, time_us));
        }
    }
}
