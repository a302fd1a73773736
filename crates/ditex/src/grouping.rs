//! Which group a new router goes to.
//!
//! Among the groups with room, the one whose centre is nearest to the router, and of equally near
//! ones the lowest number; without room anywhere, a further group. A function of its arguments
//! alone: the same groups and the same place always give the same answer (W17).

use srwan_wire::id::GroupId;
use srwan_wire::roster::Location;

/// A point on the unit sphere, or the sum of several.
///
/// **Source:** the mean direction of points on a sphere is the direction of the sum of their
/// vectors (Mardia and Jupp, Directional Statistics, section 9.2).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Direction {
    x: f64,
    y: f64,
    z: f64,
}

impl Direction {
    /// The direction of a place from the centre of the Earth.
    #[must_use]
    pub fn of(place: &Location) -> Self {
        let lat = (f64::from(place.lat_e6) * 1e-6).to_radians();
        let lon = (f64::from(place.lon_e6) * 1e-6).to_radians();
        Self { x: lat.cos() * lon.cos(), y: lat.cos() * lon.sin(), z: lat.sin() }
    }

    /// The sum of two directions.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y, z: self.z + other.z }
    }

    /// The great-circle distance to another direction.
    ///
    /// - **Units:** kilometres on a sphere of 6371 km; zero if either has no direction.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        let lengths = self.length() * other.length();
        if lengths <= f64::EPSILON {
            return 0.0;
        }
        let dot = self.x * other.x + self.y * other.y + self.z * other.z;
        (dot / lengths).clamp(-1.0, 1.0).acos() * EARTH_RADIUS_KM
    }

    /// The same in whole kilometres, by bisection of half the Earth's circumference.
    #[must_use]
    pub fn whole_km(self, other: Self) -> i64 {
        let distance = self.distance_km(other);
        let (mut low, mut high) = (0_i32, HALF_WAY_KM);
        while low < high {
            let middle = (low + high + 1) / 2;
            if f64::from(middle) <= distance { low = middle } else { high = middle - 1 }
        }
        i64::from(low)
    }

    fn length(self) -> f64 {
        (self.x * self.x + self.y * self.y + self.z * self.z).sqrt()
    }
}

/// Mean radius of the Earth. Source: IUGG, R1 of GRS 80, rounded to a kilometre.
const EARTH_RADIUS_KM: f64 = 6371.0;

/// No two places are further apart. **Units:** km.
const HALF_WAY_KM: i32 = 20_016;

/// What the rule knows of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupSummary {
    /// Which group.
    pub group: GroupId,
    /// How many members it has.
    pub members: usize,
    /// Sum of its members' directions.
    pub centre: Direction,
}

/// Picks the group for a router at `place`; `None` if a further group has to be opened.
#[must_use]
pub fn choose(groups: &[GroupSummary], place: &Location, members_max: usize) -> Option<GroupId> {
    let here = Direction::of(place);
    groups
        .iter()
        .filter(|summary| summary.members < members_max)
        .min_by(|left, right| {
            let distances =
                here.distance_km(left.centre).total_cmp(&here.distance_km(right.centre));
            distances.then(left.group.cmp(&right.group))
        })
        .map(|summary| summary.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(lat: i32, lon: i32) -> Location {
        let (lat_e6, lon_e6) = (lat * 1_000_000, lon * 1_000_000);
        Location { lat_e6, lon_e6, ..Location::default() }
    }

    fn summary(group: u32, members: usize, centre: Location) -> GroupSummary {
        GroupSummary { group: GroupId(group), members, centre: Direction::of(&centre) }
    }

    fn check(groups: &[GroupSummary], at: Location, expected: Option<u32>) {
        assert_eq!(choose(groups, &at, 100), expected.map(GroupId));
        let reversed: Vec<_> = groups.iter().rev().copied().collect();
        assert_eq!(choose(&reversed, &at, 100), expected.map(GroupId));
    }

    #[test]
    fn the_nearest_group_with_room_is_chosen_in_any_order() {
        let europe = summary(1, 99, place(50, 8));
        let america = summary(2, 3, place(40, -90));
        let asia = summary(3, 100, place(35, 139));
        check(&[europe, america, asia], place(48, 2), Some(1));
        check(&[europe, america, asia], place(33, -97), Some(2));
        check(&[europe, america, asia], place(37, -179), Some(2));
        check(&[asia], place(35, 139), None);
        check(&[], place(0, 0), None);
    }

    #[test]
    fn equally_near_groups_are_told_apart_by_number() {
        check(&[summary(5, 1, place(1, 1)), summary(4, 1, place(1, 1))], place(9, 9), Some(4));
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let km = Direction::of(&place(51, 0)).distance_km(Direction::of(&place(41, -74)));
        assert!((5_500.0..5_700.0).contains(&km), "{km}");
        let across = Direction::of(&place(0, 179)).distance_km(Direction::of(&place(0, -179)));
        assert!((222.0..223.0).contains(&across), "{across}");
    }
}
