//! Reading everything back.

use rusqlite::{Connection, Row};
use srwan_ditex::{
    GroupRecord, HeldRow, Quarantine, QuarantineCause, RouterRecord, Snapshot, TokenDigest,
    TokenState,
};
use srwan_wire::id::{GroupId, NodeId, NodeKey};
use srwan_wire::pulse::{Row as MatrixRow, SignedRow};
use srwan_wire::sign::Signature;
use srwan_wire::time::Timestamp;

use super::StoreError;

/// The whole database.
pub fn snapshot(from: &Connection) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        tokens: all(from, "SELECT digest, expires, spent_by FROM token", token)?,
        routers: all(
            from,
            "SELECT group_id, member, issued, joined, reason, since, evidence FROM router",
            router,
        )?,
        groups: all(from, "SELECT group_id, seq, psk_epoch, issued FROM router_group", group)?,
        rows: all(
            from,
            "SELECT octets, signature, received, reporter, round FROM matrix_row",
            matrix_row,
        )?,
        node_last: from.query_row("SELECT node_last FROM meta", [], |row| row.get(0))?,
    })
}

fn all<T>(
    from: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = from.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

fn token(row: &Row<'_>) -> Result<(TokenDigest, TokenState), StoreError> {
    let spent_by: Option<[u8; 32]> = row.get(2)?;
    let expires = row.get::<_, Option<i64>>(1)?.map(time);
    let state = match spent_by {
        Some(by) => TokenState::Spent { by: NodeKey(by) },
        None => TokenState::Open { expires },
    };
    Ok((TokenDigest(row.get(0)?), state))
}

fn group(row: &Row<'_>) -> Result<GroupRecord, StoreError> {
    Ok(GroupRecord {
        group: GroupId(row.get(0)?),
        seq: unsigned(row.get(1)?),
        psk_epoch: row.get(2)?,
        issued: time(row.get(3)?),
    })
}

fn router(row: &Row<'_>) -> Result<RouterRecord, StoreError> {
    let member: Vec<u8> = row.get(1)?;
    Ok(RouterRecord {
        group: GroupId(row.get(0)?),
        member: borsh::from_slice(&member).map_err(|_| StoreError::Damaged("member"))?,
        issued: time(row.get(2)?),
        joined: time(row.get(3)?),
        quarantine: quarantine(row)?,
    })
}

fn quarantine(row: &Row<'_>) -> Result<Option<Quarantine>, StoreError> {
    let reason: Option<String> = row.get(4)?;
    let since: Option<i64> = row.get(5)?;
    let evidence: Option<String> = row.get(6)?;
    let cause = match evidence {
        None => QuarantineCause::Manual,
        Some(text) => evidence_cause(&text).ok_or(StoreError::Damaged("quarantine"))?,
    };
    Ok(reason.zip(since).map(|(reason, since)| Quarantine { cause, reason, since: time(since) }))
}

fn evidence_cause(text: &str) -> Option<QuarantineCause> {
    let mut numbers = text.split('/').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let (strikes, observations, headends) = (next()?, next()?, next()?);
    Some(QuarantineCause::Evidence { strikes, observations, headends })
}

fn matrix_row(row: &Row<'_>) -> Result<HeldRow, StoreError> {
    let octets: Vec<u8> = row.get(0)?;
    let reporter = NodeId::new(row.get(3)?).ok_or(StoreError::Damaged("reporter"))?;
    let matrix_row =
        MatrixRow::from_bytes(&octets).map_err(|_| StoreError::Damaged("matrix row"))?;
    Ok(HeldRow {
        row: SignedRow { row: matrix_row, signature: Signature(row.get(1)?) },
        received: time(row.get(2)?),
        reporter,
        round: unsigned(row.get(4)?),
    })
}

fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(unsigned(nanos))
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
