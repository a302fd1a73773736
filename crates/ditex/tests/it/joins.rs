//! Who gets in, once, and into which group.

use srwan_ditex::{Exchange, ExchangeConfig, JoinError, RosterError, Snapshot, TokenError};
use srwan_wire::id::{AccountKey, GroupId};
use srwan_wire::roster::{JoinRequest, Location, Profile};

use crate::network::{
    account, at, controller_key, exchange, join, join_at, node, open, profile, request, signed,
    stored,
};

fn place(lat: i32, lon: i32) -> Location {
    let (lat_e6, lon_e6) = (lat * 1_000_000, lon * 1_000_000);
    Location { lat_e6, lon_e6, ..Location::default() }
}

#[test]
fn a_router_joins_with_a_token_and_is_on_the_signed_roster() {
    let mut exchange = exchange(ExchangeConfig::default());
    let first = join(&mut exchange, 1);
    let second = join(&mut exchange, 2);
    assert_eq!((first.node, second.node), (node(1), node(2)));
    assert_eq!((first.group, second.group), (GroupId(1), GroupId(1)));
    let (before, after) = (open(&first), open(&second));
    assert_eq!((before.seq, after.seq), (1, 2));
    assert_eq!((before.members.len(), after.members.len()), (1, 2));
    assert_eq!(before.psk, after.psk);
    assert_eq!(after.member(node(2)).unwrap().clone(), profile(2).into_member(node(2)));
}

#[test]
fn one_token_lets_exactly_one_of_a_hundred_routers_in() {
    let mut exchange = exchange(ExchangeConfig::default());
    exchange.issue_token("one", None).unwrap();
    let results = (1..=100).map(|index| {
        let request = request(profile(index), Some("one"), at(0));
        exchange.handle_join(&signed(index, request), at(0))
    });
    let (ins, outs): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    assert_eq!(ins.len(), 1);
    assert!(outs.iter().all(|out| *out == Err(JoinError::Token(TokenError::Spent))));
}

/// Changes a valid first request of router 1 and says what is answered.
fn check_refused(change: impl FnOnce(&mut JoinRequest), signer: u32, expected: &JoinError) {
    let mut exchange = exchange(ExchangeConfig::default());
    exchange.issue_token("good", None).unwrap();
    exchange.issue_token("late", Some(at(0))).unwrap();
    join(&mut exchange, 9);
    let before = stored(&mut exchange, Snapshot::default());
    let mut asked = request(profile(1), Some("good"), at(0));
    change(&mut asked);
    let answer = exchange.handle_join(&signed(signer, asked), at(0));
    assert_eq!(answer.as_ref().err(), Some(expected));
    assert_eq!(exchange.poll_change(), None, "a refusal changes nothing");
    assert_eq!(exchange.routers(at(0)).count(), before.routers.len());
}

#[test]
fn what_is_not_in_order_is_refused_with_its_reason() {
    let other = AccountKey([9; 32]);
    check_refused(|r| r.controller = other, 1, &JoinError::WrongController(other));
    check_refused(|_| (), 2, &JoinError::BadSignature);
    check_refused(|r| r.token = None, 1, &JoinError::TokenMissing);
    check_refused(|r| r.token = Some("bad".into()), 1, &TokenError::Unknown.into());
    check_refused(|r| r.token = Some("late".into()), 1, &TokenError::Expired.into());
    check_refused(|r| r.token = Some("token-9".into()), 1, &TokenError::Spent.into());
    check_refused(|r| r.profile.node_key = profile(9).node_key, 1, &JoinError::KeyTaken);
    let taken = |what: &str| JoinError::Taken { what: what.into(), owner: node(1) };
    let endpoint = profile(9).endpoints[0];
    check_refused(|r| r.profile.endpoints = vec![endpoint], 1, &taken(&endpoint.to_string()));
    let wider = "10.0.0.0/8".parse().unwrap();
    check_refused(|r| r.profile.prefixes = vec![wider], 1, &taken("10.0.0.0/8"));
    let loopback = "127.0.0.1:1".parse().unwrap();
    let error = srwan_wire::roster::MemberError::BadEndpoint { endpoint: loopback };
    check_refused(|r| r.profile.endpoints = vec![loopback], 1, &JoinError::Profile(error));
}

