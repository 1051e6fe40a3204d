//! What is drawn by chance in one iteration: photo, mirror, caption, timestep, noise.
//!
//! Every number is a function of (seed, iteration, row, purpose) and of nothing else, so an iteration is the
//! same on any worker, after any restart and beside any neighbours.

use likeness_diffusion::rng::{CounterRng, Purpose};

use super::options::Timesteps;

/// What one row of one iteration trains on.
#[derive(Clone, Debug, PartialEq)]
pub struct RowDraw {
    /// Which photo, from 0.
    pub photo: usize,
    /// Its mirror image instead.
    pub mirrored: bool,
    /// Which caption template, from 0.
    pub template: usize,
    /// Timestep, 0..num_train_timesteps.
    pub timestep: u32,
    /// Standard normals that sample the photo's latent distribution.
    pub sample_eps: Vec<f32>,
    /// Standard normals that are added to the latents, and the target of the prediction.
    pub noise: Vec<f32>,
}

/// The bounds within which rows are drawn.
#[derive(Clone, Debug)]
pub struct Draws {
    rng: CounterRng,
    /// Photos; at least 1.
    pub photos: u32,
    /// Rows of an iteration; at least 1.
    pub rows: u32,
    /// Captions; at least 1.
    pub templates: u32,
    /// Whether rows may be mirrored.
    pub flip: bool,
    /// Length of the noise schedule.
    pub train_timesteps: u32,
    /// How timesteps are spread.
    pub timesteps: Timesteps,
    /// Numbers in one photo's latents.
    pub latent_len: usize,
}

/// The sizes that draws are bounded by.
#[derive(Clone, Copy, Debug)]
pub struct DrawBounds {
    /// Photos.
    pub photos: u32,
    /// Rows of an iteration.
    pub rows: u32,
    /// Captions.
    pub templates: u32,
    /// Length of the noise schedule.
    pub train_timesteps: u32,
    /// Numbers in one photo's latents.
    pub latent_len: usize,
}

impl Draws {
    /// Draws for the task of this seed.
    pub fn new(seed: u64, bounds: DrawBounds, flip: bool, timesteps: Timesteps) -> Self {
        let DrawBounds { photos, rows, templates, train_timesteps, latent_len } = bounds;
        let rng = CounterRng::from_seed(seed);
        Self { rng, photos, rows, templates, flip, train_timesteps, timesteps, latent_len }
    }

    /// The rows of one iteration, from 0.
    pub fn iteration(&self, iteration: u64) -> Vec<RowDraw> {
        (0..self.rows).map(|row| self.row(iteration, row)).collect()
    }

    /// The timesteps of [`Draws::iteration`], without the rest.
    pub fn timesteps(&self, iteration: u64) -> Vec<u32> {
        (0..self.rows).map(|row| self.row_timestep(iteration, row)).collect()
    }

    /// The rows on which progress is judged: as many as an iteration has, always the same, from a stream of their own.
    ///
    /// Upright photos in an order of their own, timesteps stratified however the iterations draw theirs.
    pub fn watch(&self) -> Vec<RowDraw> {
        let order = self.rng.stream(1, 0, Purpose::Evaluation).permutation(self.photos);
        let photos = order.iter().map(|photo| *photo as usize).cycle();
        let draw = |(row, photo)| {
            let mut stream = self.rng.stream(0, row, Purpose::Evaluation);
            RowDraw {
                photo,
                mirrored: false,
                // The first number of the stream, as `watch_timesteps` has it.
                timestep: self.place_timestep(Timesteps::Stratified, stream.uniform(), row),
                template: stream.below(self.templates) as usize,
                sample_eps: stream.normals(self.latent_len),
                noise: stream.normals(self.latent_len),
            }
        };
        (0..self.rows).zip(photos).map(draw).collect()
    }

    /// The timesteps of [`Draws::watch`], without the rest.
    pub fn watch_timesteps(&self) -> Vec<u32> {
        let uniform = |row| self.rng.stream(0, row, Purpose::Evaluation).uniform();
        (0..self.rows).map(|row| self.place_timestep(Timesteps::Stratified, uniform(row), row)).collect()
    }

    fn row(&self, iteration: u64, row: u32) -> RowDraw {
        let stream = |purpose| self.rng.stream(iteration, row, purpose);
        RowDraw {
            photo: self.photo(iteration, row),
            mirrored: self.flip && stream(Purpose::Flip).chance(0.5),
            template: stream(Purpose::Template).below(self.templates) as usize,
            timestep: self.row_timestep(iteration, row),
            sample_eps: stream(Purpose::LatentSample).normals(self.latent_len),
            noise: stream(Purpose::Noise).normals(self.latent_len),
        }
    }

