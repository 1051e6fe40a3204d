//! Is a name's face its own? Half of its portraits are kept out, and every name's other half is asked who they are.

use super::portraits::NamePortraits;
use crate::recognise::Embedding;

/// How well a name is told from all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recognised {
    /// The place of its own half among those of all names, 1 = the nearest. The worse one of the two halves' places.
    pub rank: u32,
    /// Its own half's cosine less that of the nearest other name's. The worse one of the two; 2 where there is no other name.
    pub margin: f32,
}

/// For each name, in order: each half of its faces, held against every name's other half. `None` where there are fewer than two
/// faces; such a name is no rival either.
pub(super) fn recognised(names: &[NamePortraits]) -> Vec<Option<Recognised>> {
    let halves: Vec<Option<[Embedding; 2]>> = names.iter().map(NamePortraits::halves).collect();
    let both = |(own, halves_of_own): (usize, &Option<[Embedding; 2]>)| {
        let [first, second] = halves_of_own.as_ref()?;
        let one = place(own, first, &halves, |[_, kept]| kept);
        let other = place(own, second, &halves, |[kept, _]| kept);
        Some(Recognised { rank: one.rank.max(other.rank), margin: one.margin.min(other.margin) })
    };
    halves.iter().enumerate().map(both).collect()
}

fn place(
    own: usize,
    held_out: &Embedding,
    halves: &[Option<[Embedding; 2]>],
    kept: impl Fn(&[Embedding; 2]) -> &Embedding,
) -> Recognised {
    let cosine =
        |halves: &Option<[Embedding; 2]>| halves.as_ref().map(|halves| held_out.cosine(kept(halves)));
    let to_own = halves.get(own).and_then(cosine).unwrap_or(-1.0);
    let others = halves.iter().enumerate().filter(|(index, _)| *index != own);
    let others: Vec<f32> = others.filter_map(|(_, halves)| cosine(halves)).collect();
    // Whoever is as near is a rival: a name that another one draws just as well is not kept.
    let nearer = others.iter().filter(|other| **other >= to_own).count();
    let nearest = others.into_iter().reduce(f32::max);
    Recognised {
        rank: u32::try_from(nearer).unwrap_or(u32::MAX).saturating_add(1),
        margin: nearest.map_or(2.0, |nearest| to_own - nearest),
    }
}

#[cfg(test)]
mod tests {
    use super::super::portraits::tests::portraits;
    use super::*;

    #[test]
    fn a_name_is_its_own_where_no_other_is_nearer() {
        let names = [
            portraits("north", &[Some(88.0), Some(92.0), Some(90.0), Some(90.0)]),
            portraits("east", &[Some(0.0), Some(10.0)]),
            portraits("nobody", &[None, Some(5.0)]),
        ];
        let recognised = recognised(&names);
        let north = recognised[0].unwrap();
        assert_eq!(north.rank, 1);
        // Halves at 89 and 91 degrees; east's at 0 and 10: cos 2 - cos 79 and cos 2 - cos 91, of which the first is less.
        let expected = 2.0_f32.to_radians().cos() - 79.0_f32.to_radians().cos();
        assert!((north.margin - expected).abs() < 1e-5, "{north:?}");
        assert_eq!(recognised[1].unwrap().rank, 1);
        assert_eq!(recognised[2], None);
    }

    #[test]
    fn two_names_of_one_face_are_nobodys() {
        let names = [portraits("a", &[Some(0.0), Some(8.0)]), portraits("b", &[Some(0.0), Some(8.0)])];
        let ranks: Vec<u32> = recognised(&names).into_iter().map(|name| name.unwrap().rank).collect();
        assert_eq!(ranks, [2, 2]);
        // The face of c lies between halves of c: a is as near to one of them as they are to each other, and nearer.
        let names = [portraits("c", &[Some(0.0), Some(40.0)]), portraits("d", &[Some(35.0), Some(35.0)])];
        let c = recognised(&names)[0].unwrap();
        assert!(c.rank == 2 && c.margin < 0.0, "{c:?}");
        assert_eq!(recognised(&names)[1].unwrap().rank, 1);
    }

    #[test]
    fn the_only_name_has_no_rival() {
        let only = recognised(&[portraits("a", &[Some(0.0), Some(90.0)])])[0].unwrap();
        assert_eq!(only, Recognised { rank: 1, margin: 2.0 });
    }
}