#[test]
fn joining_again_is_harmless_and_takes_changes_in_order_of_their_time() {
    let mut exchange = exchange(ExchangeConfig::default());
    let first = join(&mut exchange, 1);
    let same = signed(1, request(profile(1), None, at(0)));
    assert_eq!(exchange.handle_join(&same, at(1)), Ok(first.clone()));
    let moved = Profile { endpoints: vec!["203.0.113.9:1".parse().unwrap()], ..profile(1) };
    let later = signed(1, request(moved.clone(), None, at(5)));
    let answer = exchange.handle_join(&later, at(5)).unwrap();
    assert_eq!(open(&answer).seq, open(&first).seq + 1);
    assert_eq!(open(&answer).members[0].endpoints, moved.endpoints);
    let replayed = exchange.handle_join(&same, at(6));
    assert_eq!(replayed, Err(JoinError::Stale { last: at(5) }));
}

#[test]
fn the_hundred_and_first_router_opens_a_second_group() {
    let mut exchange = exchange(ExchangeConfig::default());
    let groups: Vec<u32> = (1..=101).map(|index| join(&mut exchange, index).group.0).collect();
    assert!(groups[..100].iter().all(|group| *group == 1));
    assert_eq!(groups[100], 2);
    let rosters = [GroupId(1), GroupId(2)].map(|group| exchange.roster(group).unwrap().clone());
    let [first, second] = rosters.map(|roster| roster.open(&controller_key()).unwrap());
    assert_eq!((first.members.len(), second.members.len()), (100, 1));
    assert_ne!(first.psk, second.psk);
}

#[test]
fn a_router_goes_to_the_nearest_group_with_room() {
    let config = ExchangeConfig { members_max: 2, ..ExchangeConfig::default() };
    let mut exchange = exchange(config);
    let (europe, america) = (place(50, 8), place(40, -90));
    let mut group =
        |index, place: &Location| join_at(&mut exchange, index, place.clone()).unwrap().group.0;
    assert_eq!([group(1, &europe), group(2, &europe)], [1, 1]);
    assert_eq!([group(3, &america), group(4, &america), group(5, &europe)], [2, 2, 3]);
    assert_eq!(group(6, &america), 3, "the only group with room, however far");
    assert_eq!(group(7, &america), 4);
    assert_eq!(group(8, &place(51, 0)), 4);
}

#[test]
fn only_a_member_gets_the_roster() {
    let mut exchange = exchange(ExchangeConfig::default());
    let joined = join(&mut exchange, 1);
    let roster = exchange.roster_for(joined.group, &joined.member_token);
    assert_eq!(roster, Ok(&joined.roster));
    assert_eq!(exchange.roster_for(joined.group, &[0; 32]), Err(RosterError::NotMember));
    let nowhere = exchange.roster_for(GroupId(2), &joined.member_token);
    assert_eq!(nowhere, Err(RosterError::NoGroup(GroupId(2))));
}

#[test]
fn what_was_stored_comes_back_octet_for_octet() {
    let mut before = exchange(ExchangeConfig::default());
    let joined: Vec<_> = (1..=5).map(|index| join(&mut before, index)).collect();
    before.quarantine(node(2), "test", at(1)).unwrap();
    before.remove(node(5), at(2)).unwrap();
    let snapshot = stored(&mut before, Snapshot::default());
    let mut after =
        Exchange::restore(ExchangeConfig::default(), &crate::network::SEED, snapshot).unwrap();
    assert_eq!(after.roster(GroupId(1)), before.roster(GroupId(1)));
    let token = &joined[0].member_token;
    assert!(after.roster_for(GroupId(1), token).is_ok());
    let spent = request(profile(6), Some("token-3"), at(9));
    let answer = after.handle_join(&signed(6, spent), at(9));
    assert_eq!(answer, Err(JoinError::Token(TokenError::Spent)));
    assert_eq!(join(&mut after, 7).node, node(6), "a removed router's number is not reused");
    assert_eq!(account(7).public(), profile(7).account_key);
}