    /// Photos pass in a fresh random order per epoch, each once; an epoch may end inside an iteration.
    fn photo(&self, iteration: u64, row: u32) -> usize {
        let photos = u64::from(self.photos.max(1));
        let position = iteration * u64::from(self.rows) + u64::from(row);
        let order = self.rng.stream(position / photos, 0, Purpose::PhotoOrder).permutation(self.photos);
        order.get((position % photos) as usize).map_or(0, |photo| *photo as usize)
    }

    fn row_timestep(&self, iteration: u64, row: u32) -> u32 {
        let uniform = self.rng.stream(iteration, row, Purpose::Timestep).uniform();
        self.place_timestep(self.timesteps, uniform, row)
    }

    fn place_timestep(&self, timesteps: Timesteps, uniform: f32, row: u32) -> u32 {
        let place = match timesteps {
            Timesteps::Uniform => f64::from(uniform),
            Timesteps::Stratified => (f64::from(row) + f64::from(uniform)) / f64::from(self.rows.max(1)),
        };
        ((place * f64::from(self.train_timesteps)) as u32).min(self.train_timesteps.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(photos: u32, rows: u32, timesteps: Timesteps) -> Draws {
        let bounds = DrawBounds { photos, rows, templates: 16, train_timesteps: 1000, latent_len: 20 };
        Draws::new(7, bounds, true, timesteps)
    }

    #[test]
    fn each_photo_comes_once_per_epoch_even_across_iterations() {
        let draws = draws(5, 3, Timesteps::Stratified);
        let seen: Vec<usize> = (0..10).flat_map(|i| draws.iteration(i)).map(|row| row.photo).collect();
        for epoch in seen.chunks(5) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert_ne!(seen[..5], seen[5..10]);
    }

    #[test]
    fn stratified_timesteps_cover_every_part_of_the_range() {
        let draws = draws(8, 8, Timesteps::Stratified);
        for iteration in 0..50 {
            for (row, draw) in draws.iteration(iteration).iter().enumerate() {
                assert_eq!(draw.timestep / 125, row as u32);
            }
        }
    }

    #[test]
    fn both_ways_of_drawing_timesteps_are_uniform_over_all() {
        for timesteps in [Timesteps::Stratified, Timesteps::Uniform] {
            let draws = draws(8, 8, timesteps);
            let all: Vec<f64> =
                (0..500).flat_map(|i| draws.iteration(i)).map(|row| f64::from(row.timestep)).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            assert!((mean - 499.5).abs() < 15.0, "{timesteps:?}: mean {mean}");
            assert!(all.iter().all(|t| *t < 1000.0));
        }
    }

    #[test]
    fn an_iteration_depends_on_its_number_and_the_seed_alone() {
        let draws = draws(8, 8, Timesteps::Stratified);
        let alone = draws.iteration(41);
        let after_others = (0..42).map(|i| draws.iteration(i)).next_back().unwrap();
        assert_eq!(alone, after_others);
        assert_ne!(alone[0].noise, draws.iteration(40)[0].noise);
        assert_ne!(alone[0].noise, alone[0].sample_eps);
    }

    #[test]
    fn the_timesteps_of_an_iteration_are_those_of_its_rows() {
        for timesteps in [Timesteps::Stratified, Timesteps::Uniform] {
            let draws = draws(5, 7, timesteps);
            let of_rows: Vec<u32> = draws.iteration(9).iter().map(|row| row.timestep).collect();
            assert_eq!(draws.timesteps(9), of_rows);
        }
    }

    #[test]
    fn the_watched_rows_are_upright_spread_over_photos_and_timesteps_and_no_iterations() {
        let draws = draws(5, 8, Timesteps::Uniform);
        let watched = draws.watch();
        assert_eq!(watched, draws.watch());
        assert_eq!(draws.watch_timesteps(), watched.iter().map(|row| row.timestep).collect::<Vec<_>>());
        for (row, draw) in watched.iter().enumerate() {
            assert_eq!((draw.timestep / 125, draw.mirrored), (row as u32, false));
            assert_ne!(draw.noise, draw.sample_eps);
        }
        let mut photos: Vec<usize> = watched.iter().take(5).map(|row| row.photo).collect();
        photos.sort_unstable();
        assert_eq!(photos, [0, 1, 2, 3, 4]);
        assert!(draws.iteration(0).iter().zip(&watched).all(|(row, watched)| row.noise != watched.noise));
    }

    #[test]
    fn mirroring_takes_about_half_of_the_rows_or_none() {
        let mut draws = draws(8, 8, Timesteps::Stratified);
        let mirrored =
            |draws: &Draws| (0..200).flat_map(|i| draws.iteration(i)).filter(|row| row.mirrored).count();
        assert!((700..900).contains(&mirrored(&draws)), "{}", mirrored(&draws));
        draws.flip = false;
        assert_eq!(mirrored(&draws), 0);
    }
}
